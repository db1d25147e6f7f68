//! Tokens, keys and passwords in memory.
//!
//! Everything that must never reach a log lives in [`Secret`]: it has no `Display`, its `Debug`
//! shows at most the last four characters, and the only way to the text is [`Secret::expose`],
//! so that one search lists every place where a token leaves its box.
//! Masking for people ([`Secret::masked`]) is here too; marking HTTP header values as sensitive
//! is left to whoever builds the header.

use std::fmt;
use std::sync::Arc;

/// Shortest value whose last characters may be shown; of a shorter one they would be too much.
const SHORTEST_SHOWN: usize = 12;

/// How many trailing characters of a long value may be shown.
const SHOWN: usize = 4;

/// A value that must not be printed. Cloning shares the text.
#[derive(Clone, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Boxes a secret text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Only for building requests and for writing stores.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A form that people may see: `****` and, for long values, the last four characters.
    pub fn masked(&self) -> String {
        let length = self.length();
        if length < SHORTEST_SHOWN {
            return "****".to_owned();
        }
        let mut shown = "****".to_owned();
        shown.extend(self.0.chars().skip(length.saturating_sub(SHOWN)));
        shown
    }

    /// The name by which logs, statistics and settings know a client key without giving it away.
    pub fn name(&self) -> Arc<str> {
        cliproxy_wire::id::hex("key-", 8, &[&self.0]).into()
    }

    /// How many characters it has.
    pub fn length(&self) -> usize {
        self.0.chars().count()
    }

    /// A text with this value taken out of it.
    pub fn taken_out_of(&self, text: &str) -> String {
        if self.is_empty() { text.to_owned() } else { text.replace(&*self.0, "****") }
    }

    /// Compares with a text in a time that does not depend on where they differ.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), candidate).is_ok()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({})", self.masked())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_the_last_four_characters_of_a_long_value_only() {
        assert_eq!(format!("{:?}", Secret::new("sk-0123456789abcd")), "Secret(****abcd)");
        assert_eq!(format!("{:?}", Secret::new("short-value")), "Secret(****)");
        assert_eq!(format!("{:?}", Secret::new("")), "Secret(****)");
    }

    #[test]
    fn masking_counts_characters_and_not_bytes() {
        assert_eq!(Secret::new("ääääääääääää").masked(), "****ääää");
        assert_eq!(Secret::new("äääääääääää").masked(), "****");
    }

    #[test]
    fn a_text_is_shown_without_it() {
        assert_eq!(Secret::new("abc").taken_out_of("x abc, abc"), "x ****, ****");
        assert_eq!(Secret::new("").taken_out_of("x"), "x");
    }

    #[test]
    fn equality_looks_at_the_whole_value() {
        assert_eq!(Secret::new("abc"), Secret::new("abc"));
        assert_ne!(Secret::new("abc"), Secret::new("abd"));
        assert_ne!(Secret::new("abc"), Secret::new("abcd"));
        assert!(Secret::new("abc").matches(b"abc"));
        assert!(!Secret::new("abc").matches(b""));
    }
}
