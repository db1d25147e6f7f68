//! Server-sent events: reading any legal or nearly legal stream at any chunking, writing frames.
//!
//! [`Decoder`] reads event streams, [`ArrayDecoder`] the JSON array that Gemini streams without `alt=sse`, and
//! [`StreamReader`] finds out by the first byte which of the two an upstream sends, or that it is no stream at all.
//! All of them work on bytes as they arrive, hand out a frame that lies whole in one read without copying it, and
//! never look at a byte twice. What a frame means is for the codecs.

mod array;
mod decoder;
mod reader;

pub use array::ArrayDecoder;
pub use decoder::{DEFAULT_LIMIT, Decoder};
pub use reader::{Ending, Shape, StreamReader, sniff};

/// One frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An event with its data lines joined.
    Data {
        /// The `event:` field, if any.
        event: Option<&'a str>,
        /// The data.
        data: &'a str,
    },
    /// A comment: a sign of life.
    Comment,
}

/// Writes a frame with `event:` and `data:` lines. `data` is JSON; line breaks between its tokens become spaces.
pub fn event(out: &mut Vec<u8>, name: &str, data: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    one_line(out, data);
    out.extend_from_slice(b"\n\n");
}

/// Writes a frame with a `data:` line. `data` is JSON; line breaks between its tokens become spaces.
pub fn data(out: &mut Vec<u8>, data: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"data: ");
    one_line(out, data);
    out.extend_from_slice(b"\n\n");
}

/// JSON that is carried through as it was sent may be laid out over lines, which would end the frame. Inside of
/// strings JSON has no bare line breaks, so each one is white space.
fn one_line(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let written = out.get_mut(start..).unwrap_or_default();
    let mut at = 0;
    while let Some(found) = written.get(at..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
        at += found;
        if let Some(byte) = written.get_mut(at) {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_laid_out_over_lines_stays_one_frame() {
        let mut out = Vec::new();
        super::event(&mut out, "e", |out| out.extend_from_slice(b"{\"a\":\r\n 1}"));
        super::data(&mut out, |out| out.extend_from_slice(b"[\n]"));
        assert_eq!(out, b"event: e\ndata: {\"a\":   1}\n\ndata: [ ]\n\n");
    }
}
