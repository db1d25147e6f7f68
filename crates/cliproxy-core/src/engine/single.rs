//! Operations that are no conversation: embeddings, images made to order, predictions. One body goes out and one comes
//! back, in the client's language where the upstream speaks it, else in another.
//!
//! Who is asked, who rests and what is recorded is as for any other call. Here stands which upstream can serve which
//! operation, and what its body is. Images that a model draws in conversations are asked for in one; those take the
//! ordinary way.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use cliproxy_wire::embedding::{self, Embedded};
use cliproxy_wire::estimate::{self, Family};
use cliproxy_wire::fault::{Fault, Kind as FaultKind};
use cliproxy_wire::form::{self, Part};
use cliproxy_wire::image::order::XaiOrder;
use cliproxy_wire::image::{Source, Wish, imagen, order};
use cliproxy_wire::json::{self, Reader};
use cliproxy_wire::lane::{self, Changes, Rewrite, rename, rename_in_form, rewrite};
use cliproxy_wire::model::{Block, Request, Role, Turn, Usage};
use cliproxy_wire::{Format, usage};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};

use super::answer::{Answer, AnswerBody, AnswerStream, Closing};
use super::attempt::{
    Attempt, LONGEST_ANSWER, Outbound, Translation, Way, answer_headers, content_type, echoes, read_fault,
};
use super::passing::Passing;
use super::pipe::Pipe;
use super::{Call, Engine, Job};
use crate::credential::{Kind, Lease};
use crate::failure::{Failure, Rest, Retry};
use crate::provider::Operation;
use crate::route::Offer;
use crate::snapshot::Snapshot;
use crate::upstream::{Pieces, Reply, UpstreamBody, read_all};
use crate::usage::Outcome;

/// Models that an error names, at most.
const MOST_NAMED: usize = 8;
/// Requests of one call that run at once, where an upstream takes one text at a time.
const ASKED_AT_ONCE: usize = 4;

/// What goes out for an operation, and how its answer comes back.
pub(super) struct Single {
    operation: Operation,
    /// One; several where the upstream takes one text at a time.
    bodies: Vec<Pieces>,
    lane: &'static str,
    back: Back,
    /// What the client will miss.
    dropped: Option<String>,
}

impl Single {
    /// The client's body as it is.
    fn passed(operation: Operation, body: &Bytes, changes: Changes) -> Self {
        let bodies = vec![body.clone().into()];
        Self { operation, bodies, lane: "passthrough", back: Back::Pass(changes), dropped: None }
    }

    /// The client's body with changes.
    fn patched(operation: Operation, body: Pieces, changes: Changes) -> Self {
        Self { operation, bodies: vec![body], lane: "patch", back: Back::Pass(changes), dropped: None }
    }

    /// Bodies in another language.
    fn translated(operation: Operation, bodies: impl IntoIterator<Item = Vec<u8>>, back: Back) -> Self {
        let bodies = bodies.into_iter().map(|body| Bytes::from(body).into()).collect();
        Self { operation, bodies, lane: "translate", back, dropped: None }
    }
}

enum Back {
    /// As it comes, but for the model's name.
    Pass(Changes),
    /// Images as xAI gives them.
    Drawn(Wish),
    /// Vectors in another language.
    Vectors(embedding::Request, fn(&[u8]) -> Result<Embedded, Fault>),
}

/// Whether an upstream can serve an operation, as far as that is known before it is asked.
pub(super) fn can(operation: Operation, offer: &Offer) -> bool {
    let kind = offer.credential.kind;
    let is_google = matches!(kind, Kind::Gemini | Kind::Vertex);
    let says = |word: &str| offer.upstream.to_ascii_lowercase().contains(word);
    match operation {
        Operation::Generate | Operation::Stream => {
            offer.caps.converses != Some(false) && !(is_google && says("embedding"))
        }
        Operation::CountTokens | Operation::Compact => true,
        Operation::Embed | Operation::EmbedBatch => kind == Kind::OpenAi || (is_google && says("embedding")),
        Operation::Predict => is_google && (is_predicted(offer) || says("embedding")),
        Operation::Draw | Operation::Redraw if is_predicted(offer) => operation == Operation::Draw,
        Operation::Draw | Operation::Redraw => {
            // Which models of a service make images its entry may say; of the others the names tell.
            let is_told =
                matches!(kind, Kind::Codex | Kind::Xai) || offer.credential.profile.format == Format::Gemini;
            (kind == Kind::OpenAi && offer.caps.makes_images != Some(false)) || (is_told && says("image"))
        }
    }
}

