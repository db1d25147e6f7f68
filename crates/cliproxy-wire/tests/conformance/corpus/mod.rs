//! Recorded traffic of real services: nothing that was said may get lost, however the bytes arrive and whoever reads it.

mod chat;
mod claude;
mod estimate;
mod gemini;
mod lane;
mod matrix;
mod normalize;
pub(crate) mod passage;
mod recorded;
mod responses;
