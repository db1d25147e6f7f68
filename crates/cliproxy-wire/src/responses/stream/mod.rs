//! Streams of this format, in both directions.

mod body;
mod call;
mod decoder;
mod encoder;
mod frame;
mod items;
mod late;
mod message;
mod outlet;
mod reasoning;
mod track;
mod whole;

pub use decoder::Decoder;
pub use encoder::Encoder;

pub(super) use encoder::encode_body;
