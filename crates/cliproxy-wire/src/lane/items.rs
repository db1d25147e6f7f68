//! The items of a Responses stream, for an end that leaves them out.
//!
//! The public service repeats every item in its last event. The Codex backend and xAI may leave that list empty, or leave
//! out the ids; clients that read the last event alone would see an answer of nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::tap::kind_of;
use crate::json::patch::{self, Edit, Path};
use crate::json::{self, Kind, Raw, Reader};

/// Longer answers keep the end that they came with.
const LONGEST: usize = 64 << 20;

/// The items that have come so far.
#[derive(Debug, Default)]
pub(super) struct Items {
    done: BTreeMap<u64, Box<str>>,
    length: usize,
}

impl Items {
    /// Takes note of the data of a frame, and gives it back with what it leaves out.
    pub(super) fn frame<'d>(&mut self, data: Cow<'d, str>) -> Cow<'d, str> {
        match kind_of(&data) {
            "response.output_item.done" => {
                self.note(&data);
                data
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                match self.completed(&data, &Path::root().key("response")) {
                    Some(completed) => completed.into(),
                    None => data,
                }
            }
            _ => data,
        }
    }

    fn note(&mut self, data: &str) {
        let Some(item) = json::member(data, "item").filter(|item| item.starts_with('{')) else { return };
        self.length += item.len();
        if self.length > LONGEST {
            self.done.clear();
            return;
        }
        let next = self.done.last_key_value().map_or(0, |(last, _)| last + 1);
        let index = json::member(data, "output_index").and_then(|index| index.parse().ok());
        self.done.insert(index.unwrap_or(next), item.into());
    }

    /// The text with the items in the response at `at`; `None` when it has them.
    fn completed(&self, text: &str, at: &Path) -> Option<String> {
        if self.done.is_empty() {
            return None;
        }
        let path = at.clone().key("output");
        let listed = patch::get(text, &path).unwrap_or("null");
        let edits = if is_empty(listed) {
            let items = Raw::array(|array| self.done.values().for_each(|item| array.raw(item)));
            vec![Edit::set(path, items)]
        } else {
            self.missing_ids(listed, &path)
        };
        match patch::apply(text, &edits).ok()? {
            Cow::Owned(changed) => Some(changed),
            Cow::Borrowed(_) => None,
        }
    }

    /// Ids that the list at `path` lacks and the stream told. Only a list of the same length is surely the same list.
    fn missing_ids(&self, listed: &str, path: &Path) -> Vec<Edit> {
        let mut edits = Vec::new();
        let (mut told, mut length) = (self.done.values(), 0);
        let read = Reader::new(listed).array(|index, item| {
            length += 1;
            let (item, Some(told)) = (item.raw()?, told.next()) else { return Ok(()) };
            let id = |item| json::member(item, "id").filter(|id| !matches!(*id, "null" | "\"\""));
            let is_same = json::member(item, "type") == json::member(told, "type");
            if is_same
                && id(item).is_none()
                && let Some(id) = id(told)
            {
                edits.push(Edit::set(path.clone().index(index).key("id"), Raw::new(id)));
            }
            Ok(())
        });
        if read.is_err() || length != self.done.len() {
            edits.clear();
        }
        edits
    }
}

fn is_empty(list: &str) -> bool {
    let mut reader = Reader::new(list);
    match reader.kind() {
        Kind::Array => {
            let mut is_empty = true;
            let read = reader.array(|_, item| {
                is_empty = false;
                item.skip()
            });
            read.is_ok() && is_empty
        }
        kind => kind == Kind::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","n":1.0}}"#;
    const SECOND: &str =
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"message","id":"msg_1"}}"#;

    fn ended(frames: &[&str], end: &str) -> String {
        let mut items = Items::default();
        for frame in frames {
            assert_eq!(items.frame(Cow::Borrowed(frame)), *frame);
        }
        items.frame(Cow::Borrowed(end)).into_owned()
    }

    #[test]
    fn an_end_without_items_gets_those_that_came_in_their_order() {
        for output in [r#","output":[]"#, r#","output":[ ]"#, r#","output":null"#, ""] {
            let end = format!(r#"{{"type":"response.completed","response":{{"id":"r","x":1e3{output}}}}}"#);
            let whole = r#"{"type":"response.completed","response":{"id":"r","x":1e3,"output":[{"type":"reasoning","id":"rs_1","n":1.0},{"type":"message","id":"msg_1"}]}}"#;
            assert_eq!(ended(&[SECOND, FIRST], &end), whole, "{output}");
        }
    }

    #[test]
    fn an_end_with_items_stays_and_gets_the_ids_alone() {
        let whole = r#"{"type":"response.completed","response":{"output":[{"type":"reasoning","id":"other"},{"type":"message","id":"msg_1"}]}}"#;
        assert_eq!(ended(&[FIRST, SECOND], whole), whole);
        let bare = r#"{"type":"response.incomplete","response":{"output":[{"type":"reasoning","id":"other"},{"type":"message","id":null}]}}"#;
        assert_eq!(ended(&[FIRST, SECOND], bare), bare.replace("null", "\"msg_1\""));
        // One more than came: nothing is certain.
        assert_eq!(ended(&[FIRST], bare), bare);
    }

    #[test]
    fn an_answer_of_nothing_stays_one() {
        let end = r#"{"type":"response.completed","response":{"output":[]}}"#;
        assert_eq!(ended(&[], end), end);
    }
}
