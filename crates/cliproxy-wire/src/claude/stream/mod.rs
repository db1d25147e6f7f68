//! Streams: an upstream's events into the model's, and the model's into a client's.

mod decoder;
mod encoder;
mod frame;
mod open;
mod thought;
mod writer;

pub use decoder::Decoder;
pub use encoder::Encoder;
