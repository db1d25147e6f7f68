//! Numbers and traces for other programs.

use http::{HeaderName, HeaderValue, Uri};

use super::value::{is_on, text};
use crate::config::diagnostic::{Code, Report};
use crate::config::file;

/// By what name a collector knows the gateway when the file names none.
const SERVICE: &str = "cliproxy";

/// What other programs are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Numbers at `/metrics`.
    pub prometheus: bool,
    /// Where traces go.
    pub otlp: Option<Otlp>,
}

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// Where it takes traces.
    pub traces: Uri,
    /// Headers for it; marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// By what name it knows this gateway.
    pub service_name: String,
}

pub(super) fn telemetry(config: &file::Config, report: &mut Report) -> Telemetry {
    let Some(section) = config.telemetry.as_deref() else { return Telemetry::default() };
    let prometheus = is_on(section.prometheus.as_ref());
    let (Some(member), Some(endpoint)) = (&section.otlp_endpoint, text(section.otlp_endpoint.as_ref()))
    else {
        return Telemetry { prometheus, otlp: None };
    };
    let traces = format!("{}/v1/traces", endpoint.trim_end_matches('/')).parse::<Uri>().ok();
    let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let Some(traces) = traces.filter(is_http) else {
        report.problem(&member.origin, Code::NotACollector);
        return Telemetry { prometheus, otlp: None };
    };
    let mut headers = Vec::new();
    for (name, value) in section.otlp_headers.iter().flat_map(|map| &map.value) {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value.expose().trim())) {
            (Ok(name), Ok(mut text)) => {
                text.set_sensitive(true);
                headers.push((name, text));
            }
            _ => {
                report.problem(&value.origin, Code::CollectorHeader);
            }
        }
    }
    let service_name = text(section.service_name.as_ref()).unwrap_or(SERVICE).to_owned();
    Telemetry { prometheus, otlp: Some(Otlp { traces, headers, service_name }) }
}
