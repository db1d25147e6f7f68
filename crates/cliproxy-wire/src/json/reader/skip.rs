//! Moving behind values that nobody reads.
//!
//! It is apart from reading because it is a loop over bytes that builds nothing: most of a body is moved over this way,
//! either checked ([`Reader::skip`], with what `sound` finds) or only measured ([`Reader::pass_over`], with what `extent`
//! finds).

use super::{Kind, MAX_DEPTH, Reader, too_deep};
use crate::Error;
use crate::json::extent::{self, Extent};
use crate::json::sound;

impl<'a> Reader<'a> {
    /// Moves behind the next value, checking it.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn skip(&mut self) -> Result<(), Error> {
        let length = match self.kind() {
            Kind::Object | Kind::Array if self.depth <= MAX_DEPTH / 2 => sound::length(self.rest()),
            Kind::String => self.inside().map(|found| found.length + 2),
            _ => None,
        };
        match length {
            Some(length) => {
                self.at += length;
                Ok(())
            }
            None => self.check(),
        }
    }

    /// Moves behind the next value a byte at a time, and tells what is wrong where.
    fn check(&mut self) -> Result<(), Error> {
        // One bit per open level, set for objects: no allocation, and the depth limit makes 128 bits enough.
        let mut objects = 0u128;
        let floor = self.depth;
        loop {
            self.space();
            match self.byte() {
                Some(b'"') => self.skip_string()?,
                Some(b'{') => {
                    self.enter()?;
                    self.space();
                    if self.byte() == Some(b'}') {
                        self.at += 1;
                        self.depth -= 1;
                    } else {
                        objects = (objects << 1) | 1;
                        self.member_name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter()?;
                    self.space();
                    if self.byte() == Some(b']') {
                        self.at += 1;
                        self.depth -= 1;
                    } else {
                        objects <<= 1;
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.skip_number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                Some(_) => return Err(self.syntax("invalid JSON")),
                None => return Err(self.syntax("the text ends in the middle of a value")),
            }
            // A value is complete: close what it closes, then go on behind a comma.
            loop {
                if self.depth == floor {
                    return Ok(());
                }
                self.space();
                let in_object = objects & 1 == 1;
                match self.byte() {
                    Some(b',') => {
                        self.at += 1;
                        if in_object {
                            self.member_name()?;
                        }
                        break;
                    }
                    Some(b'}') if in_object => {}
                    Some(b']') if !in_object => {}
                    _ => return Err(self.syntax("expected a comma or a closing bracket")),
                }
                self.at += 1;
                self.depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// Moves behind the next value, looking only for its end: whether what is inside an object or array is well-formed
    /// is left to whoever reads it. Several times as fast as [`Reader::skip`].
    ///
    /// # Errors
    /// When the text ends first, or the value is nested too deep.
    pub fn pass_over(&mut self) -> Result<(), Error> {
        if !matches!(self.kind(), Kind::Object | Kind::Array) {
            return self.skip();
        }
        match extent::of(self.rest(), MAX_DEPTH - self.depth) {
            Extent::Ends(length) => {
                self.at += length;
                Ok(())
            }
            Extent::Unfinished => {
                self.at = self.text.len();
                Err(self.syntax("the text ends in the middle of a value"))
            }
            Extent::TooDeep => Err(too_deep()),
        }
    }

    /// The next value as the text it was written in, found as by [`Reader::pass_over`].
    pub(crate) fn span(&mut self) -> Result<&'a str, Error> {
        self.space();
        let start = self.at;
        self.pass_over()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn member_name(&mut self) -> Result<(), Error> {
        self.space();
        if self.byte() != Some(b'"') {
            return Err(self.syntax("expected a member name"));
        }
        self.skip_string()?;
        self.space();
        if self.byte() != Some(b':') {
            return Err(self.syntax("expected a colon"));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_number(&mut self) -> Result<(), Error> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.syntax("invalid number")),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            if !matches!(self.byte(), Some(b'0'..=b'9')) {
                return Err(self.syntax("invalid number"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            if !matches!(self.byte(), Some(b'0'..=b'9')) {
                return Err(self.syntax("invalid number"));
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), Error> {
        if self.rest().starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.syntax("invalid JSON"))
    }
}
