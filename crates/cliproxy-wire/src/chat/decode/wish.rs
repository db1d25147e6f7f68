//! What a Chat body asks of reasoning, in every spelling that clients use.
//!
//! The format has one member for it; its relatives have a dozen, and clients send any of them. All are gathered here
//! and settled by one order: off wins, then a number, then a level, then merely on. What a target then gets is
//! decided by [`crate::reasoning`].

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{Ext, Level, Mode, ReasoningWish, Show, Summary, WishOrigin};

/// Where a wish was said, in order of trust among equals.
#[derive(Clone, Copy)]
enum Place {
    Budget,
    GoogleBudget,
    Thinking,
    RouterMax,
    Effort,
    GoogleLevel,
    RouterEffort,
    RouterEnabled,
    Enable,
    Template,
}

const PLACES: usize = Place::Template as usize + 1;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Wish {
    places: [Option<Mode>; PLACES],
    show: Option<Show>,
    /// What else stands in the objects, by their names.
    rest: Vec<(&'static str, Ext)>,
}

impl Wish {
    /// Reads the member `key` if it is one of those that speak of reasoning.
    pub(super) fn member(&mut self, key: &str, value: &mut Reader<'_>) -> Result<bool, Error> {
        match key {
            "thinking_budget" => self.set(Place::Budget, number(value)?),
            "reasoning_effort" => {
                let mode = word(value)?;
                self.set(Place::Effort, mode);
            }
            "thinking" => {
                let mode = self.thinking(value)?;
                self.set(Place::Thinking, mode);
            }
            "reasoning" => self.router(value)?,
            "enable_thinking" => self.set(Place::Enable, switch(value)?),
            "include_reasoning" => self.hide(value.opt(Reader::bool)? == Some(false)),
            "thinking_config" => self.google("thinking_config", value)?,
            "thinkingConfig" => self.google("thinkingConfig", value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads `chat_template_kwargs.enable_thinking`.
    pub(super) fn template(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        let mode = switch(value)?;
        self.set(Place::Template, mode);
        Ok(())
    }

    fn set(&mut self, place: Place, mode: Option<Mode>) {
        if let (Some(slot), Some(mode)) = (self.places.get_mut(place as usize), mode) {
            *slot = Some(mode);
        }
    }

    fn hide(&mut self, is_hidden: bool) {
        if is_hidden {
            self.show = Some(Show::Hidden);
        }
    }

    fn router(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        if value.kind() != Kind::Object {
            return value.skip();
        }
        value.object(|key, value| {
            match key {
                "max_tokens" => self.set(Place::RouterMax, number(value)?),
                "effort" => {
                    let mode = word(value)?;
                    self.set(Place::RouterEffort, mode);
                }
                "enabled" => self.set(Place::RouterEnabled, switch(value)?),
                "exclude" => self.hide(value.opt(Reader::bool)? == Some(true)),
                "summary" | "generate_summary" => {
                    if let Some(show) = value.opt(summary)?.flatten() {
                        self.show.get_or_insert(show);
                    }
                }
                _ => self.keep("reasoning", key, value)?,
            }
            Ok(())
        })
    }

    /// Keeps a member that says nothing here.
    fn keep(&mut self, object: &'static str, key: &str, value: &mut Reader<'_>) -> Result<(), Error> {
        if value.kind() == Kind::Null {
            return value.skip();
        }
        let value = value.to_raw()?;
        let at = self.rest.iter().position(|(known, _)| *known == object).unwrap_or(self.rest.len());
        if at == self.rest.len() {
            self.rest.push((object, Ext::new()));
        }
        if let Some((_, rest)) = self.rest.get_mut(at) {
            rest.set(key, value);
        }
        Ok(())
    }

    /// What was kept, as the objects that it stood in.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&'static str, Raw)> {
        self.rest.iter().map(|(name, rest)| (*name, Raw::object(|object| rest.write(object))))
    }

    fn google(&mut self, name: &'static str, value: &mut Reader<'_>) -> Result<(), Error> {
        value
            .opt(|value| {
                value.object(|key, value| {
                    match key {
                        "thinking_budget" | "thinkingBudget" => self.set(Place::GoogleBudget, number(value)?),
                        "thinking_level" | "thinkingLevel" => {
                            let is_unspecified = value
                                .clone()
                                .str()
                                .is_ok_and(|word| word.eq_ignore_ascii_case("thinking_level_unspecified"));
                            let mode = if is_unspecified { None } else { word(value)? };
                            self.set(Place::GoogleLevel, mode);
                        }
                        "include_thoughts" | "includeThoughts" => {
                            self.show = value.opt(Reader::bool)?.map(|is_shown| {
                                if is_shown { Show::Summary(Summary::Auto) } else { Show::Hidden }
                            });
                        }
                        _ => self.keep(name, key, value)?,
                    }
                    Ok(())
                })
            })
            .map(|_read| ())
    }

    fn thinking(&mut self, value: &mut Reader<'_>) -> Result<Option<Mode>, Error> {
        match value.kind() {
            Kind::Bool => return switch(value),
            Kind::Object => {}
            _ => return value.skip().map(|()| None),
        }
        let mut kind = None;
        let mut budget = None;
        value.object(|key, value| {
            match key {
                "type" => kind = value.opt(Reader::str)?,
                "budget_tokens" => budget = number(value)?,
                _ => self.keep("thinking", key, value)?,
            }
            Ok(())
        })?;
        match kind.as_deref() {
            Some("disabled") => Ok(Some(Mode::Off)),
            Some("adaptive" | "auto") => Ok(Some(budget.unwrap_or(Mode::Auto))),
            Some("enabled") => Ok(Some(budget.unwrap_or(Mode::On))),
            None => Ok(budget),
            Some(other) => {
                Err(Error::malformed(format!("unknown type {other:?}; use enabled, disabled or adaptive"))
                    .under_key("type"))
            }
        }
    }

    /// Fills what was not said with what `lower` says.
    pub(super) fn or(mut self, lower: &Self) -> Self {
        for (slot, mode) in self.places.iter_mut().zip(lower.places) {
            *slot = slot.or(mode);
        }
        self.show = self.show.or(lower.show);
        for (name, rest) in &lower.rest {
            if self.rest.iter().all(|(known, _)| known != name) {
                self.rest.push((name, rest.clone()));
            }
        }
        self
    }

    /// The wish, if anything was said.
    pub(super) fn resolve(self) -> Option<ReasoningWish> {
        let said = || self.places.iter().flatten().copied();
        let budget = [Place::Budget, Place::GoogleBudget, Place::Thinking, Place::RouterMax];
        let level = [Place::Effort, Place::GoogleLevel, Place::RouterEffort];
        let at = |places: &[Place]| {
            places.iter().find_map(|place| {
                let mode = self.places.get(*place as usize).copied().flatten();
                mode.filter(|mode| *mode != Mode::On)
            })
        };
        let mode = said()
            .find(|mode| *mode == Mode::Off)
            .or_else(|| at(&budget).filter(|mode| matches!(mode, Mode::Budget(_))))
            .or_else(|| at(&[Place::Budget, Place::GoogleBudget]))
            .or_else(|| at(&level))
            .or_else(|| said().next());
        (mode.is_some() || self.show.is_some()).then(|| ReasoningWish {
            mode,
            show: self.show,
            origin: mode.map(|_| WishOrigin::Body(Format::Chat)),
            ..ReasoningWish::default()
        })
    }
}

/// A number of tokens: -1 leaves it to the provider, 0 is off.
fn number(value: &mut Reader<'_>) -> Result<Option<Mode>, Error> {
    match value.opt(Reader::i64)? {
        None => Ok(None),
        Some(-1) => Ok(Some(Mode::Auto)),
        Some(0) => Ok(Some(Mode::Off)),
        Some(tokens) => match u64::try_from(tokens) {
            Ok(tokens) => Ok(Some(Mode::Budget(tokens))),
            Err(_negative) => {
                Err(Error::malformed("expected a number of tokens, 0 for off, or -1 for automatic"))
            }
        },
    }
}

/// Words for levels, and what else stands in their place.
const WORDS: [(&str, Mode); 8] = [
    ("none", Mode::Off),
    ("auto", Mode::Auto),
    ("minimal", Mode::Level(Level::Minimal)),
    ("low", Mode::Level(Level::Low)),
    ("medium", Mode::Level(Level::Medium)),
    ("high", Mode::Level(Level::High)),
    ("xhigh", Mode::Level(Level::XHigh)),
    ("max", Mode::Level(Level::Max)),
];

/// A level word.
fn word(value: &mut Reader<'_>) -> Result<Option<Mode>, Error> {
    let Some(word) = value.opt(Reader::str)? else { return Ok(None) };
    let word = word.trim();
    if word.is_empty() {
        return Ok(None);
    }
    match WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)) {
        Some((_, mode)) => Ok(Some(*mode)),
        None => Err(Error::malformed(format!(
            "unknown level {word:?}; use none, auto, minimal, low, medium, high, xhigh or max"
        ))),
    }
}

fn switch(value: &mut Reader<'_>) -> Result<Option<Mode>, Error> {
    Ok(value.opt(Reader::bool)?.map(|is_on| if is_on { Mode::On } else { Mode::Off }))
}

fn summary(value: &mut Reader<'_>) -> Result<Option<Show>, Error> {
    if value.kind() != Kind::String {
        return value.skip().map(|()| None);
    }
    Ok(match &*value.str()? {
        "auto" => Some(Show::Summary(Summary::Auto)),
        "concise" => Some(Show::Summary(Summary::Concise)),
        "detailed" => Some(Show::Summary(Summary::Detailed)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(body: &str) -> Option<ReasoningWish> {
        let mut wish = Wish::default();
        Reader::new(body).object(|key, value| wish.member(key, value).map(drop)).unwrap();
        wish.resolve()
    }

    fn mode(body: &str) -> Option<Mode> {
        wish(body).and_then(|wish| wish.mode)
    }

    #[test]
    fn off_wins_over_numbers_numbers_over_levels_levels_over_on() {
        for (body, expected) in [
            (r#"{"thinking_budget":16384,"reasoning_effort":"medium"}"#, Some(Mode::Budget(16384))),
            (r#"{"thinking_budget":16384,"reasoning_effort":"none"}"#, Some(Mode::Off)),
            (r#"{"reasoning_effort":"high","enable_thinking":true}"#, Some(Mode::Level(Level::High))),
            (r#"{"reasoning_effort":"high","enable_thinking":false}"#, Some(Mode::Off)),
            (r#"{"thinking":{"type":"enabled"},"reasoning_effort":"LOW"}"#, Some(Mode::Level(Level::Low))),
            (r#"{"thinking":{"type":"enabled","budget_tokens":2000}}"#, Some(Mode::Budget(2000))),
            (r#"{"thinking":{"type":"adaptive"},"reasoning_effort":"max"}"#, Some(Mode::Level(Level::Max))),
            (r#"{"thinking":{"type":"adaptive"}}"#, Some(Mode::Auto)),
            (r#"{"reasoning":{"max_tokens":99,"effort":"low"}}"#, Some(Mode::Budget(99))),
            (r#"{"reasoning":{"enabled":true}}"#, Some(Mode::On)),
            (r#"{"reasoning":{"effort":"none"}}"#, Some(Mode::Off)),
            (r#"{"thinking_budget":-1,"reasoning_effort":"high"}"#, Some(Mode::Auto)),
            (r#"{"thinking_config":{"thinkingLevel":"HIGH"}}"#, Some(Mode::Level(Level::High))),
            (r#"{"thinking_config":{"thinkingLevel":"THINKING_LEVEL_UNSPECIFIED"}}"#, None),
            (r#"{"reasoning_effort":""}"#, None),
            (r#"{"reasoning_effort":null,"thinking":null,"reasoning":null}"#, None),
        ] {
            assert_eq!(mode(body), expected, "{body}");
        }
    }

    #[test]
    fn visibility_is_read_from_three_places() {
        let show = |body: &str| wish(body).and_then(|wish| wish.show);
        assert_eq!(show(r#"{"reasoning":{"exclude":true,"summary":"auto"}}"#), Some(Show::Hidden));
        assert_eq!(show(r#"{"include_reasoning":false}"#), Some(Show::Hidden));
        assert_eq!(
            show(r#"{"thinking_config":{"include_thoughts":true}}"#),
            Some(Show::Summary(Summary::Auto))
        );
        assert_eq!(show(r#"{"reasoning_effort":"low"}"#), None);
    }

    #[test]
    fn unknown_words_and_numbers_below_minus_one_are_refused() {
        for (body, path) in [
            (r#"{"reasoning_effort":"lots"}"#, "reasoning_effort"),
            (r#"{"thinking_budget":-2}"#, "thinking_budget"),
            (r#"{"reasoning":{"effort":"x"}}"#, "reasoning.effort"),
            (r#"{"thinking":{"type":"on"}}"#, "thinking.type"),
        ] {
            let error = Reader::new(body)
                .object(|key, value| Wish::default().member(key, value).map(drop))
                .unwrap_err();
            assert_eq!(error.path().as_deref(), Some(path), "{body}");
        }
    }
}
