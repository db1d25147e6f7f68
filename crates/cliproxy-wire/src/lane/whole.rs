//! A Responses stream gathered into the object that its last event carries.
//!
//! For clients that asked for a whole answer of an upstream that only streams. Nothing is put together from deltas: the
//! last event has the whole response, in the upstream's own words.

use std::borrow::Cow;

use bytes::Bytes;

use super::edit::Changes;
use super::items::Items;
use super::relay::{Body, body};
use super::tap::{Tap, kind_of};
use crate::fault::Fault;
use crate::format::Format;
use crate::json;
use crate::sse::{Ending, Frame, StreamReader};

/// Gathers a stream.
#[derive(Debug)]
pub struct Whole {
    reader: StreamReader,
    seen: Seen,
}

/// What has come so far.
#[derive(Debug)]
struct Seen {
    tap: Tap,
    items: Items,
    response: Option<Box<str>>,
}

impl Whole {
    /// Frames above `limit` bytes are refused.
    pub fn new(limit: usize) -> Self {
        let seen = Seen { tap: Tap::new(Format::Responses), items: Items::default(), response: None };
        Self { reader: StreamReader::new(limit), seen }
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// When a frame is too large.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        let seen = &mut self.seen;
        self.reader.push(chunk, &mut |frame| seen.frame(&frame))
    }

    /// Whether nothing more is needed.
    pub fn is_over(&self) -> bool {
        self.seen.response.is_some() || self.seen.tap.fault().is_some()
    }

    /// The answer, changed like a whole body.
    ///
    /// # Errors
    /// The error that came instead of an end, or that the stream ended without one.
    pub fn finish(mut self, changes: &Changes) -> Result<Body, Fault> {
        let seen = &mut self.seen;
        let ending = self.reader.finish(&mut |frame| seen.frame(&frame))?;
        if let Some(fault) = self.seen.tap.fault() {
            return Err(fault.clone());
        }
        match (self.seen.response, ending) {
            (Some(response), _) => Ok(body(Format::Responses, Bytes::from(String::from(response)), changes)),
            (None, Ending::Body(whole)) => Ok(body(Format::Responses, whole.into(), changes)),
            (None, _) => Err(Fault::truncated()),
        }
    }
}

impl Seen {
    fn frame(&mut self, frame: &Frame<'_>) {
        self.tap.frame(frame);
        let Frame::Data { data, .. } = *frame else { return };
        let data = self.items.frame(Cow::Borrowed(data));
        let is_end = matches!(kind_of(&data), "response.completed" | "response.incomplete" | "response.done");
        if is_end && self.response.is_none() {
            self.response = json::member(&data, "response").map(Into::into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;

    const STREAM: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"up\"}}\n\n\
        data: {\"type\":\"codex.rate_limits\",\"rate_limits\":{}}\n\n\
        data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"m\",\"x\":1.0}}\n\n";
    const END: &str = "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"model\":\"up\",\"output\":[],\"usage\":{\"input_tokens\":2,\"output_tokens\":3}}}\n\n";

    fn gathered(text: &str, changes: &Changes) -> Result<Body, Fault> {
        let mut whole = Whole::new(1 << 20);
        for chunk in text.as_bytes().chunks(7) {
            whole.push(chunk)?;
        }
        whole.finish(changes)
    }

    #[test]
    fn the_last_event_is_the_answer_with_the_items_that_it_leaves_out() {
        let changes = Changes { model: Some("mine".to_owned()), ..Changes::default() };
        let body = gathered(&format!("{STREAM}{END}"), &changes).unwrap();
        assert_eq!(
            body.bytes,
            r#"{"id":"r","model":"mine","output":[{"type":"message","id":"m","x":1.0}],"usage":{"input_tokens":2,"output_tokens":3}}"#
        );
        assert_eq!(body.usage.unwrap().total(), 5);
        assert!(body.is_answer);
    }

    #[test]
    fn a_stream_without_an_end_is_no_answer() {
        assert_eq!(gathered(STREAM, &Changes::default()).unwrap_err(), Fault::truncated());
        let failed = "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_is_overloaded\",\"message\":\"m\"}}}\n\n";
        let fault = gathered(&format!("{STREAM}{failed}"), &Changes::default()).unwrap_err();
        assert_eq!(fault.kind, Kind::Overloaded);
    }

    #[test]
    fn a_body_that_is_no_stream_is_the_answer_itself() {
        let body = gathered("{\"id\":\"r\",\"output\":[]}", &Changes::default()).unwrap();
        assert!(body.is_answer);
    }
}
