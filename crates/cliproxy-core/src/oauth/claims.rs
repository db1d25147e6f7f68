//! Reading what a JSON web token says.
//!
//! Signatures are not checked, and need not be: these tokens come straight from the identity provider over TLS in
//! answer to our own request, and what they say is used for names and plans, never to let somebody in. The provider
//! checks its own tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The payload of a JSON web token; `None` for texts that are none.
pub fn claims(token: &str) -> Option<Value> {
    let mut parts = token.trim().split('.');
    let (_header, payload) = (parts.next()?, parts.next()?);
    // A signature, or nothing behind the second dot.
    if parts.count() > 1 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_read_whatever_the_signature() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"email":"a@b.c"}"#);
        for token in [format!("e30.{payload}.sig"), format!("e30.{payload}."), format!(" e30.{payload}==.s")]
        {
            assert_eq!(claims(&token).unwrap()["email"], "a@b.c", "{token}");
        }
        for token in ["", "a.b.c", "opaque", &format!("e30.{payload}.s.t"), "e30.MQ.s"] {
            assert!(claims(token).is_none(), "{token}");
        }
    }
}
