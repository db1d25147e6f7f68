//! The Amp control plane, and which model stands for which.

use std::path::PathBuf;

use cliproxy_wire::reasoning::suffix;

use super::base_url::BaseUrl;
use super::error_rule::Expression;
use super::value::{is_on, text};
use crate::config::diagnostic::{Code, Origin, Report};
use crate::config::file;
use crate::env::{self, Env};
use crate::secret::Secret;

/// Settings of the Amp routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amp {
    /// Control plane; absent when nothing is forwarded.
    pub upstream: Option<BaseUrl>,
    /// Key towards it.
    pub key: Option<Secret>,
    /// The file in which Amp's own programs keep their key, for when no other is there.
    pub secrets_file: Option<PathBuf>,
    /// Keys towards it by client key.
    pub client_keys: Vec<(Secret, Secret)>,
    /// Management routes on loopback only.
    pub restrict_management_to_localhost: bool,
    /// Replacements of model names, in file order.
    pub mappings: Vec<Mapping>,
    /// Replace before asking whether the name is served here.
    pub force_mappings: bool,
    /// Ask the control plane, at the cost of credits, when all who serve a model here have used their quotas up.
    pub upstream_when_exhausted: bool,
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

impl Amp {
    /// The model that a mapping names for `requested`. A suffix of the mapping wins over the one of the request.
    ///
    /// Names that are written out go before expressions; of two for the same name the later counts, of several
    /// expressions the first.
    pub fn target(&self, requested: &str) -> Option<String> {
        let (base, wish) = suffix::split(requested.trim());
        let to = &self.mappings.get(self.position(base)?)?.to;
        if wish.is_none() || suffix::split(to).1.is_some() {
            return Some(to.clone());
        }
        let wish = requested.trim().rfind('(').and_then(|at| requested.trim().get(at..)).unwrap_or_default();
        Some(format!("{to}{wish}"))
    }

    /// The mapping for a name without suffix.
    fn position(&self, base: &str) -> Option<usize> {
        let base = base.trim();
        let names = |mapping: &Mapping| matches!(&mapping.from, MappingSource::Name(name) if name.to_lowercase() == base.to_lowercase());
        let fits = |mapping: &Mapping| matches!(&mapping.from, MappingSource::Expression(expression) if expression.matches(base));
        self.mappings.iter().rposition(names).or_else(|| self.mappings.iter().position(fits))
    }

    /// The mappings that close a circle: from what they name, others lead back to them. None of them is ever followed
    /// more than one step, but what such a list is meant to say cannot be told.
    fn circles(&self) -> Vec<usize> {
        let next = |at: usize| self.position(suffix::split(&self.mappings.get(at)?.to).0);
        let mut circles = Vec::new();
        for start in 0..self.mappings.len() {
            let mut round = vec![start];
            while let Some(at) = round.last().and_then(|at| next(*at)).filter(|at| !round.contains(at)) {
                round.push(at);
            }
            let is_closed = round.last().and_then(|at| next(*at)) == Some(start);
            // An expression that fits its own target, and a suffix for a name, change what they fit once.
            let is_settled = round.len() == 1
                && self.mappings.get(start).is_some_and(|mapping| {
                    matches!(mapping.from, MappingSource::Expression(_))
                        || suffix::split(&mapping.to).1.is_some()
                });
            // Each circle is told once, at the last of its members.
            if is_closed && !is_settled && round.iter().max() == Some(&start) {
                circles.push(start);
            }
        }
        circles
    }
}

pub(super) fn amp(config: &file::Config, env: &dyn Env, report: &mut Report) -> Amp {
    let environment = env.get(env::AMP_API_KEY).map(Secret::from);
    let home = env.get(env::HOME).or_else(|| env.get(env::USERPROFILE)).map(PathBuf::from);
    let secrets_file = home.map(|home| home.join(".local/share/amp/secrets.json"));
    let Some(section) = config.ampcode.as_deref() else {
        return Amp { key: environment, secrets_file, ..Amp::default() };
    };
    let key = section.upstream_api_key.as_ref().map(|key| Secret::new(key.expose().trim()));
    let upstream = section.upstream_url.as_ref().filter(|member| !member.trim().is_empty());
    let upstream = upstream.and_then(|member| BaseUrl::validate(member, &member.origin, report));
    let (mappings, origins) = mappings(section, report);
    let amp = Amp {
        upstream,
        key: key.filter(|key| !key.is_empty()).or(environment),
        secrets_file,
        client_keys: client_keys(section, report),
        restrict_management_to_localhost: is_on(section.restrict_management_to_localhost.as_ref()),
        mappings,
        force_mappings: is_on(section.force_model_mappings.as_ref()),
        upstream_when_exhausted: is_on(section.upstream_when_exhausted.as_ref()),
    };
    for origin in amp.circles().into_iter().filter_map(|at| origins.get(at)) {
        report.problem(origin, Code::MappingCircle);
    }
    amp
}

fn client_keys(section: &file::Ampcode, report: &mut Report) -> Vec<(Secret, Secret)> {
    let mut pairs: Vec<(Secret, Secret)> = Vec::new();
    for entry in section.upstream_api_keys.iter().flat_map(|list| &list.value) {
        let upstream = entry.upstream_api_key.as_ref().map(|key| key.expose().trim()).unwrap_or_default();
        if upstream.is_empty() {
            report.warning(&entry.origin, Code::EntryWithoutKey.with("key", "upstream-api-key"));
            continue;
        }
        for client in entry.api_keys.iter().flat_map(|list| &list.value) {
            let key = client.expose().trim();
            if key.is_empty() {
                continue;
            }
            if pairs.iter().any(|(known, _)| known.matches(key.as_bytes())) {
                report.warning(&client.origin, Code::RepeatedAmpKey);
                continue;
            }
            pairs.push((Secret::new(key), Secret::new(upstream)));
        }
    }
    pairs
}

fn mappings<'s>(section: &'s file::Ampcode, report: &mut Report) -> (Vec<Mapping>, Vec<&'s Origin>) {
    let (mut mappings, mut origins) = (Vec::new(), Vec::new());
    for entry in section.model_mappings.iter().flat_map(|list| &list.value) {
        let (Some(from), Some(to)) = (text(entry.from.as_ref()), text(entry.to.as_ref())) else {
            report.warning(&entry.origin, Code::MappingIncomplete);
            continue;
        };
        let from = if is_on(entry.regex.as_ref()) {
            let Some(expression) = Expression::any_case(from) else {
                report.warning(&entry.origin, Code::MappingExpression);
                continue;
            };
            MappingSource::Expression(expression)
        } else {
            MappingSource::Name(from.to_owned())
        };
        mappings.push(Mapping { from, to: to.to_owned() });
        origins.push(&entry.origin);
    }
    (mappings, origins)
}
