//! The frame reader for event streams.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

use super::Frame;
use crate::fault::{Fault, Kind};
use crate::json::Reader;

/// Most bytes of one frame unless configured otherwise: inline images come as one line.
pub const DEFAULT_LIMIT: usize = 32 << 20;

/// A buffer that a large frame has blown up beyond this is given back afterwards.
const KEPT_CAPACITY: usize = 256 << 10;

/// Reads server-sent events at any chunking.
///
/// Lines end with LF, CRLF or CR; a byte order mark, missing blank lines, `data:` without a space, `event:` behind
/// `data:`, bare JSON lines and invalid UTF-8 are borne. Bytes after an error are ignored.
#[derive(Debug)]
pub struct Decoder {
    /// The bytes of the unfinished frame, when it did not end in the chunk it began in.
    buffer: Vec<u8>,
    frame: Partial,
    limit: usize,
    is_dead: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Decoder {
    /// A decoder that refuses frames longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), frame: Partial::default(), limit, is_dead: false }
    }

    /// Reads the next bytes and hands out every frame that ends in them.
    ///
    /// # Errors
    /// When a frame is larger than the limit; the stream is unusable from then on.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), Fault> {
        if self.is_dead || bytes.is_empty() {
            return Ok(());
        }
        if self.buffer.is_empty() {
            let done = self.frame.scan(bytes, each);
            self.buffer.extend_from_slice(bytes.get(done..).unwrap_or_default());
        } else {
            self.buffer.extend_from_slice(bytes);
            let done = self.frame.scan(&self.buffer, each);
            self.buffer.drain(..done);
            if self.buffer.is_empty() && self.buffer.capacity() > KEPT_CAPACITY {
                self.buffer = Vec::new();
            }
        }
        if self.buffer.len() > self.limit {
            self.is_dead = true;
            self.buffer = Vec::new();
            return Err(Fault::new(
                Kind::BadUpstream,
                format!(
                    "an event of the upstream is larger than {} bytes, which is the most that is read",
                    self.limit
                ),
            ));
        }
        Ok(())
    }

    /// Hands out what is pending when the stream is over: many upstreams leave out the last blank line.
    ///
    /// # Errors
    /// None at present; the signature equals that of [`Decoder::push`].
    pub fn finish(&mut self, each: &mut dyn FnMut(Frame<'_>)) -> Result<(), Fault> {
        if !std::mem::replace(&mut self.is_dead, true) {
            let buffer = std::mem::take(&mut self.buffer);
            if self.frame.line < buffer.len() {
                let line = self.frame.line..buffer.len();
                self.frame.field(&buffer, line, each);
            }
            self.frame.dispatch(&buffer, each);
        }
        Ok(())
    }
}

/// What is known of the frame that is being read. All positions count from the start of the frame.
#[derive(Debug, Default)]
struct Partial {
    /// Start of the current line.
    line: usize,
    /// Up to here no line end was found.
    scanned: usize,
    event: Option<Range<usize>>,
    /// `event` came after the first `data`.
    is_event_late: bool,
    data: Option<Range<usize>>,
    /// Further `data` lines.
    more: Vec<Range<usize>>,
    /// The first `data` line is not JSON by itself, so further ones continue it.
    is_data_open: bool,
    /// The last line ended with CR; an LF that follows belongs to it.
    expects_feed: bool,
    /// The first line, which may begin with a byte order mark, is behind us.
    is_begun: bool,
    /// This upstream leaves out blank lines: every line is a frame.
    is_line_framed: bool,
}

