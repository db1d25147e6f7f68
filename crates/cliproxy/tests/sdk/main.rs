//! The vendors' own SDKs as clients of the real binary, which serves them from simulated providers of every format.
//!
//! What an SDK must see and what must have arrived at the provider is said in its own language, in `python/` and
//! `javascript/`. Here is what starts and stops, and which suites there are.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod suite;

use suite::Suite;

#[tokio::test(flavor = "multi_thread")]
async fn python_openai_chat() {
    Suite::python("test_openai_chat.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_openai_responses() {
    Suite::python("test_openai_responses.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_anthropic() {
    Suite::python("test_anthropic.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_google_genai() {
    Suite::python("test_google_genai.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_openai_chat() {
    Suite::javascript("openai_chat.test.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_openai_responses() {
    Suite::javascript("openai_responses.test.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_anthropic() {
    Suite::javascript("anthropic.test.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_google_genai() {
    Suite::javascript("google_genai.test.mjs").await;
}
