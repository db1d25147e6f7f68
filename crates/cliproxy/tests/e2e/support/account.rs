//! Accounts: auth files, a gateway that has them, and a Responses upstream as accounts find it.

use std::path::Path;

use base64::Engine as _;
use bytes::Bytes;
use cliproxy_testkit::{Gateway, Script};
use serde_json::{Value, json};

use super::events;

/// A token that says this, without a signature.
pub(crate) fn token(claims: &Value) -> String {
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("e30.{payload}.s")
}

/// A gateway with these auth files, by their names.
pub(crate) fn start_with(config: &str, accounts: &[(&str, Value)]) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&folder).unwrap();
    for (name, account) in accounts {
        write(&folder.join(name), &account.to_string());
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_cli-proxy-api"));
    Gateway::start_in(directory, binary, config, &[])
}

/// Writes a file of the test's own.
#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
pub(crate) fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

/// An auth file as it is now.
pub(crate) fn auth_file(gateway: &Gateway, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(gateway.accounts().join(name)).unwrap()).unwrap()
}

/// A Responses stream whose end leaves the items out.
pub(crate) fn bare_events() -> String {
    let stream = events("responses");
    let (start, end) = stream.split_at(stream.find("event: response.completed").unwrap());
    let (name, data) = end.split_once("data: ").unwrap();
    let mut end: Value = serde_json::from_str(data).unwrap();
    end["response"]["output"] = json!([]);
    format!("{start}{name}data: {end}\n\n")
}

/// A stream in small pieces.
pub(crate) fn streamed(events: &str) -> Script {
    Script::events(events.as_bytes().chunks(11).map(Bytes::copy_from_slice).collect())
}
