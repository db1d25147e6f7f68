//! When a rule applies.

use cliproxy_wire::Format;
use cliproxy_wire::json::patch::Path;
use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::path;
use crate::config::diagnostic::{Code, Report};
use crate::config::file::{Free, List, Map, PayloadModel, Placed};
use crate::pattern::Pattern;

/// A format as rules name it, towards an upstream or of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Chat Completions.
    OpenAi,
    /// Responses, also towards Codex.
    Responses,
    /// Claude Messages.
    Claude,
    /// Gemini, also inside the Code Assist envelope and on Vertex.
    Gemini,
    /// Gemini inside the Antigravity envelope.
    Antigravity,
}

impl Protocol {
    /// The name that rules have for a wire format.
    pub fn of(format: Format) -> Self {
        match format {
            Format::Chat => Self::OpenAi,
            Format::Responses => Self::Responses,
            Format::Claude => Self::Claude,
            Format::Gemini => Self::Gemini,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "openai" | "chat" | "openai-chat" | "openai-compatibility" => Some(Self::OpenAi),
            "codex" | "responses" | "openai-response" | "openai-responses" => Some(Self::Responses),
            "claude" | "anthropic" => Some(Self::Claude),
            "gemini" | "gemini-cli" | "vertex" | "aistudio" => Some(Self::Gemini),
            "antigravity" => Some(Self::Antigravity),
            _ => None,
        }
    }
}

/// What a rule is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'request> {
    /// Format towards the upstream.
    pub protocol: Protocol,
    /// Format of the client.
    pub client_protocol: Protocol,
    /// Names that patterns are tested against: the upstream's, and the requested one with and
    /// without suffix.
    pub models: &'request [&'request str],
    /// Headers of the client's request.
    pub headers: &'request HeaderMap,
    /// Member under which all paths start, for bodies in an envelope.
    pub root: Option<&'request str>,
}

/// One item of a rule's `models`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    name: Pattern,
    /// Formats towards the upstream; empty for any.
    protocol: Vec<Protocol>,
    /// Formats of the client; empty for any.
    client_protocol: Vec<Protocol>,
    headers: Vec<(HeaderName, Pattern)>,
    equal: Vec<(Path, Value)>,
    unequal: Vec<(Path, Value)>,
    present: Vec<Path>,
    missing: Vec<Path>,
}

impl Condition {
    /// Whether names, formats and headers fit. Needs no look at the body.
    pub(super) fn fits_request(&self, subject: &Subject<'_>) -> bool {
        subject.models.iter().any(|model| self.name.matches(model))
            && (self.protocol.is_empty() || self.protocol.contains(&subject.protocol))
            && (self.client_protocol.is_empty() || self.client_protocol.contains(&subject.client_protocol))
            && self.headers.iter().all(|(name, pattern)| {
                let mut values = subject.headers.get_all(name).iter();
                values.any(|value| value.to_str().is_ok_and(|value| pattern.matches(value)))
            })
    }

    /// Whether the body fits.
    pub(super) fn fits_body(&self, body: &str, root: Option<&str>) -> bool {
        let has = |path: &Path| path::find(body, root, path).is_some();
        let is_equal = |(path, value): &(Path, Value)| {
            let found = path::find(body, root, path).map(serde_json::from_str::<Value>);
            matches!(found, Some(Ok(found)) if equals(&found, value))
        };
        self.present.iter().all(has)
            && !self.missing.iter().any(has)
            && self.equal.iter().all(is_equal)
            && !self.unequal.iter().any(is_equal)
    }

    pub(super) fn compile(item: &Placed<PayloadModel>, report: &mut Report) -> Option<Self> {
        let name = item.name.as_ref().map(|name| name.trim()).unwrap_or_default();
        if name.is_empty() {
            report.warning(&item.origin, Code::ConditionWithoutName);
            return None;
        }
        let protocol = protocols(item.protocol.as_ref(), report);
        let client_protocol = protocols(item.from_protocol.as_ref(), report);
        let headers = headers(item, report);
        let condition = Self {
            name: Pattern::exact_case(name),
            protocol: protocol?,
            client_protocol: client_protocol?,
            headers: headers?,
            equal: values(item.r#match.as_ref(), report),
            unequal: values(item.not_match.as_ref(), report),
            present: paths(item.exist.as_ref(), report),
            missing: paths(item.not_exist.as_ref(), report),
        };
        Some(condition)
    }
}

/// Numbers are equal by value: `1` and `1.0` are the same.
fn equals(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        #[expect(clippy::float_cmp, reason = "the user wrote the value that is looked for")]
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

/// Absent when the condition can never hold.
fn protocols(member: Option<&Placed<String>>, report: &mut Report) -> Option<Vec<Protocol>> {
    let Some(member) = member.filter(|member| !member.trim().is_empty()) else {
        return Some(Vec::new());
    };
    let protocol = Protocol::parse(member.trim());
    if protocol.is_none() {
        report.warning(&member.origin, Code::ConditionProtocol);
    }
    protocol.map(|protocol| vec![protocol])
}

fn headers(item: &PayloadModel, report: &mut Report) -> Option<Vec<(HeaderName, Pattern)>> {
    let mut headers = Vec::new();
    for (name, pattern) in item.headers.iter().flat_map(|map| &map.value) {
        let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else {
            report.warning_key(&pattern.origin, Code::ConditionHeader);
            return None;
        };
        headers.push((name, Pattern::exact_case(pattern.trim())));
    }
    Some(headers)
}

fn values(list: Option<&Placed<List<Map<Free>>>>, report: &mut Report) -> Vec<(Path, Value)> {
    let mut values = Vec::new();
    for (text, value) in list.into_iter().flat_map(|list| &list.value).flat_map(|map| &map.value) {
        match path::parse(text) {
            Ok(path) => values.push((path, value.to_json())),
            Err(code) => {
                report.problem_at(value.origin.key, &value.origin.path, code);
            }
        }
    }
    values
}

fn paths(list: Option<&Placed<List<String>>>, report: &mut Report) -> Vec<Path> {
    let mut paths = Vec::new();
    for text in list.into_iter().flat_map(|list| &list.value) {
        match path::parse(text) {
            Ok(path) => paths.push(path),
            Err(code) => {
                report.problem(&text.origin, code);
            }
        }
    }
    paths
}
