//! Answers for Responses clients.
