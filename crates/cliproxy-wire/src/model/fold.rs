//! The two bridges between a stream and a body: [`Fold`] gathers events into a response, [`unfold`] lays a response out
//! as events. No format has one of its own.

use super::{Event, Response};

/// Gathers events into a response.
#[derive(Debug, Default)]
pub struct Fold {
    response: Option<Response>,
}

impl Fold {
    /// Takes one event in.
    pub fn event(&mut self, event: Event) {
        if let Event::Start(start) = event {
            self.response = Some(*start);
        }
    }

    /// The response so far; failed if the stream ended by an error. `None` before the start.
    pub fn finish(self) -> Option<Response> {
        self.response
    }
}

/// Lays a response out as events that fold back into it.
pub fn unfold(response: &Response, out: &mut Vec<Event>) {
    out.push(Event::Start(Box::new(Response { candidates: Vec::new(), ..response.clone() })));
}
