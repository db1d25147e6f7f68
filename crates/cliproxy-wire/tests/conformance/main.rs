//! The numbered statements of the conformance list, one module per area. A test that proves statement N is named
//! `jNNN_…`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod carry;
mod census;
mod chat;
mod cited;
mod claude_answer;
mod claude_request;
mod corpus;
mod fault;
mod fold;
mod gemini_answer;
mod gemini_request;
mod golden;
mod history;
mod identity;
mod lane;
mod law;
mod loss;
mod meaning;
mod members;
mod normalize;
mod reader;
mod reasoning;
mod responses;
mod robust;
mod said;
mod scale;
mod support;
