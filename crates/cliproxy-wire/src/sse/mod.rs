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

/// Writes a frame with `event:` and `data:` lines. `data` must not hold line breaks.
pub fn event(out: &mut Vec<u8>, name: &str, data: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    data(out);
    out.extend_from_slice(b"\n\n");
}

/// Writes a frame with a `data:` line. `data` must not hold line breaks.
pub fn data(out: &mut Vec<u8>, data: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"data: ");
    data(out);
    out.extend_from_slice(b"\n\n");
}
