//! Outbound HTTP: the only module that opens sockets to upstreams.
//!
//! It exists so that proxies, TLS, time limits and connection reuse are decided in one place. Providers describe
//! requests and judge answers; the engine retries; here requests are sent and bodies read. Connections are kept per egress
//! identity (credential and proxy), all sharing one TLS configuration: accounts never share one, so one account's stall,
//! GOAWAY or proxy fault stays its own.

mod address;
mod body;
mod client;
mod connect;
mod fetch;
mod guard;
mod kept;
mod page;
mod pieces;
mod socket;
mod tape;
mod way;

pub use address::Addresses;
pub use body::{Local, LocalEnding, ReadError, UpstreamBody, read_all, within};
pub use client::{Clients, Egress, Outgoing, Reply};
pub use connect::ConnectError;
pub use fetch::{Fetch, Fetched, Unfetched, Wanted};
pub use kept::Travelling;
pub use page::{Answers, Ask, Questions, Wrong};
pub use pieces::Pieces;
pub use socket::Talk;
pub(crate) use socket::{LIMITS as LIMITS_EVENT, limits as limits_as_headers};
pub use tape::{Asked, Tape};

use std::time::Duration;

/// The four time limits of an upstream request; `None` is no limit. None of them ends a stream that makes progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Opening the connection, proxy handshake included.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From sending the request to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Between two reads of the answer's body.
    pub idle: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(10)),
            tls: Some(Duration::from_secs(10)),
            first_byte: Some(Duration::from_mins(5)),
            idle: Some(Duration::from_mins(5)),
        }
    }
}
