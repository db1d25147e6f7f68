//! What comes back from an upstream that began to answer: streamed on, or gathered to a whole.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::chat::completions;
use cliproxy_wire::codec::{Bridge, ClientContext, StreamEncoder, UpstreamContext};
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::format::{encode_response, stream_encoder};
use cliproxy_wire::image;
use cliproxy_wire::model::{Response, Usage};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{LONGEST_ANSWER, Translation, Way};
use crate::engine::answer::{Answer, AnswerBody, AnswerStream, Closing};
use crate::engine::memory::Recorder;
use crate::engine::pipe::{Decode, Gather, Pipe, Translate};
use crate::engine::{Engine, Job};
use crate::failure::Failure;
use crate::provider::Operation;
use crate::route::Offer;
use crate::upstream::{ReadError, Reply, read_all};
use crate::usage::Outcome;

impl Engine {
    fn recorder(&self, job: &Job, offer: &Offer) -> Recorder {
        let profile = offer.profile(job.call.format);
        Recorder::new(self.0.memories.shared(job, offer), job.call.format, profile)
    }

    /// A stream that has not begun.
    pub(super) fn stream(
        &self,
        job: &mut Job,
        offer: &Offer,
        way: Way,
        (reply, closing): (Reply, Closing),
    ) -> Result<Box<AnswerStream>, Failure> {
        let pipe = match self.pipe(job, offer, way, &reply) {
            Ok(pipe) => pipe,
            Err(failure) => return Err(closing.fail(failure)),
        };
        Ok(Box::new(AnswerStream::new(
            reply.body,
            pipe,
            job.call.format,
            job.snapshot.limits.idle,
            job.snapshot.settings.streaming.keepalive,
            closing,
        )))
    }

    /// What the pieces of a stream go through.
    fn pipe(&self, job: &mut Job, offer: &Offer, way: Way, reply: &Reply) -> Result<Pipe, Failure> {
        let is_json = content_type(&reply.headers).starts_with("application/json");
        let translation = match way {
            // A whole body in answer to a stream request is unfolded, whatever its format.
            Way::Relay(plan) if !is_json || plan.is_array => {
                return Ok(Pipe::Relay(Box::new(plan.pipe(job, offer, reply.status))));
            }
            Way::Relay(_) | Way::Single => Translation::plain(job, offer)?,
            Way::Translate(translation) => translation,
        };
        let Translation { bridge, context, input } = *translation;
        let decode = decode(job, offer, reply.status, bridge);
        let mut context = context.detached();
        // Others are told at the end, and what they are told is estimated there.
        context.input = (job.call.format == Format::Claude).then(|| input.clone());
        let recorder = self.recorder(job, offer);
        Ok(Pipe::Translate(Box::new(Translate::new(decode, encoder(job, context), input, recorder))))
    }

    /// Waits for the beginning of a stream.
    pub(in crate::engine) async fn begin(
        &self,
        job: &Job,
        offer: &Offer,
        stream: Box<AnswerStream>,
        mut headers: HeaderMap,
    ) -> Result<Answer, Failure> {
        match stream.begin().await {
            Ok(stream) => {
                let is_array = job.call.format == Format::Gemini && !job.call.is_sse;
                let kind = if is_array {
                    const { HeaderValue::from_static("application/json; charset=UTF-8") }
                } else {
                    const { HeaderValue::from_static("text/event-stream; charset=utf-8") }
                };
                headers.insert(CONTENT_TYPE, kind);
                headers.insert(http::header::CACHE_CONTROL, const { HeaderValue::from_static("no-cache") });
                headers.insert(
                    const { HeaderName::from_static("x-accel-buffering") },
                    const { HeaderValue::from_static("no") },
                );
                Ok(Answer { status: StatusCode::OK, headers, body: AnswerBody::Stream(stream) })
            }
            Err((fault, closing)) => Err(closing.fail(self.judge_inside(job, offer, fault)).after_head()),
        }
    }

