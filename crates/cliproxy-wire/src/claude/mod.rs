//! The codec of Anthropic Claude Messages, in both roles.
//!
//! Requests are in `request`, whole answers in `answer`, streams in `stream`; what the three share is in `block`
//! (reading content), `hosted` (provider-executed tools), `citation` and `signature`. Nothing here makes a request
//! fit an upstream: that has happened before ([`crate::normalize`]), and where reasoning stands was decided in
//! [`crate::reasoning`].

mod answer;
mod block;
mod citation;
mod hosted;
mod request;
mod signature;
mod stop;
mod stream;

pub use answer::{decode_response, encode_response};
pub(crate) use block::DOCUMENT;
pub use request::{
    decode_count_answer, decode_count_request, decode_request, encode_count_answer, encode_count_request,
    encode_request,
};
pub use stream::{Decoder, Encoder};
