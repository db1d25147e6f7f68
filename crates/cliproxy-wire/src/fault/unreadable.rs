//! Answers that are none: nothing at all, a page of something between us and the upstream, or text that no codec reads.

use std::fmt::Display;

use super::{Fault, Kind};
use crate::sse::{Shape, sniff};

impl Fault {
    /// The upstream answered with markup.
    pub fn page(page: &[u8]) -> Self {
        let words = page_text(page, 200);
        Self::new(
            Kind::BadUpstream,
            format!("the upstream answered with a page instead of an answer: {words}"),
        )
    }

    /// The upstream's whole answer cannot be read, for this reason.
    pub fn unreadable(body: &[u8], why: impl Display) -> Self {
        match sniff(body) {
            None => Self::empty(),
            Some(Shape::Markup) => Self::page(body),
            Some(Shape::Object | Shape::Array | Shape::Events) => {
                Self::new(Kind::BadUpstream, format!("the upstream's answer cannot be read: {why}"))
                    .with_code("upstream_malformed")
            }
        }
    }
}

/// The words of a page, at most `limit` characters: enough to tell a login page from a bad gateway.
fn page_text(page: &[u8], limit: usize) -> String {
    let page = String::from_utf8_lossy(page);
    let mut words = String::new();
    let mut rest: &str = &page;
    // A character has at most four bytes.
    while words.len() < 4 * limit && !rest.is_empty() {
        let (text, tag) = rest.split_once('<').unwrap_or((rest, ""));
        for word in text.split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        let name = tag.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_hidden = ["script", "style"].iter().any(|hidden| name.eq_ignore_ascii_case(hidden));
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
        if is_hidden {
            rest = rest
                .split_once("</")
                .map_or("", |(_, rest)| rest.split_once('>').map_or("", |(_, rest)| rest));
        }
    }
    words.chars().take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_answer_is_named() {
        for (body, expected) in [
            ("", "the upstream's answer is empty"),
            (" \n", "the upstream's answer is empty"),
            (
                "<html><title>Log in</title></html>",
                "the upstream answered with a page instead of an answer: Log in",
            ),
            ("{\"a\":", "the upstream's answer cannot be read: why"),
            ("busy", "the upstream's answer cannot be read: why"),
        ] {
            assert_eq!(Fault::unreadable(body.as_bytes(), "why").message, expected);
        }
        assert_eq!(page_text("<p>éé é é".repeat(100).as_bytes(), 200).chars().count(), 200);
    }
}