/// Whether the model holds no conversations and is asked for predictions instead.
pub(super) fn is_predicted(offer: &Offer) -> bool {
    matches!(offer.credential.kind, Kind::Gemini | Kind::Vertex) && imagen::is_imagen(&offer.upstream)
}

/// The refusal of an operation that nobody who offers the model can serve; it names models that can.
pub(super) fn unable(call: &Call, requested: &str, snapshot: &Snapshot) -> Failure {
    let operation = call.operation;
    let allowance = call.allowance.as_deref();
    let looks_able = |offer: &Offer| {
        let says = |word: &str| offer.upstream.to_ascii_lowercase().contains(word);
        let is_named = match operation {
            Operation::Embed | Operation::EmbedBatch => says("embed"),
            Operation::Draw | Operation::Redraw => {
                offer.caps.makes_images == Some(true) || says("image") || says("dall-e") || says("flux")
            }
            _ => true,
        };
        can(operation, offer) && (offer.credential.kind != Kind::OpenAi || is_named)
    };
    let routes = &snapshot.routes;
    let able = routes.listed().iter().map(|listed| &listed.id).filter(|id| {
        snapshot.allows(allowance, id)
            && routes.offers(id).is_some_and(|offers| offers.members().iter().any(looks_able))
    });
    let names: Vec<String> = able.take(MOST_NAMED).map(|id| format!("`{id}`")).collect();
    let hint = if names.is_empty() {
        "no configured model does; add one to config.yaml".to_owned()
    } else {
        format!("of the configured models these do: {}", names.join(", "))
    };
    let shown: String = requested.chars().take(120).collect();
    let message = format!("the model `{shown}` gives no {}; {hint}", operation.noun());
    let fault = Fault::new(FaultKind::InvalidRequest, message).with_code("not_supported");
    Failure::client(Fault { param: Some("model".to_owned()), ..fault })
}

/// The form that a body is; `None` for JSON.
///
/// # Errors
/// A form that is broken.
pub(super) fn form_of(call: &Call) -> Result<Option<Vec<Part>>, Failure> {
    if call.operation != Operation::Redraw {
        return Ok(None);
    }
    let Some(boundary) = form::boundary(&call.headers) else { return Ok(None) };
    let broken = || cliproxy_wire::Error::malformed("the form is broken; its parts do not end as they begin");
    form::parts(&call.body, &boundary).map(Some).ok_or_else(|| Failure::client(broken()))
}

/// What goes out to `offer`; `None` where it is asked in a conversation.
///
/// # Errors
/// What this upstream cannot be asked.
fn plan(job: &Job, offer: &Offer) -> Result<Option<Single>, Failure> {
    let operation = job.call.operation;
    if !can(operation, offer) {
        return Err(unable(&job.call, &job.requested, &job.snapshot).with_retry(Retry::Next(Rest::None)));
    }
    match (operation, offer.credential.kind) {
        (Operation::Embed | Operation::EmbedBatch, _) => embed(job, offer).map(Some),
        (Operation::Draw | Operation::Redraw, Kind::Xai) => ordered(job, offer).map(Some),
        // The backend behind an account takes no forms.
        (Operation::Redraw, Kind::Codex) if job.peeked.is_form && offer.credential.account.is_some() => {
            let parts = form_of(&job.call)?.unwrap_or_default();
            let body = order::form_to_json(&parts, &offer.upstream).map_err(Failure::client)?;
            Ok(Some(Single::patched(operation, Bytes::from(body).into(), Changes::default())))
        }
        (Operation::Predict, _) | (Operation::Draw | Operation::Redraw, Kind::OpenAi | Kind::Codex) => {
            passed(job, offer).map(Some)
        }
        _ => Ok(None),
    }
}

