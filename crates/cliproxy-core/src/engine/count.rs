//! Counting tokens: by the upstream where it can, else by the local estimate.
//!
//! Where the upstream has the client's format, body and answer take the lanes of other requests: what the counting route
//! knows passes byte for byte, and what it does not know is taken out.
//!
//! An upstream that cannot count, fails or takes too long is not an error for the client: agents count before every
//! turn. Only a body that the upstream calls wrong is. Some ask for the same count several times in a row; what an
//! upstream counted is remembered for a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use cliproxy_wire::ErrorKind;
use cliproxy_wire::codec::Target;
use cliproxy_wire::estimate;
use cliproxy_wire::format::{Format, decode_count_response, encode_count_request, encode_count_response};
use cliproxy_wire::gemini::counts_everything;
use cliproxy_wire::model::Request;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::answer::{Answer, AnswerBody};
use super::attempt::{Outbound, Way, answer_headers};
use super::select::{choose, not_allowed};
use super::{Engine, Job, relay};
use crate::credential::Credential;
use crate::failure::{Failure, Retry};
use crate::provider::Operation;
use crate::route::Offer;
use crate::upstream::read_all;

/// Counting must be cheap: after this the estimate answers.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a count is good.
const KEPT: Duration = Duration::from_mins(1);
/// Counts that are remembered at once.
const MOST: usize = 512;
/// Longest answer with a count that is remembered; they are a line.
const LONGEST_KEPT: usize = 4096;

/// What was counted: for whose tokenizer, and of which body.
type Asked = [u8; 32];

/// What upstreams counted a moment ago.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<Asked, (Count, Instant)>>);

impl Counts {
    fn get(&self, asked: &Asked, now: Instant) -> Option<Count> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(asked).filter(|(_, until)| now < *until).map(|(count, _)| count.clone())
    }

    fn put(&self, asked: Asked, count: Count, now: Instant) {
        if count.said.as_ref().is_some_and(|said| said.len() > LONGEST_KEPT) {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, (_, until)| now < *until);
        }
        // Whoever counts so much is not helped by what was.
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(asked, (count, now + KEPT));
    }
}

/// Names a count. Whose account it is does not matter, its model does.
fn asked(job: &Job, offer: &Offer) -> Asked {
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in [job.call.format.name(), offer.credential.kind.name(), &offer.upstream, &job.requested] {
        digest.update(part.as_bytes());
        digest.update(&[0]);
    }
    digest.update(&job.call.body);
    let mut asked = Asked::default();
    asked.iter_mut().zip(digest.finish().as_ref()).for_each(|(to, from)| *to = *from);
    asked
}

impl Engine {
    pub(super) async fn count(&self, job: &mut Job, attempts: &mut u32) -> Result<Answer, Failure> {
        let snapshot = Arc::clone(&job.snapshot);
        let offers = snapshot.routes.offers(&job.model);
        let chosen = match offers {
            Some(offers) => choose(&self.0.pool, job, offers, &not_allowed(job, offers)?),
            None => None,
        };
        if let Some((_, offer, _lease)) = &chosen {
            let asked = asked(job, offer);
            if let Some(count) = self.0.counts.get(&asked, Instant::now()) {
                return Ok(answer(job.call.format, count, HeaderMap::new()));
            }
            *attempts = 1;
            job.counting = Some(Counting {
                upstream_model: Arc::clone(&offer.upstream),
                credential: Arc::clone(&offer.credential),
            });
            match tokio::time::timeout(LIMIT, self.count_upstream(job, offer)).await {
                Ok(Ok((count, headers))) => {
                    self.0.counts.put(asked, count.clone(), Instant::now());
                    return Ok(answer(job.call.format, count, headers));
                }
                Ok(Err(failure)) if is_wrong(&failure) => return Err(failure),
                Ok(Err(failure)) => {
                    tracing::debug!(request_id = %job.call.request_id, "counting locally: {failure}");
                }
                Err(_elapsed) => {
                    tracing::debug!(request_id = %job.call.request_id, "counting locally: the upstream is too slow");
                }
            }
        }
        let model = chosen.as_ref().map_or(&*job.model, |(_, offer, _)| &*offer.upstream);
        let family = estimate::Family::of(model);
        let tokens = estimate::request(job.request()?, family);
        Ok(answer(job.call.format, Count { tokens, is_estimated: true, said: None }, HeaderMap::new()))
    }

