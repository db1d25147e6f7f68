//! Attempts: one request to one credential, and the loop over credentials and rounds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::chat::completions;
use cliproxy_wire::codec::{Bridge, Target, UpstreamContext};
use cliproxy_wire::codec::{ClientContext, StreamEncoder};
use cliproxy_wire::estimate::{Family, Input};
use cliproxy_wire::fault::{self, Fault, HeaderHints, Kind};
use cliproxy_wire::format::{encode_request, encode_response, stream_encoder};
use cliproxy_wire::image;
use cliproxy_wire::lane;
use cliproxy_wire::model::Response;
use cliproxy_wire::opaque::Repair;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::answer::{Answer, AnswerBody, AnswerStream, Closing};
use super::listen::Listener;
use super::memory::Recorder;
use super::pipe::{Decode, Gather, Pipe, Translate};
use super::relay::{self};
use super::round::Rounds;
use super::select::{blocks, choose, is_busy, nobody, not_allowed};
use super::switch;
use super::verdict::Refusal;
use super::{Engine, Job, single};
use crate::config::file::ImageGeneration;
use crate::config::payload;
use crate::credential::{Lease, Scope};
use crate::failure::{Failure, Relay, Rest, Retry};
use crate::provider::{self, Operation};
use crate::route::affinity::DEFAULT_TTL;
use crate::route::{Offer, Offers};
use crate::upstream::{Asked, Egress, ReadError, Reply, UpstreamBody, read_all};
use crate::usage::{Happening, Outcome};
use cliproxy_wire::Format;

/// Longest error body that is read.
const LONGEST_ERROR: usize = 1 << 20;
/// Longest whole answer that is read.
pub(super) const LONGEST_ANSWER: usize = 256 << 20;
/// Longest answer that comes compressed, once it is unpacked: a few bytes can claim much memory.
const LONGEST_UNPACKED: usize = 64 << 20;

/// A request ready for one upstream.
pub(super) struct Outbound {
    pub(super) body: Bytes,
    pub(super) betas: Vec<String>,
    pub(super) way: Way,
    pub(super) dropped: Option<String>,
}

/// How the answer will come back.
pub(super) enum Way {
    /// Same format: bytes pass.
    Relay(relay::Plan),
    /// Through the canonical model.
    Translate(Bridge),
}

/// What an attempt needs to know besides the job.
pub(super) struct Attempt<'a> {
    pub(super) offer: &'a Offer,
    pub(super) repair: Option<Repair>,
    pub(super) number: u32,
    /// A token that is not accepted is renewed before anything is held against the account.
    pub(super) may_renew: bool,
}

/// A request that the upstream began to answer.
struct Accepted {
    reply: Reply,
    /// What the client will see of the answer's headers.
    headers: HeaderMap,
    closing: Closing,
}

impl Engine {
    /// The model that was asked for and, when it cannot be served, those that configuration names instead.
    pub(super) async fn attempt_models(&self, job: &mut Job, attempts: &mut u32) -> Result<Answer, Failure> {
        let snapshot = Arc::clone(&job.snapshot);
        let mut failure = match self.attempt_all(job, attempts).await {
            Err(failure) if failure.may_fall_back() => failure,
            result => return result,
        };
        let previews = switch::previews(&snapshot, &job.model, &failure);
        let named = snapshot.settings.routing.fallback.get(&*job.model);
        for name in previews.iter().chain(named.into_iter().flatten()) {
            let Some(resolved) = snapshot.routes.resolve(name) else { continue };
            if job.call.allowance.as_ref().is_some_and(|allowance| !allowance.allows_model(&resolved.model)) {
                continue;
            }
            tracing::info!(
                request_id = %job.call.request_id,
                model = %job.model,
                fallback = %name,
                "going on with another model: {failure}"
            );
            job.model = resolved.model;
            job.suffix = resolved.suffix.or(job.suffix);
            match self.attempt_all(job, attempts).await {
                Ok(mut answer) => {
                    if let Ok(served) = HeaderValue::from_str(&job.model) {
                        answer.headers.insert(HeaderName::from_static("x-gateway-model"), served);
                    }
                    return Ok(answer);
                }
                Err(next) if next.may_fall_back() => failure = next,
                Err(next) => return Err(next),
            }
        }
        Err(failure)
    }

