//! The codec of Google Gemini `generateContent`, in both roles, for its three services: API key, Vertex, Code Assist.
//!
//! The services speak one language with small differences, which [`crate::profile::Dialect`] names; the Code Assist
//! envelope is a wrapper around requests, answers and chunks. Relaying between two clients of this language without
//! translation is not done here but in [`crate::lane`].
//!
//! What makes the format special: both spellings of every member, calls that arrive whole and may lack an id, a finish
//! reason that never says "tool use", signatures that belong to single parts, and streams whose last word (usage,
//! grounding, signatures) comes after the finish reason.

mod answer;
mod carried;
mod count;
mod grounding;
mod logprob;
mod member;
mod part;
mod request;
mod stop;
mod stream;

pub use answer::{decode_response, encode_response};
pub use count::{
    counts_everything, decode_count, decode_count_response, encode_count, encode_count_response,
};
pub use request::{decode_request, encode_request, served_as};
pub use stream::{Decoder, Encoder};