    /// What goes out: the client's body where it has the upstream's format, else one in that format, with the request
    /// as it was made to fit.
    fn count_outbound(&self, job: &mut Job, offer: &Offer) -> Result<(Outbound, Option<Request>), Failure> {
        let profile = offer.profile(job.call.format);
        let snapshot = Arc::clone(&job.snapshot);
        let memory = self.0.memories.shared(job, offer);
        let target = Target {
            profile,
            caps: &offer.caps,
            model: &offer.upstream,
            suffix: job.suffix,
            stream: false,
            scope: Some(&offer.credential.scope),
            strictness: snapshot.settings.translation.strictness,
            table: &snapshot.reasoning,
            schemas: &self.0.schemas,
            memory: Some(&memory),
            repair: None,
        };
        if profile.format == job.call.format
            && let Some(outbound) = relay::request(job, offer, &target)?
        {
            return Ok((outbound, None));
        }
        let request = job.take_request()?;
        // What this upstream cannot be told is estimated: whoever answers may be another one, or read it here first.
        let encoded = encode_count_request(request, &target).or_else(|error| match error.kind() {
            ErrorKind::Unsupported => Ok(None),
            _ => Err(Failure::client(error)),
        })?;
        let Some(encoded) = encoded else { return Err(unable()) };
        let outbound = Outbound {
            body: Bytes::from(encoded.body).into(),
            betas: encoded.betas,
            way: Way::Single,
            dropped: None,
        };
        Ok((outbound, Some(encoded.request)))
    }

    /// The upstream's count, and those headers of its answer that help a client.
    async fn count_upstream(&self, job: &mut Job, offer: &Offer) -> Result<(Count, HeaderMap), Failure> {
        let profile = offer.profile(job.call.format);
        let (outbound, request) = self.count_outbound(job, offer)?;
        let reply = self.send(job, offer, Operation::CountTokens, &outbound).await?;
        let headers = answer_headers(&reply.headers, job, &offer.upstream);
        let body =
            read_all(reply.body, job.snapshot.limits.idle, 1 << 20).await.map_err(|_error| unable())?;
        let tokens = decode_count_response(profile.format, &body).ok_or_else(unable)?;
        // A page that counts nothing has not counted; others leave out what is none.
        if tokens == 0 && offer.credential.is_page() {
            return Err(unable());
        }
        if counts_everything(profile) {
            let said = matches!(outbound.way, Way::Relay(_)).then_some(body);
            return Ok((Count { tokens, is_estimated: false, said }, headers));
        }
        let request = request.map_or_else(|| job.take_request(), Ok)?;
        let rest = Request { turns: Vec::new(), ..request };
        let rest = estimate::request(&rest, estimate::Family::of(&offer.upstream));
        Ok((Count { tokens: tokens.saturating_add(rest), is_estimated: true, said: None }, headers))
    }
}

/// Who is asked to count.
pub(super) struct Counting {
    pub(super) upstream_model: Arc<str>,
    pub(super) credential: Arc<Credential>,
}

/// What an upstream counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Count {
    tokens: u64,
    /// It counts the conversation alone: instructions and tools are estimated.
    is_estimated: bool,
    /// Its answer, where that passes.
    said: Option<Bytes>,
}

/// Whether the body is wrong, rather than the upstream unable.
fn is_wrong(failure: &Failure) -> bool {
    failure.retry() == Retry::Never && failure.fault().status != Some(405)
}

/// The upstream gives no count; the caller estimates.
fn unable() -> Failure {
    use cliproxy_wire::fault::{Fault, Kind};
    Failure::upstream(Fault::new(Kind::BadUpstream, "the upstream does not count tokens"), "")
}

fn answer(format: Format, count: Count, mut headers: HeaderMap) -> Answer {
    let Count { tokens, is_estimated, said } = count;
    let body = said.unwrap_or_else(|| encode_count_response(format, tokens).into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if is_estimated {
        headers.insert(HeaderName::from_static("x-gateway-estimated"), HeaderValue::from_static("true"));
    }
    Answer { status: StatusCode::OK, headers, body: AnswerBody::Whole(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(number: usize) -> Asked {
        let mut asked = Asked::default();
        asked[..8].copy_from_slice(&number.to_le_bytes());
        asked
    }

    #[test]
    fn counts_are_good_for_a_minute_and_never_too_many() {
        let (counts, now) = (Counts::default(), Instant::now());
        let count = Count { tokens: 7, is_estimated: false, said: None };
        counts.put(named(1), count.clone(), now);
        assert_eq!(counts.get(&named(1), now + KEPT - Duration::from_millis(1)), Some(count.clone()));
        assert_eq!((counts.get(&named(1), now + KEPT), counts.get(&named(2), now)), (None, None));
        for number in 0..MOST * 3 {
            counts.put(named(number), count.clone(), now);
            assert!(counts.0.lock().unwrap().len() <= MOST);
            assert_eq!(counts.get(&named(number), now), Some(count.clone()), "the last one is there");
        }
        let long = Count { said: Some(vec![b' '; LONGEST_KEPT + 1].into()), ..count };
        counts.put(named(MOST * 3), long, now);
        assert_eq!(counts.get(&named(MOST * 3), now), None, "what upstreams say does not fill the memory");
    }
}
