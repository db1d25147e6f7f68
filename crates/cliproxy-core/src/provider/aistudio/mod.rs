//! The Gemini API through a page of AI Studio that its owner keeps open: the page has the key, so none is sent, and
//! nothing of the client but its question.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::gemini::method;
use super::{Job, Provider, path_segment};
use crate::credential::Credential;
use crate::failure::Failure;
use crate::time::rfc3339;
use crate::upstream::{Ask, Outgoing};
use cliproxy_wire::fault::{Fault, Kind};

/// Where the page asks.
const BASE: &str = "https://generativelanguage.googleapis.com";

#[derive(Debug)]
pub(super) struct AiStudio;

impl Provider for AiStudio {
    fn prepare(&self, job: Job<'_>, _credential: &Credential) -> Result<Outgoing, Failure> {
        let method = method(job.operation, job.is_sse)?;
        let model = job.model.strip_prefix("models/").unwrap_or(job.model);
        let uri = Uri::try_from(format!("{BASE}/v1beta/models/{}:{method}", path_segment(model)));
        let uri = uri.map_err(|_checked| {
            Failure::gateway(Fault::new(Kind::Api, "the model's name fits into no address"))
        })?;
        let kind = HeaderValue::from_static("application/json");
        Ok(Outgoing::Page(Box::new(Ask {
            method: Method::POST,
            uri,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]),
            body: job.body.whole(),
            sent_at: rfc3339(job.now).unwrap_or_default(),
        })))
    }
}

#[cfg(test)]
mod tests;
