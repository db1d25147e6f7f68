//! Limits on bodies and waiting, and keep-alive towards clients.

use std::time::Duration;

use super::value::{count, is_on, switched_seconds};
use crate::config::diagnostic::{Code, Report};
use crate::config::file;
use crate::upstream::Limits;

/// Largest request body when the file names none, in MiB.
const DEFAULT_BODY_MIB: u64 = 64;

/// Longest waits for an upstream; absent for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the TCP connection stands.
    pub connect: Option<Duration>,
    /// Until TLS is agreed.
    pub tls: Option<Duration>,
    /// From the request's end to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Longest silence inside an answer.
    pub idle: Option<Duration>,
    /// Longest time that a client which reads slowly may hold up the others of its page of AI Studio.
    pub slow_client: Option<Duration>,
}

impl Timeouts {
    /// Those of an upstream request.
    pub fn limits(&self) -> Limits {
        Limits { connect: self.connect, tls: self.tls, first_byte: self.first_byte, idle: self.idle }
    }
}

/// Keep-alive and early failures of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Comment interval on silent streams; absent for none.
    pub keepalive: Option<Duration>,
    /// Newline interval on answers that do not stream; absent for none.
    pub nonstream_keepalive: Option<Duration>,
    /// New attempts for a stream that broke before its first byte.
    pub bootstrap_retries: u32,
    /// Codex: hold back a stream's head until real output arrives.
    pub codex_bootstrap_buffering: bool,
    /// Forward upstream response headers.
    pub passthrough_headers: bool,
}

pub(super) fn timeouts(config: &file::Config) -> Timeouts {
    let section = config.upstream_timeouts.as_deref();
    Timeouts {
        connect: switched_seconds(section.and_then(|section| section.connect.as_ref()), 10),
        tls: switched_seconds(section.and_then(|section| section.tls.as_ref()), 10),
        first_byte: switched_seconds(section.and_then(|section| section.first_byte.as_ref()), 300),
        idle: switched_seconds(section.and_then(|section| section.idle.as_ref()), 300),
        slow_client: switched_seconds(section.and_then(|section| section.slow_client.as_ref()), 30),
    }
}

pub(super) fn streaming(config: &file::Config) -> Streaming {
    let section = config.streaming.as_deref();
    let codex = config.codex.as_deref();
    Streaming {
        keepalive: switched_seconds(section.and_then(|section| section.keepalive_seconds.as_ref()), 15),
        nonstream_keepalive: switched_seconds(config.nonstream_keepalive_interval.as_ref(), 0),
        bootstrap_retries: count(section.and_then(|section| section.bootstrap_retries.as_ref()), 1),
        codex_bootstrap_buffering: is_on(codex.and_then(|codex| codex.stream_bootstrap_buffering.as_ref())),
        passthrough_headers: is_on(config.passthrough_headers.as_ref()),
    }
}

pub(super) fn request_body_bytes(config: &file::Config, report: &mut Report) -> u64 {
    let mebibytes = match &config.max_request_body_mb {
        None => DEFAULT_BODY_MIB,
        Some(member) => match u64::try_from(member.value) {
            Ok(mebibytes) if mebibytes > 0 => mebibytes,
            _ => {
                report.problem(&member.origin, Code::BodyLimit);
                DEFAULT_BODY_MIB
            }
        },
    };
    mebibytes.saturating_mul(1 << 20)
}
