//! What changes in a request on its way between equal formats: single members, and the Code Assist envelope.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::history::{self, Acceptance};
use crate::Error;
use crate::format::Format;
use crate::json::patch::{self, Edit, Path};
use crate::json::{self, Kind, Raw, Reader, object};
use crate::opaque;
use crate::reasoning::{Members, Plan, Thinking};

/// The changes; what is not named stays as the client wrote it, byte for byte.
#[derive(Clone, Debug, Default)]
pub struct Rewrite<'a> {
    /// The upstream's name of the model, where it differs from the body's. Gemini bodies outside the envelope name
    /// none and get none.
    pub model: Option<&'a str>,
    /// The `stream` member, where it is to differ from the client's wish.
    pub stream: Option<bool>,
    /// Reasoning decided by a suffix of the model's name: replaces what the body says.
    pub plan: Option<&'a Plan>,
    /// Chat: ask for a usage chunk that the client did not ask for.
    pub injects_usage: bool,
    /// Repair of foreign state in the history; looked for only where the body may hold an envelope.
    pub accepts: Option<Acceptance<'a>>,
    /// Gemini: what becomes of the Code Assist envelope.
    pub envelope: Envelope<'a>,
    /// Further edits (restrictions of a profile, rules of the configuration), made last. Paths begin at the body
    /// inside the envelope.
    pub edits: Vec<Edit>,
}

/// What becomes of the Code Assist envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// There is none on either side.
    #[default]
    None,
    /// The upstream wants one.
    Wrap {
        /// The upstream's name of the model.
        model: &'a str,
        /// The credential's project.
        project: Option<&'a str>,
        /// Id of the prompt, where the caller has one.
        user_prompt_id: Option<&'a str>,
    },
    /// The client sent one and the upstream takes none.
    Unwrap,
    /// Both sides have one; the model is replaced.
    Keep {
        /// The upstream's name of the model.
        model: &'a str,
        /// The client's project stays, for want of one of the credential.
        keeps_project: bool,
    },
}

/// Makes the changes to the body `text`, which then is borrowed if nothing had to change.
///
/// # Errors
/// When `text` is not one JSON object, or is to be unwrapped and has no `request`.
pub fn rewrite<'t>(format: Format, text: &'t str, changes: &Rewrite<'_>) -> Result<Cow<'t, str>, Error> {
    match changes.envelope {
        Envelope::None => body(format, text, changes),
        Envelope::Wrap { model, project, user_prompt_id } => {
            let inner = body(format, text, changes)?;
            let mut out = Vec::with_capacity(inner.len() + 128);
            object(&mut out, |envelope| {
                envelope.str("model", model);
                envelope.opt_str("project", project);
                envelope.opt_str("user_prompt_id", user_prompt_id);
                envelope.raw("request", inner.trim());
            });
            Ok(String::from_utf8(out).unwrap_or_default().into())
        }
        Envelope::Unwrap => {
            let inner = request(text)?;
            let mut inner_changes = changes.clone();
            inner_changes.edits.push(Edit::remove(Path::root().key("session_id")));
            body(format, inner, &inner_changes)
        }
        Envelope::Keep { model, keeps_project } => {
            let mut edits = vec![Edit::set(Path::root().key("model"), Raw::string(model))];
            if !keeps_project {
                edits.push(Edit::remove(Path::root().key("project")));
            }
            if let Cow::Owned(inner) = body(format, request(text)?, changes)? {
                edits.push(Edit::set(Path::root().key("request"), Raw::new(inner)));
            }
            patch::apply(text, &edits)
        }
    }
}

fn request(text: &str) -> Result<&str, Error> {
    let request = json::member(text, "request").ok_or_else(|| Error::missing("request"))?;
    match Reader::new(request).kind() {
        Kind::Object => Ok(request),
        _ => Err(Error::malformed("expected an object").under_key("request")),
    }
}

fn body<'t>(format: Format, text: &'t str, changes: &Rewrite<'_>) -> Result<Cow<'t, str>, Error> {
    let mut edits = Vec::new();
    if let Some(model) = changes.model
        && format != Format::Gemini
    {
        edits.push(Edit::set(Path::root().key("model"), Raw::string(model)));
    }
    if let Some(stream) = changes.stream
        && format != Format::Gemini
    {
        edits.push(Edit::set(Path::root().key("stream"), Raw::new(if stream { "true" } else { "false" })));
    }
    if changes.injects_usage && format == Format::Chat {
        edits.push(Edit::set(Path::root().key("stream_options").key("include_usage"), Raw::new("true")));
    }
    if let Some(accepts) = &changes.accepts
        && memchr::memmem::find(text.as_bytes(), opaque::PREFIX.as_bytes()).is_some()
    {
        edits.append(&mut history::repairs(format, text, accepts)?);
    }
    if let Some(plan) = changes.plan {
        reasoning(format, text, plan, &mut edits);
    }
    edits.extend(changes.edits.iter().cloned());
    if edits.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    patch::apply(text, &edits)
}

