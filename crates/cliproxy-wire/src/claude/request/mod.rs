//! Requests: reading a client's, writing an upstream's, and the small request that only counts tokens.

mod beta;
mod content;
mod count;
mod history;
mod limit;
mod read;
mod tool;
mod wish;
mod write;

pub use count::{decode_count_answer, decode_count_request, encode_count_answer, encode_count_request};
pub use read::decode_request;
pub use write::encode_request;

pub(super) use content::copy_members;
