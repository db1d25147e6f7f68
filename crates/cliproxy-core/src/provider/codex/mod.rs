//! Responses-compatible services with a key: `{base}/responses`.

pub(crate) mod login;

use cliproxy_wire::Format;

use super::{Job, Operation, Provider, base_headers, bearer, configured_headers, copy_headers, post};
use crate::credential::Credential;
use crate::failure::Failure;
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct Codex;

/// Headers that keep an agent's turns together at the upstream, and the format's own.
fn is_format_header(name: &str) -> bool {
    name == "openai-beta"
        || matches!(
            name,
            "session_id" | "session-id" | "conversation_id" | "thread-id" | "x-client-request-id"
        )
        || (name.starts_with("x-codex-") && name != "x-codex-installation-id")
}

impl Provider for Codex {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let path = match job.operation {
            Operation::Generate | Operation::Stream => "/responses",
            Operation::CountTokens => "/responses/input_tokens",
            Operation::Compact => "/responses/compact",
        };
        let address = format!("{}{path}", credential.base_url);
        let mut headers = base_headers(job.operation);
        if job.client_format == Format::Responses {
            copy_headers(&mut headers, job.client_headers, is_format_header);
        }
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        post(&address, headers, job.body)
    }
}

#[cfg(test)]
mod tests;
