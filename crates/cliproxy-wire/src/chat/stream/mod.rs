//! Streams: chunks of an upstream into events, events into chunks for a client.

mod choice;
mod decoder;
mod encoder;

pub(super) use decoder::Decoder;
pub(super) use encoder::{
    Encoder, completion_id, signature, tier, write_audio, write_image, write_reasoning,
};
