//! Usage that an upstream leaves out, estimated from what went through.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use crate::format::{Format, RequestContext, decode_count_request};
use crate::model::{Delta, Event, Request, Usage};

use super::Family;

/// The estimate of what a request makes its model read. Counted when somebody asks, and once; the request or its body,
/// which may be large, is held until then.
#[derive(Clone, Debug)]
pub struct Input(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    asked: Mutex<Option<Asked>>,
    family: Family,
    tokens: OnceLock<u64>,
}

/// A request, or the body that was written of one.
#[derive(Debug)]
enum Asked {
    Request(Box<Request>),
    Body(Format, Bytes),
}

impl Input {
    /// The input of a request for a model of the family.
    pub fn new(request: Request, family: Family) -> Self {
        Self::of(Asked::Request(Box::new(request)), family)
    }

    /// The input of a body in an upstream's format, which is read when somebody asks: most upstreams tell it, and hundreds
    /// of blocks need not be kept until they do.
    pub fn of_body(format: Format, body: Bytes, family: Family) -> Self {
        Self::of(Asked::Body(format, body), family)
    }

    fn of(asked: Asked, family: Family) -> Self {
        Self(Arc::new(Counted { asked: Mutex::new(Some(asked)), family, tokens: OnceLock::new() }))
    }

    /// The tokens.
    pub fn tokens(&self) -> u64 {
        let Counted { asked, family, tokens } = &*self.0;
        *tokens.get_or_init(|| {
            let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            asked.map_or(0, |asked| asked.tokens(*family))
        })
    }
}

impl Asked {
    fn tokens(self, family: Family) -> u64 {
        let (format, body) = match self {
            Self::Request(request) => return super::request(&request, family),
            Self::Body(format, body) => (format, body),
        };
        // Gemini's says the model in its path.
        let context = RequestContext { model: "model", ..RequestContext::default() };
        match decode_count_request(format, &body, context) {
            Ok(request) => super::request(&request, family),
            // What is written here can be read; this is for bodies of others.
            Err(_) => super::text(&String::from_utf8_lossy(&body), family),
        }
    }
}

/// Watches the events of an answer and fills in the counts that its upstream does not say.
#[derive(Debug, Default)]
pub struct Meter {
    /// For as long as the upstream has not told it.
    input: Option<Input>,
    usage: Usage,
    bytes: u64,
}

impl Meter {
    /// A meter for the answer to a request.
    pub fn new(input: Option<Input>) -> Self {
        Self { input, ..Self::default() }
    }

    /// Notes an event. Before the end, this gives the usage that is to be told first.
    pub fn note(&mut self, event: &Event) -> Option<Usage> {
        match event {
            Event::Start(start) => {
                if let Some(usage) = &start.usage {
                    self.merge(usage);
                }
            }
            Event::Usage(usage) => self.merge(usage),
            Event::Delta { delta, .. } => self.bytes += length(delta),
            Event::End { .. } => return self.missing(),
            _ => {}
        }
        None
    }

    fn merge(&mut self, usage: &Usage) {
        self.usage.merge(usage);
        if self.usage.input.is_some() {
            self.input = None;
        }
    }

    /// What is known of the usage.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    fn missing(&mut self) -> Option<Usage> {
        let input = if self.usage.input.is_none() { self.input.as_ref().map(Input::tokens) } else { None };
        let output = self.usage.output.is_none().then(|| tokens(self.bytes));
        if input.is_none() && output.is_none() {
            return None;
        }
        self.usage.input = self.usage.input.or(input);
        self.usage.output = self.usage.output.or(output);
        self.usage.is_estimated = true;
        Some(self.usage.clone())
    }
}

/// Texts of all scripts need about as many bytes per token.
fn tokens(bytes: u64) -> u64 {
    (bytes * 24).div_ceil(100)
}

fn length(delta: &Delta) -> u64 {
    let text = match delta {
        Delta::Text(text)
        | Delta::Refusal(text)
        | Delta::Arguments(text)
        | Delta::Transcript(text)
        | Delta::Reasoning { text, .. } => text,
        Delta::Opaque(_)
        | Delta::Annotation(_)
        | Delta::Logprobs(_)
        | Delta::Media(_)
        | Delta::Progress { .. } => return 0,
    };
    text.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Block, Ext, Role, Status, Turn};

    fn input() -> Input {
        let mut request = Request::new(Format::Chat, "m");
        request.turns.push(Turn::new(Role::User, vec![Block::text("Tell me about the fox.")]));
        Input::new(request, Family::Gpt)
    }

    /// What a meter tells before the end of an answer with this usage.
    fn told(usage: Option<Usage>) -> Option<Usage> {
        let mut meter = Meter::new(Some(input()));
        let text = "The quick brown fox jumps over the lazy dog. ".repeat(10);
        let mut events = vec![Event::Delta { candidate: 0, block: 0, delta: Delta::Text(text) }];
        events.extend(usage.map(|usage| Event::Usage(Box::new(usage))));
        assert!(events.iter().all(|event| meter.note(event).is_none()));
        meter.note(&Event::End { status: Status::Completed, ext: Ext::new() })
    }

    #[test]
    fn usage_that_is_missing_is_estimated_and_says_so() {
        let usage = told(None).unwrap();
        assert!(usage.is_estimated);
        let (input, output) = (usage.input.unwrap(), usage.output.unwrap());
        assert!((80..=130).contains(&output) && (8..=20).contains(&input), "{usage:?}");
    }

    #[test]
    fn the_request_is_let_go_once_its_tokens_are_known() {
        let holds = |input: &Input| input.0.asked.lock().unwrap().is_some();
        let (told, counted) = (input(), input());
        let left = Arc::downgrade(&told.0);
        let mut meter = Meter::new(Some(told));
        assert!(left.upgrade().is_some() && holds(&counted));
        let usage = Usage { input: Some(7), ..Usage::default() };
        assert_eq!(meter.note(&Event::Usage(Box::new(usage))), None);
        assert!(left.upgrade().is_none());
        assert_eq!(counted.tokens(), counted.tokens());
        assert!(!holds(&counted));
    }

    #[test]
    fn what_the_upstream_said_stays() {
        let half = Usage { input: Some(7), ..Usage::default() };
        assert_eq!(told(Some(half)).unwrap().input, Some(7));
        let said = Usage { input: Some(7), output: Some(9), ..Usage::default() };
        assert_eq!(told(Some(said)), None);
    }
}
