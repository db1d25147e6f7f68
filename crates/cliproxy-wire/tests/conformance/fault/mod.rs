//! Errors: reading what upstreams send, and saying it in the client's terms.

mod kind;
mod read;
mod say;

use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, HeaderHints, decode, encode};
use serde_json::Value;

fn upstream(format: Format, status: u16, body: &Value) -> Fault {
    decode(format, status, &HeaderHints::default(), body.to_string().as_bytes())
}

fn chat(status: u16, body: &Value) -> Fault {
    upstream(Format::Chat, status, body)
}

fn body(format: Format, fault: &Fault) -> (u16, Value) {
    let (status, bytes) = encode(format, fault, "req_fx");
    (status, serde_json::from_slice(&bytes).unwrap())
}
