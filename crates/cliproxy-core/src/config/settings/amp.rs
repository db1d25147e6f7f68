//! The Amp control plane.

use super::base_url::BaseUrl;
use super::error_rule::Expression;
use super::value::{is_on, text};
use crate::config::diagnostic::Report;
use crate::config::env::{self, Env};
use crate::config::file;
use crate::secret::Secret;

/// Settings of the Amp routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amp {
    /// Control plane; absent when nothing is forwarded.
    pub upstream: Option<BaseUrl>,
    /// Key towards it.
    pub key: Option<Secret>,
    /// Keys towards it by client key.
    pub client_keys: Vec<(Secret, Secret)>,
    /// Management routes on loopback only.
    pub restrict_management_to_localhost: bool,
    /// Replacements of model names, in file order.
    pub mappings: Vec<Mapping>,
    /// Replace before asking whether the name is served here.
    pub force_mappings: bool,
}

/// One replacement of a model name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Which names.
    pub from: MappingSource,
    /// The name used instead.
    pub to: String,
}

/// Which model names a mapping is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingSource {
    /// This one, ignoring case.
    Name(String),
    /// Those in which the expression occurs, ignoring case.
    Expression(Expression),
}

pub(super) fn amp(config: &file::Config, env: &dyn Env, report: &mut Report) -> Amp {
    let environment = env.get(env::AMP_API_KEY).map(Secret::from);
    let Some(section) = config.ampcode.as_deref() else {
        return Amp { key: environment, ..Amp::default() };
    };
    let key = section.upstream_api_key.as_ref().map(|key| Secret::new(key.expose().trim()));
    let upstream = section.upstream_url.as_ref().filter(|member| !member.trim().is_empty());
    let upstream = upstream.and_then(|member| BaseUrl::validate(member, &member.origin, report));
    Amp {
        upstream,
        key: key.filter(|key| !key.is_empty()).or(environment),
        client_keys: client_keys(section, report),
        restrict_management_to_localhost: is_on(section.restrict_management_to_localhost.as_ref()),
        mappings: mappings(section, report),
        force_mappings: is_on(section.force_model_mappings.as_ref()),
    }
}

fn client_keys(section: &file::Ampcode, report: &mut Report) -> Vec<(Secret, Secret)> {
    let mut pairs: Vec<(Secret, Secret)> = Vec::new();
    for entry in section.upstream_api_keys.iter().flat_map(|list| &list.value) {
        let upstream = entry.upstream_api_key.as_ref().map(|key| key.expose().trim()).unwrap_or_default();
        if upstream.is_empty() {
            report.warning(&entry.origin, "entry without `upstream-api-key`, ignored");
            continue;
        }
        for client in entry.api_keys.iter().flat_map(|list| &list.value) {
            let key = client.expose().trim();
            if key.is_empty() {
                continue;
            }
            if pairs.iter().any(|(known, _)| known.matches(key.as_bytes())) {
                report.warning(&client.origin, "this client key is listed twice, the first entry counts");
                continue;
            }
            pairs.push((Secret::new(key), Secret::new(upstream)));
        }
    }
    pairs
}

fn mappings(section: &file::Ampcode, report: &mut Report) -> Vec<Mapping> {
    let mut mappings = Vec::new();
    for entry in section.model_mappings.iter().flat_map(|list| &list.value) {
        let (Some(from), Some(to)) = (text(entry.from.as_ref()), text(entry.to.as_ref())) else {
            report.warning(&entry.origin, "mapping without `from` or `to`, ignored");
            continue;
        };
        let from = if is_on(entry.regex.as_ref()) {
            let Some(expression) = Expression::any_case(from) else {
                report.warning(&entry.origin, "`from` is not a regular expression, mapping ignored");
                continue;
            };
            MappingSource::Expression(expression)
        } else {
            MappingSource::Name(from.to_owned())
        };
        mappings.push(Mapping { from, to: to.to_owned() });
    }
    mappings
}
