//! The way of a recorded exchange through the codecs: what the tests of all formats do with one.
//!
//! It asks nothing of an exchange but what `recorded` reads, so that the tests with the official SDKs take the same way.

use cliproxy_wire::catalog::{self, Caps};
use cliproxy_wire::codec::{Bridge, ClientContext, Encoded, Notes, Strictness, Target, UpstreamContext};
use cliproxy_wire::format::{self, Format, RequestContext};
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{Event, Request, Response, Show, Summary};
use cliproxy_wire::normalize::Prepared;
use cliproxy_wire::profile::{Profile, SchemaDialect, ToolIdRule};
use cliproxy_wire::reasoning::{Plan, Table};
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::sse::{Ending, StreamReader};
use cliproxy_wire::{Error, chat, claude, gemini, responses};

use super::recorded::Exchange;

/// The upstreams, with a model that has the features and one that lacks them.
pub(crate) fn upstreams() -> Vec<(Profile, &'static str)> {
    vec![
        (Profile::openai_chat(), "gpt-5.1"),
        (Profile::openai_chat(), "gpt-4o"),
        (Profile::compatible(), "some-model"),
        (Profile { tool_id: ToolIdRule::Alphanumeric9, ..Profile::compatible() }, "mistral"),
        (Profile::openai_responses(), "gpt-5.1"),
        (Profile::codex(), "gpt-5.1-codex"),
        (Profile::claude(), "claude-sonnet-4-5"),
        (Profile::claude(), "claude-opus-4-7"),
        (Profile::gemini(), "gemini-2.5-pro"),
        (Profile::gemini(), "gemini-3-pro-preview"),
        (Profile { schema: SchemaDialect::OpenApi, ..Profile::gemini() }, "gemini-2.5-flash"),
        (Profile::vertex(), "gemini-2.5-flash"),
        (Profile::code_assist(), "gemini-3-flash-preview"),
        (Profile::antigravity(), "gemini-3-flash"),
        (Profile::antigravity_claude(), "claude-opus-4-6-thinking"),
        (Profile::antigravity_open(), "gpt-oss-120b-medium"),
    ]
}

/// What a request is made for.
pub(crate) struct Aim<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) caps: Caps,
    pub(crate) model: &'a str,
    pub(crate) strictness: Strictness,
}

impl<'a> Aim<'a> {
    /// A model of an upstream, with what the catalog knows of it.
    pub(crate) fn at(profile: &'a Profile, model: &'a str) -> Self {
        Self { profile, caps: catalog::caps(model), model, strictness: Strictness::Default }
    }

    pub(crate) fn with<T>(self, request: &Request, encode: impl FnOnce(&Target<'_>) -> T) -> T {
        encode(&Target {
            profile: self.profile,
            caps: &self.caps,
            model: self.model,
            suffix: None,
            stream: request.stream,
            scope: None,
            strictness: self.strictness,
            table: &Table::default(),
            schemas: &Cleaned::default(),
            memory: None,
            repair: None,
        })
    }
}

/// The request of an exchange as it was understood.
pub(crate) fn request(exchange: &Exchange) -> Option<Result<Request, Error>> {
    let text = serde_json::to_vec(exchange.request()?).unwrap();
    let is_stream = exchange.value["operation"] == "stream";
    let path = RequestContext { model: exchange.model(), stream: is_stream, ..RequestContext::default() };
    Some(format::decode_request(exchange.format, &text, path))
}

/// The body for an upstream without making anything fit: what was understood is what comes out.
pub(crate) fn as_read(profile: &Profile, request: &Request) -> serde_json::Value {
    let plan = Plan { max_output_tokens: request.max_output_tokens, ..Plan::default() };
    let prepared =
        Prepared { request: request.clone(), plan, bridge: Bridge::default(), notes: Notes::default() };
    let aim = Aim { profile, caps: Caps::unknown(), model: &request.model, strictness: Strictness::Default };
    let encoded = aim.with(request, |target| written(prepared, target)).unwrap();
    serde_json::from_slice(&encoded.body).unwrap()
}

/// The body of a request that has been made to fit.
pub(crate) fn written(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    match target.profile.format {
        Format::Chat => chat::encode_request(prepared, target),
        Format::Responses => responses::encode_request(prepared, target),
        Format::Claude => claude::encode_request(prepared, target),
        Format::Gemini => gemini::encode_request(prepared, target),
    }
}

/// How the answers of an exchange's service are read.
pub(crate) fn upstream(exchange: &Exchange) -> UpstreamContext {
    let profile = match exchange.format {
        Format::Chat => Profile::compatible(),
        Format::Responses => Profile::openai_responses(),
        Format::Claude => Profile::claude(),
        Format::Gemini => Profile::gemini(),
    };
    let mut context = UpstreamContext::new(&profile, "req_fx");
    context.has_think_tags = exchange.value["provider"] == "gpustack";
    context
}

/// A client that is shown all that its format can show of this answer.
pub(crate) fn client(format: Format, response: &Response) -> ClientContext {
    let mut context = ClientContext::new(&Request::new(format, "m"), "req_fx", 1_785_500_000);
    context.show = Show::Summary(Summary::Auto);
    context.include_usage = true;
    context.now = || 1_785_500_003;
    // Deprecated calls come from clients that declared them.
    context.is_legacy_functions = format == Format::Chat
        && response.candidates.iter().any(|candidate| {
            matches!(&candidate.stop.native, Some((Format::Chat, word)) if **word == *"function_call")
        });
    context
}

/// The events of a stream whose bytes arrive in pieces of these lengths, over and over; `None` when it is no stream.
pub(crate) fn events(
    format: Format,
    context: UpstreamContext,
    stream: &[u8],
    lengths: &[usize],
) -> Option<Vec<Event>> {
    let mut decoder = format::stream_decoder(format, context);
    let mut frames = StreamReader::new(32 << 20);
    let mut out = Vec::new();
    let mut rest = stream;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        frames.push(piece, &mut |frame| decoder.frame(&frame, &mut out)).unwrap();
        rest = after;
    }
    let ending = frames.finish(&mut |frame| decoder.frame(&frame, &mut out)).unwrap();
    decoder.finish(None, &mut out);
    (ending == Ending::Stream).then_some(out)
}

/// The answer that events tell, if they begin one.
pub(crate) fn folded(events: &[Event]) -> Option<Response> {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event.clone());
    }
    fold.finish()
}

/// The answer of an exchange, and the events that tell it: those of the recorded stream, or the recorded body laid out.
pub(crate) fn answer(exchange: &Exchange) -> Option<(Response, Vec<Event>)> {
    if let Some(stream) = exchange.stream() {
        let events = events(exchange.format, upstream(exchange), stream.as_bytes(), &[usize::MAX])?;
        return Some((folded(&events)?, events));
    }
    let body = exchange.body().filter(|_| exchange.is_success())?;
    let bytes = serde_json::to_vec(body).unwrap();
    let response = format::decode_response(exchange.format, &bytes, &upstream(exchange)).ok()?;
    let mut events = Vec::new();
    unfold(&response, &mut events);
    Some((response, events))
}
