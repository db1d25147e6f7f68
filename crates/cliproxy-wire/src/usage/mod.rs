//! Usage objects of the four formats: read into inclusive totals, written back in each format's own arithmetic.
//!
//! Providers disagree about what contains what: whether cached tokens are part of the input, whether reasoning is
//! part of the output. That is settled here, once, for the codecs and for the tap of the passthrough lanes. Streams
//! send several partial snapshots, so [`Counts`] keeps the provider's own fields and computes totals from the latest
//! of each; computing totals first and merging them afterwards would lose the parts a later snapshot leaves out.

mod read;
mod write;

pub use read::{Counts, read_chat, read_claude, read_gemini, read_responses};
pub use write::{write_chat, write_claude, write_claude_counts, write_gemini, write_responses};
