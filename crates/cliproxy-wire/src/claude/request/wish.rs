//! Reading what a client wants of reasoning: `thinking` and `output_config`.
//!
//! Both say a part of it and come in any order, so they are gathered first.

use std::borrow::Cow;

use crate::Error;
use crate::format::Format;
use crate::json::{Kind, Raw, Reader};
use crate::model::{Ext, Level, Mode, ReasoningWish, Request, Show, Summary, WishOrigin};

use super::super::block::text;

const LEVELS: [(&str, Level); 6] = [
    ("minimal", Level::Minimal),
    ("low", Level::Low),
    ("medium", Level::Medium),
    ("high", Level::High),
    ("xhigh", Level::XHigh),
    ("max", Level::Max),
];

/// The word of a level.
pub(super) fn word(level: Level) -> &'static str {
    LEVELS.iter().find(|(_, known)| *known == level).map_or("high", |(word, _)| word)
}

/// The members as they come.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    kind: Option<Cow<'a, str>>,
    budget: Option<u64>,
    display: Option<Cow<'a, str>>,
    effort: Option<Level>,
    /// Other members of `thinking`.
    rest: Ext,
}

impl<'a> Gathered<'a> {
    pub(super) fn member(
        &mut self,
        key: &str,
        value: &mut Reader<'a>,
        request: &mut Request,
    ) -> Result<(), Error> {
        match key {
            "thinking" => value.object(|key, value| {
                match key {
                    "type" => self.kind = Some(value.str()?),
                    "budget_tokens" => self.budget = value.opt(Reader::u64)?,
                    "display" => self.display = text(value)?,
                    _ => {
                        if let Some(other) = value.opt(Reader::to_raw)? {
                            self.rest.set(key, other);
                        }
                    }
                }
                Ok(())
            }),
            "output_config" => self.config(value, request),
            _ => super::read::output_format(value, request),
        }
    }

    fn config(&mut self, value: &mut Reader<'a>, request: &mut Request) -> Result<(), Error> {
        let mut rest: Vec<(String, &str)> = Vec::new();
        value.object(|key, value| {
            if value.kind() == Kind::Null {
                return Ok(());
            }
            match key {
                "effort" => {
                    let word = value.str()?;
                    let known = LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&word));
                    let (_, level) = known.ok_or_else(|| {
                        Error::malformed(format!("expected low, medium, high, xhigh or max, found {word}"))
                    })?;
                    self.effort = Some(*level);
                }
                "format" => super::read::output_format(value, request)?,
                _ => rest.push((key.to_owned(), value.raw()?)),
            }
            Ok(())
        })?;
        if !rest.is_empty() {
            let rest = Raw::object(|object| {
                for (key, value) in rest {
                    object.raw(&key, value);
                }
            });
            request.ext.set("output_config", rest);
        }
        Ok(())
    }

    pub(super) fn apply(self, request: &mut Request) -> Result<(), Error> {
        let mode = match self.kind.as_deref() {
            Some("enabled") => Some(self.budget.map_or(Mode::On, Mode::Budget)),
            Some("adaptive") => Some(self.effort.map_or(Mode::Auto, Mode::Level)),
            Some("disabled") => Some(Mode::Off),
            Some(other) => {
                return Err(Error::malformed(format!(
                    "expected enabled, adaptive or disabled, found {other}"
                ))
                .under_key("type")
                .under_key("thinking"));
            }
            None => self.effort.map(Mode::Level),
        };
        let is_thinking = matches!(self.kind.as_deref(), Some("enabled" | "adaptive"));
        let is_omitted = is_thinking && self.display.as_deref() == Some("omitted");
        let show = if is_thinking && !is_omitted { Show::Summary(Summary::Auto) } else { Show::Hidden };
        let is_interleaved =
            request.betas.iter().any(|beta| beta.starts_with("interleaved-thinking")).then_some(true);
        if mode.is_none() && is_interleaved.is_none() && self.rest.is_empty() {
            return Ok(());
        }
        let mut wish = ReasoningWish {
            mode,
            show: Some(show),
            is_interleaved,
            origin: mode.map(|_| WishOrigin::Body(Format::Claude)),
            ext: self.rest,
        };
        if let Some(display) = self.display.filter(|_| is_thinking) {
            wish.ext.set("display", Raw::string(&display));
        }
        request.reasoning = Some(wish);
        Ok(())
    }
}

/// Refuses a budget that leaves no room for an answer. With tools the budget may span several answers.
pub(super) fn check_budget(request: &Request) -> Result<(), Error> {
    let Some(Mode::Budget(budget)) = request.reasoning.as_ref().and_then(|wish| wish.mode) else {
        return Ok(());
    };
    match request.max_output_tokens {
        Some(max) if max > 0 && budget >= max && request.tools.is_empty() => Err(Error::invalid(
            "max_tokens",
            format!(
                "`max_tokens` must be greater than `thinking.budget_tokens`; raise it above {budget} or lower the budget"
            ),
        )),
        _ => Ok(()),
    }
}
