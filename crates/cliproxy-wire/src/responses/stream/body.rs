//! The response object: in the first events, in the last one, and as a body of its own.
//!
//! Clients parse it strictly, so every member is there; what the request said is repeated from it.

use crate::codec::ClientContext;
use crate::fault::{self, Fault};
use crate::format::Format;
use crate::json::{Object, Raw};
use crate::model::{Ext, Response, Usage};
use crate::usage;

use super::message::list;
use super::outlet::Outlet;

/// How far the response is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Progress<'a> {
    Running,
    Completed,
    Incomplete(&'a str),
    Failed(&'a Fault),
}

/// What is known of the response besides its items.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The upstream's format, once the answer has begun.
    origin: Option<Format>,
    model: Option<String>,
    created: Option<u64>,
    tier: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) grounding: Option<Raw>,
    pub(super) url_context: Option<Raw>,
    /// Other members of an answer of this format.
    pub(super) ext: Ext,
}

impl Head {
    pub(super) fn new(start: &Response) -> Self {
        Self {
            origin: Some(start.origin),
            model: start.model.as_deref().map(str::to_owned),
            created: start.created,
            tier: start
                .service_tier
                .as_deref()
                .and_then(|tier| tier_word(start.origin, tier))
                .map(str::to_owned),
            usage: start.usage.clone(),
            grounding: None,
            url_context: None,
            ext: if start.origin == Format::Responses { start.ext.clone() } else { Ext::new() },
        }
    }

    /// Takes in the other members of the final message. Those of another format say nothing here, even where this one
    /// has a member of that name.
    pub(super) fn take_ext(&mut self, newer: &Ext) {
        if self.origin == Some(Format::Responses) {
            for (name, value) in newer.iter() {
                self.ext.set(name, value.clone());
            }
        }
    }

    /// Writes the members.
    pub(super) fn write(
        &self,
        object: &mut Object<'_>,
        context: &ClientContext,
        outlet: &Outlet,
        progress: Progress<'_>,
    ) {
        let created = self.created.unwrap_or(context.created);
        let echo = |object: &mut Object<'_>, name: &str, absent: &str| {
            object.raw(name, context.echo.get(name).map_or(absent, Raw::as_str));
        };
        object.str("id", &outlet.response_id());
        object.str("object", "response");
        object.u64("created_at", created);
        match progress {
            Progress::Completed => object.u64("completed_at", (context.now)().max(created)),
            _ => object.null("completed_at"),
        }
        object.str(
            "status",
            match progress {
                Progress::Running => "in_progress",
                Progress::Completed => "completed",
                Progress::Incomplete(_) => "incomplete",
                Progress::Failed(_) => "failed",
            },
        );
        object.bool("background", false);
        match progress {
            Progress::Failed(fault) => object.object("error", |error| {
                error.str("code", fault::responses_error_code(fault));
                error.str("message", &fault::responses_error_message(fault));
            }),
            _ => object.null("error"),
        }
        match progress {
            Progress::Incomplete(reason) => {
                object.object("incomplete_details", |details| details.str("reason", reason));
            }
            _ => object.null("incomplete_details"),
        }
        echo(object, "instructions", "null");
        echo(object, "max_output_tokens", "null");
        object.str("model", context.model(self.model.as_deref()));
        list(object, "output", &outlet.items);
        echo(object, "parallel_tool_calls", "true");
        object.null("previous_response_id");
        let reasoning = context.echo.get("reasoning");
        object.object("reasoning", |object| {
            for name in ["effort", "summary"] {
                let value = reasoning.and_then(|reasoning| reasoning.get(name));
                object.raw(name, value.as_ref().map_or("null", Raw::as_str));
            }
        });
        object.str("service_tier", self.tier.as_deref().unwrap_or("default"));
        object.bool("store", false);
        echo(object, "temperature", "1.0");
        let text = context.echo.get("text");
        object.object("text", |object| {
            let member = |name| text.and_then(|text| text.get(name)).filter(|value| !value.is_empty());
            object.raw("format", member("format").as_ref().map_or(r#"{"type":"text"}"#, Raw::as_str));
            object.opt_raw("verbosity", member("verbosity").as_ref());
        });
        echo(object, "tool_choice", r#""auto""#);
        echo(object, "tools", "[]");
        echo(object, "top_p", "1.0");
        echo(object, "truncation", r#""disabled""#);
        match (&self.usage, progress) {
            (Some(usage), Progress::Completed | Progress::Incomplete(_) | Progress::Failed(_)) => {
                object.object("usage", |object| usage::write_responses(usage, object));
            }
            _ => object.null("usage"),
        }
        echo(object, "user", "null");
        echo(object, "metadata", "{}");
        for name in [
            "max_tool_calls",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "top_logprobs",
        ] {
            object.opt_raw(name, context.echo.get(name));
        }
        if !matches!(progress, Progress::Running) {
            object.opt_raw("grounding_metadata", self.grounding.as_ref());
            object.opt_raw("url_context_metadata", self.url_context.as_ref());
            self.ext.write(object);
        }
    }

    /// Takes a later usage snapshot in.
    pub(super) fn take_usage(&mut self, newer: &Usage) {
        let tier = newer.tier.as_deref().zip(self.origin);
        if let Some(tier) = tier.and_then(|(tier, origin)| tier_word(origin, tier)) {
            self.tier = Some(tier.to_owned());
        }
        self.usage.get_or_insert_with(Usage::default).merge(newer);
    }
}

/// The upstream's tier in the words of this format; clients know no others.
fn tier_word(origin: Format, tier: &str) -> Option<&str> {
    match (origin, tier) {
        (Format::Gemini, _) | (_, "") => None,
        (_, "standard" | "batch" | "default") => Some("default"),
        (Format::Responses, _) | (_, "priority") => Some(tier),
        (Format::Chat, "auto" | "flex" | "scale" | "fast") => Some(tier),
        _ => None,
    }
}
