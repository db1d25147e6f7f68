//! Vertex AI: with a service account at Google, `{base}/v1/projects/{project}/locations/{location}/…`; with a key at
//! Google or a service of the same shape, `{base}/v1/publishers/google/models/{model}:{method}`.

mod account;
pub(crate) mod login;
mod mint;

use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};

use super::gemini::{is_format_header, method};
use super::{
    Adopted, Job, Provider, Renewal, base_headers, bearer, configured_headers, copy_headers, judge,
    key_header, path_segment, post,
};
use crate::credential::{Credential, Record};
use crate::failure::{Failure, Rest, Retry};
use crate::oauth::Identity;
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct Vertex;

impl Provider for Vertex {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        let method = method(job.operation, job.is_sse)?;
        let model = job.model.strip_prefix("models/").unwrap_or(job.model);
        let place = account::place(credential);
        let address = format!(
            "{}/v1{place}/publishers/google/models/{}:{method}",
            credential.base_url,
            path_segment(model)
        );
        let mut headers = base_headers(job.operation);
        if job.client_format == Format::Gemini {
            // Which throughput is used is said in headers of its own.
            copy_headers(&mut headers, job.client_headers, |name| {
                is_format_header(name) || name.starts_with("x-vertex-ai-llm-")
            });
        }
        if credential.account.is_some() {
            bearer(&mut headers, credential)?;
        } else {
            key_header(&mut headers, "x-goog-api-key", credential)?;
        }
        configured_headers(&mut headers, credential, job.client_headers);
        post(job.addresses, address, headers, job.body)
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        account::adopt(record, identity)
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        mint::renew(record, identity, now)
    }

    fn keeps_tokens(&self) -> bool {
        // The key of the file makes any number of them.
        false
    }

    fn judge(&self, fault: &Fault) -> Retry {
        match (fault.kind, fault.code.as_deref()) {
            // The service is off for the project, whatever the model.
            (Kind::Permission, Some("SERVICE_DISABLED")) => Retry::Leave(Rest::Forbidden),
            _ => judge(fault),
        }
    }
}

#[cfg(test)]
mod tests;
