//! xAI's search of X, offered beside the tools of a request.

use crate::json::patch::{Edit, Path, apply};
use crate::json::{Kind, Raw, Reader, member};

const TOOL: &str = r#"{"type":"x_search"}"#;

/// The Responses request with the tool; `None` when it has it, or has no list where tools stand.
pub fn with_x_search(body: &str) -> Option<String> {
    let list = member(body, "tools").filter(|list| *list != "null").unwrap_or("[]");
    let mut reader = Reader::new(list);
    if reader.kind() != Kind::Array {
        return None;
    }
    let mut tools = Vec::new();
    reader
        .array(|_, tool| {
            tools.push(tool.raw()?);
            Ok(())
        })
        .ok()?;
    if tools.iter().any(|tool| member(tool, "type") == Some("\"x_search\"")) {
        return None;
    }
    tools.push(TOOL);
    let tools = Raw::array(|list| tools.iter().for_each(|tool| list.raw(tool)));
    Some(apply(body, &[Edit::set(Path::root().key("tools"), tools)]).ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_is_added_once_and_every_other_byte_stays() {
        for (body, expected) in [
            (
                r#"{"n":1.0,"tools":[ {"type":"function","name":"f"}]}"#,
                Some(r#"{"n":1.0,"tools":[{"type":"function","name":"f"},{"type":"x_search"}]}"#),
            ),
            (r#"{"tools":null}"#, Some(r#"{"tools":[{"type":"x_search"}]}"#)),
            (r#"{"n":1}"#, Some(r#"{"n":1,"tools":[{"type":"x_search"}]}"#)),
            (r#"{"tools":[{"type":"x_search","from_date":"x"}]}"#, None),
            (r#"{"tools":7}"#, None),
        ] {
            assert_eq!(with_x_search(body).as_deref(), expected, "{body}");
        }
    }
}
