//! The user's rules on request bodies.
//!
//! Rules are compiled once when settings are built. For a request they are first narrowed down
//! by model name, format and headers, which costs nothing when there are none; only rules that
//! are left look at the body. What they decide is a list of edits, made by the patcher of
//! `cliproxy-wire`, so untouched members keep their bytes.

mod condition;
mod path;

use std::borrow::Cow;

pub use condition::{Protocol, Subject};

use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{self, Edit, Path};
use condition::Condition;
use serde_json::Value;

use super::diagnostic::{Code, Report};
use super::file::{Free, List, Map, Payload, PayloadFilter, PayloadModel, PayloadRule, Placed};

/// All rules, compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Set what is missing; `default` before `default-raw`.
    defaults: Vec<Rule<Vec<(Path, Raw)>>>,
    /// Set always; `override` before `override-raw`.
    overrides: Vec<Rule<Vec<(Path, Raw)>>>,
    /// Remove.
    filters: Vec<Rule<Vec<Path>>>,
}

impl Eq for Rules {}

#[derive(Clone, Debug, PartialEq)]
struct Rule<Effect> {
    conditions: Vec<Condition>,
    effect: Effect,
}

impl Rules {
    /// Whether there are no rules at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.defaults.len().saturating_add(self.overrides.len()).saturating_add(self.filters.len())
    }

    /// Whether any rule could concern the request, judged without its body.
    pub fn concern(&self, subject: &Subject<'_>) -> bool {
        fn any<Effect>(rules: &[Rule<Effect>], subject: &Subject<'_>) -> bool {
            rules.iter().any(|rule| rule.conditions.iter().any(|condition| condition.fits_request(subject)))
        }
        any(&self.defaults, subject) || any(&self.overrides, subject) || any(&self.filters, subject)
    }

    /// The body with everything that the rules want changed; `None` for one that stays as it is, as one does that is no
    /// JSON.
    ///
    /// Every condition sees the body as translated, before any rule.
    pub fn apply(&self, subject: &Subject<'_>, body: &str) -> Option<String> {
        match patch::apply(body, &self.edits(subject, body)).ok()? {
            Cow::Borrowed(_) => None,
            Cow::Owned(changed) => Some(changed),
        }
    }

    /// What the rules want changed, in the order in which it is to be done.
    fn edits(&self, subject: &Subject<'_>, body: &str) -> Vec<Edit> {
        let root = subject.root;
        let mut edits = Vec::new();
        let mut decided: Vec<&Path> = Vec::new();
        for (path, value) in applying(&self.defaults, subject, body).flatten() {
            if !decided.contains(&path) && path::find(body, root, path).is_none() {
                decided.push(path);
                edits.push(Edit::set(path::below(root, path), value.clone()));
            }
        }
        for (path, value) in applying(&self.overrides, subject, body).flatten() {
            edits.push(Edit::set(path::below(root, path), value.clone()));
        }
        for path in applying(&self.filters, subject, body).flatten() {
            edits.push(Edit::remove(path::below(root, path)));
        }
        edits
    }
}

fn applying<'rules, Effect>(
    rules: &'rules [Rule<Effect>],
    subject: &Subject<'_>,
    body: &str,
) -> impl Iterator<Item = &'rules Effect> {
    rules.iter().filter(|rule| rule.applies(subject, body)).map(|rule| &rule.effect)
}

impl<Effect> Rule<Effect> {
    fn applies(&self, subject: &Subject<'_>, body: &str) -> bool {
        self.conditions
            .iter()
            .any(|condition| condition.fits_request(subject) && condition.fits_body(body, subject.root))
    }
}

/// Compiles the section.
pub(crate) fn compile(section: Option<&Payload>, report: &mut Report) -> Rules {
    let Some(section) = section else {
        return Rules::default();
    };
    let mut rules = Rules::default();
    for (list, is_raw) in [(&section.default, false), (&section.default_raw, true)] {
        rules.defaults.extend(setting_rules(list.as_ref(), is_raw, report));
    }
    for (list, is_raw) in [(&section.r#override, false), (&section.override_raw, true)] {
        rules.overrides.extend(setting_rules(list.as_ref(), is_raw, report));
    }
    rules.filters = filter_rules(section.filter.as_ref(), report);
    rules
}

fn setting_rules(
    list: Option<&Placed<List<PayloadRule>>>,
    is_raw: bool,
    report: &mut Report,
) -> Vec<Rule<Vec<(Path, Raw)>>> {
    let mut rules = Vec::new();
    for item in list.into_iter().flat_map(|list| &list.value) {
        let conditions = conditions(item.models.as_ref(), item, report);
        let effect = settings(item.params.as_ref(), is_raw, report);
        if let (Some(conditions), Some(effect)) = (conditions, effect)
            && !effect.is_empty()
        {
            rules.push(Rule { conditions, effect });
        }
    }
    rules
}

fn filter_rules(list: Option<&Placed<List<PayloadFilter>>>, report: &mut Report) -> Vec<Rule<Vec<Path>>> {
    let mut rules = Vec::new();
    for item in list.into_iter().flat_map(|list| &list.value) {
        let conditions = conditions(item.models.as_ref(), item, report);
        let mut effect = Vec::new();
        for text in item.params.iter().flat_map(|list| &list.value) {
            match path::parse(text) {
                Ok(path) => effect.push(path),
                Err(code) => {
                    report.problem(&text.origin, code);
                }
            }
        }
        if let Some(conditions) = conditions
            && !effect.is_empty()
        {
            rules.push(Rule { conditions, effect });
        }
    }
    rules
}

fn conditions<T>(
    list: Option<&Placed<List<PayloadModel>>>,
    item: &Placed<T>,
    report: &mut Report,
) -> Option<Vec<Condition>> {
    let list: &[Placed<PayloadModel>] = list.map(|list| list.value.as_slice()).unwrap_or_default();
    if list.is_empty() {
        report.warning(&item.origin, Code::RuleWithoutModels);
        return None;
    }
    let mut conditions = Vec::new();
    for item in list {
        conditions.extend(Condition::compile(item, report));
    }
    (!conditions.is_empty()).then_some(conditions)
}

/// Absent when the whole rule is to be dropped.
fn settings(map: Option<&Placed<Map<Free>>>, is_raw: bool, report: &mut Report) -> Option<Vec<(Path, Raw)>> {
    let mut settings = Vec::new();
    for (path, value) in map.into_iter().flat_map(|map| &map.value) {
        let path = match path::parse(path) {
            Ok(path) => path,
            Err(code) => {
                report.problem_at(value.origin.key, &value.origin.path, code);
                continue;
            }
        };
        let text = match value.to_json() {
            Value::String(text) if is_raw => {
                if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
                    report.warning(&value.origin, Code::RawJson);
                    return None;
                }
                Raw::new(text.trim())
            }
            value => Raw::new(value.to_string()),
        };
        settings.push((path, text));
    }
    Some(settings)
}

#[cfg(test)]
mod tests;
