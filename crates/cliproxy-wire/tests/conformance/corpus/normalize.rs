//! Every recorded request, made to fit every upstream: no panic, and what came out keeps the promises of `Prepared`.
#![expect(clippy::print_stderr, reason = "says what was refused, and which recording is wrong")]

use cliproxy_wire::codec::{Strictness, Target};
use cliproxy_wire::format::Format;
use cliproxy_wire::model::{Arguments, Content, Request, Role, Tool, ToolChoice};
use cliproxy_wire::normalize::{self, Prepared, id};
use cliproxy_wire::profile::{SchemaDialect, ToolNameRule};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::passage::{self, Aim, upstreams};
use super::recorded::exchanges;

struct Checked<'a> {
    prepared: &'a Prepared,
    target: &'a Target<'a>,
}

impl Checked<'_> {
    fn all(&self) {
        self.turns();
        self.pairs();
        self.tools();
        self.foreign();
        self.marks();
    }

    fn request(&self) -> &Request {
        &self.prepared.request
    }

    fn format(&self) -> Format {
        self.target.profile.format
    }

    fn turns(&self) {
        let turns = &self.request().turns;
        for turn in turns {
            assert!(!turn.blocks.is_empty(), "an empty turn");
            for block in &turn.blocks {
                if let Content::Text(text) = &block.content {
                    assert!(!text.text.is_empty() || text.opaque.is_some(), "an empty text");
                }
            }
        }
        if matches!(self.format(), Format::Claude | Format::Gemini) {
            assert_eq!(turns.first().map(|turn| turn.role), Some(Role::User), "the first turn is the user's");
            for pair in turns.windows(2) {
                assert_ne!(pair[0].role, pair[1].role, "neighbours of equal role");
            }
        }
    }

    fn pairs(&self) {
        let profile = self.target.profile;
        let mut seen = BTreeSet::new();
        let mut open: Vec<(String, String)> = Vec::new();
        for turn in &self.request().turns {
            let mut at_head = true;
            for block in &turn.blocks {
                match &block.content {
                    Content::ToolResult(result) => {
                        assert!(at_head, "a result behind something else");
                        assert!(!open.is_empty(), "a result without its call");
                        let (call_id, name) = open.remove(0);
                        assert_eq!((&*result.call_id, result.name.as_deref()), (&*call_id, Some(&*name)));
                    }
                    Content::ToolCall(call) => {
                        assert_eq!(turn.role, Role::Assistant);
                        assert!(id::is_legal(&call.call_id, profile.tool_id), "id {}", call.call_id);
                        assert!(is_legal_name(&call.name, profile.tool_name), "name {}", call.name);
                        assert!(seen.insert(call.call_id.to_string()), "the id {} twice", call.call_id);
                        if let Arguments::Json(text) = &call.arguments {
                            let value: Value = serde_json::from_str(text).expect("arguments are JSON");
                            assert!(value.is_object(), "arguments {text}");
                        } else {
                            assert!(profile.has_custom_tools, "a free-form call");
                        }
                        open.push((call.call_id.to_string(), call.name.to_string()));
                    }
                    _ => {
                        assert!(turn.role == Role::Assistant || open.is_empty(), "content before a result");
                        at_head = false;
                    }
                }
            }
            assert!(turn.role == Role::Assistant || open.is_empty(), "a call without its result");
        }
        assert!(open.is_empty(), "a call at the end without its result");
    }

    fn tools(&self) {
        let profile = self.target.profile;
        let mut names = BTreeSet::new();
        for tool in &self.request().tools {
            match tool {
                Tool::Function { name, namespace, schema, native, .. } => {
                    assert!(is_legal_name(name, profile.tool_name), "name {name}");
                    assert!(names.insert(name.to_string()), "the tool {name} twice");
                    assert_eq!(*namespace, None);
                    let is_own = self.prepared.request.origin == self.format()
                        && !matches!(profile.schema, SchemaDialect::OpenApi | SchemaDialect::Narrow);
                    if native.is_none() && !is_own {
                        let schema = schema.as_ref().map(cliproxy_wire::json::Raw::to_value);
                        assert!(schema.is_some() || self.format() == Format::Gemini);
                        if let Some(schema) = schema {
                            self.schema(&schema);
                        }
                    }
                }
                Tool::Custom { name, .. } => {
                    assert!(profile.has_custom_tools);
                    assert!(names.insert(name.to_string()), "the tool {name} twice");
                }
                Tool::Hosted { native, .. } => assert_eq!(native.format, self.format()),
            }
        }
        if let Some(ToolChoice::Named { name, .. }) = &self.request().tool_choice {
            assert!(names.contains(&**name), "the choice {name}");
        }
    }

    fn schema(&self, schema: &Value) {
        match (self.format(), self.target.profile.schema) {
            (Format::Gemini, SchemaDialect::OpenApi) => {
                assert_eq!(schema["type"], "OBJECT");
                open_api(schema);
            }
            (Format::Gemini, SchemaDialect::Narrow) => {
                assert_eq!(schema["type"], "object");
                narrow(schema);
            }
            (Format::Gemini, _) => {
                assert_eq!(schema["type"], "object");
                gemini(schema);
            }
            _ => assert_eq!(schema["type"], "object"),
        }
    }

    fn foreign(&self) {
        let format = self.format();
        for block in self.request().turns.iter().flat_map(|turn| &turn.blocks) {
            match &block.content {
                Content::Hosted(hosted) => assert_eq!(hosted.native.format, format),
                Content::Native(native) => assert_eq!(native.format, format),
                Content::SearchResult(_) => assert_eq!(format, Format::Claude),
                Content::Refusal(_) => assert!(matches!(format, Format::Chat | Format::Responses)),
                Content::Video(_) => assert_eq!(format, Format::Gemini),
                Content::ToolResult(result) if format == Format::Chat => {
                    assert!(result.content.iter().all(|block| block.as_text().is_some()), "{result:?}");
                }
                _ => {}
            }
        }
    }

    fn marks(&self) {
        let request = self.request();
        let in_tools = request.tools.iter().filter(|tool| {
            matches!(tool, Tool::Function { cache: Some(_), .. } | Tool::Hosted { cache: Some(_), .. })
        });
        let in_instructions = request.instructions.iter().filter(|block| block.cache.is_some());
        let in_turns =
            request.turns.iter().flat_map(|turn| &turn.blocks).filter(|block| block.cache.is_some());
        let count = in_tools.count() + in_instructions.count() + in_turns.count();
        assert!(count <= if self.target.profile.has_cache_marks { 4 } else { 0 }, "{count} cache marks");
    }
}

