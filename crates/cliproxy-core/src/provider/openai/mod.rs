//! Any service that speaks OpenAI Chat Completions: `{base}/chat/completions`.

use cliproxy_wire::Format;
use http::header::CONTENT_TYPE;

use super::{
    Job, Operation, Provider, base_headers, bearer, configured_headers, copy_headers, form_type, not_offered,
    post,
};
use crate::credential::Credential;
use crate::failure::Failure;
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct OpenAi;

impl Provider for OpenAi {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let path = match job.operation {
            Operation::Generate | Operation::Stream => "/chat/completions",
            Operation::Compact => "/responses/compact",
            Operation::Embed => "/embeddings",
            Operation::Draw => "/images/generations",
            Operation::Redraw => "/images/edits",
            other => return Err(not_offered(other.noun())),
        };
        let address = [&*credential.base_url, path].concat();
        let mut headers = base_headers(job.operation);
        if let Some(kind) = form_type(&job) {
            headers.insert(CONTENT_TYPE, kind);
        }
        if job.client_format == Format::Chat {
            copy_headers(&mut headers, job.client_headers, |name| name == "openai-beta");
        }
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        post(job.addresses, address, headers, job.body)
    }
}

#[cfg(test)]
mod tests;
