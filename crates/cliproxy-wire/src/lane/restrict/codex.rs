//! The Codex backend behind ChatGPT accounts.
//!
//! Source: what it answers 400 to, `Unsupported parameter: …`. It keeps nothing, so ids of items mean nothing to it.

use super::{Purpose, Restricted, Restriction, at, conversation, is_nothing, members, stream_options};
use crate::Error;
use crate::codec::Notes;
use crate::json::patch::Edit;
use crate::json::{Kind, Raw, Reader};

/// Members that it refuses, whatever they say.
const REFUSED: [&str; 16] = [
    "max_output_tokens",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "truncation",
    "user",
    "safety_identifier",
    "prompt_cache_retention",
    "prompt_cache_options",
    "context_management",
    "generate",
    "metadata",
    "moderation",
    "extra_body",
];

/// Members that ask for what an upstream keeps.
const STATE: [&str; 4] = ["previous_response_id", "conversation", "prompt", "background"];

/// Items that carry their content with them, so that their id can go.
const WITH_CONTENT: [&str; 9] = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "tool_search_call",
    "web_search_call",
];

const ENCRYPTED: &str = "reasoning.encrypted_content";
/// Longest names and ids.
const LONGEST: usize = 64;

pub(super) fn restrict(text: &str, restriction: &Restriction<'_>) -> Result<Option<Restricted>, Error> {
    let is_answer = restriction.purpose == Purpose::Answer;
    let target = restriction.target;
    let mut body = Body { has_image_tool: target.profile.has_image_tool(target.model), ..Body::default() };
    members(&mut Reader::new(text), |key, value| body.member(key, value))?;
    // Marks inside of parts are refused too; they are rare, and the translation drops them.
    let has_marks = ["\"prompt_cache_breakpoint\"", "\"cache_control\""]
        .iter()
        .any(|mark| memchr::memmem::find(text.as_bytes(), mark.as_bytes()).is_some());
    if is_answer && (body.is_foreign || has_marks) {
        return Ok(None);
    }
    let Body { mut edits, notes, .. } = body;
    if is_answer {
        edits.push(Edit::set(at("store"), Raw::new("false")));
        if !body.is_encrypted_included {
            edits.push(Edit::set(at("include"), Raw::array(|array| array.str(ENCRYPTED))));
        }
    } else {
        edits.extend(["store", "include"].map(|name| Edit::remove(at(name))));
    }
    if body.instructions.is_none() {
        edits.push(Edit::set(at("instructions"), Raw::string("")));
    }
    if !body.has_tools {
        edits.push(Edit::remove(at("parallel_tool_calls")));
    }
    if !body.has_cache_key {
        let (instructions, opening) = (body.instructions, body.opening);
        let key = conversation(restriction, instructions.unwrap_or_default(), opening.unwrap_or_default());
        edits.push(Edit::set(at("prompt_cache_key"), key));
    }
    Ok(Some(Restricted { edits, notes }))
}

/// What was found.
#[derive(Default)]
struct Body<'t> {
    edits: Vec<Edit>,
    notes: Notes,
    /// Only a translation can make it fit.
    is_foreign: bool,
    has_tools: bool,
    has_image_tool: bool,
    has_cache_key: bool,
    /// Encrypted reasoning, and nothing else, is asked for.
    is_encrypted_included: bool,
    instructions: Option<&'t str>,
    /// The first item of the conversation, as written.
    opening: Option<&'t str>,
}

