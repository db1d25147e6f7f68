//! Embeddings: texts in, vectors out, in the three languages that have them: OpenAI's, Gemini's, and the predictions of
//! Vertex AI.
//!
//! A module of its own because nothing of a conversation is in it. Numbers stay the text that the upstream wrote, unless
//! the client wants them packed. Whom to ask is for the engine.

mod answer;
mod request;

pub use answer::{Embedded, read_gemini, read_openai, read_vertex};
pub use request::Request;

#[cfg(test)]
mod tests;