    pub(super) async fn attempt_all(&self, job: &mut Job, attempts: &mut u32) -> Result<Answer, Failure> {
        let snapshot = Arc::clone(&job.snapshot);
        let Some(offers) = snapshot.routes.offers(&job.model) else {
            return Err(Failure::client(super::unknown_model(&job.requested, &snapshot)));
        };
        let mut left_out = not_allowed(job, offers)?;
        let mut tried = left_out.clone();
        let mut last: Option<Failure> = None;
        let mut rounds = Rounds::new(&snapshot, offers);
        let most = snapshot.settings.retry.credentials_per_round.map_or(u32::MAX, std::num::NonZeroU32::get);
        let mut in_round = 0;
        let patience = Instant::now() + snapshot.settings.retry.longest_wait;
        loop {
            let mut chosen = None;
            if in_round < most {
                chosen = choose(&self.0.pool, job, offers, &tried);
                if chosen.is_none() && is_busy(offers, &tried) {
                    chosen = self.wait_for_place(job, offers, &tried, patience).await;
                }
            }
            let Some((index, offer, lease)) = chosen else {
                let rests = blocks(offers).enumerate().filter(|(index, _)| !left_out.contains(index));
                let rests = rests.map(|(_, block)| block);
                let Some(wait) = rounds.next(last.as_ref(), rests, Instant::now()) else {
                    return Err(last.unwrap_or_else(|| nobody(job, offers, &left_out)));
                };
                tracing::debug!(request_id = %job.call.request_id, ?wait, "waiting before another round");
                tokio::time::sleep(wait).await;
                in_round = 0;
                tried.clone_from(&left_out);
                continue;
            };
            *attempts += 1;
            in_round += 1;
            tried.push(index);
            match self.attempt(job, offer, lease, *attempts).await {
                Ok(answer) => {
                    if let Some(session) = job.session {
                        let ttl = snapshot.settings.routing.session_affinity.unwrap_or(DEFAULT_TTL);
                        self.0.pool.affinity().bind(session, &job.model, &offer.credential.id, ttl);
                    }
                    return Ok(answer);
                }
                Err(failure) if failure.retry() == Retry::Never => return Err(failure),
                Err(failure) => {
                    tracing::info!(
                        request_id = %job.call.request_id,
                        credential = %offer.credential.id,
                        model = %offer.upstream,
                        kind = ?failure.fault().kind,
                        "attempt failed: {failure}"
                    );
                    left_out.extend(switch::left_out(&snapshot, offers, index, &failure));
                    tried.extend_from_slice(&left_out);
                    last = Some(failure);
                }
            }
        }
    }

