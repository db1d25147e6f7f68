//! Streams.

use crate::codec::{ClientContext, StreamDecoder, StreamEncoder, UpstreamContext};
use crate::fault::Fault;
use crate::model::Event;
use crate::sse::Frame;

/// Reads an upstream's stream.
#[derive(Debug)]
pub struct Decoder {
    context: UpstreamContext,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(context: UpstreamContext) -> Self {
        Self { context }
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let _ = (frame, out, &self.context);
    }

    fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>) {
        let _ = (broken, out);
    }
}

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        Self { context }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        let _ = (event, out, &self.context);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }
}
