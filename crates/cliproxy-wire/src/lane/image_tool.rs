//! The tool that makes images, taken out of a request whatever lane it took.
//!
//! Apart from what targets restrict, because here it is the owner who does not want it.

use crate::json::patch::{Edit, Path, apply};
use crate::json::{Kind, Reader, member};

const TOOL: &str = "image_generation";

/// The request without the tool, and the places where it stood; `None` when it is not there. In Chat and Responses a
/// tool is an element of `tools` with a `type`.
pub fn without_image_tool(body: &str) -> Option<(String, Vec<String>)> {
    memchr::memmem::find(body.as_bytes(), TOOL.as_bytes())?;
    let at = |name: &str| Path::root().key(name);
    let (own, count) = places(member(body, "tools")?);
    let mut edits: Vec<Edit> = Vec::new();
    if own.len() == count && count > 0 {
        // Without tools the services refuse what is said about them.
        edits.extend(["tools", "tool_choice", "parallel_tool_calls"].map(|name| Edit::remove(at(name))));
    } else {
        edits.extend(own.iter().map(|index| Edit::remove(at("tools").index(*index))));
        if let Some(choice) = member(body, "tool_choice").filter(|choice| choice.starts_with('{')) {
            let (allowed, of) = member(choice, "tools").map(places).unwrap_or_default();
            let place = at("tool_choice");
            if is_tool(choice) || (of > 0 && allowed.len() == of) {
                edits.push(Edit::remove(place));
            } else {
                let list = place.key("tools");
                edits.extend(allowed.into_iter().map(|index| Edit::remove(list.clone().index(index))));
            }
        }
    }
    if own.is_empty() {
        return None;
    }
    let changed = apply(body, &edits).ok()?.into_owned();
    Some((changed, own.into_iter().map(|index| format!("tools[{index}]")).collect()))
}

/// Where the tool stands in a list, and how many tools are there.
fn places(list: &str) -> (Vec<usize>, usize) {
    let (mut found, mut count) = (Vec::new(), 0);
    let mut reader = Reader::new(list);
    if reader.kind() == Kind::Array {
        // Of a list that is malformed further on the upstream tells more than could be told here.
        drop(reader.array(|index, tool| {
            if is_tool(tool.raw()?) {
                found.push(index);
            }
            count = index + 1;
            Ok(())
        }));
    }
    (found, count)
}

fn is_tool(object: &str) -> bool {
    member(object, "type").and_then(|kind| Reader::new(kind).string().ok()).is_some_and(|kind| kind == TOOL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_becomes(body: &str, expected: Option<&str>) {
        assert_eq!(without_image_tool(body).map(|(body, _)| body).as_deref(), expected, "{body}");
    }

    #[test]
    fn the_tool_goes_and_every_other_byte_stays() {
        assert_becomes(
            r#"{"tools":[{"type":"web_search"}, {"type":"image_generation","size":"x"}],"tool_choice":"auto"}"#,
            Some(r#"{"tools":[{"type":"web_search"}],"tool_choice":"auto"}"#),
        );
        assert_becomes(
            r#"{"tools":[{"type":"image_generation"},{"type":"web_search"}],"tool_choice":{"type":"image_generation"},"x":1}"#,
            Some(r#"{"tools":[{"type":"web_search"}],"x":1}"#),
        );
        assert_becomes(
            r#"{"tools":[{"type":"image_generation"},{"type":"web_search"}],"tool_choice":{"type":"allowed_tools","tools":[{"type":"image_generation"},{"type":"web_search"}]}}"#,
            Some(
                r#"{"tools":[{"type":"web_search"}],"tool_choice":{"type":"allowed_tools","tools":[{"type":"web_search"}]}}"#,
            ),
        );
    }

    #[test]
    fn a_list_that_held_nothing_else_goes_with_what_is_said_about_it() {
        assert_becomes(
            r#"{"model":"m","tools":[{"type":"image_generation"}],"tool_choice":"required","parallel_tool_calls":true}"#,
            Some(r#"{"model":"m"}"#),
        );
    }

    #[test]
    fn texts_that_name_the_tool_are_left_alone() {
        assert_becomes(
            r#"{"input":"image_generation","tools":[{"type":"function","name":"image_generation"}]}"#,
            None,
        );
        assert_becomes(r#"{"input":"image_generation"}"#, None);
        assert_becomes(r#"{"tools":[]}"#, None);
    }
}
