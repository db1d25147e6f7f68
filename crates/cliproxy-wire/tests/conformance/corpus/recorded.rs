//! The recorded exchanges beside the checkout; `CLIPROXY_CORPUS` names another place.
//!
//! Where they are missing the caller gets none, after a line on standard error that says so.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use cliproxy_wire::Format;
use serde_json::Value;

/// One recorded exchange.
pub(crate) struct Exchange {
    pub(crate) format: Format,
    pub(crate) id: String,
    pub(crate) value: Value,
}

impl Exchange {
    /// A plain request to a model, whatever the answer's form.
    pub(crate) fn is_generation(&self) -> bool {
        matches!(self.value["operation"].as_str(), Some("generate" | "stream"))
    }

    /// The body of the request.
    pub(crate) fn request(&self) -> Option<&Value> {
        Some(&self.value["request"]["body"]).filter(|body| body.is_object())
    }

    /// The body of the answer, where it was JSON.
    pub(crate) fn body(&self) -> Option<&Value> {
        Some(&self.value["response"]["body"]).filter(|body| !body.is_null())
    }

    /// The answer, where it was a stream.
    pub(crate) fn stream(&self) -> Option<&str> {
        let response = &self.value["response"];
        let text = || response["text"].as_str().filter(|text| text.starts_with('['));
        response["sse"].as_str().or_else(text)
    }

    pub(crate) fn is_success(&self) -> bool {
        self.value["response"]["status"].as_u64().is_none_or(|status| status < 300)
    }

    pub(crate) fn has(&self, feature: &str) -> bool {
        self.value["features"].as_array().is_some_and(|all| all.iter().any(|tag| tag == feature))
    }

    /// The model asked for, which Gemini says in the path.
    pub(crate) fn model(&self) -> &str {
        self.value["model"].as_str().unwrap_or("m")
    }
}

/// The recorded exchanges of a format, in the order of their names.
pub(crate) fn exchanges(format: Format) -> Vec<Exchange> {
    let root = std::env::var_os("CLIPROXY_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")),
        PathBuf::from,
    );
    let folder = root.join(match format {
        Format::Chat => "openai-chat",
        Format::Responses => "openai-responses",
        Format::Claude => "anthropic-messages",
        Format::Gemini => "gemini",
    });
    let Ok(entries) = fs::read_dir(&folder) else {
        // Not `eprintln!`, which the test harness holds back when the test passes.
        writeln!(std::io::stderr(), "SKIPPED: no recorded exchanges at {}", folder.display()).ok();
        return Vec::new();
    };
    let mut all: Vec<Exchange> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let id = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read(&path).expect("a recorded exchange");
            let value = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{id}: {error}"));
            Exchange { format, id, value }
        })
        .collect();
    all.sort_by(|left, right| left.id.cmp(&right.id));
    assert!(all.len() > 300, "{} holds {} exchanges", folder.display(), all.len());
    all
}
