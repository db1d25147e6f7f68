//! Service accounts: key files, and the check of what is signed with them.

use std::collections::HashMap;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A key file, its e-mail and its public key.
pub(super) fn make(project: &str, token_uri: &str) -> (String, String, Vec<u8>) {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("an encoding");
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("text")).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let email = format!("robot@{project}.iam.gserviceaccount.com");
    let file = json!({
        "type": "service_account",
        "project_id": project,
        "private_key_id": "key-1",
        "private_key": pem,
        "client_email": email,
        "client_id": "1",
        "token_uri": token_uri,
    });
    (file.to_string(), email, pair.public_key().as_ref().to_vec())
}

/// Whether an assertion is signed by a known service account and says what it must.
pub(super) fn check(assertion: &str, keys: &HashMap<String, Vec<u8>>) -> Result<(), &'static str> {
    let (message, signature) = assertion.rsplit_once('.').ok_or("no assertion")?;
    let part =
        |text: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok() };
    let (header, claims) = message.split_once('.').ok_or("no assertion")?;
    let (header, claims) = (part(header).ok_or("no header")?, part(claims).ok_or("no claims")?);
    let key = keys.get(claims["iss"].as_str().unwrap_or_default()).ok_or("account not found")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_no_base64| "Invalid JWT Signature.")?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(message.as_bytes(), &signature)
        .map_err(|_unspecified| "Invalid JWT Signature.")?;
    let is_complete = header["alg"] == "RS256"
        && header["kid"] == "key-1"
        && claims["aud"].as_str().is_some_and(|to| to.ends_with("/vertex/token"))
        && claims["scope"].as_str().is_some_and(|scope| scope.contains("cloud-platform"))
        && claims["exp"].as_u64().zip(claims["iat"].as_u64()).is_some_and(|(end, start)| end == start + 3600);
    if is_complete { Ok(()) } else { Err("Invalid JWT.") }
}
