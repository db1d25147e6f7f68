//! The Chat codec: requests of clients and towards upstreams, answers as bodies and as streams.

mod answer;
mod completions;
mod request;
mod stream;
mod upstream;

use cliproxy_wire::chat;
use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::Format;
use cliproxy_wire::model::Response;
use cliproxy_wire::profile::Profile;
use serde_json::Value;

use crate::reader;
use crate::support::client;

/// The body that a client gets.
fn body(response: &Response) -> Value {
    serde_json::from_slice(&chat::encode_response(response, &client(Format::Chat))).unwrap()
}

/// An upstream's body, understood.
fn answer(body: &Value) -> Response {
    let context = UpstreamContext::new(&Profile::compatible(), "req_fx");
    chat::decode_response(&serde_json::to_vec(body).unwrap(), &context).unwrap()
}

/// The body that the official accumulator makes of a stream.
fn accumulate(stream: &str) -> Value {
    reader::read(Format::Chat, stream)
}

/// A message without the freedoms between a body and a stream.
fn as_in_a_body(body: Value) -> Value {
    reader::plain(Format::Chat, body)
}
