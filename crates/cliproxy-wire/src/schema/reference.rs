//! `$ref`: where it points, and putting the target in its place. Cycles are cut, and a schema that would grow beyond
//! all bounds is, too.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::{MAX_DEPTH, MAX_NODES};

/// The node that a reference of the document `root` means.
pub(super) fn resolve<'r>(root: &'r Value, reference: &str) -> Option<&'r Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.is_empty() {
        return Some(root);
    }
    let found = root.pointer(pointer);
    if found.is_some() || !pointer.contains('%') {
        return found;
    }
    root.pointer(&percent_decoded(pointer))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some((hex, tail)) = tail.split_at_checked(2)
            && let Some(code) = std::str::from_utf8(hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            bytes.push(code);
            rest = tail;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last part of a reference, for descriptions.
pub(super) fn name(reference: &str) -> &str {
    reference.rsplit(['/', '#']).next().filter(|name| !name.is_empty()).unwrap_or("the whole schema")
}

/// What stands where a reference cannot be followed.
pub(super) fn cut(reference: &str) -> Value {
    let mut map = Map::new();
    map.insert("type".to_owned(), "object".into());
    map.insert("description".to_owned(), format!("recursive: {}", name(reference)).into());
    Value::Object(map)
}

/// Replaces references by their targets.
#[derive(Debug)]
pub(super) struct Inliner<'r> {
    root: &'r Value,
    open: Vec<String>,
    nodes: usize,
    /// A reference led back into itself.
    pub(super) has_cycle: bool,
}

impl<'r> Inliner<'r> {
    pub(super) fn new(root: &'r Value) -> Self {
        Self { root, open: Vec::new(), nodes: 0, has_cycle: false }
    }

    /// The node with every reference in it replaced.
    pub(super) fn node(&mut self, value: &Value, depth: usize) -> Value {
        let Value::Object(map) = value else { return value.clone() };
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return cut("#too deep");
        }
        let mut out = Map::new();
        if let Some(Value::String(reference)) = map.get("$ref") {
            if self.open.contains(reference) {
                self.has_cycle = true;
                return cut(reference);
            }
            if let Some(target) = resolve(self.root, reference) {
                self.open.push(reference.clone());
                let target = self.node(target, depth + 1);
                self.open.pop();
                if let Value::Object(target) = target {
                    out = target;
                }
            }
        }
        for (key, member) in map {
            let member = match (key.as_str(), member) {
                ("$ref", Value::String(_)) | ("$defs" | "definitions", Value::Object(_)) => continue,
                _ => self.member(key, member, depth),
            };
            out.insert(key.clone(), member);
        }
        Value::Object(out)
    }

    fn member(&mut self, key: &str, member: &Value, depth: usize) -> Value {
        match (children(key), member) {
            (Children::Map, Value::Object(nodes)) => Value::Object(
                nodes.iter().map(|(name, node)| (name.clone(), self.node(node, depth + 1))).collect(),
            ),
            (Children::List | Children::NodeOrList, Value::Array(nodes)) => {
                Value::Array(nodes.iter().map(|node| self.node(node, depth + 1)).collect())
            }
            (Children::Node | Children::NodeOrList, Value::Object(_)) => self.node(member, depth + 1),
            _ => member.clone(),
        }
    }
}

/// How schema nodes hang on a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Children {
    /// A map whose keys are the user's.
    Map,
    /// A list.
    List,
    /// One node.
    Node,
    /// One node or a list (`items`).
    NodeOrList,
    /// None; the value is data.
    None,
}

/// How schema nodes hang on the keyword `key`.
pub(super) fn children(key: &str) -> Children {
    match key {
        "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas" => Children::Map,
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Children::List,
        "items" => Children::NodeOrList,
        "additionalProperties"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames"
        | "unevaluatedProperties"
        | "unevaluatedItems"
        | "additionalItems" => Children::Node,
        _ => Children::None,
    }
}

/// The references inside a node.
pub(super) fn references<'v>(value: &'v Value, out: &mut BTreeSet<&'v str>) {
    let Value::Object(map) = value else { return };
    for (key, member) in map {
        match (children(key), member) {
            (Children::Map, Value::Object(nodes)) => nodes.values().for_each(|node| references(node, out)),
            (Children::List | Children::NodeOrList, Value::Array(nodes)) => {
                for node in nodes {
                    references(node, out);
                }
            }
            (Children::Node | Children::NodeOrList, Value::Object(_)) => references(member, out),
            (Children::None, Value::String(reference)) if key == "$ref" => {
                out.insert(reference);
            }
            _ => {}
        }
    }
}

/// Takes properties that lead back to their own definition out of `required`: no finite value could satisfy them, and
/// Gemini refuses the schema.
pub(super) fn relax_cycles(root: &mut Value) {
    let Some(definitions) = root.get("$defs").and_then(Value::as_object) else { return };
    let direct: HashMap<String, BTreeSet<String>> = definitions
        .iter()
        .map(|(name, node)| {
            let mut found = BTreeSet::new();
            references(node, &mut found);
            (format!("#/$defs/{name}"), found.into_iter().map(str::to_owned).collect())
        })
        .collect();
    let reach: HashMap<&str, BTreeSet<&str>> = direct
        .keys()
        .map(|start| {
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            let mut next = vec![start.as_str()];
            while let Some(reference) = next.pop() {
                let found = direct.get(reference).into_iter().flatten();
                next.extend(found.map(String::as_str).filter(|found| seen.insert(found)));
            }
            (start.as_str(), seen)
        })
        .collect();
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|seen| seen.contains(to));
    let recursive: Vec<(String, BTreeSet<String>)> = direct
        .keys()
        .filter(|name| reaches(name, name))
        .map(|name| {
            let back =
                direct.keys().filter(|other| *other == name || reaches(other, name)).cloned().collect();
            (name.clone(), back)
        })
        .collect();
    let Some(definitions) = root.get_mut("$defs").and_then(Value::as_object_mut) else { return };
    for (name, back) in recursive {
        if let Some(node) = name.strip_prefix("#/$defs/").and_then(|name| definitions.get_mut(name)) {
            relax(node, &back);
        }
    }
}

fn relax(value: &mut Value, back: &BTreeSet<String>) {
    let Value::Object(map) = value else { return };
    if let Some(properties) = map.get("properties").and_then(Value::as_object) {
        let is_cyclic = |name: &Value| {
            let mut found = BTreeSet::new();
            if let Some(node) = name.as_str().and_then(|name| properties.get(name)) {
                references(node, &mut found);
            }
            found.iter().any(|reference| back.contains(*reference))
        };
        let kept: Option<Vec<Value>> = map
            .get("required")
            .and_then(Value::as_array)
            .map(|required| required.iter().filter(|name| !is_cyclic(name)).cloned().collect());
        match kept {
            Some(kept) if kept.is_empty() => {
                map.shift_remove("required");
            }
            Some(kept) => {
                map.insert("required".to_owned(), Value::Array(kept));
            }
            None => {}
        }
    }
    for (key, member) in map.iter_mut() {
        match (children(key), member) {
            (Children::Map, Value::Object(nodes)) => nodes.values_mut().for_each(|node| relax(node, back)),
            (Children::List | Children::NodeOrList, Value::Array(nodes)) => {
                for node in nodes {
                    relax(node, back);
                }
            }
            (Children::Node | Children::NodeOrList, member) => relax(member, back),
            _ => {}
        }
    }
}