/// Images in the form in which xAI takes and gives them.
fn ordered(job: &Job, offer: &Offer) -> Result<Single, Failure> {
    let parts = form_of(&job.call)?;
    let source = match &parts {
        Some(parts) => Source::Form(parts),
        None => Source::Json(&job.call.body),
    };
    let operation = job.call.operation;
    let ordered = order::for_xai(&source, operation == Operation::Redraw, &offer.upstream);
    let XaiOrder { body, wish, notes } = ordered.map_err(|error| {
        let is_elsewhere = error.kind() == cliproxy_wire::ErrorKind::Unsupported;
        let retry = if is_elsewhere { Retry::Next(Rest::None) } else { Retry::Never };
        Failure::client(error).with_retry(retry)
    })?;
    let single = Single::translated(operation, [body], Back::Drawn(wish));
    Ok(Single { dropped: notes.header(), ..single })
}

/// The body with the upstream's name of the model, and else as it is.
fn passed(job: &Job, offer: &Offer) -> Result<Single, Failure> {
    let (call, peeked) = (&job.call, &job.peeked);
    let is_gemini = call.format == Format::Gemini;
    let names_another = peeked.model.as_deref().is_some_and(|model| *model != *offer.upstream);
    let body = match &peeked.model_at {
        // Gemini says the model in the path, and in each request of a batch.
        _ if is_gemini && call.operation != Operation::EmbedBatch => None,
        _ if is_gemini => batch(job, offer)?,
        _ if !names_another => None,
        Some(at) => {
            let rename = if peeked.is_form { rename_in_form } else { rename };
            rename(&call.body, at.clone(), &offer.upstream).map(Pieces::from)
        }
        None => {
            let changes = Rewrite { model: Some(&offer.upstream), ..Rewrite::default() };
            match rewrite(call.format, job.text()?, &changes).map_err(Failure::client)? {
                Cow::Borrowed(_) => None,
                Cow::Owned(text) => Some(Bytes::from(text).into()),
            }
        }
    };
    let model = echoes(job, offer).then(|| job.shown().as_ref().to_owned());
    let changes = Changes { model: model.filter(|_| !is_gemini), ..Changes::default() };
    Ok(match body {
        None => Single::passed(call.operation, &call.body, changes),
        Some(body) => Single::patched(call.operation, body, changes),
    })
}

/// A batch whose requests name the upstream's model; `None` where they do already.
fn batch(job: &Job, offer: &Offer) -> Result<Option<Pieces>, Failure> {
    if *job.requested == *offer.upstream {
        return Ok(None);
    }
    let request = embedding::Request::of_gemini_batch(&job.call.body).map_err(Failure::client)?;
    Ok(Some(Bytes::from(request.to_gemini(&offer.upstream)).into()))
}

fn embed(job: &Job, offer: &Offer) -> Result<Single, Failure> {
    let (call, kind) = (&job.call, offer.credential.kind);
    let is_native = match kind {
        Kind::OpenAi => call.format == Format::Chat,
        Kind::Gemini => call.format == Format::Gemini,
        _ => false,
    };
    if is_native {
        return passed(job, offer);
    }
    let is_gemini = call.format == Format::Gemini;
    let read = match call.operation {
        Operation::EmbedBatch => embedding::Request::of_gemini_batch(&call.body),
        _ if is_gemini => embedding::Request::of_gemini(&call.body),
        _ => embedding::Request::of_openai(&call.body),
    };
    let request = read.map_err(Failure::client)?;
    let model = &offer.upstream;
    let (operation, bodies, answer): (_, _, fn(&[u8]) -> _) = match kind {
        Kind::OpenAi => (Operation::Embed, vec![request.to_openai(model)], embedding::read_openai),
        Kind::Gemini => (Operation::EmbedBatch, vec![request.to_gemini(model)], embedding::read_gemini),
        _ => (Operation::Predict, request.to_vertex(model), embedding::read_vertex),
    };
    Ok(Single::translated(operation, bodies, Back::Vectors(request, answer)))
}

/// A prediction for what a conversation asks.
///
/// # Errors
/// A conversation that such a model cannot be asked.
pub(super) fn predicted(job: &mut Job, offer: &Offer) -> Result<Outbound, Failure> {
    let body = imagen::encode_request(job.request()?).map_err(|error| {
        let is_elsewhere = error.kind() == cliproxy_wire::ErrorKind::Unsupported;
        let retry = if is_elsewhere { Retry::Next(Rest::None) } else { Retry::Never };
        Failure::client(error).with_retry(retry)
    })?;
    let way = Way::Translate(Translation::plain(job, offer)?);
    Ok(Outbound { way, ..outbound(Bytes::from(body).into()) })
}

