//! Streams of this format: chunks of an upstream into events, events into chunks for a client.

mod call;
pub(super) mod choice;
pub(super) mod decoder;
mod encoder;

pub use encoder::Encoder;

use crate::codec::{StreamDecoder, UpstreamContext};
use crate::fault::Fault;
use crate::model::Event;
use crate::sse::Frame;

/// Reads an upstream's stream.
#[derive(Debug)]
pub struct Decoder(decoder::Decoder);

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(context: UpstreamContext) -> Self {
        Self(decoder::Decoder::new(context, false))
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.0.frame(frame, out);
    }

    fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>) {
        self.0.finish(broken, out);
    }
}
