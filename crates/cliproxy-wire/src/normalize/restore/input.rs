//! The text of a free-form tool out of `{"input":"…"}`, while it streams.

use crate::json::{Reader, Surrogates};

use super::super::arguments;

/// Reads the argument text of one call.
#[derive(Debug, Default)]
pub(super) struct Unwrap {
    state: State,
    /// Text whose meaning is not known yet: before the value all of it, inside the value a cut escape.
    held: String,
    surrogates: Surrogates,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    /// The opening `{"input":"` is not complete.
    #[default]
    Opening,
    /// Inside the string.
    Inside,
    /// Behind the string; what follows says nothing more.
    Behind,
    /// Something else was written: it is judged as a whole.
    Other,
}

/// How far a text agrees with the opening.
enum Opening {
    /// It may still become one.
    Partial,
    /// It is one, with so many bytes.
    Whole(usize),
    /// It is something else.
    No,
}

impl Unwrap {
    /// Takes argument text and gives the input text that it completes, maybe none.
    pub(super) fn push(&mut self, piece: &str) -> String {
        match self.state {
            State::Behind => return String::new(),
            State::Opening | State::Inside | State::Other => self.held.push_str(piece),
        }
        if self.state == State::Opening {
            match opening(&self.held) {
                Opening::Partial => return String::new(),
                Opening::No => self.state = State::Other,
                Opening::Whole(length) => {
                    self.held.drain(..length);
                    self.state = State::Inside;
                }
            }
        }
        if self.state == State::Inside { self.inside() } else { String::new() }
    }

    /// The rest, when the call is complete.
    pub(super) fn finish(&mut self) -> String {
        match std::mem::replace(&mut self.state, State::Behind) {
            // A cut string: its whole characters were given out.
            State::Inside => self.surrogates.finish().map(String::from).unwrap_or_default(),
            State::Behind => String::new(),
            State::Opening | State::Other => {
                let held = std::mem::take(&mut self.held);
                arguments::unwrap(&held).into_owned()
            }
        }
    }

    fn inside(&mut self) -> String {
        let (end, is_closed) = whole_part(&self.held);
        let escaped = self.held.get(..end).unwrap_or_default();
        let text = self.decode(&format!("\"{escaped}\""));
        let rest = end + usize::from(is_closed);
        self.held.drain(..rest);
        if !is_closed {
            return text;
        }
        self.state = State::Behind;
        self.held.clear();
        let mut text = text;
        text.extend(self.surrogates.finish());
        text
    }

    fn decode(&mut self, literal: &str) -> String {
        if let Ok(fragment) = Reader::new(literal).fragment() {
            return self.surrogates.join(fragment).into_owned();
        }
        // A raw control character, which models do write into strings.
        let mut text: String = self.surrogates.finish().into_iter().collect();
        text.push_str(&lenient(literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default()));
        text
    }
}

/// Unescapes line by line, so that control characters pass.
fn lenient(escaped: &str) -> String {
    let mut text = String::with_capacity(escaped.len());
    for part in escaped.split_inclusive(|letter: char| letter < ' ') {
        let control = part.chars().next_back().filter(|letter| *letter < ' ');
        let plain = part.trim_end_matches(|letter: char| letter < ' ');
        match Reader::new(&format!("\"{plain}\"")).str() {
            Ok(read) => text.push_str(&read),
            Err(_) => text.push_str(plain),
        }
        text.extend(control);
    }
    text
}

/// The bytes of a string's inside that are complete, and whether its closing quote follows.
fn whole_part(text: &str) -> (usize, bool) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return (at, true);
        }
        let length = match bytes.get(at + 1) {
            None => return (at, false),
            Some(b'u') => 6,
            Some(_) => 2,
        };
        if at + length > bytes.len() {
            return (at, false);
        }
        at += length;
    }
    (bytes.len(), false)
}

fn opening(text: &str) -> Opening {
    let mut rest = text.trim_start();
    for token in ["{", "\"input\"", ":", "\""] {
        if rest.len() < token.len() {
            return if token.starts_with(rest) { Opening::Partial } else { Opening::No };
        }
        let Some(behind) = rest.strip_prefix(token) else { return Opening::No };
        // White space counts only outside the string.
        rest = if token == "\"" { behind } else { behind.trim_start() };
    }
    Opening::Whole(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrap(text: &str, cut: usize) -> String {
        let mut unwrap = Unwrap::default();
        let mut out = String::new();
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(cut) {
            out.push_str(&unwrap.push(&piece.iter().collect::<String>()));
        }
        out.push_str(&unwrap.finish());
        out
    }

    #[test]
    fn input_streams_out_of_its_wrapping_at_every_cut() {
        for (text, expected) in [
            (r#"{"input":"a\n\"b\" \u00e9 \ud83d\ude00 ü"}"#, "a\n\"b\" é 😀 ü"),
            (r#" { "input" : "" } "#, ""),
            (r#"{"input":"x","more":1}"#, "x"),
            (r#"{"more":1,"input":"x"}"#, "x"),
            (r#"{"code":"x"}"#, r#"{"code":"x"}"#),
            ("plain text", "plain text"),
            ("", ""),
            (r#"{"input":"cut \u00"#, "cut "),
            ("{\"input\":\"line\nbreak\"}", "line\nbreak"),
        ] {
            for cut in [1, 2, 3, 7, 100] {
                assert_eq!(unwrap(text, cut), expected, "{text} cut {cut}");
            }
        }
    }

    #[test]
    fn text_is_given_out_as_soon_as_it_is_whole() {
        let mut unwrap = Unwrap::default();
        assert_eq!(unwrap.push(r#"{"input":"he"#), "he");
        assert_eq!(unwrap.push(r"llo\"), "llo");
        assert_eq!(unwrap.push("n!"), "\n!");
        assert_eq!(unwrap.push("\"}"), "");
    }
}
