//! What stands around a request: whose it is, what it is for, which conversation it belongs to.
//!
//! Source: the envelope of the service's own client. Pictures and searches are asked for under names of their own.

use bytes::Bytes;
use cliproxy_wire::id;
use cliproxy_wire::json::patch::{self, Edit, Path};
use cliproxy_wire::json::{self, Raw};

use crate::credential::Credential;
use crate::provider::gemini_cli::envelope;
use crate::provider::{Job, session};

/// What a request may be paid with.
const CREDITS: &str = r#"["GOOGLE_ONE_AI"]"#;

/// A request that the codec has wrapped, with the members that it cannot know.
pub(super) fn wrapped(job: &Job<'_>, credential: &Credential) -> Bytes {
    let project = credential.project.as_deref().unwrap_or_default();
    let whole = job.body.whole();
    let text = String::from_utf8_lossy(&whole);
    let inner = json::member(&text, "request").unwrap_or_default();
    let unique = id::uuid(&[project, &job.now.to_string(), &text]);
    let (kind, request_id) = if job.model.contains("image") {
        ("image_gen", Some(format!("image_gen/{}/{unique}/12", job.now.saturating_mul(1000))))
    } else if searches_only(inner) {
        ("web_search", None)
    } else {
        ("agent", Some(format!("agent-{unique}")))
    };
    let mut members = vec![("project", project), ("userAgent", "antigravity"), ("requestType", kind)];
    members.extend(request_id.as_deref().map(|id| ("requestId", id)));
    let mut edits = Vec::new();
    if kind != "image_gen" {
        let name = Raw::string(&session_id(job, credential, inner));
        edits.push(Edit::set_default(Path::root().key("request").key("sessionId"), name));
    }
    if job.pays {
        edits.push(Edit::set(Path::root().key("enabledCreditTypes"), Raw::new(CREDITS)));
    }
    let edited = patch::apply(&text, &edits).map(|text| Bytes::from(text.into_owned()));
    envelope::with_members(&edited.unwrap_or_else(|_no_json| whole.clone()), &members)
}

/// The same for every turn of a conversation: by the client's own name of it, else by how it began.
fn session_id(job: &Job<'_>, credential: &Credential, inner: &str) -> String {
    let contents = json::member(inner, "contents").unwrap_or_default();
    let mut first = "";
    // What is no list has no first turn.
    let _read = json::Reader::new(contents).array(|at, turn| {
        let text = turn.raw()?;
        if at == 0 {
            first = text;
        }
        Ok(())
    });
    let name = session(job.client_headers).unwrap_or(first);
    let digits = id::hex("", 15, &["session", credential.id.as_str(), name]);
    format!("-{}", u64::from_str_radix(&digits, 16).unwrap_or_default())
}

/// Whether a search is all that is asked for.
fn searches_only(inner: &str) -> bool {
    let tools = json::member(inner, "tools").unwrap_or_default();
    tools.contains("\"googleSearch\"") && !tools.contains("\"functionDeclarations\"")
}
