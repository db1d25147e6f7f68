//! Laws of the layers below the codecs, for any input: framing does not depend on how bytes arrive, edits leave every
//! other byte alone, and nothing panics.
#![expect(clippy::unwrap_used, clippy::string_slice, reason = "helpers of tests may fail")]

use cliproxy_wire::Format;
use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format;
use cliproxy_wire::json::patch::{self, Edit, Path};
use cliproxy_wire::json::{Raw, Reader};
use cliproxy_wire::lane;
use cliproxy_wire::model::Event;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::sse::{ArrayDecoder, Ending, Frame, StreamReader};
use cliproxy_wire::usage::Counts;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// Pieces of streams, so that random text is worth framing.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"data: "[..]),
        Just(&b"data:"[..]),
        Just(&b"event: e"[..]),
        Just(&b": c"[..]),
        Just(&b"{\"a\":\"\xC3\xA9\"}"[..]),
        Just(&b"{\"a\":"[..]),
        Just(&b"[1]}"[..]),
        Just(&b"[DONE]"[..]),
        Just(&b"\n"[..]),
        Just(&b"\n\n"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\r"[..]),
        Just(&b" "[..]),
        Just(&b"\xEF\xBB\xBF"[..]),
        Just(&b"\xF0\x9F\x98\x80"[..]),
        Just(&b"\xFF"[..]),
        Just(&b"["[..]),
        Just(&b",\n{\"b\":\"\\\"]\"}"[..]),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Frames and ending, with the bytes arriving in pieces of the given lengths.
fn read(bytes: &[u8], lengths: &[usize]) -> (Vec<String>, Option<Ending>) {
    let mut found = Vec::new();
    let mut each = |frame: Frame<'_>| {
        found.push(match frame {
            Frame::Comment => ":".to_owned(),
            Frame::Data { event, data } => format!("{event:?} {data}"),
        });
    };
    let mut reader = StreamReader::new(1 << 20);
    let mut rest = bytes;
    for length in lengths {
        let (piece, later) = rest.split_at((*length).min(rest.len()));
        reader.push(piece, &mut each).unwrap();
        rest = later;
    }
    reader.push(rest, &mut each).unwrap();
    let ending = reader.finish(&mut each).ok();
    (found, ending)
}

