//! Lets only whole frames of an event stream pass, and only whole elements of an array.
//!
//! A stream may break inside a frame. What a client already has of that frame could not be taken back, and its parser
//! would fail on it instead of reading the error that follows; so the beginning of a frame waits for its end. Chunks
//! nearly always end with a frame, and then pass as they are.

use bytes::Bytes;
use memchr::{memchr2, memrchr2};

/// The state between chunks.
#[derive(Debug)]
pub(super) struct Gate {
    /// A frame whose end has not come.
    held: Vec<u8>,
    /// The last bytes that passed: a blank line may be cut by the end of a chunk.
    tail: [u8; 2],
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { held: Vec::new(), tail: *b"\n\n" }
    }

    /// Takes the next chunk and gives back what may pass.
    pub(super) fn push(&mut self, chunk: &Bytes) -> Bytes {
        let passing = if self.held.is_empty() {
            let end = self.end(chunk);
            self.held.extend_from_slice(chunk.get(end..).unwrap_or_default());
            chunk.slice(..end)
        } else {
            // The end of a frame may lie across the seam, where at most three bytes come before it.
            let searched = self.held.len().saturating_sub(3);
            self.held.extend_from_slice(chunk);
            let mut held = std::mem::take(&mut self.held);
            let found = searched + Self::end_in(held.get(searched..).unwrap_or_default());
            if found > searched {
                self.held = held.split_off(found);
                held.into()
            } else {
                self.held = held;
                Bytes::new()
            }
        };
        for byte in passing.iter().skip(passing.len().saturating_sub(2)) {
            let [_, last] = self.tail;
            self.tail = [last, *byte];
        }
        passing
    }

    /// What waits; the stream is over.
    pub(super) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }

    /// Where the last whole frame of a chunk ends that follows what has passed.
    fn end(&self, chunk: &[u8]) -> usize {
        match Self::end_in(chunk) {
            0 => self.blank(chunk),
            end => end,
        }
    }

    /// How many bytes at a chunk's start still belong to the blank line that has passed, or are blank lines.
    fn blank(&self, chunk: &[u8]) -> usize {
        if !matches!(self.tail, [_, b'\n' | b'\r']) {
            return 0;
        }
        chunk.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count()
    }

    /// The end of the last blank line.
    fn end_in(bytes: &[u8]) -> usize {
        let mut before = bytes.len();
        while let Some(at) = bytes.get(..before).and_then(|head| memrchr2(b'\n', b'\r', head)) {
            let head = bytes.get(..at).unwrap_or_default();
            // The line that ends here is empty when another line ends right before it.
            let line = match bytes.get(at) {
                Some(b'\n') => head.strip_suffix(b"\r").unwrap_or(head),
                _ => head,
            };
            let is_pair = line.len() < head.len();
            if matches!(line.last(), Some(b'\n' | b'\r')) {
                return at + 1;
            }
            before = if is_pair { at - 1 } else { at };
        }
        0
    }
}

/// The same for the elements of a JSON array: what has passed ends with an element, or is nothing, so that an error may
/// follow as the next one.
#[derive(Debug, Default)]
pub(super) struct ArrayGate {
    /// What follows the last whole element.
    held: Vec<u8>,
    depth: u32,
    is_string: bool,
    is_escape: bool,
    has_passed: bool,
}

impl ArrayGate {
    /// Takes the next chunk and gives back what may pass.
    pub(super) fn push(&mut self, chunk: &Bytes) -> Bytes {
        let end = self.end(chunk);
        if end == 0 {
            self.held.extend_from_slice(chunk);
            return Bytes::new();
        }
        self.has_passed = true;
        let rest = chunk.get(end..).unwrap_or_default();
        if self.held.is_empty() {
            self.held.extend_from_slice(rest);
            return chunk.slice(..end);
        }
        let mut passing = std::mem::replace(&mut self.held, rest.to_vec());
        passing.extend_from_slice(chunk.get(..end).unwrap_or_default());
        passing.into()
    }

    /// Whether an element has passed, and the bracket before it.
    pub(super) fn has_passed(&self) -> bool {
        self.has_passed
    }

    /// What waits; the stream is over.
    pub(super) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }

    /// Where the last element ends that ends in the chunk.
    fn end(&mut self, chunk: &[u8]) -> usize {
        let (mut at, mut end) = (0, 0);
        while let Some(&byte) = chunk.get(at) {
            if self.is_string && !self.is_escape {
                // Nearly all bytes are those of strings.
                let rest = chunk.get(at..).unwrap_or_default();
                let Some(found) = memchr2(b'"', b'\\', rest) else { break };
                at += found + 1;
                self.is_escape = rest.get(found) == Some(&b'\\');
                self.is_string = self.is_escape;
                continue;
            }
            at += 1;
            if std::mem::take(&mut self.is_escape) {
                continue;
            }
            match byte {
                b'"' => self.is_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 1 {
                        end = at;
                    }
                }
                _ => {}
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(text: &str, size: usize) -> (String, String) {
        let mut gate = Gate::new();
        let mut passed = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            passed.extend_from_slice(&gate.push(&Bytes::copy_from_slice(chunk)));
        }
        (String::from_utf8(passed).unwrap(), String::from_utf8(gate.finish().to_vec()).unwrap())
    }

    #[test]
    fn whole_frames_pass_and_the_beginning_of_one_waits() {
        for line in ["\n", "\r\n", "\r"] {
            let end = line.repeat(2);
            let whole = format!("event: a{line}data: 1{end}: é{end}{line}data: 2{end}");
            for rest in ["", "event: a", "data: {\"x"] {
                let text = format!("{whole}{rest}");
                for size in 1..=text.len() {
                    assert_eq!(passed(&text, size), (whole.clone(), rest.to_owned()), "{text:?} {size}");
                }
            }
            let open = format!("{whole}event: a{line}");
            for size in 1..=open.len() {
                assert_eq!(
                    passed(&open, size),
                    (whole.clone(), format!("event: a{line}")),
                    "{open:?} {size}"
                );
            }
        }
    }

    #[test]
    fn whole_elements_pass_and_what_follows_waits() {
        let whole = "\n[{\"a\":\"]}\\\"é\\\\\"},\r\n {\"b\":[1,{}]}";
        for rest in ["", "\n]", ",", ",\n{\"c\":\"}"] {
            let text = format!("{whole}{rest}");
            for size in 1..=text.len() {
                let mut gate = ArrayGate::default();
                let mut passed = Vec::new();
                for chunk in text.as_bytes().chunks(size) {
                    passed.extend_from_slice(&gate.push(&Bytes::copy_from_slice(chunk)));
                }
                assert_eq!((&*passed, gate.has_passed()), (whole.as_bytes(), true), "{text:?} {size}");
                assert_eq!(gate.finish(), rest.as_bytes());
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn chunking_does_not_matter(text in "[\n\ra]{0,12}", size in 1..6usize) {
            proptest::prop_assert_eq!(passed(&text, size), passed(&text, text.len().max(1)));
        }
    }

    #[test]
    fn a_chunk_of_whole_frames_passes_as_it_is() {
        let chunk = Bytes::from_static(b"data: 1\n\n");
        let mut gate = Gate::new();
        assert_eq!(gate.push(&chunk).as_ptr(), chunk.as_ptr());
    }
}