impl<'t> Body<'t> {
    fn member(&mut self, key: &str, value: &mut Reader<'t>) -> Result<(), Error> {
        match key {
            "instructions" => self.instructions = Some(value.raw()?).filter(|raw| *raw != "null"),
            "input" => return self.input(value),
            "tools" => return self.tools(value),
            "store" => {
                let is_stored = value.raw()? == "true";
                if is_stored {
                    self.notes.add(key);
                }
            }
            "include" => {
                let include = value.raw()?;
                self.is_encrypted_included = is_only(include, ENCRYPTED);
                if !self.is_encrypted_included && !is_nothing(include) {
                    self.notes.add(key);
                }
            }
            "prompt_cache_key" => self.has_cache_key = !matches!(value.raw()?, "null" | "\"\""),
            "service_tier" => match value.raw()? {
                "\"priority\"" => {}
                // Another word for it.
                "\"fast\"" => self.edits.push(Edit::set(at(key), Raw::string("priority"))),
                // What it does anyway.
                "null" | "\"auto\"" | "\"default\"" => self.edits.push(Edit::remove(at(key))),
                _ => self.drop(key),
            },
            "reasoning" => members(value, |name, value| {
                if name == "effort" && value.raw()? == "\"auto\"" {
                    self.edits.push(Edit::remove(at("reasoning").key("effort")));
                }
                Ok(())
            })?,
            _ if STATE.contains(&key) => {
                self.is_foreign |= !is_nothing(value.raw()?);
                self.edits.push(Edit::remove(at(key)));
            }
            "stream_options" => {
                self.edits.push(Edit::remove(at(key)));
                return stream_options(value, &mut self.notes);
            }
            _ if REFUSED.contains(&key) => {
                if is_nothing(value.raw()?) {
                    self.edits.push(Edit::remove(at(key)));
                } else {
                    self.drop(key);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn drop(&mut self, key: &str) {
        self.edits.push(Edit::remove(at(key)));
        self.notes.add(key);
    }

    fn input(&mut self, value: &mut Reader<'t>) -> Result<(), Error> {
        match value.kind() {
            Kind::Array => value.array(|index, item| {
                let start = item.clone();
                if index == 0 {
                    self.opening = Some(start.clone().raw()?);
                }
                self.item(item, index)
            }),
            Kind::String => {
                let text = value.raw()?;
                self.opening = Some(text);
                self.edits.push(Edit::set(at("input"), Raw::array(|array| message(array, text))));
                Ok(())
            }
            _ => {
                self.is_foreign = true;
                value.skip()
            }
        }
    }

    fn item(&mut self, item: &mut Reader<'t>, index: usize) -> Result<(), Error> {
        let (mut kind, mut role, mut is_encrypted, mut has_id) = ("\"message\"", "", false, false);
        let mut is_foreign = item.kind() != Kind::Object;
        members(item, |key, value| {
            match key {
                "type" => kind = value.raw()?,
                "role" => role = value.raw()?,
                "id" => {
                    has_id = true;
                    value.skip()?;
                }
                "encrypted_content" => is_encrypted = value.raw()? != "null",
                "call_id" => is_foreign |= value.kind() == Kind::String && value.str()?.len() > LONGEST,
                "name" => is_foreign |= value.kind() == Kind::String && !is_legal(&value.str()?),
                _ => {}
            }
            Ok(())
        })?;
        let (kind, path) = (kind.trim_matches('"'), at("input").index(index));
        self.is_foreign |= is_foreign || kind == "item_reference";
        if kind == "reasoning" && !is_encrypted {
            // There is nothing in it that the model could read.
            self.notes.add(format!("input[{index}]"));
            self.edits.push(Edit::remove(path));
            return Ok(());
        }
        if has_id && WITH_CONTENT.contains(&kind) {
            self.edits.push(Edit::remove(path.clone().key("id")));
        }
        if kind == "message" && role == "\"system\"" {
            self.edits.push(Edit::set(path.key("role"), Raw::string("developer")));
        }
        Ok(())
    }

    fn tools(&mut self, value: &mut Reader<'t>) -> Result<(), Error> {
        if value.kind() != Kind::Array {
            return value.skip();
        }
        value.array(|index, tool| {
            let (mut kind, mut is_named_well) = ("", true);
            members(tool, |key, value| {
                match key {
                    "type" => kind = value.raw()?,
                    "name" => is_named_well = value.kind() == Kind::String && is_legal(&value.str()?),
                    _ => {}
                }
                Ok(())
            })?;
            let kind = kind.trim_matches('"');
            if kind == "image_generation" && !self.has_image_tool {
                self.notes.add(format!("tools[{index}]"));
                self.edits.push(Edit::remove(at("tools").index(index)));
                return Ok(());
            }
            self.has_tools = true;
            match kind {
                "function" | "custom" => self.is_foreign |= !is_named_well,
                "web_search" | "image_generation" | "local_shell" | "tool_search" | "namespace" => {}
                web if web.starts_with("web_search") => {
                    let path = at("tools").index(index).key("type");
                    self.edits.push(Edit::set(path, Raw::string("web_search")));
                }
                _ => self.is_foreign = true,
            }
            Ok(())
        })
    }
}

/// One user message with a text that is written as JSON already.
fn message(array: &mut crate::json::Array<'_>, text: &str) {
    array.object(|item| {
        item.str("type", "message");
        item.str("role", "user");
        item.array("content", |content| {
            content.object(|part| {
                part.str("type", "input_text");
                part.raw("text", text);
            });
        });
    });
}

/// Whether a list has this text in it and no other.
fn is_only(list: &str, text: &str) -> bool {
    let mut is_only = false;
    let mut reader = Reader::new(list);
    let read = if reader.kind() == Kind::Array {
        reader.array(|index, value| {
            is_only = index == 0 && value.kind() == Kind::String && value.str()? == text;
            if index > 0 { value.skip() } else { Ok(()) }
        })
    } else {
        reader.skip()
    };
    read.is_ok() && is_only
}

fn is_legal(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::super::super::rewrite::{Rewrite, rewrite};
    use super::super::restrict;
    use super::*;
    use crate::catalog;
    use crate::codec::{Strictness, Target};
    use crate::format::Format;
    use crate::profile::Profile;

    /// What becomes of a body, and what the client is told to miss; `None` when it is for the translation.
    fn passed(text: &str, purpose: Purpose, strictness: Strictness) -> Option<(String, Vec<String>)> {
        passed_to("gpt-5.5", text, purpose, strictness)
    }

    fn passed_to(
        model: &str,
        text: &str,
        purpose: Purpose,
        strictness: Strictness,
    ) -> Option<(String, Vec<String>)> {
        let profile = Profile::codex();
        let caps = catalog::caps(model);
        let (table, schemas) = (crate::reasoning::Table::default(), crate::schema::Cleaned::default());
        let target = Target {
            profile: &profile,
            caps: &caps,
            model,
            suffix: None,
            stream: true,
            scope: Some("scope"),
            strictness,
            table: &table,
            schemas: &schemas,
            memory: None,
            repair: None,
        };
        let restriction = Restriction { target: &target, purpose, session: Some("conversation-1") };
        let Restricted { edits, notes } = restrict(text, &restriction).unwrap()?;
        let changes = Rewrite { edits, ..Rewrite::default() };
        let changed = rewrite(Format::Responses, text, &changes).unwrap().into_owned();
        Some((changed, notes.paths().to_vec()))
    }

    fn answered(text: &str) -> Option<(String, Vec<String>)> {
        passed(text, Purpose::Answer, Strictness::Default)
    }

    /// A body with everything that it needs, around more members.
    fn complete(members: &str) -> String {
        format!(
            r#"{{"model":"m",{members}"instructions":"i","store":false,"include":["reasoning.encrypted_content"],"prompt_cache_key":"k"}}"#
        )
    }

    #[test]
    fn what_its_own_client_says_passes_byte_for_byte() {
        let body = complete(
            r#""input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"\u00e9"}]},{"type":"reasoning","summary":[],"encrypted_content":"gAAA"}], "tools":[{"type":"function","name":"f","x":1.0},{"type":"web_search"},{"type":"namespace","name":"n n"}],"parallel_tool_calls":false,"service_tier":"priority","reasoning":{"effort":"high"},"future":1e3,"#,
        );
        assert_eq!(answered(&body), Some((body, Vec::new())));
    }

    #[test]
    fn what_must_be_there_is_put_there() {
        let (body, notes) = answered(r#"{"model":"m", "input":"h\u00e9","store":true,"stream":true,"parallel_tool_calls":true,"instructions":null}"#).unwrap();
        assert_eq!(
            body,
            r#"{"model":"m", "input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"h\u00e9"}]}],"store":false,"stream":true,"instructions":"","include":["reasoning.encrypted_content"],"prompt_cache_key":"conversation-1"}"#
        );
        assert_eq!(notes, ["store"]);
        let (body, notes) = answered(r#"{"model":"m","input":"hi","include":["reasoning.encrypted_content","file_search_call.results"],"instructions":"i","prompt_cache_key":"k"}"#).unwrap();
        assert!(body.contains(r#""include":["reasoning.encrypted_content"]"#), "{body}");
        assert_eq!(notes, ["include"]);
    }

    #[test]
    fn what_is_refused_is_taken_out_and_told() {
        let body = complete(
            r#""temperature":0.5,"max_output_tokens":null,"user":"u","service_tier":"flex","truncation":"auto","tools":[],"parallel_tool_calls":true,"reasoning":{"summary":"auto","effort":"auto"},"#,
        );
        let (changed, notes) = answered(&body).unwrap();
        assert_eq!(changed, complete(r#""tools":[],"reasoning":{"summary":"auto"},"#));
        assert_eq!(notes, ["temperature", "user", "service_tier", "truncation"]);
        assert_eq!(passed(&body, Purpose::Answer, Strictness::Strict), None, "the translation refuses it");
        assert!(
            answered(&complete(r#""service_tier":"fast","#))
                .unwrap()
                .0
                .contains(r#""service_tier":"priority""#)
        );
    }

    #[test]
    fn the_history_loses_what_only_a_store_knows() {
        let input = r#""input":[{"role":"system","content":"s","id":"a"},{"type":"reasoning","id":"rs_1","summary":[]},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gAAA"},{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},{"type":"image_generation_call","id":"ig_1"}],"#;
        let (changed, notes) = answered(&complete(input)).unwrap();
        let expected = r#""input":[{"role":"developer","content":"s"},{"type":"reasoning","summary":[],"encrypted_content":"gAAA"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"image_generation_call","id":"ig_1"}],"#;
        assert_eq!(changed, complete(expected));
        assert_eq!(notes, ["input[1]"]);
    }

    #[test]
    fn tools_of_the_preview_have_their_new_name() {
        let (changed, _) = answered(&complete(
            r#""tools":[{"type":"web_search_preview_2025_03_11","search_context_size":"low"}],"#,
        ))
        .unwrap();
        assert_eq!(changed, complete(r#""tools":[{"type":"web_search","search_context_size":"low"}],"#));
    }

    #[test]
    fn a_model_without_pictures_is_not_offered_the_tool_for_them() {
        let tools = r#""tools":[{"type":"image_generation"},{"type":"web_search"}],"#;
        assert_eq!(answered(&complete(tools)).unwrap().0, complete(tools));
        let (changed, notes) =
            passed_to("gpt-5.3-codex-spark", &complete(tools), Purpose::Answer, Strictness::Default).unwrap();
        assert_eq!(changed, complete(r#""tools":[{"type":"web_search"}],"#));
        assert_eq!(notes, ["tools[0]"]);
    }

    #[test]
    fn what_needs_a_way_back_is_for_the_translation() {
        let long = "n".repeat(65);
        for members in [
            r#""previous_response_id":"resp_1","#.to_owned(),
            r#""background":true,"#.to_owned(),
            r#""input":[{"type":"item_reference","id":"a"}],"#.to_owned(),
            r#""input":7,"#.to_owned(),
            r#""tools":[{"type":"file_search","vector_store_ids":[]}],"#.to_owned(),
            r#""tools":[{"type":"function","name":"a.b"}],"#.to_owned(),
            format!(r#""tools":[{{"type":"function","name":"{long}"}}],"#),
            format!(r#""input":[{{"type":"function_call_output","call_id":"{long}","output":""}}],"#),
            r#""input":[{"role":"user","content":[{"type":"input_text","text":"a","prompt_cache_breakpoint":{}}]}],"#.to_owned(),
        ] {
            assert_eq!(answered(&complete(&members)), None, "{members}");
        }
        let harmless = complete(r#""previous_response_id":null,"background":false,"#);
        assert_eq!(answered(&harmless).unwrap().0, complete(""));
    }

    #[test]
    fn a_compaction_says_nothing_of_storing_and_has_no_other_way() {
        let body = complete(r#""input":[],"previous_response_id":"resp_1","#);
        let (changed, _) = passed(&body, Purpose::Compact, Strictness::Strict).unwrap();
        assert_eq!(changed, r#"{"model":"m","input":[],"instructions":"i","prompt_cache_key":"k"}"#);
    }
}
