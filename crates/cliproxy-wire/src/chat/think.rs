//! Reasoning between `<think>` tags at the very start of the text, as some servers deliver it.
//!
//! The tags may be cut anywhere over the pieces of a stream, so what could be the beginning of a tag waits.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Where in the text we are.
#[derive(Debug, Default)]
pub(super) struct Tags {
    state: State,
    /// Text that may be part of a tag.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Inside,
    /// White space behind the closing tag is dropped.
    Behind,
    Text,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Thinking,
    Answer,
}

impl Tags {
    /// Passes a piece on.
    pub(super) fn push(&mut self, piece: &str, each: &mut dyn FnMut(Voice, &str)) {
        if self.state == State::Text {
            each(Voice::Answer, piece);
            return;
        }
        self.held.push_str(piece);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        loop {
            match self.state {
                State::Start => {
                    let text = rest.trim_start();
                    if let Some(inside) = text.strip_prefix(OPEN) {
                        self.state = State::Inside;
                        rest = inside;
                    } else if OPEN.starts_with(text) {
                        rest.clone_into(&mut self.held);
                        return;
                    } else {
                        self.state = State::Text;
                    }
                }
                State::Inside => {
                    let Some((thinking, behind)) = rest.split_once(CLOSE) else {
                        let (thinking, tail) = split_tag(rest);
                        say(Voice::Thinking, thinking, each);
                        tail.clone_into(&mut self.held);
                        return;
                    };
                    say(Voice::Thinking, thinking, each);
                    self.state = State::Behind;
                    rest = behind;
                }
                State::Behind => {
                    rest = rest.trim_start();
                    if rest.is_empty() {
                        return;
                    }
                    self.state = State::Text;
                }
                State::Text => {
                    say(Voice::Answer, rest, each);
                    return;
                }
            }
        }
    }

    /// Gives out what waited in vain.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(Voice, &str)) {
        let voice = if self.state == State::Inside { Voice::Thinking } else { Voice::Answer };
        say(voice, &std::mem::take(&mut self.held), each);
        self.state = State::Text;
    }
}

fn say(voice: Voice, text: &str, each: &mut dyn FnMut(Voice, &str)) {
    if !text.is_empty() {
        each(voice, text);
    }
}

/// Splits off the longest end that may be the beginning of the closing tag.
fn split_tag(text: &str) -> (&str, &str) {
    let longest = CLOSE.len() - 1;
    (1..=longest.min(text.len()))
        .rev()
        .filter_map(|length| text.split_at_checked(text.len() - length))
        .find(|(_, tail)| CLOSE.starts_with(tail))
        .unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> (String, String) {
        let (mut thinking, mut answer) = (String::new(), String::new());
        let mut tags = Tags::default();
        let mut each = |voice, text: &str| match voice {
            Voice::Thinking => thinking.push_str(text),
            Voice::Answer => answer.push_str(text),
        };
        for piece in pieces {
            tags.push(piece, &mut each);
        }
        tags.finish(&mut each);
        (thinking, answer)
    }

    #[test]
    fn tags_cut_anywhere_are_found() {
        let text = "\n<think>a < b</think> \n\nÄnswer <think>x</think>";
        let expected = ("a < b".to_owned(), "Änswer <think>x</think>".to_owned());
        for (at, (left, right)) in (0..text.len()).filter_map(|at| Some((at, text.split_at_checked(at)?))) {
            assert_eq!(read(&[left, right]), expected, "cut at {at}");
        }
        let single: Vec<String> = text.chars().map(String::from).collect();
        let single: Vec<&str> = single.iter().map(String::as_str).collect();
        assert_eq!(read(&single), expected);
    }

    #[test]
    fn text_without_a_leading_tag_is_left_alone() {
        assert_eq!(read(&["x <think>", "y"]), (String::new(), "x <think>y".to_owned()));
        assert_eq!(read(&["<thi"]), (String::new(), "<thi".to_owned()));
        assert_eq!(read(&["<think>open", "</thi"]), ("open</thi".to_owned(), String::new()));
    }
}
