//! The Gemini API with a key: `{base}/v1beta/models/{model}:{method}`, key in `x-goog-api-key`.

use super::{
    Job, Operation, Provider, base_headers, configured_headers, copy_headers, key_header, not_offered,
    path_segment, post,
};
use crate::credential::Credential;
use crate::failure::Failure;
use crate::upstream::Outgoing;
use cliproxy_wire::Format;

#[derive(Debug)]
pub(super) struct Gemini;

/// The method of an operation, with its query.
pub(super) fn method(operation: Operation, is_sse: bool) -> Result<&'static str, Failure> {
    match operation {
        Operation::Generate => Ok("generateContent"),
        Operation::Stream if is_sse => Ok("streamGenerateContent?alt=sse"),
        Operation::Stream => Ok("streamGenerateContent"),
        Operation::CountTokens => Ok("countTokens"),
        Operation::Embed => Ok("embedContent"),
        Operation::EmbedBatch => Ok("batchEmbedContents"),
        Operation::Predict => Ok("predict"),
        Operation::Compact | Operation::Draw | Operation::Redraw => Err(not_offered(operation.noun())),
    }
}

/// Client headers that the format defines, without credentials.
pub(super) fn is_format_header(name: &str) -> bool {
    name.starts_with("x-goog-")
        && !matches!(name, "x-goog-api-key" | "x-goog-user-project" | "x-goog-iam-authorization-token")
}

impl Provider for Gemini {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let method = method(job.operation, job.is_sse)?;
        let model = job.model.strip_prefix("models/").unwrap_or(job.model);
        let base = credential.base_url.strip_suffix("/v1beta").unwrap_or(&credential.base_url);
        let address = format!("{base}/v1beta/models/{}:{method}", path_segment(model));
        let mut headers = base_headers(job.operation);
        if job.client_format == Format::Gemini {
            copy_headers(&mut headers, job.client_headers, is_format_header);
        }
        key_header(&mut headers, "x-goog-api-key", credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        post(job.addresses, address, headers, job.body)
    }
}

#[cfg(test)]
mod tests;
