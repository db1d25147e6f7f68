//! The user's own classification of upstream errors.

use super::value::text;
use crate::config::diagnostic::{Code, Report};
use crate::config::file::{self, List, Placed};

/// What an upstream error means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorRule {
    /// The status it is about.
    pub status: u16,
    /// Texts of which one must occur; with `expressions`, one of either.
    pub texts: Vec<String>,
    /// Expressions of which one must occur.
    pub expressions: Vec<Expression>,
    /// What to do.
    pub action: Action,
}

/// What to do after an upstream error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// Try the next credential instead of answering with the error.
    pub is_continued: bool,
    /// Put the credential on cooldown.
    pub is_cooling: bool,
}

impl ErrorRule {
    /// Whether the rule is about this answer.
    pub fn matches(&self, status: u16, body: &str) -> bool {
        self.status == status
            && (self.texts.iter().any(|text| body.contains(text.as_str()))
                || self.expressions.iter().any(|expression| expression.matches(body)))
    }

    /// What the first rule about this answer says.
    pub fn first(rules: &[Self], status: u16, body: &str) -> Option<Action> {
        rules.iter().find(|rule| rule.matches(status, body)).map(|rule| rule.action)
    }
}

/// A regular expression that compares by its text.
#[derive(Clone, Debug)]
pub struct Expression(regex_lite::Regex);

impl Expression {
    /// Compiles an expression; `None` when it is not one.
    pub fn new(text: &str) -> Option<Self> {
        regex_lite::RegexBuilder::new(text).size_limit(1 << 20).build().ok().map(Self)
    }

    /// Compiles an expression that ignores case.
    pub fn any_case(text: &str) -> Option<Self> {
        regex_lite::RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build().ok().map(Self)
    }

    /// Whether it occurs in the text.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The expression's text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Expression {}

impl Action {
    /// Name as written in the file.
    pub fn name(self) -> &'static str {
        match (self.is_continued, self.is_cooling) {
            (false, false) => "stop",
            (false, true) => "stop-and-cooldown",
            (true, false) => "continue",
            (true, true) => "continue-and-cooldown",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (is_continued, is_cooling) = match text.to_ascii_lowercase().as_str() {
            "stop" => (false, false),
            "stop-and-cooldown" => (false, true),
            "continue" => (true, false),
            "continue-and-cooldown" => (true, true),
            _ => return None,
        };
        Some(Self { is_continued, is_cooling })
    }
}

pub(super) fn error_rules(
    list: Option<&Placed<List<file::ErrorRule>>>,
    report: &mut Report,
) -> Vec<ErrorRule> {
    let mut rules = Vec::new();
    for entry in list.into_iter().flat_map(|list| &list.value) {
        rules.extend(error_rule(entry, report));
    }
    rules
}

fn error_rule(entry: &Placed<file::ErrorRule>, report: &mut Report) -> Option<ErrorRule> {
    let status = entry.status.as_ref().and_then(|status| u16::try_from(status.value).ok());
    let Some(status) = status.filter(|status| *status > 0) else {
        report.warning(&entry.origin, Code::ErrorRuleStatus);
        return None;
    };
    let texts: Vec<String> = filled(entry.r#match.as_ref()).map(|text| text.value.clone()).collect();
    let mut expressions = Vec::new();
    for text in filled(entry.match_regexr.as_ref()) {
        match Expression::new(text) {
            Some(expression) => expressions.push(expression),
            None => {
                report.problem(&text.origin, Code::NotAnExpression);
            }
        }
    }
    let has_patterns = filled(entry.r#match.as_ref()).chain(filled(entry.match_regexr.as_ref())).count() > 0;
    if !has_patterns {
        report.warning(&entry.origin, Code::ErrorRuleMatch);
        return None;
    }
    let Some(action) = text(entry.action.as_ref()).and_then(Action::parse) else {
        let origin = entry.action.as_ref().map_or(&entry.origin, |action| &action.origin);
        report.warning(origin, Code::ErrorRuleAction);
        return None;
    };
    Some(ErrorRule { status, texts, expressions, action })
}

fn filled(list: Option<&Placed<List<String>>>) -> impl Iterator<Item = &Placed<String>> {
    list.into_iter().flat_map(|list| &list.value).filter(|text| !text.trim().is_empty())
}