/// The prediction as an answer of a conversation.
///
/// # Errors
/// What came is no prediction.
pub(super) async fn conversed(mut reply: Reply, job: &Job, offer: &Offer) -> Result<Reply, Fault> {
    let idle = job.snapshot.limits.idle;
    let body = read_all(reply.body, idle, LONGEST_ANSWER).await.map_err(|error| read_fault(&error))?;
    let answer = imagen::answer(&body, &offer.upstream, &job.call.request_id)?;
    reply.body = UpstreamBody::Whole(Some(answer.into()));
    reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(reply)
}

fn outbound(body: Pieces) -> Outbound {
    Outbound { body, betas: Vec::new(), way: Way::Single, dropped: None }
}

impl Engine {
    /// One request to one credential, for an operation that is no conversation there; `None` where it is one.
    pub(super) async fn attempt_single(
        &self,
        job: &mut Job,
        attempt: &Attempt<'_>,
        lease: &Arc<Lease>,
    ) -> Option<Result<Answer, Failure>> {
        match plan(job, attempt.offer) {
            Ok(None) => None,
            Ok(Some(single)) => Some(self.single(job, attempt, lease, single).await),
            Err(failure) => Some(Err(failure)),
        }
    }

    /// The answers to several requests, in their order, of which a few are asked at once.
    async fn ask_each(
        &self,
        job: &Job,
        offer: &Offer,
        operation: Operation,
        bodies: Vec<Pieces>,
    ) -> Result<Vec<Reply>, Failure> {
        let is_single = bodies.len() == 1;
        let asking = bodies.into_iter().map(|body| async move {
            let outbound = outbound(body);
            let mut reply = self.send(job, offer, operation, &outbound).await?;
            // What is left unread keeps a connection each.
            if !is_single {
                let read = read_all(reply.body, job.snapshot.limits.idle, LONGEST_ANSWER).await;
                let body = read.map_err(|error| self.judge_inside(job, offer, read_fault(&error)))?;
                reply.body = UpstreamBody::Whole(Some(body));
            }
            Ok(reply)
        });
        stream::iter(asking).buffered(ASKED_AT_ONCE).try_collect().await
    }

    async fn single(
        &self,
        job: &Job,
        attempt: &Attempt<'_>,
        lease: &Arc<Lease>,
        single: Single,
    ) -> Result<Answer, Failure> {
        let offer = attempt.offer;
        let mut closing = Closing::new(self, job, attempt, Arc::clone(lease));
        self.tell_attempt(job, attempt);
        closing.set_lane(single.lane);
        closing.note();
        let mut replies = match self.ask_each(job, offer, single.operation, single.bodies).await {
            Ok(replies) => replies,
            Err(failure) => return Err(closing.fail(unrested(failure))),
        };
        if let Some(reply) = replies.first() {
            closing.answered(reply.status);
        }
        let first = replies.first().map(|reply| &reply.headers);
        let none = http::HeaderMap::new();
        let mut headers = answer_headers(first.unwrap_or(&none), job, &offer.upstream);
        if let Some(dropped) = single.dropped.as_deref().and_then(|paths| HeaderValue::from_str(paths).ok()) {
            headers.insert(HeaderName::from_static("x-gateway-dropped"), dropped);
        }
        let kind = first.and_then(|headers| headers.get(CONTENT_TYPE)).cloned();
        let is_stream = first.is_some_and(|headers| content_type(headers).starts_with("text/event-stream"));
        if let Some(reply) = replies.pop_if(|_last| is_stream) {
            let (limits, streaming) = (&job.snapshot.limits, &job.snapshot.settings.streaming);
            let pipe = Pipe::Passing(Box::new(Passing::new()));
            let stream = AnswerStream::new(
                reply.body,
                pipe,
                job.call.format,
                limits.idle,
                streaming.keepalive,
                closing,
            );
            return self.begin(job, offer, Box::new(stream), headers).await;
        }
        let is_streamed = matches!(&single.back, Back::Drawn(wish) if wish.is_stream);
        let answered = match read_each(replies, job).await {
            Ok(bodies) => single.back.answer(job, offer, bodies),
            Err(fault) => Err(fault),
        };
        match answered {
            Ok((body, cost)) => {
                if cost.is_estimated {
                    let is_estimated = HeaderName::from_static("x-gateway-estimated");
                    headers.insert(is_estimated, HeaderValue::from_static("true"));
                }
                closing.begun();
                closing.close(Outcome::Complete, cost);
                let json = HeaderValue::from_static("application/json");
                let events =
                    is_streamed.then_some(HeaderValue::from_static("text/event-stream; charset=utf-8"));
                headers.insert(CONTENT_TYPE, events.or(kind).unwrap_or(json));
                Ok(Answer { status: StatusCode::OK, headers, body: AnswerBody::Whole(body) })
            }
            Err(fault) => {
                let failure = self.judge_inside(job, offer, fault);
                Err(closing.fail(unrested(failure)))
            }
        }
    }
}

