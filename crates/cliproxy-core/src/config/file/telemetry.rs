//! `telemetry`: numbers and traces for other programs.

use super::decode::{Map, section};
use crate::secret::Secret;

section! {
    /// `telemetry`.
    pub struct Telemetry {
        /// Numbers at `/metrics`.
        prometheus: bool,
        /// Address of a collector that takes OTLP over HTTP.
        otlp_endpoint: String,
        /// Headers for the collector.
        otlp_headers: Map<Secret>,
        /// By what name the collector knows this gateway.
        service_name: String,
    }
}