fn json(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c\"\\\\é\u{1}]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-d0]", inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Text of a value with white space that a printer would not choose.
fn spaced(value: &Value, out: &mut String) {
    match value {
        Value::Array(elements) => {
            out.push('[');
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at == 0 { " " } else { ", " });
                spaced(element, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                out.push_str(if at == 0 { "\n" } else { ",\t" });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push_str(" :");
                spaced(member, out);
            }
            out.push_str(" }");
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

fn path() -> impl Strategy<Value = String> {
    vec("[a-d0-2]|-1", 1..4).prop_map(|steps| steps.join("."))
}

/// Whether a path runs through arrays of the value by index only, and objects by name only.
fn exists(value: &Value, path: &Path) -> bool {
    patch::get(&value.to_string(), path).is_some()
}

proptest! {
    #[test]
    fn frames_do_not_depend_on_how_the_bytes_arrive(bytes in stream(), lengths in vec(0..9usize, 0..60)) {
        let whole = read(&bytes, &[]);
        prop_assert_eq!(&read(&bytes, &lengths), &whole);
        prop_assert_eq!(&read(&bytes, &vec![1; bytes.len()]), &whole);
    }

    #[test]
    fn line_ends_do_not_matter(lines in vec("data: \\{\\}|data: \\{|data: \\}|event: e|: c|", 0..20)) {
        let text = |end: &str| lines.join(end).into_bytes();
        let expected = read(&text("\n"), &[]);
        prop_assert_eq!(&read(&text("\r\n"), &[]), &expected);
        prop_assert_eq!(&read(&text("\r"), &[]), &expected);
    }

    #[test]
    fn elements_of_an_array_are_what_a_parser_sees(elements in vec(json(3), 0..6), size in 1..20usize) {
        let mut text = String::new();
        spaced(&Value::from(elements.clone()), &mut text);
        let mut found = Vec::new();
        let mut decoder = ArrayDecoder::new(1 << 20);
        for piece in text.as_bytes().chunks(size) {
            decoder
                .push(piece, &mut |frame| {
                    if let Frame::Data { data, .. } = frame {
                        found.push(serde_json::from_str::<Value>(data).unwrap());
                    }
                })
                .unwrap();
        }
        let expected: Vec<Value> = elements.into_iter().filter(|element| element.is_object() || element.is_array()).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn setting_what_exists_changes_its_span_alone(value in json(4), place in path(), new in json(2)) {
        let mut text = String::new();
        spaced(&value, &mut text);
        let place = Path::parse(&place);
        let Some(old) = patch::get(&text, &place) else { return Ok(()) };
        let start = old.as_ptr() as usize - text.as_ptr() as usize;
        let edited = patch::apply(&text, &[Edit::set(place.clone(), Raw::from(&new))]).unwrap();
        let expected = format!("{}{}{}", &text[..start], new, &text[start + old.len()..]);
        prop_assert_eq!(&*edited, expected.as_str());
        let new = new.to_string();
        prop_assert_eq!(patch::get(&edited, &place), Some(new.as_str()));
        let restored = patch::apply(&edited, &[Edit::set(place, Raw::new(old))]).unwrap();
        prop_assert_eq!(&*restored, text.as_str());
    }

    #[test]
    fn removing_takes_one_place_out_and_leaves_the_others(value in json(4), place in path()) {
        let mut text = String::new();
        spaced(&value, &mut text);
        let place = Path::parse(&place);
        let edited = patch::apply(&text, &[Edit::remove(place.clone())]).unwrap();
        let mut expected = value.clone();
        take(&mut expected, &place);
        prop_assert_eq!(serde_json::from_str::<Value>(&edited).unwrap(), expected);
    }

    #[test]
    fn what_is_set_can_be_read_and_defaults_never_replace(value in json(3), place in path(), new in json(1)) {
        let text = value.to_string();
        let place = Path::parse(&place);
        let new = Raw::from(&new);
        let edited = patch::apply(&text, &[Edit::set_default(place.clone(), new.clone())]).unwrap();
        serde_json::from_str::<Value>(&edited).unwrap();
        if exists(&value, &place) {
            prop_assert_eq!(&*edited, text.as_str());
        }
        let edited = patch::apply(&text, &[Edit::set(place.clone(), new.clone()), Edit::set(place.clone(), new.clone())]).unwrap();
        serde_json::from_str::<Value>(&edited).unwrap();
        if let Some(read) = patch::get(&edited, &place) {
            prop_assert_eq!(read, new.as_str());
        }
    }

    #[test]
    fn many_edits_in_one_pass_do_what_they_do_one_by_one(value in json(4), edits in vec((path(), 0..4u8, json(1)), 0..6)) {
        // Indexes mean the text before, so only paths through names are comparable.
        let edits: Vec<Edit> = edits
            .into_iter()
            .filter(|(path, ..)| !path.contains(|letter: char| letter.is_ascii_digit()))
            .map(|(path, what, new)| {
                let path = Path::parse(&path);
                match what {
                    0 => Edit::set(path, Raw::from(&new)),
                    1 => Edit::set_default(path, Raw::from(&new)),
                    2 => Edit::remove(path),
                    _ => Edit::rename(path, "z"),
                }
            })
            .collect();
        // Renaming several members to one name depends on the order.
        prop_assume!(edits.iter().filter(|edit| format!("{edit:?}").contains("Rename")).count() < 2);
        let text = value.to_string();
        let together = patch::apply(&text, &edits).unwrap().into_owned();
        let mut alone = text;
        for edit in &edits {
            alone = patch::apply(&alone, std::slice::from_ref(edit)).unwrap().into_owned();
        }
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        prop_assert_eq!(parsed(&together), parsed(&alone));
    }

    #[test]
    fn nothing_panics_on_any_text(text in any::<String>(), place in any::<String>()) {
        for format in Format::ALL {
            let _outcome = lane::peek(format, text.as_bytes());
            let _outcome = lane::body_usage(format, text.as_bytes());
            let mut counts = Counts::new(format);
            let _outcome = counts.read(&mut Reader::new(&text));
        }
        let place = Path::parse(&place);
        let _outcome = patch::apply(&text, &[Edit::remove(place.clone())]);
        let _outcome = patch::get(&text, &place);
        let _outcome = read(text.as_bytes(), &[]);
    }
}

/// Found by fuzzing.
#[test]
fn a_stream_without_a_first_choice_still_stops_candidate_zero() {
    let context = UpstreamContext::new(&Profile::compatible(), "req");
    let mut decoder = format::stream_decoder(Format::Chat, context);
    let mut events = Vec::new();
    let data = r#"{"choices":[{"index":5,"delta":{},"finish_reason":"stop"}]}"#;
    decoder.frame(&Frame::Data { event: None, data }, &mut events);
    decoder.finish(None, &mut events);
    let stopped = |wanted| {
        events
            .iter()
            .any(|event| matches!(event, Event::CandidateStop { candidate, .. } if *candidate == wanted))
    };
    assert!(stopped(0) && stopped(5), "{events:?}");
}

/// Removes a place from a tree.
fn take(value: &mut Value, path: &Path) {
    let Some((last, parents)) = path.steps().split_last() else { return };
    let mut at = value;
    for step in parents {
        let name = name_of(step);
        at = match at {
            Value::Object(members) => match members.get_mut(&name) {
                Some(member) => member,
                None => return,
            },
            Value::Array(elements) => {
                match name.parse::<usize>().ok().and_then(|index| elements.get_mut(index)) {
                    Some(element) => element,
                    None => return,
                }
            }
            _ => return,
        };
    }
    let name = name_of(last);
    match at {
        Value::Object(members) => drop(members.shift_remove(&name)),
        Value::Array(elements) if name == "-1" => drop(elements.pop()),
        Value::Array(elements) => {
            if let Some(index) = name.parse::<usize>().ok().filter(|index| *index < elements.len()) {
                drop(elements.remove(index));
            }
        }
        _ => {}
    }
}

fn name_of(step: &patch::Step) -> String {
    match step {
        patch::Step::Key(name) => name.clone(),
        patch::Step::Index(index) => index.to_string(),
        patch::Step::Append => "-1".to_owned(),
    }
}
