//! Tool names that the target accepts, and the way back.
//!
//! Names are the client's, but every provider has an alphabet and a length of its own, and Responses groups tools in
//! namespaces that nobody else knows. The map is built for one request and ends in its [`Bridge`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::model::Str;
use crate::profile::ToolNameRule;

/// The names of one request: the client's name, with its namespace, to the name on the wire.
#[derive(Debug)]
pub(super) struct Names {
    rule: ToolNameRule,
    /// Of tools without namespace, which nearly all are.
    wire: HashMap<Str, Str, RandomState>,
    /// Of tools in a namespace.
    grouped: HashMap<(Str, Str), Str, RandomState>,
    taken: HashSet<Str, RandomState>,
}

impl Names {
    /// No names yet, and room for those of so many tools.
    pub(super) fn new(rule: ToolNameRule, count: usize) -> Self {
        Self {
            rule,
            wire: HashMap::with_capacity_and_hasher(count, RandomState::default()),
            grouped: HashMap::default(),
            taken: HashSet::with_capacity_and_hasher(count, RandomState::default()),
        }
    }

    /// Keeps a name from being given away: the target's own tools.
    pub(super) fn reserve(&mut self, name: &str) {
        self.taken.insert(name.into());
    }

    /// The wire name of a tool; the first call for a tool decides it.
    pub(super) fn wire(&mut self, namespace: Option<&Str>, name: &Str) -> Str {
        if let Some(wire) = self.known(namespace, name) {
            return Str::clone(wire);
        }
        let full: Str = match namespace {
            Some(namespace) => format!("{namespace}__{name}").into(),
            None => Str::clone(name),
        };
        let mut wire = match fit(&full, self.rule) {
            Cow::Borrowed(_) => Str::clone(&full),
            Cow::Owned(fitted) => fitted.into(),
        };
        let mut round = 0usize;
        while self.taken.contains(&wire) {
            round += 1;
            wire = with_hash(&fit(&full, self.rule), &full, self.rule, round).into();
        }
        self.taken.insert(Str::clone(&wire));
        match namespace {
            Some(namespace) => {
                self.grouped.insert((Str::clone(namespace), Str::clone(name)), Str::clone(&wire));
            }
            None => {
                self.wire.insert(Str::clone(name), Str::clone(&wire));
            }
        }
        wire
    }

    /// The wire name of a tool that was given one already.
    pub(super) fn known(&self, namespace: Option<&Str>, name: &Str) -> Option<&Str> {
        match namespace {
            Some(namespace) => self.grouped.get(&(Str::clone(namespace), Str::clone(name))),
            None => self.wire.get(name),
        }
    }
}

/// `name` if it is legal, else the nearest legal name.
pub(super) fn fit(name: &str, rule: ToolNameRule) -> Cow<'_, str> {
    let max = limit(rule);
    if is_legal(name, rule) {
        return Cow::Borrowed(name);
    }
    let mut fitted: String =
        name.chars().map(|letter| if is_allowed(letter, rule) { letter } else { '_' }).collect();
    if !fitted.chars().next().is_some_and(|first| may_start(first, rule)) {
        fitted.insert(0, '_');
    }
    if fitted.len() > max {
        fitted = with_hash(&fitted, name, rule, 1);
    }
    Cow::Owned(fitted)
}

/// Whether `name` is legal as it is.
pub(super) fn is_legal(name: &str, rule: ToolNameRule) -> bool {
    name.len() <= limit(rule)
        && name.chars().next().is_some_and(|first| may_start(first, rule))
        && name.chars().all(|letter| is_allowed(letter, rule))
}

fn limit(rule: ToolNameRule) -> usize {
    match rule {
        ToolNameRule::Word { max } | ToolNameRule::Gemini { max } => max,
    }
}

fn is_allowed(letter: char, rule: ToolNameRule) -> bool {
    letter.is_ascii_alphanumeric()
        || match rule {
            ToolNameRule::Word { .. } => matches!(letter, '_' | '-'),
            ToolNameRule::Gemini { .. } => matches!(letter, '_' | '-' | '.' | ':'),
        }
}

fn may_start(letter: char, rule: ToolNameRule) -> bool {
    match rule {
        ToolNameRule::Word { .. } => is_allowed(letter, rule),
        ToolNameRule::Gemini { .. } => letter.is_ascii_alphabetic() || letter == '_',
    }
}

/// `fitted` (ASCII) cut, and a hash of `original`. A second round is needed only if that is taken, too.
fn with_hash(fitted: &str, original: &str, rule: ToolNameRule, round: usize) -> String {
    let room = limit(rule).saturating_sub(9);
    let mut name = fitted.get(..room.min(fitted.len())).unwrap_or_default().to_owned();
    name.push('_');
    let hash = if round <= 1 {
        crate::id::hex("", 8, &[original])
    } else {
        crate::id::hex("", 8, &[original, &round.to_string()])
    };
    name.push_str(&hash);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: ToolNameRule = ToolNameRule::Word { max: 64 };
    const GEMINI: ToolNameRule = ToolNameRule::Gemini { max: 64 };

    #[test]
    fn legal_names_stay_and_illegal_ones_become_legal() {
        assert_eq!(fit("get_weather-2", WORD), "get_weather-2");
        assert_eq!(fit("a.b:c", GEMINI), "a.b:c");
        assert_eq!(fit("a.b:c", WORD), "a_b_c");
        assert_eq!(fit("9lives", GEMINI), "_9lives");
        assert_eq!(fit("wetter für", WORD), "wetter_f_r");
        let long = "n".repeat(80);
        assert_eq!(fit(&long, WORD).len(), 64);
        assert_eq!(fit("", WORD), "_");
        for name in ["", "a b", ".dot", "日本語", &long] {
            for rule in [WORD, GEMINI] {
                assert!(is_legal(&fit(name, rule), rule), "{name}");
            }
        }
    }

    #[test]
    fn colliding_names_get_distinct_wire_names() {
        let mut names = Names::new(WORD, 0);
        let first = names.wire(None, &"a.b".into());
        let second = names.wire(None, &"a b".into());
        let third = names.wire(Some(&"a".into()), &"b".into());
        let fourth = names.wire(None, &"a__b".into());
        assert_eq!(&*first, "a_b");
        assert_ne!(first, second);
        assert_eq!(&*third, "a__b");
        assert_ne!(third, fourth);
        assert_eq!(names.wire(None, &"a b".into()), second);
    }
}
