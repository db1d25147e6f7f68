//! Opaque state as the services issue it: it names its issuer, is bound to what it was issued for, and a changed byte
//! shows.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use sha2::{Digest as _, Sha256};

/// Who issues a state, and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuer {
    Anthropic,
    Google,
    OpenAi,
}

impl Issuer {
    fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "claude-sonnet-4-5",
            Self::Google => "gemini",
            Self::OpenAi => "gpt",
        }
    }

    /// A state for `subject`.
    pub(super) fn seal(self, subject: &str) -> String {
        let digest = Sha256::new().chain_update(self.name()).chain_update(subject).finalize();
        let head: &[u8] = match self {
            Self::Anthropic => b"\x12\x40claude-sonnet-4-5\x18",
            Self::Google => b"\x0a\x41",
            // As a token with a time in it: its text begins with gAAAA.
            Self::OpenAi => b"\x80\x00\x00\x00\x00\x6a",
        };
        let sealed = [head, &digest, subject.as_bytes()].concat();
        match self {
            Self::OpenAi => BASE64_URL_SAFE.encode(sealed),
            Self::Anthropic | Self::Google => BASE64_STANDARD.encode(sealed),
        }
    }

    /// What a state was issued for, when it is this issuer's and unchanged.
    pub(super) fn open(self, state: &str) -> Option<String> {
        let sealed = match self {
            Self::OpenAi => BASE64_URL_SAFE.decode(state),
            Self::Anthropic | Self::Google => BASE64_STANDARD.decode(state),
        };
        let sealed = sealed.ok()?;
        let head = match self {
            Self::Anthropic => 20,
            Self::Google => 2,
            Self::OpenAi => 6,
        };
        let subject = String::from_utf8(sealed.get(head + 32..)?.to_vec()).ok()?;
        (self.seal(&subject) == state).then_some(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::Issuer;

    #[test]
    fn a_state_opens_for_its_issuer_alone_and_unchanged_alone() {
        let issuers = [Issuer::Anthropic, Issuer::Google, Issuer::OpenAi];
        for issuer in issuers {
            let state = issuer.seal("Röme");
            assert_eq!(issuer.open(&state).as_deref(), Some("Röme"), "{issuer:?}");
            let others = issuers.into_iter().filter(|other| *other != issuer);
            assert!(others.into_iter().all(|other| other.open(&state).is_none()), "{issuer:?}");
            let mut changed = state.clone();
            let letter = changed.remove(40);
            changed.insert(40, if letter == 'A' { 'B' } else { 'A' });
            assert_eq!(issuer.open(&changed), None, "{issuer:?}");
        }
        assert!(Issuer::OpenAi.seal("x").starts_with("gAAAA"));
    }
}