    /// An answer in one piece; `headers` is what the client will see of the upstream's.
    pub(super) async fn whole_answer(
        &self,
        job: &mut Job,
        offer: &Offer,
        way: Way,
        mut headers: HeaderMap,
        (reply, mut closing): (Reply, Closing),
    ) -> Result<Answer, Failure> {
        match self.whole(job, offer, way, reply, &mut closing).await {
            Ok((body, usage, kind)) => {
                closing.begun();
                closing.close(Outcome::Complete, usage);
                headers.insert(
                    CONTENT_TYPE,
                    kind.unwrap_or(const { HeaderValue::from_static("application/json") }),
                );
                Ok(Answer { status: StatusCode::OK, headers, body: AnswerBody::Whole(body) })
            }
            Err(failure) => Err(closing.fail(failure)),
        }
    }

    /// Reads an answer to its end: the client's body, what it cost, and its content type if it is not the usual one.
    async fn whole(
        &self,
        job: &mut Job,
        offer: &Offer,
        way: Way,
        reply: Reply,
        closing: &mut Closing,
    ) -> Result<(Bytes, Usage, Option<HeaderValue>), Failure> {
        let idle = job.snapshot.limits.idle;
        let kind = reply.headers.get(CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let ends_whole = job.call.format == Format::Responses;
        let plan = match way {
            // A stream in answer to a whole request is folded, unless its last event is the whole answer.
            Way::Relay(plan) if !is_stream || ends_whole => plan,
            // What passes bytes need not make room for it.
            Way::Translate(translation) => {
                return Box::pin(self.translated(job, offer, translation, reply)).await;
            }
            Way::Relay(_) | Way::Single => {
                let translation = Translation::plain(job, offer)?;
                return Box::pin(self.translated(job, offer, translation, reply)).await;
            }
        };
        closing.set_lane(plan.lane());
        let answer = if is_stream {
            let gathering = Box::pin(plan.gathered(job, reply.body, idle));
            gathering.await.map(|(body, usage)| (body, usage, None))
        } else {
            let body = read_all(reply.body, idle, LONGEST_ANSWER).await;
            let body = body.map_err(|error| read_fault(&error)).and_then(|body| plan.body(job, body));
            body.map(|(body, usage)| (body, usage, kind.cloned()))
        };
        answer.map_err(|fault| self.judge_inside(job, offer, fault))
    }

    async fn translated(
        &self,
        job: &Job,
        offer: &Offer,
        translation: Box<Translation>,
        reply: Reply,
    ) -> Result<(Bytes, Usage, Option<HeaderValue>), Failure> {
        let Translation { bridge, context, input } = *translation;
        let decode = decode(job, offer, reply.status, bridge);
        let gather = Box::new(Gather::new(decode, input, self.recorder(job, offer)));
        let answer = gathered(gather, reply, job.snapshot.limits.idle).await.and_then(|(response, usage)| {
            Ok((whole(job, &response, &context)?.into(), usage, streamed(job)))
        });
        answer.map_err(|fault| self.judge_inside(job, offer, fault))
    }
}

pub(in crate::engine) fn decode(job: &Job, offer: &Offer, status: StatusCode, bridge: Bridge) -> Decode {
    let profile = offer.profile(job.call.format);
    let context = UpstreamContext {
        scope: Some(offer.credential.scope.as_ref().into()),
        status: status.as_u16(),
        ..UpstreamContext::new(profile, Arc::clone(&job.call.request_id))
    };
    Decode::new(profile.format, context, bridge)
}

fn encoder(job: &Job, context: ClientContext) -> Box<dyn StreamEncoder> {
    if job.call.is_legacy_completion {
        return Box::new(completions::Encoder::new(context));
    }
    stream_encoder(job.call.format, context)
}

fn whole(job: &Job, response: &Response, context: &ClientContext) -> Result<Vec<u8>, Fault> {
    match job.call.operation {
        Operation::Draw | Operation::Redraw => image::encode_response(response, job.call.created, job.images),
        _ if job.call.is_legacy_completion => Ok(completions::encode_response(response, context)),
        _ => Ok(encode_response(job.call.format, response, context)),
    }
}

/// The content type of images that are wanted as events: they come whole, one after the other.
fn streamed(job: &Job) -> Option<HeaderValue> {
    job.images.is_stream.then_some(HeaderValue::from_static("text/event-stream; charset=utf-8"))
}

/// Whether answers carry the client's name for the model.
pub(in crate::engine) fn echoes(job: &Job, offer: &Offer) -> bool {
    offer.forces_name || **job.shown() != *offer.upstream
}

pub(in crate::engine) async fn gathered(
    mut gather: Box<Gather>,
    reply: Reply,
    idle: Option<Duration>,
) -> Result<(Response, Usage), Fault> {
    if content_type(&reply.headers).starts_with("application/json") {
        let body = read_all(reply.body, idle, LONGEST_ANSWER).await.map_err(|error| read_fault(&error))?;
        gather.body(&body);
        return gather.into_response();
    }
    let mut body = reply.body;
    let mut length = 0;
    loop {
        match body.next(idle).await {
            Ok(Some(bytes)) => {
                length += bytes.len();
                if length > LONGEST_ANSWER {
                    return Err(read_fault(&ReadError::TooLarge));
                }
                gather.push(&bytes);
            }
            Ok(None) => gather.finish(None),
            Err(error @ ReadError::Broken(_)) => gather.finish(Some(read_fault(&error))),
            Err(error) => return Err(read_fault(&error)),
        }
        if gather.is_over() {
            return gather.into_response();
        }
    }
}

pub(in crate::engine) fn read_fault(error: &ReadError) -> Fault {
    match error {
        ReadError::Broken(message) => {
            Fault::new(Kind::BadUpstream, message.clone()).with_code("upstream_truncated")
        }
        ReadError::Idle(limit) => {
            Fault::new(Kind::Timeout, format!("the upstream sent nothing for {} s", limit.as_secs_f32()))
        }
        ReadError::TooLarge => {
            Fault::new(Kind::BadUpstream, "the upstream's answer is larger than the gateway accepts")
        }
    }
}

pub(in crate::engine) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Headers of an upstream's answer that help a client. `asked` is the model by the upstream's name.
pub(in crate::engine) fn answer_headers(upstream: &HeaderMap, job: &Job, asked: &str) -> HeaderMap {
    let passes_all = job.snapshot.settings.streaming.passthrough_headers;
    let mut headers = HeaderMap::with_capacity(8);
    let (mut id, mut other_id) = (None, None);
    for (name, value) in upstream {
        let text = name.as_str();
        match text {
            // The upstream's own; the gateway's goes under the format's usual name.
            "request-id" => id = id.or(Some(value)),
            "x-request-id" => other_id = other_id.or(Some(value)),
            // A client that knows the model by another name would take this for a model that it did not ask for.
            "openai-model" if value == asked => continue,
            _ => {}
        }
        let is_useful = text.starts_with("openai-")
            || text.starts_with("anthropic-ratelimit-")
            || text.starts_with("x-ratelimit-")
            || matches!(text, "retry-after" | "retry-after-ms")
            // The next request of the same turn says it again.
            || (text == "x-codex-turn-state" && job.call.format == Format::Responses)
            || (passes_all && !is_hop(text));
        if is_useful {
            headers.append(name, value.clone());
        }
    }
    if let Some(id) = id.or(other_id) {
        headers.insert(const { HeaderName::from_static("x-upstream-request-id") }, id.clone());
    }
    headers
}

fn is_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "content-encoding"
            | "content-type"
            | "set-cookie"
            | "date"
            | "server"
            | "access-control-allow-origin"
            | "strict-transport-security"
            | "alt-svc"
            | "request-id"
            | "x-request-id"
    )
}