/// Reads answers to their end.
async fn read_each(replies: Vec<Reply>, job: &Job) -> Result<Vec<Bytes>, Fault> {
    let mut bodies = Vec::with_capacity(replies.len());
    for reply in replies {
        let body = read_all(reply.body, job.snapshot.limits.idle, LONGEST_ANSWER).await;
        bodies.push(body.map_err(|error| read_fault(&error))?);
    }
    Ok(bodies)
}

/// An upstream that does not know a model for this operation may know it for others, so nobody rests for it.
fn unrested(failure: Failure) -> Failure {
    match failure.retry() {
        Retry::Next(Rest::ModelMissing) => failure.with_retry(Retry::Next(Rest::None)),
        _ => failure,
    }
}

impl Back {
    /// The answer for the client, and what it cost.
    fn answer(self, job: &Job, offer: &Offer, bodies: Vec<Bytes>) -> Result<(Bytes, Usage), Fault> {
        match self {
            Self::Pass(changes) => {
                let body = bodies.into_iter().next().unwrap_or_default();
                let passed = lane::body(job.call.format, body, &changes);
                if !passed.is_json {
                    return Err(Fault::unreadable(&passed.bytes, "it is not JSON"));
                }
                if let Some(fault) = passed.fault {
                    return Err(fault);
                }
                let cost = cost(&passed.bytes).or(passed.usage).unwrap_or_default();
                Ok((passed.bytes, cost))
            }
            Self::Drawn(wish) => {
                let body = bodies.into_iter().next().unwrap_or_default();
                if let Some(fault) = lane::body(job.call.format, body.clone(), &Changes::default()).fault {
                    return Err(fault);
                }
                let drawn = order::of_xai(&body, job.call.created, wish)?;
                Ok((drawn.into(), cost(&body).unwrap_or_default()))
            }
            Self::Vectors(request, read) => {
                let answers = bodies.iter().map(|body| read(body)).collect::<Result<_, _>>()?;
                let embedded = Embedded::joined(answers);
                let is_estimated = embedded.input_tokens.is_none();
                let tokens = embedded.input_tokens.unwrap_or_else(|| estimated(&request, offer));
                let is_gemini = job.call.format == Format::Gemini;
                let body = match job.call.operation {
                    Operation::EmbedBatch => embedded.to_gemini(true)?,
                    _ if is_gemini => embedded.to_gemini(false)?,
                    _ => embedded.to_openai(job.shown(), request.is_packed, tokens)?,
                };
                let cost = Usage { input: Some(tokens), is_estimated, ..Usage::default() };
                Ok((body.into(), cost))
            }
        }
    }
}

/// What texts cost where nobody says it.
fn estimated(request: &embedding::Request, offer: &Offer) -> u64 {
    let mut conversation = Request::new(Format::Gemini, "");
    let blocks = request.inputs.iter().map(|text| Block::text(text.as_str())).collect();
    conversation.turns.push(Turn::new(Role::User, blocks));
    estimate::request(&conversation, Family::of(&offer.upstream))
}

/// What a body of the images interface says it cost: its counts have the names of Responses.
pub(super) fn cost(body: &[u8]) -> Option<Usage> {
    let counts = json::member(std::str::from_utf8(body).ok()?, "usage")?;
    json::member(counts, "input_tokens")?;
    usage::read_responses(&mut Reader::new(counts)).ok()
}
