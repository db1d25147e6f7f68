//! Limits on waiting for upstreams.

use super::decode::section;

section! {
    /// `upstream-timeouts`: seconds, 0 for no limit.
    pub struct UpstreamTimeouts {
        /// Until the TCP connection stands.
        connect: i64,
        /// Until TLS is agreed.
        tls: i64,
        /// From the request's end to the first byte of the answer.
        first_byte: i64,
        /// Longest silence inside an answer.
        idle: i64,
        /// Longest time that a client which reads slowly may hold up the others of its page of AI Studio.
        slow_client: i64,
    }
}
