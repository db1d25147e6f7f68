//! Requests of Gemini clients, and requests to the three services that speak this format.

mod read;
mod service;
mod write;

use cliproxy_wire::Format;
use cliproxy_wire::model::Request;
use cliproxy_wire::profile::Profile;
use serde_json::Value;

use crate::support::{Upstream, decode};

fn read(body: &Value) -> Request {
    decode(Format::Gemini, body).unwrap()
}

fn flash() -> Upstream {
    Upstream::new(Profile::gemini(), "gemini-3-flash-preview")
}