impl Partial {
    /// Reads the complete lines in `bytes`, which begin at the start of the frame, and returns how many bytes belong
    /// to frames that are complete.
    fn scan(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> usize {
        let mut done = 0;
        loop {
            if self.expects_feed {
                match bytes.get(self.line) {
                    Some(b'\n') => {
                        self.line += 1;
                        self.expects_feed = false;
                        if self.is_idle() {
                            done = self.line;
                        }
                    }
                    Some(_) => self.expects_feed = false,
                    None => break,
                }
            }
            let from = self.scanned.max(self.line);
            let Some(length) = bytes.get(from..).and_then(|rest| memchr2(b'\n', b'\r', rest)) else {
                self.scanned = bytes.len();
                break;
            };
            let end = from + length;
            self.expects_feed = bytes.get(end) == Some(&b'\r');
            let line = self.line..end;
            self.line = end + 1;
            self.scanned = self.line;
            if line.is_empty() {
                self.dispatch(bytes, each);
            } else {
                self.field(bytes, line, each);
            }
            if self.is_idle() {
                done = self.line;
            }
        }
        self.line -= done.min(self.line);
        self.scanned -= done.min(self.scanned);
        if done > 0 && !self.is_idle() {
            let shift = |range: &mut Range<usize>| *range = range.start - done..range.end - done;
            self.event.iter_mut().chain(&mut self.data).chain(&mut self.more).for_each(shift);
        }
        done
    }

    /// Nothing of a frame is pending.
    fn is_idle(&self) -> bool {
        self.data.is_none() && self.event.is_none()
    }

    /// Reads one line that is not empty.
    fn field(&mut self, bytes: &[u8], mut line: Range<usize>, each: &mut dyn FnMut(Frame<'_>)) {
        let mut text = bytes.get(line.clone()).unwrap_or_default();
        if !std::mem::replace(&mut self.is_begun, true)
            && let Some(rest) = text.strip_prefix(b"\xEF\xBB\xBF")
        {
            line.start += 3;
            text = rest;
            if text.is_empty() {
                return;
            }
        }
        match text.first() {
            Some(b':') => return each(Frame::Comment),
            // Not an event stream's line at all, but some upstreams report errors this way.
            Some(b'{') => return self.data(bytes, line, each),
            _ => {}
        }
        if let Some(value) = value(text, b"data", &line) {
            self.data(bytes, value, each);
        } else if let Some(value) = value(text, b"event", &line) {
            if self.data.is_some() && self.event.is_some() {
                self.split(bytes, each);
            }
            self.is_event_late = self.data.is_some();
            self.event = Some(value);
        }
    }

    fn data(&mut self, bytes: &[u8], value: Range<usize>, each: &mut dyn FnMut(Frame<'_>)) {
        let is_blank = bytes.get(value.clone()).unwrap_or_default().iter().all(u8::is_ascii_whitespace);
        if self.data.is_some() && !is_blank {
            self.split(bytes, each);
        }
        if self.data.is_some() {
            self.more.push(value);
            return;
        }
        self.is_data_open = false;
        self.data = Some(value);
        if self.is_line_framed {
            self.split(bytes, each);
        }
    }

    /// Hands out the pending data if it is complete in itself: then the upstream leaves out blank lines.
    fn split(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) {
        if self.is_data_open || !self.more.is_empty() {
            return;
        }
        let first = self.data.clone().unwrap_or_default();
        if !is_whole(&text(bytes, first)) {
            self.is_data_open = true;
            return;
        }
        self.is_line_framed = true;
        let next = if self.is_event_late { self.event.take() } else { None };
        self.dispatch(bytes, each);
        self.event = next;
    }

    /// The frame is complete.
    fn dispatch(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) {
        let event = self.event.take();
        self.is_event_late = false;
        let Some(first) = self.data.take() else {
            if event.is_some() {
                each(Frame::Comment);
            }
            return;
        };
        let mut data = text(bytes, first);
        if !self.more.is_empty() {
            let mut joined = data.into_owned();
            for line in self.more.drain(..) {
                joined.push('\n');
                joined.push_str(&text(bytes, line));
            }
            data = joined.into();
        }
        let data = data.trim_end();
        if data.is_empty() {
            return each(Frame::Comment);
        }
        let event = event.map(|range| text(bytes, range));
        each(Frame::Data {
            event: event.as_deref().map(str::trim_end).filter(|name| !name.is_empty()),
            data,
        });
    }
}

fn text(bytes: &[u8], range: Range<usize>) -> Cow<'_, str> {
    lossy(bytes.get(range).unwrap_or_default())
}

/// Where the value of the field `name` is, if the line at `line` is one.
fn value(text: &[u8], name: &[u8], line: &Range<usize>) -> Option<Range<usize>> {
    match text.strip_prefix(name)? {
        [] => Some(line.end..line.end),
        [b':', b' ', ..] => Some(line.start + name.len() + 2..line.end),
        [b':', ..] => Some(line.start + name.len() + 1..line.end),
        _ => None,
    }
}

/// The bytes as text, invalid ones replaced. Checking first is several times faster than replacing at once.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_invalid| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Whether a data line stands for itself.
fn is_whole(line: &str) -> bool {
    let mut reader = Reader::new(line);
    line.trim() == "[DONE]" || reader.skip().and_then(|()| reader.finish()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames_of(chunks: &[&[u8]]) -> Vec<String> {
        let mut frames = Vec::new();
        let mut decoder = Decoder::default();
        let mut each = |frame: Frame<'_>| {
            frames.push(match frame {
                Frame::Comment => ":".to_owned(),
                Frame::Data { event, data } => format!("{}|{data}", event.unwrap_or_default()),
            });
        };
        for chunk in chunks {
            decoder.push(chunk, &mut each).unwrap();
        }
        decoder.finish(&mut each).unwrap();
        frames
    }

    /// The frames, checked to be the same whole, byte by byte and cut in two anywhere.
    fn frames(text: &[u8]) -> Vec<String> {
        let whole = frames_of(&[text]);
        assert_eq!(frames_of(&text.chunks(1).collect::<Vec<_>>()), whole);
        for at in 0..text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(frames_of(&[left, right]), whole, "cut at {at}");
        }
        whole
    }

    #[test]
    fn fields_comments_and_blank_lines_are_understood() {
        let text = b"\n\n: hello\nevent: a\ndata: {\"x\":1}\nid: 7\nretry: 5\n\ndata:{}\nevent:late\n\nodd\n\ndata: tail";
        assert_eq!(frames(text), [":", "a|{\"x\":1}", "late|{}", "|tail"]);
    }

    #[test]
    fn line_ends_of_all_kinds_give_the_same_frames() {
        let text = "event: a\ndata: {\"x\":\ndata: 1}\n\n: c\n\ndata: [DONE]  \n\n";
        let expected = ["a|{\"x\":\n1}", ":", "|[DONE]"];
        for end in ["\n", "\r\n", "\r"] {
            assert_eq!(frames(text.replace('\n', end).as_bytes()), expected, "{end:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_stripped_once() {
        assert_eq!(frames(b"\xEF\xBB\xBFdata: 1\n\n"), ["|1"]);
        assert_eq!(frames(b"\xEF\xBB\xBF\ndata: 1\n\n"), ["|1"]);
    }

    #[test]
    fn lines_that_are_whole_values_are_frames_of_their_own() {
        assert_eq!(
            frames(b"data: {\"a\":1}\ndata: {\"a\":2}\ndata: [DONE]\n"),
            ["|{\"a\":1}", "|{\"a\":2}", "|[DONE]"]
        );
        let named = b"event: a\ndata: {\"a\":1}\nevent: b\ndata: {\"a\":2}\n";
        assert_eq!(frames(named), ["a|{\"a\":1}", "b|{\"a\":2}"]);
        let late = b"data: {\"a\":1}\nevent: b\ndata: {\"a\":2}\n";
        assert_eq!(frames(late), ["|{\"a\":1}", "b|{\"a\":2}"]);
    }

    #[test]
    fn a_bare_json_line_is_data() {
        assert_eq!(frames(b"data: {\"a\":1}\n\n{\"error\":{}}\n"), ["|{\"a\":1}", "|{\"error\":{}}"]);
    }

    #[test]
    fn an_upstream_without_blank_lines_is_not_held_back() {
        let mut decoder = Decoder::default();
        let mut count = 0;
        let mut each = |_: Frame<'_>| count += 1;
        decoder.push(b"data: {\"a\":1}\ndata: {\"a\":2}\ndata: {\"a\":3}\n", &mut each).unwrap();
        assert_eq!(count, 3);
    }

    #[test]
    fn blank_data_is_a_sign_of_life() {
        assert_eq!(frames(b"data: \n\nevent: ping\n\ndata: {}\ndata:\n\n"), [":", ":", "|{}"]);
    }

    #[test]
    fn characters_cut_by_reads_stay_whole_and_invalid_bytes_are_replaced() {
        assert_eq!(frames("data: \"😀é\"\n\n".as_bytes()), ["|\"😀é\""]);
        assert_eq!(frames(b"data: \"a\xFFb\"\n\n"), ["|\"a\u{FFFD}b\""]);
    }

    #[test]
    fn a_frame_above_the_limit_ends_the_stream() {
        let mut decoder = Decoder::new(16);
        let mut count = 0;
        let mut each = |_: Frame<'_>| count += 1;
        decoder.push(b"data: 1\n\ndata: 0123456", &mut each).unwrap();
        let fault = decoder.push(b"789abcdef", &mut each).unwrap_err();
        assert_eq!(fault.kind, Kind::BadUpstream);
        decoder.push(b"\n\ndata: 1\n\n", &mut each).unwrap();
        decoder.finish(&mut each).unwrap();
        assert_eq!(count, 1);
    }
}
