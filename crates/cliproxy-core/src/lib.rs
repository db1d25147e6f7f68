//! The gateway engine: configuration, credentials, routing, providers and outbound HTTP.
//!
//! No HTTP server lives here; `cliproxy-server` mounts this engine.
#![warn(missing_docs)]

pub mod config;
pub mod secret;
