//! Gemini CLI: Google's Code Assist by the login of its command line client.
//!
//! Requests are those of the Gemini API inside an envelope that names the project which pays for them; the codec writes
//! it, the project of the credential is added here. What Code Assist's refusals mean is in [`refusal`].

pub(crate) mod assist;
pub(super) mod envelope;
pub(crate) mod login;
pub(crate) mod project;
pub(super) mod refusal;
pub(super) mod renew;

use cliproxy_wire::fault::Fault;
use cliproxy_wire::profile::Profile;

use super::gemini::method;
use super::{
    Adopted, Job, Operation, Provider, Renewal, Told, base_headers, bearer, configured_headers, post,
};
use crate::credential::{Credential, Record, Window};
use crate::failure::{Failure, Retry};
use crate::oauth::Identity;
use crate::upstream::Outgoing;

#[derive(Debug)]
pub(super) struct GeminiCli;

impl Provider for GeminiCli {
    fn prepare(&self, job: Job<'_>, credential: &Credential) -> Result<Outgoing, Failure> {
        // Without `alt=sse` it streams a list; whoever wants one gets it made of events.
        let address = format!("{}/v1internal:{}", credential.base_url, method(job.operation, true)?);
        let mut headers = base_headers(job.operation);
        bearer(&mut headers, credential)?;
        configured_headers(&mut headers, credential, job.client_headers);
        let body = match &credential.project {
            // Counting is for nobody's bill.
            Some(project) if job.operation != Operation::CountTokens => {
                envelope::with_members(&job.body.whole(), &[("project", project)]).into()
            }
            _ => job.body,
        };
        post(job.addresses, address, headers, body)
    }

    fn identity(&self) -> Identity {
        login::identity()
    }

    fn adopt(&self, record: &Record, identity: &Identity) -> Option<Adopted> {
        let mut adopted = Adopted::new(Profile::code_assist(), record, identity, "gemini-cli");
        for project in record.text("project_id").unwrap_or_default().split(',').map(str::trim) {
            if !project.is_empty() && adopted.projects.iter().all(|known| **known != *project) {
                adopted.projects.push(project.into());
            }
        }
        Some(adopted)
    }

    fn renew(&self, record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
        renew::renew(record, identity, now)
    }

    /// Google's refresh tokens stay.
    fn spends_tokens(&self) -> bool {
        false
    }

    fn quotas(&self, told: &Told<'_>) -> Vec<Window> {
        refusal::quota(told).into_iter().collect()
    }

    fn judge(&self, fault: &Fault) -> Retry {
        refusal::judge(fault)
    }
}

#[cfg(test)]
mod tests;
