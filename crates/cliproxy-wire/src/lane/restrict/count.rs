//! What the services that count tokens refuse of a body that asks for an answer: their routes know fewer members.
//!
//! Members that only matter to an answer are taken out, and every other byte stays. What the service wants in another
//! form, or does not count at all, is for the translation.

use super::{at, members};
use crate::Error;
use crate::format::Format;
use crate::json::patch::{Edit, Path};
use crate::json::{Kind, Raw, Reader};
use crate::profile::{Dialect, Profile};

/// Of Claude's members those that do not count.
const CLAUDE: [&str; 9] = [
    "container",
    "max_tokens",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
];

/// Of the members of Responses those that do not count.
const RESPONSES: [&str; 19] = [
    "background",
    "context_management",
    "include",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
];

/// What Vertex counts, in both spellings.
const VERTEX: [&str; 6] =
    ["contents", "systemInstruction", "system_instruction", "tools", "generationConfig", "generation_config"];

/// The edits that make a body one that an upstream of the same format counts; `None` when only a translation can.
///
/// # Errors
/// When `text` is not one JSON object.
pub fn counted(
    format: Format,
    text: &str,
    profile: &Profile,
    model: &str,
) -> Result<Option<Vec<Edit>>, Error> {
    let mut reader = Reader::new(text);
    match (format, profile.dialect) {
        (Format::Claude, _) => claude(&mut reader),
        (Format::Responses, Dialect::Native | Dialect::Compatible) => without(&mut reader, &RESPONSES),
        (Format::Gemini, Dialect::Native) => gemini(&mut reader, model),
        (Format::Gemini, Dialect::Vertex) => vertex(&mut reader),
        _ => Ok(None),
    }
}

fn without(reader: &mut Reader<'_>, names: &[&str]) -> Result<Option<Vec<Edit>>, Error> {
    let mut edits = Vec::new();
    members(reader, |key, value| {
        if names.contains(&key) {
            edits.push(Edit::remove(at(key)));
        }
        value.skip()
    })?;
    Ok(Some(edits))
}

/// Tools that the provider executes are not counted, and those of remote servers refused.
fn claude(reader: &mut Reader<'_>) -> Result<Option<Vec<Edit>>, Error> {
    let (mut edits, mut is_refused) = (Vec::new(), false);
    members(reader, |key, value| {
        if CLAUDE.contains(&key) {
            edits.push(Edit::remove(at(key)));
        }
        match (key, value.kind()) {
            ("mcp_servers", _) => {
                is_refused = true;
                value.skip()
            }
            ("tools", Kind::Array) => value.array(|_, tool| {
                members(tool, |key, value| {
                    if key == "type" {
                        is_refused |= !matches!(value.raw()?, "\"custom\"" | "null");
                        return Ok(());
                    }
                    value.skip()
                })
            }),
            _ => value.skip(),
        }
    })?;
    Ok((!is_refused).then_some(edits))
}

/// The public service takes contents, or everything inside of one member, where the model is named once more.
fn gemini(reader: &mut Reader<'_>, model: &str) -> Result<Option<Vec<Edit>>, Error> {
    let (mut edits, mut is_of_another_form) = (Vec::new(), false);
    let name = ["\"models/", model, "\""].concat();
    members(reader, |key, value| match key {
        "contents" => value.skip(),
        "generateContentRequest" => members(value, |inner, value| {
            if inner == "model" && value.raw()? != name {
                edits.push(Edit::set(Path::root().key(key).key(inner), Raw::new(&*name)));
                return Ok(());
            }
            if inner == "model" { Ok(()) } else { value.skip() }
        }),
        _ => {
            is_of_another_form = true;
            value.skip()
        }
    })?;
    Ok((!is_of_another_form).then_some(edits))
}

fn vertex(reader: &mut Reader<'_>) -> Result<Option<Vec<Edit>>, Error> {
    let mut is_known = true;
    members(reader, |key, value| {
        is_known &= VERTEX.contains(&key);
        value.skip()
    })?;
    Ok(is_known.then(Vec::new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::patch;

    fn as_counted(format: Format, profile: &Profile, body: &str) -> Option<String> {
        let edits = counted(format, body, profile, "m").unwrap()?;
        Some(patch::apply(body, &edits).unwrap().into_owned())
    }

    #[test]
    fn what_counts_stays_as_it_is_and_what_does_not_goes() {
        let (claude, responses) = (Profile::claude(), Profile::openai_responses());
        for (format, profile, body, expected) in [
            (
                Format::Claude,
                &claude,
                r#"{ "model":"m", "newer":[1.0], "system":"\u0061","messages":[],"tools":[{"name":"f"},{"type":"custom"}]}"#,
                r#"{ "model":"m", "newer":[1.0], "system":"\u0061","messages":[],"tools":[{"name":"f"},{"type":"custom"}]}"#,
            ),
            (
                Format::Claude,
                &claude,
                r#"{"max_tokens":5,"model":"m","stream":false,"messages":[ ],"metadata":{"user_id":"u"}}"#,
                r#"{"model":"m","messages":[ ]}"#,
            ),
            (
                Format::Responses,
                &responses,
                r#"{"input":"hi","store":false,"reasoning":{"effort":"low"},"temperature":1.0}"#,
                r#"{"input":"hi","reasoning":{"effort":"low"}}"#,
            ),
        ] {
            assert_eq!(as_counted(format, profile, body).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn each_service_of_google_has_its_own_form() {
        let (public, vertex) = (Profile::gemini(), Profile::vertex());
        for (profile, body, expected) in [
            (&public, r#"{"contents":[ ]}"#, Some(r#"{"contents":[ ]}"#)),
            (
                &public,
                r#"{"generateContentRequest":{"model":"models/alias","contents":[ ],"tools":[]}}"#,
                Some(r#"{"generateContentRequest":{"model":"models/m","contents":[ ],"tools":[]}}"#),
            ),
            (
                &public,
                r#"{"generateContentRequest":{"model": "models/m"}}"#,
                Some(r#"{"generateContentRequest":{"model": "models/m"}}"#),
            ),
            (&public, r#"{"contents":[],"tools":[]}"#, None),
            (&vertex, r#"{"contents":[],"tools":[ ]}"#, Some(r#"{"contents":[],"tools":[ ]}"#)),
            (&vertex, r#"{"generateContentRequest":{"contents":[]}}"#, None),
            (&vertex, r#"{"contents":[],"safetySettings":[]}"#, None),
        ] {
            assert_eq!(as_counted(Format::Gemini, profile, body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_counted_at_all_is_for_the_translation() {
        for body in [
            r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
            r#"{"tools":[{"name":"f"},{"type":"bash_20250124"}]}"#,
            r#"{"mcp_servers":[]}"#,
        ] {
            assert_eq!(as_counted(Format::Claude, &Profile::claude(), body), None, "{body}");
        }
        for profile in [Profile::code_assist(), Profile::antigravity()] {
            assert_eq!(as_counted(Format::Gemini, &profile, r#"{"contents":[]}"#), None);
        }
    }
}
