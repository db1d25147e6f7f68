//! Whole answers: reading an upstream's, writing a client's.

mod read;
mod render;
mod write;

pub use read::decode_response;
pub use write::encode_response;

pub(super) use render::{Pair, grounding_pair, hosted_pair, hosted_text, own_block};
pub(super) use write::{message_id, own_caller, write_last_usage, write_usage};