/// The body with another model at the place that names it, as [`super::peek`] saw it: what [`rewrite`] does when
/// nothing but the name changes, without reading or copying the body. What stands before the name, the name, and the rest.
pub fn rename(body: &Bytes, model_at: Range<usize>, model: &str) -> Option<[Bytes; 3]> {
    renamed(body, model_at, Raw::string(model).as_str().to_owned())
}

/// The same for a form, where the name stands as it is.
pub fn rename_in_form(body: &Bytes, model_at: Range<usize>, model: &str) -> Option<[Bytes; 3]> {
    renamed(body, model_at, model.to_owned())
}

fn renamed(body: &Bytes, model_at: Range<usize>, written: String) -> Option<[Bytes; 3]> {
    let (before, rest) = (..model_at.start, model_at.end..);
    body.get(before).zip(body.get(rest.clone()))?;
    Some([body.slice(before), written.into(), body.slice(rest)])
}

fn number(value: impl Into<i128>) -> Raw {
    Raw::new(value.into().to_string())
}

/// The edits that replace what the body says of reasoning.
fn reasoning(format: Format, text: &str, plan: &Plan, edits: &mut Vec<Edit>) {
    let at = |name: &str| Path::root().key(name);
    let put = |edits: &mut Vec<Edit>, path: Path, value: Option<Raw>| {
        edits.push(match value {
            Some(value) => Edit::set(path, value),
            None => Edit::remove(path),
        });
    };
    match &plan.members {
        // Nothing is to be said, so what the body says goes.
        Members::None => match format {
            Format::Claude => {
                edits.extend([at("thinking"), at("output_config").key("effort")].map(Edit::remove));
            }
            Format::Gemini => gemini_thinking(text, (None, None, false), edits),
            Format::Chat => chat_members(text, &[], edits),
            Format::Responses => edits.push(Edit::remove(at("reasoning").key("effort"))),
        },
        Members::Claude { thinking, effort } => {
            put(edits, at("thinking"), thinking.map(claude_thinking));
            let effort = effort.map(|level| Raw::string(level.as_str()));
            put(edits, at("output_config").key("effort"), effort);
            if let Some(limit) = plan.max_output_tokens {
                edits.push(Edit::set(at("max_tokens"), number(limit)));
            }
        }
        Members::Gemini { budget, level, include_thoughts } => {
            let level = level.map(|level| Raw::string(&level.as_str().to_ascii_uppercase()));
            gemini_thinking(text, (*budget, level, *include_thoughts), edits);
        }
        Members::Effort { effort, summary } => {
            let effort = effort.map(Raw::string);
            if format == Format::Responses {
                put(edits, at("reasoning").key("effort"), effort);
                if let Some(summary) = summary {
                    edits.push(Edit::set(at("reasoning").key("summary"), Raw::string(summary.as_str())));
                }
            } else {
                put(edits, at("reasoning_effort"), effort);
            }
        }
        Members::Chat(members) => chat_members(text, members, edits),
    }
    drop_sampling(format, text, plan, edits);
}

fn claude_thinking(thinking: Thinking) -> Raw {
    Raw::object(|object| match thinking {
        Thinking::Disabled => object.str("type", "disabled"),
        Thinking::Enabled { budget } => {
            object.str("type", "enabled");
            object.u64("budget_tokens", budget);
        }
        Thinking::Adaptive { is_summarized } => {
            object.str("type", "adaptive");
            if is_summarized {
                object.str("display", "summarized");
            }
        }
    })
}

