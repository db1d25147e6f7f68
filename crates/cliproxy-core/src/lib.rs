#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod access;
pub mod config;
pub mod credential;
pub mod engine;
pub mod failure;
pub mod lender;
pub mod oauth;
pub mod provider;
pub mod route;
pub mod secret;
pub mod snapshot;
pub mod store;
pub mod upstream;
pub mod usage;
pub mod wake;

pub use engine::{Answer, AnswerBody, Call, Engine};
pub use failure::Failure;
