//! The methods of Code Assist that no model answers: signing in, quotas, settings, metrics. They are asked as an account
//! asks them, so a client's own project gives way to the account's.

use bytes::Bytes;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{Edit, Path, apply, get};
use http::{Method, Uri};

use crate::credential::Credential;
use crate::failure::Failure;
use crate::provider::{Operation, base_headers, bearer, configured_headers};
use crate::upstream::Outgoing;

/// Where bodies name a project. Source: the official client's requests.
const PROJECTS: [&[&str]; 3] = [&["project"], &["cloudaicompanionProject"], &["metadata", "duetProject"]];

/// The request for `call`, which follows `/v1internal` with its query.
///
/// # Errors
/// An address that is none, or a token that no header may carry.
pub(crate) fn outgoing(
    credential: &Credential,
    method: &Method,
    call: &str,
    client_headers: &http::HeaderMap,
    body: &Bytes,
) -> Result<Outgoing, Failure> {
    let mut headers = base_headers(Operation::Generate);
    bearer(&mut headers, credential)?;
    configured_headers(&mut headers, credential, client_headers);
    let address = format!("{}/v1internal{call}", credential.base_url);
    let uri = Uri::try_from(address).map_err(|_not_an_address| {
        Failure::client(Fault::new(Kind::NotFound, "Code Assist has no method of this name"))
    })?;
    let body = match &credential.project {
        Some(project) => with_project(body, project),
        None => body.clone(),
    };
    Ok(Outgoing::Http { method: method.clone(), uri, headers, body: body.into() })
}

/// The body with this project wherever it names one; every other byte stays.
fn with_project(body: &Bytes, project: &str) -> Bytes {
    let Ok(text) = std::str::from_utf8(body) else { return body.clone() };
    let path = |keys: &&[&str]| keys.iter().fold(Path::root(), |path, key| path.key(*key));
    let named = PROJECTS.iter().map(path).filter(|path| get(text, path).is_some());
    let edits: Vec<Edit> = named.map(|path| Edit::set(path, Raw::string(project))).collect();
    match apply(text, &edits) {
        Ok(changed) => Bytes::from(changed.into_owned()),
        Err(_no_object) => body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_replaced_where_one_is_named() {
        for (body, expected) in [
            (r#"{"project":"theirs", "n":1.0}"#, r#"{"project":"ours", "n":1.0}"#),
            (
                r#"{"cloudaicompanionProject":"t","metadata":{"duetProject":"t","ideType":"X"}}"#,
                r#"{"cloudaicompanionProject":"ours","metadata":{"duetProject":"ours","ideType":"X"}}"#,
            ),
            (r#"{"metadata":{"ideType":"X"}}"#, r#"{"metadata":{"ideType":"X"}}"#),
            ("", ""),
        ] {
            assert_eq!(with_project(&Bytes::from_static(body.as_bytes()), "ours"), expected);
        }
    }
}