/// Exactly one of budget and level stays; both spellings of every member are known to Google.
fn gemini_thinking(text: &str, wish: (Option<i64>, Option<Raw>, bool), edits: &mut Vec<Edit>) {
    let (budget, level, includes_thoughts) = wish;
    let spelled = |parent: &Path, camel: &str, snake: &str| {
        let snake = parent.clone().key(snake);
        if patch::get(text, &snake).is_some() { snake } else { parent.clone().key(camel) }
    };
    let generation = spelled(&Path::root(), "generationConfig", "generation_config");
    let thinking = spelled(&generation, "thinkingConfig", "thinking_config");
    let wanted = match (budget, level) {
        (_, Some(level)) => Some((("thinkingLevel", "thinking_level"), level)),
        (Some(budget), None) => Some((("thinkingBudget", "thinking_budget"), number(budget))),
        (None, None) => None,
    };
    let kept = wanted.map(|((camel, snake), value)| {
        let path = spelled(&thinking, camel, snake);
        edits.push(Edit::set(path.clone(), value));
        path
    });
    for name in ["thinkingBudget", "thinking_budget", "thinkingLevel", "thinking_level"] {
        let path = thinking.clone().key(name);
        if kept.as_ref() != Some(&path) {
            edits.push(Edit::remove(path));
        }
    }
    let path = spelled(&thinking, "includeThoughts", "include_thoughts");
    if includes_thoughts {
        edits.push(Edit::set_default(path, Raw::new("true")));
    } else if patch::get(text, &path).is_some() {
        // Thoughts of a model that does not think are refused.
        edits.push(Edit::set(path, Raw::new("false")));
    }
}

