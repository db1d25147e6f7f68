//! Proof Key for Code Exchange (RFC 7636): whoever redeems a code shows that it is the one that asked for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::Secret;

/// A verifier and its challenge, for one login.
#[derive(Clone, Debug)]
pub struct Pkce {
    /// Sent with the code.
    pub verifier: Secret,
    /// Sent with the person.
    pub challenge: String,
}

impl Pkce {
    /// The method's name in requests.
    pub const METHOD: &'static str = "S256";

    /// From random bytes; 96 of them give the longest verifier that is allowed.
    pub fn from_random(bytes: &[u8; 96]) -> Self {
        let verifier = URL_SAFE_NO_PAD.encode(bytes);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        Self { challenge: URL_SAFE_NO_PAD.encode(digest), verifier: Secret::from(verifier) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_has_128_characters_and_its_challenge_is_its_hash() {
        let pkce = Pkce::from_random(&[7; 96]);
        let verifier = pkce.verifier.expose();
        assert_eq!(verifier.len(), 128);
        assert!(verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        assert_eq!(URL_SAFE_NO_PAD.decode(&pkce.challenge).unwrap(), digest.as_ref());
        assert!(!format!("{pkce:?}").contains(verifier));
    }
}
