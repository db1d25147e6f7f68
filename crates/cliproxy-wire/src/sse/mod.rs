//! Server-sent events: reading any legal or nearly legal stream at any chunking, writing frames.

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
