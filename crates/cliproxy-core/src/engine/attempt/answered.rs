//! What comes back from an upstream that began to answer: streamed on, or gathered to a whole.

use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::chat::completions;
use cliproxy_wire::codec::{Bridge, ClientContext, StreamEncoder, UpstreamContext};
use cliproxy_wire::estimate::{Family, Input};
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::format::{encode_response, stream_encoder};
use cliproxy_wire::image;
use cliproxy_wire::model::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{LONGEST_ANSWER, Way};
use crate::engine::answer::{Answer, AnswerBody, AnswerStream, Closing};
use crate::engine::memory::Recorder;
use crate::engine::pipe::{Decode, Gather, Pipe, Translate};
use crate::engine::verdict::Refusal;
use crate::engine::{Engine, Job};
use crate::failure::Failure;
use crate::provider::Operation;
use crate::route::Offer;
use crate::upstream::{ReadError, Reply, read_all};
use crate::usage::Outcome;

/// A request that the upstream began to answer.
pub(super) struct Accepted {
    pub(super) reply: Reply,
    /// What the client will see of the answer's headers.
    pub(super) headers: HeaderMap,
    pub(super) closing: Closing,
}

impl Engine {
    fn recorder(&self, job: &Job, offer: &Offer) -> Recorder {
        let profile = offer.profile(job.call.format);
        Recorder::new(self.0.memories.shared(job, offer), job.call.format, profile)
    }

    pub(super) async fn stream_answer(
        &self,
        job: &mut Job,
        offer: &Offer,
        way: Way,
        accepted: Accepted,
    ) -> Result<Answer, Failure> {
        let Accepted { reply, headers, closing } = accepted;
        let is_json = content_type(&reply.headers).starts_with("application/json");
        let (pipe, bridge) = match way {
            // A whole body in answer to a stream request is unfolded, whatever its format.
            Way::Relay(plan) if !is_json || plan.is_array => {
                (Some(plan.pipe(job, offer, reply.status)), Bridge::default())
            }
            Way::Relay(_) => (None, Bridge::default()),
            Way::Translate(bridge) => (None, bridge),
        };
        let pipe: Pipe = if let Some(relay) = pipe {
            Pipe::Relay(Box::new(relay))
        } else {
            let decode = decode(job, offer, reply.status, bridge);
            let request = match job.request() {
                Ok(request) => request,
                Err(failure) => {
                    closing.fail(&failure);
                    return Err(failure);
                }
            };
            let input = Input::new(Arc::clone(&request), Family::of(&offer.upstream));
            let context = ClientContext {
                input: Some(input.clone()),
                ..job.client_context(&request, echoes(job, offer))
            };
            let recorder = self.recorder(job, offer);
            Pipe::Translate(Box::new(Translate::new(decode, encoder(job, context), input, recorder)))
        };
        let body = reply.body;
        let stream = AnswerStream::new(
            body,
            pipe,
            job.call.format,
            job.snapshot.limits.idle,
            job.snapshot.settings.streaming.keepalive,
            closing,
        );
        self.begin(job, offer, stream, headers).await
    }

    /// Waits for the beginning of a stream.
    pub(in crate::engine) async fn begin(
        &self,
        job: &Job,
        offer: &Offer,
        stream: AnswerStream,
        mut headers: HeaderMap,
    ) -> Result<Answer, Failure> {
        match Box::new(stream).begin().await {
            Ok(stream) => {
                let is_array = job.call.format == Format::Gemini && !job.call.is_sse;
                let kind = if is_array {
                    "application/json; charset=UTF-8"
                } else {
                    "text/event-stream; charset=utf-8"
                };
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
                Ok(Answer { status: StatusCode::OK, headers, body: AnswerBody::Stream(stream) })
            }
            Err((fault, closing)) => {
                let failure = self.judge(job, offer, Refusal::inside(fault, &HeaderMap::new()));
                closing.fail(&failure);
                Err(failure.after_head())
            }
        }
    }

    pub(super) async fn whole_answer(
        &self,
        job: &mut Job,
        offer: &Offer,
        way: Way,
        accepted: Accepted,
    ) -> Result<Answer, Failure> {
        let Accepted { reply, mut headers, mut closing } = accepted;
        let is_stream = content_type(&reply.headers).starts_with("text/event-stream");
        let ends_whole = job.call.format == Format::Responses;
        let way = match way {
            // A stream in answer to a whole request is folded, unless its last event is the whole answer.
            Way::Relay(_) if is_stream && !ends_whole => Way::Translate(Bridge::default()),
            way => way,
        };
        let gathered = match way {
            Way::Relay(plan) if is_stream => {
                closing.set_lane(plan.lane());
                let answer = plan.gathered(job, reply.body, job.snapshot.limits.idle).await;
                answer.map(|(body, usage)| (body, usage, None))
            }
            Way::Relay(plan) => {
                closing.set_lane(plan.lane());
                let kind = reply.headers.get(CONTENT_TYPE).cloned();
                match read_all(reply.body, job.snapshot.limits.idle, LONGEST_ANSWER).await {
                    Ok(body) => plan.body(job, body).map(|(body, usage)| (body, usage, kind)),
                    Err(error) => Err(read_fault(&error)),
                }
            }
            Way::Translate(bridge) => {
                let decode = decode(job, offer, reply.status, bridge);
                let request = match job.request() {
                    Ok(request) => request,
                    Err(failure) => {
                        closing.fail(&failure);
                        return Err(failure);
                    }
                };
                let input = Input::new(Arc::clone(&request), Family::of(&offer.upstream));
                let gather = Box::new(Gather::new(decode, input, self.recorder(job, offer)));
                match gathered(gather, reply, job.snapshot.limits.idle).await {
                    Ok((response, usage)) => {
                        let context = job.client_context(&request, echoes(job, offer));
                        whole(job, &response, &context).map(|body| (body.into(), usage, streamed(job)))
                    }
                    Err(fault) => Err(fault),
                }
            }
        };
        match gathered {
            Ok((body, usage, kind)) => {
                closing.begun();
                closing.close(Outcome::Complete, usage);
                headers.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/json")));
                Ok(Answer { status: StatusCode::OK, headers, body: AnswerBody::Whole(body) })
            }
            Err(fault) => {
                let failure = self.judge(job, offer, Refusal::inside(fault, &HeaderMap::new()));
                closing.fail(&failure);
                Err(failure)
            }
        }
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
) -> Result<(Response, cliproxy_wire::model::Usage), Fault> {
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
    for (name, value) in upstream {
        let text = name.as_str();
        let is_useful = text.starts_with("openai-")
            || text.starts_with("anthropic-ratelimit-")
            || text.starts_with("x-ratelimit-")
            || matches!(text, "retry-after" | "retry-after-ms")
            // The next request of the same turn says it again.
            || (text == "x-codex-turn-state" && job.call.format == Format::Responses)
            // The upstream's own request id; the gateway's goes under the format's usual name.
            || (passes_all && !is_hop(text));
        if is_useful {
            headers.append(name, value.clone());
        }
    }
    // A client that knows the model by another name would take this for a model that it did not ask for.
    if headers.get("openai-model").is_some_and(|model| model == asked) {
        headers.remove("openai-model");
    }
    let [id, other] =
        [const { HeaderName::from_static("request-id") }, const { HeaderName::from_static("x-request-id") }];
    if let Some(id) = upstream.get(id).or_else(|| upstream.get(other)) {
        headers.insert(HeaderName::from_static("x-upstream-request-id"), id.clone());
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