/// Chat relatives: their own members come, those of other spellings go.
fn chat_members(text: &str, members: &[(&'static str, Raw)], edits: &mut Vec<Edit>) {
    const SPELLINGS: [&str; 5] =
        ["reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget"];
    for name in SPELLINGS {
        if !members.iter().any(|(written, _)| *written == name) {
            edits.push(Edit::remove(Path::root().key(name)));
        }
    }
    for (name, value) in members {
        let path = Path::root().key(*name);
        let is_shared =
            matches!(*name, "chat_template_kwargs" | "extra_body") && value.kind() == Kind::Object;
        if !is_shared || patch::get(text, &path).is_none() {
            edits.push(Edit::set(path, value.clone()));
            continue;
        }
        // The client's own entries stay.
        let merged = value.reader().object(|key, inner| {
            edits.push(Edit::set(path.clone().key(key), inner.to_raw()?));
            Ok(())
        });
        debug_assert!(merged.is_ok(), "members are built by us");
    }
}

fn drop_sampling(format: Format, text: &str, plan: &Plan, edits: &mut Vec<Edit>) {
    let remove = |edits: &mut Vec<Edit>, names: &[&str]| {
        edits.extend(names.iter().map(|name| Edit::remove(Path::root().key(*name))));
    };
    match format {
        Format::Claude if plan.drops_sampling => remove(edits, &["temperature", "top_p", "top_k"]),
        Format::Claude if plan.is_on => {
            let value = |name| json::member(text, name).and_then(|value| value.parse::<f64>().ok());
            remove(edits, &["top_k"]);
            if value("temperature").is_some_and(|value| (value - 1.0).abs() > f64::EPSILON) {
                remove(edits, &["temperature"]);
            }
            if value("top_p").is_some_and(|value| value < 0.95) {
                remove(edits, &["top_p"]);
            }
        }
        Format::Chat | Format::Responses if plan.drops_sampling => remove(
            edits,
            &[
                "temperature",
                "top_p",
                "presence_penalty",
                "frequency_penalty",
                "logit_bias",
                "logprobs",
                "top_logprobs",
            ],
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Level;

    fn rewritten(format: Format, text: &str, changes: &Rewrite<'_>) -> String {
        rewrite(format, text, changes).unwrap().into_owned()
    }

    fn planned(members: Members) -> Plan {
        Plan { members, is_on: true, ..Plan::default() }
    }

    #[test]
    fn a_suffix_writes_claude_thinking_and_takes_what_excludes_it() {
        let members = Members::Claude { thinking: Some(Thinking::Enabled { budget: 4096 }), effort: None };
        let plan = Plan { max_output_tokens: Some(8192), ..planned(members) };
        let text = r#"{"model":"m(4096)", "max_tokens":1024, "temperature":0.5,"top_k":3,"top_p":0.99, "output_config":{"effort":"low","x":1}}"#;
        assert_eq!(
            rewritten(
                Format::Claude,
                text,
                &Rewrite { model: Some("m"), plan: Some(&plan), ..Rewrite::default() }
            ),
            r#"{"model":"m", "max_tokens":8192,"top_p":0.99, "output_config":{"x":1},"thinking":{"type":"enabled","budget_tokens":4096}}"#
        );
    }

    #[test]
    fn effort_is_written_where_the_format_has_it() {
        let plan = planned(Members::Effort { effort: Some("high"), summary: None });
        let changes = Rewrite { plan: Some(&plan), ..Rewrite::default() };
        assert_eq!(
            rewritten(Format::Responses, r#"{"reasoning":{"summary":"auto","effort":"low"}}"#, &changes),
            r#"{"reasoning":{"summary":"auto","effort":"high"}}"#
        );
        assert_eq!(rewritten(Format::Chat, "{\"a\":1}", &changes), r#"{"a":1,"reasoning_effort":"high"}"#);
    }

    #[test]
    fn a_plan_that_says_nothing_silences_the_body() {
        let plan = Plan::default();
        let changes = Rewrite { plan: Some(&plan), ..Rewrite::default() };
        for (format, text, expected) in [
            (Format::Claude, r#"{"thinking":{"type":"enabled"},"a":1}"#, r#"{"a":1}"#),
            (Format::Chat, r#"{"a":1,"reasoning_effort":"low"}"#, r#"{"a":1}"#),
            (Format::Responses, r#"{"reasoning":{"effort":"low"}}"#, r#"{"reasoning":{}}"#),
        ] {
            assert_eq!(rewritten(format, text, &changes), expected);
        }
    }

    #[test]
    fn relatives_of_chat_get_their_own_members_and_lose_other_spellings() {
        let plan =
            planned(Members::Chat(vec![("chat_template_kwargs", Raw::new(r#"{"enable_thinking":true}"#))]));
        let changes = Rewrite { plan: Some(&plan), ..Rewrite::default() };
        assert_eq!(
            rewritten(
                Format::Chat,
                r#"{"reasoning_effort":"low","chat_template_kwargs":{"x":1.0}}"#,
                &changes
            ),
            r#"{"chat_template_kwargs":{"x":1.0,"enable_thinking":true}}"#
        );
    }

    #[test]
    fn gemini_keeps_the_spelling_of_the_client() {
        let plan =
            planned(Members::Gemini { budget: None, level: Some(Level::High), include_thoughts: true });
        let changes = Rewrite { plan: Some(&plan), ..Rewrite::default() };
        let text =
            r#"{"generation_config":{"thinking_config":{"thinking_budget":5,"include_thoughts":false}}}"#;
        assert_eq!(
            rewritten(Format::Gemini, text, &changes),
            r#"{"generation_config":{"thinking_config":{"include_thoughts":false,"thinkingLevel":"HIGH"}}}"#
        );
    }

    #[test]
    fn usage_is_asked_for_beside_other_stream_options() {
        let changes = Rewrite { injects_usage: true, ..Rewrite::default() };
        for (text, expected) in [
            (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (
                r#"{"stream_options":{"include_obfuscation":false}}"#,
                r#"{"stream_options":{"include_obfuscation":false,"include_usage":true}}"#,
            ),
            (r#"{"stream_options":null}"#, r#"{"stream_options":{"include_usage":true}}"#),
        ] {
            assert_eq!(rewritten(Format::Chat, text, &changes), expected);
        }
    }

    #[test]
    fn an_envelope_that_stays_gets_the_model_and_loses_the_project() {
        let text = r#"{"model":"a","project":"p","user_prompt_id":"u","request":{"contents":[ 1.0 ]}}"#;
        let changes = |keeps_project, edits| Rewrite {
            envelope: Envelope::Keep { model: "b", keeps_project },
            edits,
            ..Rewrite::default()
        };
        assert_eq!(
            rewritten(Format::Gemini, text, &changes(true, vec![])),
            r#"{"model":"b","project":"p","user_prompt_id":"u","request":{"contents":[ 1.0 ]}}"#
        );
        let edits = vec![Edit::set(Path::parse("x"), Raw::new("1"))];
        assert_eq!(
            rewritten(Format::Gemini, text, &changes(false, edits)),
            r#"{"model":"b","user_prompt_id":"u","request":{"contents":[ 1.0 ],"x":1}}"#
        );
    }

    #[test]
    fn a_body_without_request_cannot_be_unwrapped() {
        let changes = Rewrite { envelope: Envelope::Unwrap, ..Rewrite::default() };
        let error = rewrite(Format::Gemini, "{\"contents\":[]}", &changes).unwrap_err();
        assert_eq!(error.path().as_deref(), Some("request"));
    }
}
