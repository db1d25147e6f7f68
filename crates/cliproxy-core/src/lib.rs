#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod access;
pub mod boxed;
pub mod config;
pub mod credential;
pub mod desk;
pub mod engine;
pub mod env;
pub mod failure;
pub mod lender;
pub mod login;
pub mod oauth;
pub mod pattern;
pub mod provider;
pub mod proxy;
pub mod reason;
mod refresh;
pub mod route;
pub mod secret;
pub mod snapshot;
pub mod store;
pub mod survey;
pub mod time;
pub mod upstream;
pub mod usage;
pub mod wake;

pub use engine::{Answer, AnswerBody, Call, Engine};
pub use failure::Failure;

/// Our own name towards upstreams and identity providers.
pub(crate) const PRODUCT: &str = concat!("cli-proxy-api/", env!("CARGO_PKG_VERSION"));
