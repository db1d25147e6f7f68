//! JSON Schema dialects: cleaning a schema for a target. Works on schema nodes, never on whole requests, and knows that
//! keys under `properties` are the user's.

/// Cleaned schemas of earlier requests, by hash: agents resend the same tools with every turn.
#[derive(Debug, Default)]
pub struct Cleaned {}