    /// Waits until a credential that serves as many requests as it may has a place; `None` when that takes too long.
    async fn wait_for_place<'o>(
        &self,
        job: &Job,
        offers: &'o Offers,
        tried: &[usize],
        patience: Instant,
    ) -> Option<(usize, &'o Offer, Lease)> {
        let ended = self.0.pool.ended();
        loop {
            let mut ending = std::pin::pin!(ended.notified());
            // From here on an end is noticed, also one that comes while the choice is made.
            ending.as_mut().enable();
            if let Some(chosen) = choose(&self.0.pool, job, offers, tried) {
                return Some(chosen);
            }
            tokio::time::timeout_at(patience, ending).await.ok()?;
        }
    }

    /// One credential: a request, and at most one repeat each with a renewed token, at another address of the service and
    /// with a repaired history.
    async fn attempt(
        &self,
        job: &mut Job,
        offer: &Offer,
        lease: Lease,
        number: u32,
    ) -> Result<Answer, Failure> {
        let lease = Arc::new(lease);
        let (mut repair, mut is_renewed) = (None, false);
        let mut elsewhere: Option<Offer> = None;
        loop {
            let offer = elsewhere.as_ref().unwrap_or(offer);
            let token =
                offer.credential.token().filter(|_| offer.credential.account.is_some() && !is_renewed);
            let result = self
                .attempt_once(job, Attempt { offer, repair, number, may_renew: token.is_some() }, &lease)
                .await;
            let Err(failure) = result else { return result };
            if let Some(token) = token.filter(|_| failure.is_unauthorized()) {
                is_renewed = true;
                let Err(rest) = self.renew_refused(&offer.credential, token, job.call.now).await else {
                    tracing::debug!(request_id = %job.call.request_id, credential = %offer.credential.id, "repeating with a renewed token");
                    continue;
                };
                let mut cooling = job.snapshot.cooling;
                cooling.is_disabled |= offer.credential.never_rests;
                lease.fail_as(rest, Scope::Account, cooling, Instant::now());
            }
            if elsewhere.is_none()
                && switch::may_go_elsewhere(&failure)
                && let Some(other) = switch::elsewhere(offer)
            {
                tracing::debug!(request_id = %job.call.request_id, credential = %offer.credential.id, "repeating at another address: {failure}");
                elsewhere = Some(other);
                continue;
            }
            let format = offer.credential.profile_for(job.call.format).format;
            let wanted = fault::repair(format, failure.fault());
            match wanted {
                Some(wanted) if repair.is_none() => {
                    tracing::debug!(request_id = %job.call.request_id, repair = ?wanted, "repeating with a repaired history");
                    repair = Some(wanted);
                }
                _ => return Err(failure),
            }
        }
    }

    async fn attempt_once(
        &self,
        job: &mut Job,
        attempt: Attempt<'_>,
        lease: &Arc<Lease>,
    ) -> Result<Answer, Failure> {
        let offer = attempt.offer;
        let credential = &offer.credential;
        let wants_stream = job.call.operation == Operation::Stream;
        let profile = credential.profile_for(job.call.format);
        if !job.call.operation.is_conversation()
            && let Some(result) = self.attempt_single(job, &attempt, lease).await
        {
            return result;
        }
        let is_predicted = single::is_predicted(offer);
        let asks_stream = (wants_stream || profile.is_stream_only) && !profile.is_body_only && !is_predicted;
        self.inline_media(job, offer).await?;
        let outbound =
            if is_predicted { single::predicted(job)? } else { self.outbound(job, &attempt, asks_stream)? };
        let operation = match job.call.operation {
            Operation::CountTokens | Operation::Compact => job.call.operation,
            _ if is_predicted => Operation::Predict,
            _ if asks_stream => Operation::Stream,
            _ => Operation::Generate,
        };
        let closing = Closing::new(self, job, &attempt, Arc::clone(lease));
        self.tell_attempt(job, &attempt);
        let mut reply = match self.send(job, offer, operation, &outbound).await {
            Ok(reply) => reply,
            Err(failure) => {
                closing.fail(&failure);
                return Err(failure);
            }
        };
        if is_predicted {
            reply = match single::conversed(reply, job, offer).await {
                Ok(reply) => reply,
                Err(fault) => {
                    let failure = self.judge(job, offer, Refusal::inside(fault, &HeaderMap::new()));
                    closing.fail(&failure);
                    return Err(failure);
                }
            };
        }
        let mut headers = answer_headers(&reply.headers, job);
        if let Some(dropped) = outbound.dropped.as_deref().and_then(|paths| HeaderValue::from_str(paths).ok())
        {
            headers.insert(HeaderName::from_static("x-gateway-dropped"), dropped);
        }
        if wants_stream {
            self.stream_answer(job, offer, outbound.way, Accepted { reply, headers, closing }).await
        } else {
            self.whole_answer(job, offer, outbound.way, Accepted { reply, headers, closing }).await
        }
    }

    /// Tells those who watch that somebody is asked.
    pub(super) fn tell_attempt(&self, job: &Job, attempt: &Attempt<'_>) {
        let credential = &attempt.offer.credential;
        self.tell(|| {
            Some(Happening::Attempted {
                request_id: &job.call.request_id,
                number: attempt.number,
                provider: &credential.provider,
                credential: &credential.id,
                upstream_model: &attempt.offer.upstream,
            })
        });
    }

    /// Sends and judges the head of the answer.
    pub(super) async fn send(
        &self,
        job: &Job,
        offer: &Offer,
        operation: Operation,
        outbound: &Outbound,
    ) -> Result<Reply, Failure> {
        let credential = &offer.credential;
        let profile = credential.profile_for(job.call.format);
        self.freshen(credential, job.call.now).await?;
        let provider = provider::of(credential.kind);
        let outgoing = provider.prepare(
            provider::Job {
                operation,
                model: &offer.upstream,
                body: outbound.body.clone(),
                format: profile.format,
                betas: &outbound.betas,
                client_format: job.call.format,
                client_headers: &job.call.headers,
                client_query: &job.call.query,
                is_sse: job.call.is_sse || !matches!(outbound.way, Way::Relay(_)),
                now: (job.call.now)(),
            },
            credential,
        )?;
        let egress = Egress { credential: credential.id.clone(), proxy: credential.proxy.clone() };
        let tape = job.call.tape.as_ref();
        if let (Some(tape), Some(asked)) = (tape, Asked::of(&credential.id, &outgoing)) {
            tape.asked(&asked);
        }
        let mut reply = match self.0.clients.send(&egress, outgoing, &job.snapshot.limits).await {
            Ok(reply) => reply,
            Err(failure) => {
                tape.inspect(|tape| tape.failed(&failure.fault().message));
                return Err(failure);
            }
        };
        if is_gzip(&reply.headers) {
            reply = unpack(reply, job).await?;
        }
        if let Some(tape) = tape {
            tape.answered(reply.status, &reply.headers);
            reply.body = reply.body.taped(Arc::clone(tape));
        }
        if reply.status.is_success() {
            if let Some(account) = &credential.account {
                account.accepted();
            }
            self.note_quotas(job, offer, &reply.headers);
            if operation == Operation::Stream
                && let Some(listener) = Listener::to(self, credential, job.call.now)
            {
                reply.body = reply.body.taped(listener);
            }
            return Ok(reply);
        }
        let (status, headers) = (reply.status, reply.headers);
        let body = read_all(reply.body, job.snapshot.limits.idle, LONGEST_ERROR).await.unwrap_or_default();
        let fault = fault::decode(
            profile.format,
            status.as_u16(),
            &HeaderHints::from_headers(&headers, (job.call.now)()),
            &body,
        );
        let mut failure = self.judge(job, offer, Refusal { fault, headers: &headers, body: &body });
        // A page of some box on the way is not the upstream's word.
        if profile.format == job.call.format && relay::is_object(&body) {
            failure = failure.with_relay(Relay {
                status: status.as_u16(),
                content_type: headers.get(CONTENT_TYPE).cloned(),
                body,
            });
        }
        Err(failure)
    }

    fn outbound(&self, job: &mut Job, attempt: &Attempt<'_>, asks_stream: bool) -> Result<Outbound, Failure> {
        let offer = attempt.offer;
        let profile = offer.credential.profile_for(job.call.format);
        let wants_stream = job.call.operation == Operation::Stream;
        let same_format = match job.call.operation {
            // A conversation is compacted in the client's format or not at all; the provider knows.
            Operation::Compact => true,
            // A stream of Responses ends with the whole answer.
            _ => {
                profile.format == job.call.format
                    && (wants_stream == asks_stream || profile.format == Format::Responses)
            }
        };
        let snapshot = Arc::clone(&job.snapshot);
        let memory = self.0.memories.shared(job, offer);
        let target = Target {
            profile,
            caps: &offer.caps,
            model: &offer.upstream,
            suffix: job.suffix,
            stream: asks_stream,
            scope: Some(&offer.credential.scope),
            strictness: snapshot.settings.translation.strictness,
            table: &snapshot.reasoning,
            schemas: &self.0.schemas,
            memory: Some(&memory),
            repair: attempt.repair,
        };
        let mut outbound = if same_format {
            match relay::request(job, offer, &target)? {
                Some(outbound) => outbound,
                None => translated(job, &target)?,
            }
        } else {
            translated(job, &target)?
        };
        withhold_image_tool(job, offer, &mut outbound);
        outbound.body = apply_payload(job, offer, outbound.body);
        Ok(outbound)
    }

    fn recorder(&self, job: &Job, offer: &Offer) -> Recorder {
        let profile = offer.credential.profile_for(job.call.format);
        Recorder::new(self.0.memories.shared(job, offer), job.call.format, profile)
    }

    async fn stream_answer(
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
            let request = job.request()?;
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
    pub(super) async fn begin(
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

    async fn whole_answer(
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
                let request = job.request()?;
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

fn translated(job: &mut Job, target: &Target<'_>) -> Result<Outbound, Failure> {
    let request = job.request()?;
    // What one upstream cannot express another may: such a refusal moves on, without rest.
    let encoded = encode_request(&request, target).map_err(|error| {
        let retry = if error.kind() == cliproxy_wire::ErrorKind::Unsupported {
            Retry::Next(Rest::None)
        } else {
            Retry::Never
        };
        Failure::client(error).with_retry(retry)
    })?;
    let dropped = encoded.notes.header();
    Ok(Outbound {
        body: encoded.body.into(),
        betas: encoded.betas,
        way: Way::Translate(encoded.bridge),
        dropped,
    })
}

/// Takes the tool that makes images out, where the owner has switched it off.
fn withhold_image_tool(job: &Job, offer: &Offer, outbound: &mut Outbound) {
    let images = job.snapshot.settings.translation.images;
    let is_off = matches!(images, ImageGeneration::Disabled | ImageGeneration::DisabledInChat);
    let format = offer.credential.profile_for(job.call.format).format;
    if !is_off || !matches!(format, Format::Chat | Format::Responses) {
        return;
    }
    let without = std::str::from_utf8(&outbound.body).ok().and_then(lane::without_image_tool);
    if let Some((body, places)) = without {
        outbound.body = body.into();
        outbound.dropped =
            Some(outbound.dropped.take().into_iter().chain(places).collect::<Vec<_>>().join(", "));
    }
}

fn apply_payload(job: &Job, offer: &Offer, body: Bytes) -> Bytes {
    let rules = &job.snapshot.settings.payload;
    if rules.is_empty() {
        return body;
    }
    let models = [&*offer.upstream, &*job.model, &*job.requested];
    let profile = offer.credential.profile_for(job.call.format);
    let subject = payload::Subject {
        protocol: payload::Protocol::of(profile.format),
        client_protocol: payload::Protocol::of(job.call.format),
        models: &models,
        headers: &job.call.headers,
        root: profile.is_enveloped.then_some("request"),
    };
    if rules.concern(&subject) { rules.apply(&subject, body.to_vec()).into() } else { body }
}

pub(super) fn decode(job: &Job, offer: &Offer, status: StatusCode, bridge: Bridge) -> Decode {
    let profile = offer.credential.profile_for(job.call.format);
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
pub(super) fn echoes(job: &Job, offer: &Offer) -> bool {
    offer.forces_name || **job.shown() != *offer.upstream
}

pub(super) async fn gathered(
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

pub(super) fn read_fault(error: &ReadError) -> Fault {
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

pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Headers of an upstream's answer that help a client.
pub(super) fn answer_headers(upstream: &HeaderMap, job: &Job) -> HeaderMap {
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

fn is_gzip(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

/// What is in a gzip body: one byte more than `limit` at most, so that what was cut is not taken for the whole.
fn inflate(packed: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::MultiGzDecoder::new(packed).take(most).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Some upstreams compress although they were asked not to. Such an answer is read whole and unpacked, away from the
/// threads that serve.
async fn unpack(reply: Reply, job: &Job) -> Result<Reply, Failure> {
    let failed = |fault: Fault| Failure::upstream(fault, "compressed answer");
    let limit = if reply.status.is_success() { LONGEST_UNPACKED } else { LONGEST_ERROR };
    let packed = read_all(reply.body, job.snapshot.limits.idle, limit)
        .await
        .map_err(|error| failed(read_fault(&error)))?;
    let inflated = tokio::task::spawn_blocking(move || inflate(&packed, limit)).await;
    let inflated = inflated.map_err(std::io::Error::other).and_then(|inflated| inflated);
    let mut plain = inflated.map_err(|error| {
        Failure::upstream(
            Fault::new(Kind::BadUpstream, "the upstream's compressed answer is damaged"),
            error.to_string(),
        )
    })?;
    if plain.len() > limit {
        if reply.status.is_success() {
            return Err(failed(read_fault(&ReadError::TooLarge)));
        }
        // The status of a refusal says enough.
        plain.clear();
    }
    Ok(Reply { status: reply.status, headers: reply.headers, body: UpstreamBody::Whole(Some(plain.into())) })
}
