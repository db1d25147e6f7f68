//! Signed assertions (RFC 7523): how a service account asks for a token.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::secret::Secret;

/// The grant type of an assertion.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Characters of a line between the frames of a key.
const LINE: usize = 64;

/// A text that holds no RSA key that can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RSA private key")]
pub struct NotAKey;

/// A private RSA key.
#[derive(Debug)]
pub struct SigningKey {
    pair: KeyPair,
    pem: Secret,
}

impl SigningKey {
    /// Reads a key as PEM of either kind, also one that was damaged on its way through environment variables and
    /// terminals: escaped line ends, colors, a lost frame.
    ///
    /// # Errors
    /// A text that is no key.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let clean = without_colors(text).replace("\\r", "").replace("\\n", "\n").replace('\r', "");
        let body: String = clean
            .lines()
            .filter(|line| !line.contains("-----"))
            .flat_map(str::chars)
            .filter(|character| !character.is_whitespace())
            .collect();
        let der = STANDARD.decode(body).map_err(|_no_base64| NotAKey)?;
        let (pair, kind) = match KeyPair::from_pkcs8(&der) {
            Ok(pair) => (pair, "PRIVATE KEY"),
            Err(_maybe_the_other_kind) => {
                (KeyPair::from_der(&der).map_err(|_neither| NotAKey)?, "RSA PRIVATE KEY")
            }
        };
        let framed = framed(&der, kind);
        // What is right as it is stays as it is.
        let pem = if text.trim() == framed.trim() { text.to_owned() } else { framed };
        Ok(Self { pair, pem: Secret::from(pem) })
    }

    /// The key as PEM.
    pub fn pem(&self) -> &Secret {
        &self.pem
    }

    /// A JSON web token with these claims.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(&self, key_id: &str, claims: &Value) -> Result<Secret, NotAKey> {
        let header = serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": key_id });
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encoded(&header), encoded(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_unspecified| NotAKey)?;
        Ok(Secret::from(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

fn framed(der: &[u8], kind: &str) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {kind}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    format!("{pem}-----END {kind}-----\n")
}

/// Without the escape sequences with which terminals color text.
fn without_colors(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            for inside in characters.by_ref() {
                if inside.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            clean.push(character);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::json;

    fn pem() -> String {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        framed(der.as_ref(), "PRIVATE KEY")
    }

    #[test]
    fn a_signature_is_the_keys_own() {
        let key = SigningKey::parse(&pem()).unwrap();
        let token = key.sign("key-1", &json!({ "iss": "me" })).unwrap();
        let (message, signature) = token.expose().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.pair.public_key().as_ref())
            .verify(message.as_bytes(), &signature)
            .unwrap();
        assert_eq!(crate::oauth::claims(token.expose()).unwrap()["iss"], "me");
    }

    #[test]
    fn damaged_keys_are_repaired_and_whole_ones_kept() {
        let pem = pem();
        let key = SigningKey::parse(&pem).unwrap();
        assert_eq!(key.pem().expose(), pem);
        let body: String = pem.lines().filter(|line| !line.contains("---")).collect();
        for damaged in [
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            format!("\u{1b}[32m{pem}\u{1b}[0m"),
            body,
        ] {
            assert_eq!(SigningKey::parse(&damaged).unwrap().pem().expose(), pem);
        }
        // The older kind is the inner part of the newer one.
        let der =
            STANDARD.decode(pem.lines().filter(|line| !line.contains("---")).collect::<String>()).unwrap();
        let old = framed(&der[26..], "RSA PRIVATE KEY");
        assert_eq!(SigningKey::parse(&old).unwrap().pem().expose(), old);
    }

    #[test]
    fn other_texts_are_no_keys() {
        for text in
            ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not base64!", "AAAA"]
        {
            assert_eq!(SigningKey::parse(text).unwrap_err(), NotAKey);
        }
    }
}
