//! The scanner for streams that are one JSON array.

use memchr::memchr2;

use super::Frame;
use super::decoder::lossy;
use crate::fault::{Fault, Kind};

/// Reads a JSON array element by element: each is handed out as soon as its closing brace arrives.
///
/// Elements that are neither objects nor arrays mean nothing in any stream and are passed over. A missing `]` is
/// borne; an element that is cut off is never handed out.
#[derive(Debug)]
pub struct ArrayDecoder {
    /// The unfinished element, when it did not end in the chunk it began in.
    buffer: Vec<u8>,
    /// Open brackets; the array itself is the first.
    depth: u32,
    is_string: bool,
    is_escape: bool,
    limit: usize,
    is_dead: bool,
}

impl ArrayDecoder {
    /// A scanner that refuses elements longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), depth: 0, is_string: false, is_escape: false, limit, is_dead: false }
    }

    /// Reads the next bytes and hands out every element that ends in them.
    ///
    /// # Errors
    /// When an element is larger than the limit; the stream is unusable from then on.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), Fault> {
        if self.is_dead {
            return Ok(());
        }
        let mut at = 0;
        // Where the unfinished element begins in `bytes`.
        let mut start = (self.depth > 1).then_some(0);
        while let Some(&byte) = bytes.get(at) {
            if self.is_string {
                at += self.string(bytes.get(at..).unwrap_or_default());
                continue;
            }
            at += 1;
            match byte {
                b'"' => self.is_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth == 2 {
                        start = Some(at - 1);
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 1
                        && let Some(start) = start.take()
                    {
                        self.element(bytes.get(start..at).unwrap_or_default(), each);
                    }
                }
                _ => {}
            }
        }
        if let Some(start) = start {
            self.buffer.extend_from_slice(bytes.get(start..).unwrap_or_default());
        }
        if self.buffer.len() > self.limit {
            self.is_dead = true;
            self.buffer = Vec::new();
            return Err(Fault::new(
                Kind::BadUpstream,
                format!(
                    "a chunk of the upstream is larger than {} bytes, which is the most that is read",
                    self.limit
                ),
            ));
        }
        Ok(())
    }

    /// Passes over string bytes and returns how many.
    fn string(&mut self, bytes: &[u8]) -> usize {
        if std::mem::take(&mut self.is_escape) {
            return 1;
        }
        let Some(at) = memchr2(b'"', b'\\', bytes) else { return bytes.len() };
        if bytes.get(at) == Some(&b'"') {
            self.is_string = false;
        } else {
            self.is_escape = true;
        }
        at + 1
    }

    fn element(&mut self, tail: &[u8], each: &mut dyn FnMut(Frame<'_>)) {
        if self.buffer.is_empty() {
            return each(Frame::Data { event: None, data: &lossy(tail) });
        }
        let mut whole = std::mem::take(&mut self.buffer);
        whole.extend_from_slice(tail);
        each(Frame::Data { event: None, data: &lossy(&whole) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut decoder = ArrayDecoder::new(1 << 20);
        for chunk in chunks {
            let mut each = |frame: Frame<'_>| match frame {
                Frame::Data { data, .. } => found.push(data.to_owned()),
                Frame::Comment => {}
            };
            decoder.push(chunk, &mut each).unwrap();
        }
        found
    }

    #[test]
    fn elements_are_found_at_every_cut() {
        let text = "[{\"a\":\"]}\\\"😀\"}\r\n,\n {\"b\":[1,{\"c\":{}}]},[1]]".as_bytes();
        let expected = ["{\"a\":\"]}\\\"😀\"}", "{\"b\":[1,{\"c\":{}}]}", "[1]"];
        assert_eq!(elements(&[text]), expected);
        assert_eq!(elements(&text.chunks(1).collect::<Vec<_>>()), expected);
        for at in 0..text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(elements(&[left, right]), expected, "cut at {at}");
        }
    }

    #[test]
    fn a_missing_end_is_borne_and_a_cut_element_is_not_handed_out() {
        assert_eq!(elements(&[b"[{\"a\":1},{\"b\":2"]), ["{\"a\":1}"]);
    }

    #[test]
    fn an_element_above_the_limit_ends_the_stream() {
        let mut decoder = ArrayDecoder::new(8);
        let mut each = |_: Frame<'_>| {};
        let fault = decoder.push(b"[{\"a\":\"0123456789", &mut each).unwrap_err();
        assert_eq!(fault.kind, Kind::BadUpstream);
    }
}