fn is_legal_name(name: &str, rule: ToolNameRule) -> bool {
    let (max, extra, needs_letter) = match rule {
        ToolNameRule::Word { max } => (max, "_-", false),
        ToolNameRule::Gemini { max } => (max, "_-.:", true),
    };
    !name.is_empty()
        && name.len() <= max
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || extra.contains(letter))
        && (!needs_letter || name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_'))
}

/// The validator of Gemini's JSON Schema members: documented keywords only.
fn gemini(schema: &Value) {
    const KNOWN: [&str; 18] = [
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "properties",
        "additionalProperties",
        "required",
    ];
    let Some(map) = schema.as_object() else { panic!("no schema node: {schema}") };
    for (key, value) in map {
        assert!(KNOWN.contains(&key.as_str()) || key == "propertyOrdering", "keyword {key}");
        match key.as_str() {
            "properties" | "$defs" => value.as_object().unwrap().values().for_each(gemini),
            "items" => gemini(value),
            "anyOf" | "prefixItems" => value.as_array().unwrap().iter().for_each(gemini),
            "additionalProperties" if value.is_object() => gemini(value),
            "required" => {
                for name in value.as_array().unwrap() {
                    assert!(map["properties"].get(name.as_str().unwrap()).is_some(), "requires {name}");
                }
            }
            "enum" => {
                assert!(value.as_array().unwrap().iter().all(|item| item.is_string() || item.is_number()));
            }
            _ => {}
        }
    }
    assert!(map.get("$ref").is_none() || map.len() == 1, "a reference with neighbours");
    assert!(
        map.get("type").is_none_or(|kind| kind != "array")
            || map.contains_key("items")
            || map.contains_key("prefixItems")
    );
}

