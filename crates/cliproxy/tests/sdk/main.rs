//! The vendors' own SDKs as clients of the real binary, which serves them from simulated providers of every format.
//!
//! What an SDK must see and what must have arrived at the provider is said in its own language, in `python/` and
//! `javascript/`. Here is what starts and stops, and which suites there are; each once with the gateway as the address
//! and once with the routes below it that Amp's programs use.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod corpus;
mod gemini_cli;
mod golden;
mod keepalive;
mod openapi;
mod suite;

#[tokio::test(flavor = "multi_thread")]
async fn python_openai_chat() {
    suite::python("test_openai_chat.py", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_openai_responses() {
    suite::python("test_openai_responses.py", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_anthropic() {
    suite::python("test_anthropic.py", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_google_genai() {
    suite::python("test_google_genai.py", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_openai_chat() {
    suite::javascript("openai_chat.test.mjs", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_openai_responses() {
    suite::javascript("openai_responses.test.mjs", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_anthropic() {
    suite::javascript("anthropic.test.mjs", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_google_genai() {
    suite::javascript("google_genai.test.mjs", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_openai_chat_below_a_provider() {
    suite::python("test_openai_chat.py", "/api/provider/openai").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_openai_responses_below_a_provider() {
    suite::python("test_openai_responses.py", "/api/provider/openai").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_anthropic_below_a_provider() {
    suite::python("test_anthropic.py", "/api/provider/anthropic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_google_genai_below_a_provider() {
    suite::python("test_google_genai.py", "/api/provider/google").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_openai_chat_below_a_provider() {
    suite::javascript("openai_chat.test.mjs", "/api/provider/openai").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_openai_responses_below_a_provider() {
    suite::javascript("openai_responses.test.mjs", "/api/provider/openai").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_anthropic_below_a_provider() {
    suite::javascript("anthropic.test.mjs", "/api/provider/anthropic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_google_genai_below_a_provider() {
    suite::javascript("google_genai.test.mjs", "/api/provider/google").await;
}
