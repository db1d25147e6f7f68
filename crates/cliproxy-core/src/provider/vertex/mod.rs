//! Vertex-compatible services with a key: `{base}/v1/publishers/google/models/{model}:{method}`.

pub(crate) mod login;

use super::gemini::{is_format_header, method};
use super::{Job, Provider, base_headers, configured_headers, copy_headers, key_header, path_segment, post};
use crate::credential::Credential;
use crate::failure::Failure;
use crate::upstream::Outgoing;
use cliproxy_wire::Format;

#[derive(Debug)]
pub(super) struct Vertex;

impl Provider for Vertex {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let method = method(job.operation, job.is_sse)?;
        let model = job.model.strip_prefix("models/").unwrap_or(job.model);
        let address =
            format!("{}/v1/publishers/google/models/{}:{method}", credential.base_url, path_segment(model));
        let mut headers = base_headers(job.operation);
        if job.client_format == Format::Gemini {
            copy_headers(&mut headers, job.client_headers, is_format_header);
        }
        key_header(&mut headers, "x-goog-api-key", credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        post(&address, headers, job.body)
    }
}

#[cfg(test)]
mod tests;
