//! xAI's Responses service.
//!
//! Source: what it answers 400 to. Its tools are functions and its own; free-form tools and namespaces are imitated by the
//! translation.

use super::{Purpose, Restricted, Restriction, at, conversation, is_nothing, members, stream_options};
use crate::Error;
use crate::catalog::ReasoningCaps;
use crate::json::patch::Edit;
use crate::json::{Kind, Reader};

/// Members that it refuses, whatever they say.
const REFUSED: [&str; 3] = ["stop", "prompt_cache_retention", "safety_identifier"];

pub(super) fn restrict(text: &str, restriction: &Restriction<'_>) -> Result<Option<Restricted>, Error> {
    let target = restriction.target;
    let mut restricted = Restricted::default();
    let (mut is_foreign, mut has_tools, mut has_cache_key, mut has_choice) = (false, false, false, false);
    let (mut instructions, mut opening) = ("", "");
    members(&mut Reader::new(text), |key, value| {
        match key {
            "instructions" => instructions = value.raw()?,
            "prompt_cache_key" => has_cache_key = !matches!(value.raw()?, "null" | "\"\""),
            "tool_choice" => has_choice = value.raw()? != "null",
            "previous_response_id" => {
                is_foreign |= !is_nothing(value.raw()?);
                restricted.edits.push(Edit::remove(at(key)));
            }
            "reasoning" if target.caps.reasoning == ReasoningCaps::None => members(value, |name, value| {
                if name == "effort" && !is_nothing(value.raw()?) {
                    restricted.edits.push(Edit::remove(at("reasoning").key("effort")));
                    restricted.notes.add("reasoning.effort");
                }
                Ok(())
            })?,
            "input" if value.kind() == Kind::Array => value.array(|index, item| {
                if index == 0 {
                    opening = item.clone().raw()?;
                }
                is_foreign |= is_imitated(item)?;
                Ok(())
            })?,
            "input" => opening = value.raw()?,
            "tools" if value.kind() == Kind::Array => value.array(|_, tool| {
                has_tools = true;
                let kind = kind(tool)?;
                is_foreign |= matches!(kind, "custom" | "namespace")
                    || (kind == "image_generation" && !target.profile.has_image_tool(target.model));
                Ok(())
            })?,
            "stream_options" => {
                restricted.edits.push(Edit::remove(at(key)));
                stream_options(value, &mut restricted.notes)?;
            }
            _ if REFUSED.contains(&key) => {
                if !is_nothing(value.raw()?) {
                    restricted.notes.add(key);
                }
                restricted.edits.push(Edit::remove(at(key)));
            }
            _ => {}
        }
        Ok(())
    })?;
    if is_foreign && restriction.purpose == Purpose::Answer {
        return Ok(None);
    }
    if has_choice && !has_tools {
        restricted.edits.push(Edit::remove(at("tool_choice")));
    }
    if !has_cache_key {
        let key = conversation(restriction, instructions, opening);
        restricted.edits.push(Edit::set(at("prompt_cache_key"), key));
    }
    Ok(Some(restricted))
}

/// The `type` of an element.
fn kind<'t>(element: &mut Reader<'t>) -> Result<&'t str, Error> {
    let mut kind = "";
    members(element, |key, value| {
        if key == "type" {
            kind = value.raw()?.trim_matches('"');
        }
        Ok(())
    })?;
    Ok(kind)
}

/// Whether an item of the history belongs to a tool that is imitated.
fn is_imitated(item: &mut Reader<'_>) -> Result<bool, Error> {
    let mut is_imitated = false;
    members(item, |key, value| {
        match key {
            "type" => is_imitated |= value.raw()?.starts_with("\"custom_tool_call"),
            "namespace" => is_imitated |= value.raw()? != "null",
            _ => {}
        }
        Ok(())
    })?;
    Ok(is_imitated)
}

#[cfg(test)]
mod tests {
    use super::super::restrict;
    use super::*;
    use crate::catalog;
    use crate::codec::{Strictness, Target};
    use crate::json::patch;
    use crate::profile::Profile;

    fn passed(model: &str, text: &str) -> Option<(String, Vec<String>)> {
        let (profile, caps) = (Profile::xai(), catalog::caps(model));
        let (table, schemas) = (crate::reasoning::Table::default(), crate::schema::Cleaned::default());
        let target = Target {
            profile: &profile,
            caps: &caps,
            model,
            suffix: None,
            stream: true,
            scope: None,
            strictness: Strictness::Default,
            table: &table,
            schemas: &schemas,
            memory: None,
            repair: None,
        };
        let restriction = Restriction { target: &target, purpose: Purpose::Answer, session: None };
        let Restricted { edits, notes } = restrict(text, &restriction).unwrap()?;
        Some((patch::apply(text, &edits).unwrap().into_owned(), notes.paths().to_vec()))
    }

    #[test]
    fn what_is_refused_is_taken_out_and_told() {
        let text = r#"{"model":"m","input":"hi","stop":["x"],"safety_identifier":null,"tool_choice":"auto","reasoning":{"effort":"high","summary":"auto"},"temperature":0.50,"prompt_cache_key":"k"}"#;
        let (body, notes) = passed("grok-4.20-0309-non-reasoning", text).unwrap();
        assert_eq!(
            body,
            r#"{"model":"m","input":"hi","reasoning":{"summary":"auto"},"temperature":0.50,"prompt_cache_key":"k"}"#
        );
        assert_eq!(notes, ["stop", "reasoning.effort"]);
        let (body, _) = passed("grok-4.5", r#"{"reasoning":{"effort":"high"},"tools":[{"type":"x_search"}],"tool_choice":"auto","prompt_cache_key":"k"}"#).unwrap();
        assert_eq!(
            body,
            r#"{"reasoning":{"effort":"high"},"tools":[{"type":"x_search"}],"tool_choice":"auto","prompt_cache_key":"k"}"#
        );
    }

    #[test]
    fn a_conversation_has_one_name_from_its_beginning_on() {
        let key = |text: &str| {
            let (body, _) = passed("grok-4.5", text).unwrap();
            crate::json::member(&body, "prompt_cache_key").unwrap().to_owned()
        };
        let first = key(r#"{"input":[{"role":"user","content":"hi"}]}"#);
        assert_eq!(first.len(), 38);
        assert_eq!(
            first,
            key(r#"{"input":[{"role":"user","content":"hi"},{"role":"assistant","content":"a"}]}"#)
        );
        assert_ne!(first, key(r#"{"input":[{"role":"user","content":"ho"}]}"#));
    }

    #[test]
    fn what_must_be_imitated_is_for_the_translation() {
        for text in [
            r#"{"tools":[{"type":"custom","name":"f"}]}"#,
            r#"{"tools":[{"type":"namespace","name":"f","tools":[]}]}"#,
            r#"{"tools":[{"type":"image_generation"}]}"#,
            r#"{"input":[{"type":"custom_tool_call_output","call_id":"c","output":""}]}"#,
            r#"{"input":[{"type":"function_call","namespace":"n","name":"f","call_id":"c","arguments":""}]}"#,
            r#"{"previous_response_id":"resp_1"}"#,
        ] {
            assert_eq!(passed("grok-4.5", text), None, "{text}");
        }
        assert!(passed("grok-4.6", r#"{"tools":[{"type":"image_generation"}]}"#).is_some());
    }
}
