//! YAML text to a tree in which every node knows its bytes.
//!
//! `file::tree` knows what a text means, after aliases and merge keys; this tree knows where it stands, before them. What
//! is edited is found here, what came of it is judged there.

use std::ops::Range;

use serde_json::Value;
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span, StructureStyle};

use crate::config::file::scalar;

/// Deepest nesting that is edited.
const DEEPEST: usize = 64;

/// A value as it stands in the text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its bytes. Of a block collection only the start is told; see [`Node::end`].
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar {
        text: String,
        style: ScalarStyle,
    },
    List {
        items: Vec<Node>,
        is_flow: bool,
    },
    Map {
        members: Vec<Member>,
        is_flow: bool,
    },
    /// An alias, or anything with an anchor or a tag: it is replaced as a whole or left alone.
    Opaque,
}

/// One member of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Member {
    /// Where it ends. An empty value is told to be anywhere.
    pub(super) fn end(&self) -> usize {
        let value = &self.value;
        if value.end() == value.span.start { self.key_span.end } else { value.end().max(self.key_span.end) }
    }
}

impl Node {
    /// Where its last byte is followed by something else.
    pub(super) fn end(&self) -> usize {
        match &self.kind {
            Kind::List { items, is_flow: false } => items.last().map_or(self.span.end, Self::end),
            Kind::Map { members, is_flow: false } => members.last().map_or(self.span.end, Member::end),
            _ => self.span.end,
        }
    }

    /// Its value, where that does not depend on anchors.
    pub(super) fn value(&self) -> Option<Value> {
        match &self.kind {
            Kind::Scalar { text, style: ScalarStyle::Plain } => Some(match text.as_str() {
                "" | "~" | "null" | "Null" | "NULL" => Value::Null,
                text => scalar::json(text),
            }),
            Kind::Scalar { text, .. } => Some(Value::String(text.clone())),
            Kind::List { items, .. } => {
                items.iter().map(Self::value).collect::<Option<Vec<_>>>().map(Value::Array)
            }
            Kind::Map { members, .. } => members
                .iter()
                .map(|member| Some((member.key.clone(), member.value.value()?)))
                .collect::<Option<serde_json::Map<_, _>>>()
                .map(Value::Object),
            Kind::Opaque => None,
        }
    }
}

/// A collection that is still open.
enum Open {
    List {
        start: usize,
        items: Vec<Node>,
        is_flow: bool,
        is_opaque: bool,
    },
    Map {
        start: usize,
        members: Vec<Member>,
        key: Option<(String, Range<usize>)>,
        is_flow: bool,
        is_opaque: bool,
    },
}

/// Reads the first document; `None` when it is empty, broken or nested too deep.
pub(super) fn parse(text: &str) -> Option<Node> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.ok()?;
        let node = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_opaque = anchor != 0 || tag.is_some();
                let kind =
                    if is_opaque { Kind::Opaque } else { Kind::Scalar { text: text.into_owned(), style } };
                Node { span: bytes(&span)?, kind }
            }
            Event::Alias(_) => Node { span: bytes(&span)?, kind: Kind::Opaque },
            Event::SequenceStart(style, anchor, tag) => {
                open.push(Open::List {
                    start: bytes(&span)?.start,
                    items: Vec::new(),
                    is_flow: style == StructureStyle::Flow,
                    is_opaque: anchor != 0 || tag.is_some(),
                });
                continue;
            }
            Event::MappingStart(style, anchor, tag) => {
                open.push(Open::Map {
                    start: bytes(&span)?.start,
                    members: Vec::new(),
                    key: None,
                    is_flow: style == StructureStyle::Flow,
                    is_opaque: anchor != 0 || tag.is_some(),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => close(open.pop()?, bytes(&span)?.end),
            Event::DocumentEnd => return None,
            _ => continue,
        };
        match open.last_mut() {
            None => return Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { members, key, .. }) => match key.take() {
                None => {
                    let Kind::Scalar { text, .. } = node.kind else { return None };
                    *key = Some((text, node.span));
                }
                Some((key, key_span)) => members.push(Member { key, key_span, value: node }),
            },
        }
    }
    None
}

fn close(open: Open, end: usize) -> Node {
    let opaque = |kind: Kind, is_opaque: bool| if is_opaque { Kind::Opaque } else { kind };
    match open {
        Open::List { start, items, is_flow, is_opaque } => {
            let node = Node { span: start..end, kind: Kind::List { items, is_flow } };
            let span = start..node.end().max(if is_flow { end } else { start });
            Node { span, kind: opaque(node.kind, is_opaque) }
        }
        Open::Map { start, members, is_flow, is_opaque, .. } => {
            let node = Node { span: start..end, kind: Kind::Map { members, is_flow } };
            let span = start..node.end().max(if is_flow { end } else { start });
            Node { span, kind: opaque(node.kind, is_opaque) }
        }
    }
}

fn bytes(span: &Span) -> Option<Range<usize>> {
    span.byte_range()
}
