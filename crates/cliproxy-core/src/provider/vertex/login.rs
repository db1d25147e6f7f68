//! Importing a Google service account for Vertex AI.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::oauth::assertion::SigningKey;
use crate::oauth::login::file_part;
use crate::oauth::{Grant, Identity, Refusal, RefusalKind};
use crate::store::Changes;

/// Where requests go until the file says otherwise.
pub(super) const LOCATION: &str = "us-central1";

/// Where a service account's signature becomes a token, unless its key file names another place.
pub(crate) fn identity() -> Identity {
    Identity {
        token_url: Cow::Borrowed("https://oauth2.googleapis.com/token"),
        scope: Cow::Borrowed("https://www.googleapis.com/auth/cloud-platform"),
        ..Identity::default()
    }
}

/// Makes an auth file of a service account's key file.
///
/// # Errors
/// A text that is no such key file.
pub fn import(text: &[u8], prefix: Option<&str>) -> Result<Grant, Refusal> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut account: Map<String, Value> =
        serde_json::from_slice(text).map_err(|_may_hold_the_key| refusal("the file is not a JSON object"))?;
    let member = |account: &Map<String, Value>, name: &str| {
        account.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
    };
    let project = member(&account, "project_id");
    if project.is_empty() {
        return Err(refusal("the file has no project_id"));
    }
    let key = account.get("private_key").and_then(Value::as_str).unwrap_or_default();
    if key.trim().is_empty() {
        return Err(refusal("the file has no private_key"));
    }
    let key =
        SigningKey::parse(key).map_err(|_not_a_key| refusal("the private_key is not an RSA private key"))?;
    account.insert("private_key".to_owned(), Value::from(key.pem().expose()));
    let email = member(&account, "client_email");
    let prefix = prefix.map(|prefix| prefix.trim().trim_matches('/')).filter(|prefix| !prefix.is_empty());
    if prefix.is_some_and(|prefix| prefix.contains('/')) {
        return Err(Refusal {
            remedy: "choose a prefix without `/`".into(),
            ..refusal("a prefix holds no `/`")
        });
    }
    Ok(Grant {
        file: format!("vertex-{}.json", file_name(&project)),
        account: vec![("project_id", project.clone()), ("email", email.clone())],
        label: if email.is_empty() { project.clone() } else { format!("{project} ({email})") },
        changes: Changes::default()
            .set("type", "vertex")
            .set("service_account", account)
            .set("project_id", project)
            .set("email", email)
            .set_if_some("prefix", prefix),
        // Edited by hand, so an import never moves an account elsewhere.
        defaults: Changes::default().set("location", LOCATION),
    })
}

fn refusal(message: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::Dead,
        message: message.into(),
        remedy: "download a JSON key of a service account from the Google Cloud console".into(),
    }
}

/// A project in a file name, as other programs write it.
fn file_name(project: &str) -> String {
    let name = file_part(&project.replace(' ', "-"));
    if name.is_empty() { "vertex".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        for (text, message) in [
            ("", "the file is not a JSON object"),
            ("[]", "the file is not a JSON object"),
            ("{}", "the file has no project_id"),
            (r#"{"project_id":"p"}"#, "the file has no private_key"),
            (r#"{"project_id":"p","private_key":"x"}"#, "the private_key is not an RSA private key"),
        ] {
            assert_eq!(import(text.as_bytes(), None).unwrap_err().message, message, "{text}");
        }
        assert_eq!(file_name("a b:c/d"), "a-b_c_d");
    }
}
