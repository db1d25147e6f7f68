//! Requests: [`decode`] reads a client's, [`encode`] writes one for an upstream.
//!
//! What pairs calls with results, fits ids, cleans schemas and places signatures is `normalize`; here a request is only
//! read as it was said and written as it was prepared.

mod config;
mod content;
mod decode;
mod encode;
mod setting;
mod tool;
mod tool_config;
mod turn;

pub(super) use content::{code_call, code_result, hosted_tool};
pub use decode::decode_request;
pub(super) use encode::{Members, Writer, write_members};
pub use encode::{encode_request, served_as};
pub(super) use turn::write_media;
