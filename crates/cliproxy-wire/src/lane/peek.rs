//! What routing needs to know of a request body, in one cheap pass that also finds a body that is cut off or no JSON
//! object. What is inside of messages and tools is judged by whoever reads them: a decoder, or the upstream.

use std::ops::Range;

use memchr::memmem;

use crate::Error;
use crate::form::Part;
use crate::format::Format;
use crate::json::{self, Kind, Reader};
use crate::opaque;

/// A request body, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek<'b> {
    /// The body without byte order mark: one well-formed JSON object.
    pub text: &'b str,
    /// `model`, if it is a string. Gemini bodies usually have none: there the path says it. A Code Assist envelope that
    /// has none may have one inside.
    pub model: Option<String>,
    /// Where the value of `model` stands in the body as given; `None` when there is none, or more than one.
    pub model_at: Option<Range<usize>>,
    /// Whether the body asks for a stream, by the rule of its route: Claude streams for anything but `false`,
    /// OpenAI for `true` alone; for Gemini the path decides.
    pub is_stream: bool,
    /// A Responses body sent to the Chat route: no `messages`, but `input` or `instructions`.
    pub is_responses_shape: bool,
    /// Gemini: the body is a Code Assist envelope.
    pub is_enveloped: bool,
    /// Chat: `stream_options.include_usage` is `true`.
    pub includes_usage: bool,
    /// Chat: how many answers are wanted (`n`).
    pub n_choices: u32,
    /// `prompt_cache_key`.
    pub prompt_cache_key: Option<String>,
    /// `previous_response_id`.
    pub previous_response_id: Option<String>,
    /// `metadata.user_id`, else `user`.
    pub user_id: Option<String>,
    /// `request.session_id` of a Code Assist envelope.
    pub session_id: Option<String>,
    /// What the conversation opened with, as written: the first element of `messages`, `input` or `contents`.
    pub opening: Option<&'b str>,
}

impl Peek<'_> {
    /// What there is to see of a form: its model and its wish for a stream.
    pub fn of_form(parts: &[Part]) -> Self {
        let field = |name: &str| parts.iter().rev().find(|part| part.name == name && part.file.is_none());
        let model = field("model");
        Self {
            model: model.and_then(Part::text).map(str::to_owned).filter(|text| !text.is_empty()),
            model_at: model.map(|part| part.at.clone()),
            is_stream: field("stream").and_then(Part::text).is_some_and(|text| text.trim() == "true"),
            ..Self::of_text("")
        }
    }
}

impl<'b> Peek<'b> {
    /// Nothing seen yet.
    fn of_text(text: &'b str) -> Self {
        Self {
            text,
            model: None,
            model_at: None,
            is_stream: false,
            is_responses_shape: false,
            is_enveloped: false,
            includes_usage: false,
            n_choices: 1,
            prompt_cache_key: None,
            previous_response_id: None,
            user_id: None,
            session_id: None,
            opening: None,
        }
    }
}

/// Whether a body may hold an envelope of the gateway: see [`opaque::unwrap`].
pub fn may_hold_envelope(body: &[u8]) -> bool {
    memmem::find(body, opaque::PREFIX.as_bytes()).is_some()
}

/// Looks at a body.
///
/// # Errors
/// When the body is not one JSON object in UTF-8.
pub fn peek(format: Format, body: &[u8]) -> Result<Peek<'_>, Error> {
    let text = json::without_mark(body);
    let mark = body.len() - text.len();
    let mut peek = peek_text(format, json::text(text)?)?;
    peek.model_at = peek.model_at.map(|at| mark + at.start..mark + at.end);
    Ok(peek)
}

