//! Streams, read from upstreams and written for clients.

mod candidate;
mod decode;
mod encode;
mod partial;

pub use decode::Decoder;
pub(super) use decode::decode_body;
pub use encode::Encoder;
