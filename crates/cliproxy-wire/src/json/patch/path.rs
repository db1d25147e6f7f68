//! Where an edit happens.

use std::borrow::Cow;
use std::fmt;

/// A place in a JSON value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<Step>);

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of this name.
    Key(String),
    /// The element with this index; in an object the member whose name is the number.
    Index(usize),
    /// Behind the last element.
    Append,
}

impl Step {
    /// The step as a member name.
    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Key(key) => Cow::Borrowed(key),
            Self::Index(index) => Cow::Owned(index.to_string()),
            Self::Append => Cow::Borrowed("-1"),
        }
    }
}

impl Path {
    /// The value as a whole.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Reads the dotted notation of configuration files: names and indexes separated by dots, `-1` to append, a
    /// backslash before a dot that belongs to a name, a colon before digits that are a name.
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut part = String::new();
        let mut is_name = false;
        let mut letters = text.chars();
        loop {
            match letters.next() {
                Some('\\') => {
                    is_name = true;
                    part.extend(letters.next());
                }
                Some(letter) if letter != '.' => part.push(letter),
                end => {
                    steps.push(step(std::mem::take(&mut part), std::mem::take(&mut is_name)));
                    if end.is_none() {
                        return Self(steps);
                    }
                }
            }
        }
    }

    /// The member `name` of what the path names.
    #[must_use]
    pub fn key(mut self, name: impl Into<String>) -> Self {
        self.0.push(Step::Key(name.into()));
        self
    }

    /// The element `index` of what the path names.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// The place behind the last element of what the path names.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.0.push(Step::Append);
        self
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether one path names a place at, above or below the other's, so that their edits must not share a pass.
    pub(super) fn meets(&self, other: &Self) -> bool {
        for (mine, theirs) in self.0.iter().zip(&other.0) {
            if mine == theirs {
                // What is appended is a new place each time.
                if *mine == Step::Append {
                    return true;
                }
                continue;
            }
            let is_end = |step: &Step| *step == Step::Append;
            return is_end(mine) || is_end(theirs) || mine.name() == theirs.name();
        }
        true
    }
}

fn step(part: String, is_name: bool) -> Step {
    if is_name {
        return Step::Key(part);
    }
    if part == "-1" {
        return Step::Append;
    }
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(digits) = part.strip_prefix(':')
        && is_digits(digits)
    {
        return Step::Key(digits.to_owned());
    }
    match part.parse() {
        Ok(index) if is_digits(&part) => Step::Index(index),
        _ => Step::Key(part),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(&step.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_notation_is_read() {
        assert_eq!(
            Path::parse("a.0.b\\.c.-1.:7.01x"),
            Path::root().key("a").index(0).key("b.c").append().key("7").key("01x")
        );
        assert_eq!(Path::parse("a.b").to_string(), "a.b");
    }
}
