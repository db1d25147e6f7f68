//! Answers that come compressed although nobody asked for it.

use cliproxy_wire::fault::{Fault, Kind};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::{LONGEST_ERROR, read_fault};
use crate::engine::Job;
use crate::failure::Failure;
use crate::upstream::{ReadError, Reply, UpstreamBody, read_all};

/// Longest answer that comes compressed, once it is unpacked: a few bytes can claim much memory.
const LONGEST_UNPACKED: usize = 64 << 20;

pub(super) fn is_gzip(headers: &HeaderMap) -> bool {
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
pub(super) async fn unpack(reply: Reply, job: &Job) -> Result<Reply, Failure> {
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
