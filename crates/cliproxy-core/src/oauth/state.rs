//! The `state` of a login: what a callback must bring back to be the answer to our own question.

use std::fmt;

use crate::secret::Secret;

/// Sixteen random bytes in hexadecimal.
#[derive(Clone)]
pub struct State(Secret);

impl State {
    /// From random bytes.
    pub fn from_random(bytes: &[u8; 16]) -> Self {
        Self(Secret::from(format!("{:032x}", u128::from_be_bytes(*bytes))))
    }

    /// The text, for the address that a person visits.
    pub fn as_str(&self) -> &str {
        self.0.expose()
    }

    /// Whether a callback brought this state back.
    pub fn matches(&self, candidate: &str) -> bool {
        self.0.matches(candidate.as_bytes())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_matches_itself_only() {
        let state = State::from_random(&[0xAB; 16]);
        assert_eq!(state.as_str(), "ab".repeat(16));
        assert!(state.matches(&"ab".repeat(16)));
        for other in ["", "ab", &"ab".repeat(17), &"AB".repeat(16)] {
            assert!(!state.matches(other), "{other}");
        }
    }
}