/// The validator of Gemini's OpenAPI-like members.
fn open_api(schema: &Value) {
    const KNOWN: [&str; 20] = [
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "items",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
        "anyOf",
        "propertyOrdering",
    ];
    let Some(map) = schema.as_object() else { panic!("no schema node: {schema}") };
    for (key, value) in map {
        assert!(KNOWN.contains(&key.as_str()) || key == "default", "keyword {key}");
        match key.as_str() {
            "properties" => value.as_object().unwrap().values().for_each(open_api),
            "items" => open_api(value),
            "anyOf" => value.as_array().unwrap().iter().for_each(open_api),
            "enum" => assert!(value.as_array().unwrap().iter().all(Value::is_string)),
            "type" => assert!(
                matches!(
                    value.as_str(),
                    Some("STRING" | "NUMBER" | "INTEGER" | "BOOLEAN" | "ARRAY" | "OBJECT" | "NULL")
                ),
                "type {value}"
            ),
            _ => {}
        }
    }
}

#[test]
fn every_recorded_request_fits_every_upstream_or_is_refused_with_a_path() {
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    let mut fitted = 0;
    for origin in Format::ALL {
        for exchange in exchanges(origin).iter().filter(|exchange| exchange.is_generation()) {
            let (name, Some(Ok(request))) = (&exchange.id, passage::request(exchange)) else { continue };
            for (profile, model) in upstreams() {
                for strictness in [Strictness::Default, Strictness::Lenient, Strictness::Strict] {
                    let aim = Aim { strictness, ..Aim::at(&profile, model) };
                    aim.with(&request, |target| match normalize::prepare(request.clone(), target) {
                        Ok(prepared) => {
                            fitted += 1;
                            eprintln_on_panic(
                                &format!("{name} -> {} {model} {strictness:?}", profile.name),
                                || {
                                    Checked { prepared: &prepared, target }.all();
                                },
                            );
                        }
                        Err(error) => {
                            assert!(error.path().is_some(), "{name}: {error}");
                            if strictness == Strictness::Default {
                                let what = format!("{}: {}", profile.name, error.message());
                                *refusals.entry(what).or_default() += 1;
                            }
                        }
                    });
                }
            }
        }
    }
    for (what, count) in &refusals {
        eprintln!("{count:5} {what}");
    }
    eprintln!("{fitted} requests fitted, {} refused", refusals.values().sum::<usize>());
}

/// Says which recording a failed check is about.
fn eprintln_on_panic(what: &str, check: impl FnOnce()) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
    if let Err(cause) = outcome {
        eprintln!("in {what}");
        std::panic::resume_unwind(cause);
    }
}

/// Every object demands a member, and nothing is said that this form has no word for.
fn narrow(schema: &Value) {
    const KNOWN: [&str; 10] = [
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "description",
        "nullable",
        "title",
        "minimum",
        "maximum",
    ];
    for name in schema.as_object().unwrap().keys() {
        assert!(KNOWN.contains(&&**name), "{name} in {schema}");
    }
    if schema["type"] == "object" {
        let required = schema["required"].as_array().unwrap();
        assert!(!required.is_empty(), "{schema}");
        assert!(
            required.iter().all(|name| schema["properties"].get(name.as_str().unwrap()).is_some()),
            "{schema}"
        );
    }
    schema["properties"].as_object().into_iter().flatten().for_each(|(_, property)| narrow(property));
    schema.get("items").into_iter().for_each(narrow);
}
