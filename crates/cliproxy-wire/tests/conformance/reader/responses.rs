//! What Responses clients check of a stream, and the response that they take from its last event.

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) fn read(stream: &str) -> Value {
    check_framing(stream);
    let frames = crate::support::frames(stream);
    check_items(&frames);
    let last = frames.last().unwrap();
    assert_eq!(last["type"], format!("response.{}", last["response"]["status"].as_str().unwrap()));
    assert!(matches!(last["response"]["status"].as_str(), Some("completed" | "incomplete")), "{last}");
    last["response"].clone()
}

/// Numbers without gaps, event names as in the data, no mark at the end.
pub(crate) fn check_framing(stream: &str) {
    assert!(stream.ends_with("\n\n") && !stream.contains("\ndata: [DONE]"));
    // Comments are signs of life.
    let frames = stream.trim_end().split("\n\n").filter(|frame| !frame.starts_with(':'));
    for (number, frame) in frames.enumerate() {
        let (event, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(event.strip_prefix("event: ").unwrap(), data["type"]);
        assert_eq!(data["sequence_number"], number);
    }
}

/// The item that is open, and what was said of it.
#[derive(Default)]
struct Items {
    added: Vec<Value>,
    done: Vec<Value>,
    texts: BTreeMap<(u64, u64), String>,
    calls: BTreeMap<u64, String>,
}

/// What clients check of items.
pub(crate) fn check_items(frames: &[Value]) {
    assert_eq!(frames[0]["type"], "response.created");
    assert_eq!(frames[1]["type"], "response.in_progress");
    let mut items = Items::default();
    for frame in frames {
        items.frame(frame);
    }
    let last = frames.last().unwrap();
    if last["type"] != "response.failed" {
        assert_eq!(last["response"]["output"], Value::Array(items.done), "the last event repeats every item");
    }
    assert_eq!(frames[0]["response"]["id"], last["response"]["id"]);
}

impl Items {
    fn frame(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap() {
            "response.output_item.added" => {
                assert_eq!(self.added.len(), self.done.len(), "items are serial");
                assert_eq!(frame["output_index"], self.added.len());
                self.added.push(frame["item"].clone());
            }
            "response.output_item.done" => {
                assert_eq!(frame["output_index"], self.done.len());
                for member in ["id", "type", "call_id"] {
                    assert_eq!(frame["item"][member], self.added.last().unwrap()[member]);
                }
                self.done.push(frame["item"].clone());
            }
            // Citations may come when their text is over; the last event then has them in their places.
            "response.output_text.annotation.added" if self.added.len() == self.done.len() => {
                let item = self.done.iter_mut().find(|item| item["id"] == frame["item_id"]).unwrap();
                let part = usize::try_from(frame["content_index"].as_u64().unwrap()).unwrap();
                let annotations = item["content"][part]["annotations"].as_array_mut().unwrap();
                assert_eq!(frame["annotation_index"], annotations.len());
                annotations.push(frame["annotation"].clone());
            }
            kind if frame["item_id"].is_string() => {
                assert_eq!(frame["item_id"], self.added.last().unwrap()["id"]);
                assert_eq!(self.added.len(), self.done.len() + 1, "nothing before added, nothing after done");
                self.piece(kind, frame);
            }
            _ => {}
        }
    }

    fn piece(&mut self, kind: &str, frame: &Value) {
        let index = frame["output_index"].as_u64().unwrap();
        let place = (index, frame["content_index"].as_u64().unwrap_or(0));
        let text = |texts: &BTreeMap<(u64, u64), String>| texts.get(&place).cloned().unwrap_or_default();
        match kind {
            "response.output_text.delta" => {
                assert!(frame["logprobs"].is_array() && frame["content_index"].is_u64());
                self.texts.entry(place).or_default().push_str(frame["delta"].as_str().unwrap());
            }
            "response.output_text.done" => assert_eq!(frame["text"], text(&self.texts)),
            "response.content_part.done" if frame["part"]["type"] == "output_text" => {
                assert_eq!(frame["part"]["text"], text(&self.texts));
            }
            "response.function_call_arguments.delta" => {
                self.calls.entry(index).or_default().push_str(frame["delta"].as_str().unwrap());
            }
            "response.function_call_arguments.done" => {
                assert_eq!(frame["arguments"], self.calls[&index]);
                assert!(frame["name"].is_string());
            }
            _ => {}
        }
    }
}