/// Looks at the text of a body.
///
/// # Errors
/// When it is not one JSON object.
pub fn peek_text(format: Format, text: &str) -> Result<Peek<'_>, Error> {
    if text.trim_ascii().is_empty() {
        return Err(Error::malformed("the body is empty; send a JSON object"));
    }
    let mut peek = Peek::of_text(text);
    let (mut has_messages, mut has_input, mut n_models) = (false, false, 0);
    let (mut user, mut inner_model) = (None, None);
    let mut reader = Reader::new(text);
    reader.object(|key, value| {
        let start = value.position();
        match key {
            "model" => {
                peek.model = string(value)?;
                n_models += 1;
                peek.model_at = (n_models == 1).then(|| start..value.position());
            }
            "stream" => {
                let word = value.raw()?;
                peek.is_stream = match format {
                    Format::Chat | Format::Responses => word == "true",
                    Format::Claude => word != "false",
                    Format::Gemini => false,
                };
            }
            "messages" => {
                has_messages = true;
                peek.opening = opening(value)?;
            }
            "input" => {
                has_input = true;
                peek.opening = opening(value)?;
            }
            "contents" => peek.opening = opening(value)?,
            "instructions" => has_input = true,
            "stream_options" if value.kind() == Kind::Object => value.object(|key, value| {
                if key == "include_usage" {
                    peek.includes_usage = value.raw()? == "true";
                }
                Ok(())
            })?,
            "n" if format == Format::Chat => peek.n_choices = value.raw()?.parse().unwrap_or(1),
            "prompt_cache_key" => peek.prompt_cache_key = string(value)?,
            "previous_response_id" => peek.previous_response_id = string(value)?,
            "user" => user = string(value)?,
            "metadata" if value.kind() == Kind::Object => value.object(|key, value| {
                if key == "user_id" {
                    peek.user_id = string(value)?;
                }
                Ok(())
            })?,
            "request" if format == Format::Gemini && value.kind() == Kind::Object => {
                peek.is_enveloped = true;
                value.object(|key, value| {
                    match key {
                        "session_id" => peek.session_id = string(value)?,
                        "model" => inner_model = string(value)?,
                        _ => {}
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        if value.position() == start {
            value.pass_over()?;
        }
        Ok(())
    })?;
    reader.finish()?;
    peek.user_id = peek.user_id.or(user);
    let bare = |model: String| model.strip_prefix("models/").map(str::to_owned).unwrap_or(model);
    peek.model = peek.model.or_else(|| inner_model.map(bare));
    peek.is_responses_shape = format == Format::Chat && !has_messages && has_input;
    Ok(peek)
}

/// The first element of a conversation; a conversation that is a single text is its own opening. The others are not
/// looked at.
fn opening<'b>(value: &mut Reader<'b>) -> Result<Option<&'b str>, Error> {
    if value.kind() != Kind::Array {
        return value.raw().map(Some);
    }
    let first = value.clone().first()?;
    value.pass_over()?;
    Ok(first)
}

/// A string that says something; anything else is passed over.
fn string(value: &mut Reader<'_>) -> Result<Option<String>, Error> {
    if value.kind() != Kind::String {
        value.skip()?;
        return Ok(None);
    }
    Ok(Some(value.string()?).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(format: Format, body: &str) -> Peek<'_> {
        peek(format, body.as_bytes()).unwrap()
    }

    #[test]
    fn the_stream_member_follows_the_rule_of_its_route() {
        for (word, claude, openai) in [
            ("true", true, true),
            ("false", false, false),
            ("null", true, false),
            ("\"true\"", true, false),
            ("1", true, false),
        ] {
            let body = format!("{{\"stream\": {word} }}");
            assert_eq!(seen(Format::Claude, &body).is_stream, claude, "{word}");
            assert_eq!(seen(Format::Chat, &body).is_stream, openai, "{word}");
            assert_eq!(seen(Format::Responses, &body).is_stream, openai, "{word}");
        }
        assert!(!seen(Format::Claude, "{}").is_stream);
    }

    #[test]
    fn the_number_of_answers_is_that_of_a_chat_request() {
        for (word, expected) in [("3", 3), ("1", 1), ("null", 1), ("\"3\"", 1), ("-1", 1), ("99999999999", 1)]
        {
            assert_eq!(seen(Format::Chat, &format!("{{\"n\": {word} }}")).n_choices, expected, "{word}");
        }
        assert_eq!(seen(Format::Responses, "{\"n\":3}").n_choices, 1);
        assert_eq!(seen(Format::Chat, "{}").n_choices, 1);
    }

    #[test]
    fn model_and_session_hints_are_found_and_the_last_duplicate_counts() {
        let body = "\u{FEFF}{\"model\":\"a\",\"metadata\":{\"user_id\":\"u\"},\"user\":\"v\",\"model\":\"b\",\
            \"prompt_cache_key\":\"k\",\"previous_response_id\":null,\"stream_options\":{\"include_usage\":true}}";
        let peek = seen(Format::Chat, body);
        assert_eq!((peek.model.as_deref(), peek.model_at), (Some("b"), None));
        assert_eq!(peek.user_id.as_deref(), Some("u"));
        assert_eq!(peek.prompt_cache_key.as_deref(), Some("k"));
        assert_eq!((peek.previous_response_id, peek.includes_usage), (None, true));
        assert!(peek.text.starts_with('{'));
        for body in ["\u{FEFF}{ \"model\" : \"a\" }", "{\"x\":1,\"model\":\"a\"}"] {
            let at = seen(Format::Chat, body).model_at;
            assert_eq!(at.and_then(|at| body.get(at)), Some("\"a\""));
        }
    }

    #[test]
    fn the_opening_is_the_first_element_as_written() {
        assert_eq!(seen(Format::Chat, "{\"messages\":[ {\"a\": 1.0} , {}]}").opening, Some("{\"a\": 1.0}"));
        assert_eq!(seen(Format::Gemini, "{\"contents\":[]}").opening, None);
        assert_eq!(seen(Format::Responses, "{\"input\":\"hi\"}").opening, Some("\"hi\""));
    }

    #[test]
    fn shapes_of_other_routes_are_recognised() {
        assert!(seen(Format::Chat, r#"{"input":"hi"}"#).is_responses_shape);
        assert!(!seen(Format::Chat, r#"{"input":"hi","messages":[]}"#).is_responses_shape);
        let enveloped = seen(Format::Gemini, r#"{"model":"m","request":{"session_id":"s","contents":[]}}"#);
        assert!(enveloped.is_enveloped);
        assert_eq!((enveloped.session_id.as_deref(), enveloped.model.as_deref()), (Some("s"), Some("m")));
        let counting = seen(Format::Gemini, r#"{"request":{"model":"models/m","contents":[]}}"#);
        assert_eq!((counting.model.as_deref(), counting.model_at), (Some("m"), None));
        assert!(may_hold_envelope(br#"{"x":"R1dTAXs"}"#) && !may_hold_envelope(br#"{"x":"R1d"}"#));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for body in [&b"[]"[..], b"", b"{\"a\":}", b"{} x", b"\"s\"", b"{\"a\":\"\xFF\"}", b"{\"a\":[1,2}"] {
            assert!(peek(Format::Chat, body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
