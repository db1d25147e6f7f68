#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod catalog;
pub mod chat;
pub mod claude;
pub mod codec;
pub mod embedding;
mod error;
pub mod estimate;
pub mod fault;
pub mod form;
pub mod format;
pub mod gemini;
pub mod id;
pub mod image;
pub mod json;
pub mod lane;
pub mod model;
pub mod normalize;
pub mod opaque;
pub mod profile;
pub mod reasoning;
pub mod responses;
pub mod schema;
pub mod sse;
pub mod usage;

pub use error::{Error, ErrorKind};
pub use format::Format;
