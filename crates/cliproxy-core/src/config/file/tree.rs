//! YAML text to a tree in which every node knows its place.
//!
//! A serde deserializer stops at the first error and forgets positions; people want all errors
//! at once and with their lines. So the parser's events are gathered into a plain tree first and
//! the sections decode themselves from it (`decode.rs`). This file knows YAML and nothing about
//! our keys. Limits on size, depth and alias expansion keep a hostile file cheap.

use std::collections::HashMap;
use std::fmt;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span, Tag};

use crate::config::code::{Matter, noun};
use crate::config::diagnostic::{Code, Position, Report};

/// Largest configuration that is read, in bytes.
pub(crate) const LARGEST_FILE: usize = 8 << 20;

/// Deepest nesting; no real configuration passes ten.
const DEEPEST: usize = 64;

/// Most nodes that aliases may create.
const MOST_COPIES: usize = 100_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Clone)]
pub(crate) enum Kind {
    Null,
    Scalar { text: String, is_quoted: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One member of a mapping.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) position: Position,
    pub(crate) value: Node,
}

/// Shows the shape only: any scalar may be a key.
impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("Null"),
            Self::Scalar { text, .. } => write!(formatter, "Scalar({} bytes)", text.len()),
            Self::List(items) => write!(formatter, "List({} items)", items.len()),
            Self::Map(entries) => write!(formatter, "Map({} members)", entries.len()),
        }
    }
}

impl Node {
    fn size(&self) -> usize {
        match &self.kind {
            Kind::Null | Kind::Scalar { .. } => 1,
            Kind::List(items) => items.iter().map(Self::size).fold(1, usize::saturating_add),
            Kind::Map(entries) => {
                entries.iter().map(|entry| entry.value.size()).fold(1, usize::saturating_add)
            }
        }
    }

    fn depth(&self) -> usize {
        let below = match &self.kind {
            Kind::Null | Kind::Scalar { .. } => None,
            Kind::List(items) => items.iter().map(Self::depth).max(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.value.depth()).max(),
        };
        below.unwrap_or(0).saturating_add(1)
    }

    /// What the node is, for messages.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Null => noun::NOTHING,
            Kind::Scalar { is_quoted: true, .. } => noun::QUOTED,
            Kind::Scalar { .. } => noun::SINGLE,
            Kind::List(_) => noun::LIST,
            Kind::Map(_) => noun::MAPPING,
        }
    }
}

/// Reads the first document. `None` when it is empty or when it cannot be read, which is then
/// in the report.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > LARGEST_FILE {
        report.problem_general(Code::FileTooLarge.with("most", LARGEST_FILE >> 20));
        return None;
    }
    let options = granit_parser::options! {
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let position = place(error.marker().line(), error.marker().col());
                report.problem_at(position, "", broken(error.kind()));
                return None;
            }
        };
        match builder.take(event, span, report) {
            Step::More => {}
            Step::Done => break,
            Step::Broken => return None,
        }
    }
    builder.root.filter(|node| !matches!(node.kind, Kind::Null))
}

/// What the parser says, unless its words could repeat text of the file.
fn broken(kind: &granit_parser::ErrorKind) -> Matter {
    use granit_parser::ErrorKind;
    if matches!(kind, ErrorKind::UnknownAnchor) {
        return Code::UnknownAnchor.into();
    }
    let text = kind.to_string();
    if text.len() > 160 || text.contains(['\'', '"', '`', '\n']) {
        Code::BrokenStructure.into()
    } else {
        Code::Syntax.with("why", text)
    }
}

fn place(line: usize, column: usize) -> Position {
    Position { line, column: column.saturating_add(1) }
}

enum Step {
    More,
    Done,
    Broken,
}

/// A collection that is still open.
enum Open {
    List { position: Position, anchor: usize, items: Vec<Node> },
    Map { position: Position, anchor: usize, entries: Vec<Entry>, key: Option<(String, Position)> },
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    copies: usize,
    is_document_over: bool,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span, report: &mut Report) -> Step {
        let position = place(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) if self.is_document_over => {
                report.warning_at(position, "", Code::SeveralDocuments);
                Step::Done
            }
            Event::DocumentEnd => {
                self.is_document_over = true;
                Step::More
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = Node { position, kind: scalar(&text, style, tag.as_deref()) };
                self.remember(anchor, &node);
                self.add(node, report)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.enter(Open::List { position, anchor, items: Vec::new() }, position, report)
            }
            Event::MappingStart(_, anchor, _) => {
                self.enter(Open::Map { position, anchor, entries: Vec::new(), key: None }, position, report)
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(report),
            Event::Alias(anchor) => self.copy(anchor, position, report),
            _ => Step::More,
        }
    }

    fn enter(&mut self, open: Open, position: Position, report: &mut Report) -> Step {
        if self.open.len() >= DEEPEST {
            report.problem_at(position, "", Code::NestedTooDeep.with("most", DEEPEST));
            return Step::Broken;
        }
        self.open.push(open);
        Step::More
    }

    fn leave(&mut self, report: &mut Report) -> Step {
        let (node, anchor) = match self.open.pop() {
            Some(Open::List { position, anchor, items }) => {
                (Node { position, kind: Kind::List(items) }, anchor)
            }
            Some(Open::Map { position, anchor, entries, .. }) => {
                let entries = merged(entries, &self.path(), report);
                (Node { position, kind: Kind::Map(entries) }, anchor)
            }
            None => return Step::Broken,
        };
        self.remember(anchor, &node);
        self.add(node, report)
    }

    /// Path of the node that is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::List { items, .. } => path.extend(["[", &items.len().to_string(), "]"]),
                Open::Map { key: Some((key, _)), .. } => path = member(&path, key),
                Open::Map { key: None, .. } => {}
            }
        }
        path
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn copy(&mut self, anchor: usize, position: Position, report: &mut Report) -> Step {
        let Some(node) = self.anchors.get(&anchor) else {
            report.problem_at(position, "", Code::AliasToItself);
            return Step::Broken;
        };
        self.copies = self.copies.saturating_add(node.size());
        if self.copies > MOST_COPIES || self.open.len().saturating_add(node.depth()) > DEEPEST {
            report.problem_at(position, "", Code::AliasesTooLarge);
            return Step::Broken;
        }
        let node = Node { position, kind: node.kind.clone() };
        self.add(node, report)
    }

    fn add(&mut self, node: Node, report: &mut Report) -> Step {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => {
                    let Some(text) = key_text(&node) else {
                        report.problem_at(node.position, "", Code::KeyNotSingle);
                        return Step::Broken;
                    };
                    *key = Some((text, node.position));
                }
                Some((text, position)) => entries.push(Entry { key: text, position, value: node }),
            },
        }
        Step::More
    }
}

fn key_text(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text.clone()),
        Kind::Null => Some(String::new()),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    let core = tag.and_then(Tag::core_suffix);
    let is_quoted = match core {
        Some("str") => true,
        Some(_) => false,
        None => !matches!(style, ScalarStyle::Plain),
    };
    if !is_quoted && (core == Some("null") || is_null(text)) {
        return Kind::Null;
    }
    Kind::Scalar { text: text.to_owned(), is_quoted }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Applies `<<` merge keys and refuses keys that are written twice.
fn merged(entries: Vec<Entry>, path: &str, report: &mut Report) -> Vec<Entry> {
    let mut own: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut places: HashMap<String, Position> = HashMap::new();
    let mut sources = Vec::new();
    for entry in entries {
        if entry.key == "<<" {
            sources.push(entry.value);
        } else if let Some(first) = places.get(&entry.key) {
            report.problem_at(
                entry.position,
                &member(path, &entry.key),
                Code::DuplicateKey.with("first", first.line),
            );
        } else {
            places.insert(entry.key.clone(), entry.position);
            own.push(entry);
        }
    }
    for source in sources {
        let maps = match source.kind {
            Kind::List(items) => items,
            _ => vec![source],
        };
        for map in maps {
            let Kind::Map(entries) = map.kind else {
                report.problem_at(map.position, &member(path, "<<"), Code::MergeNotMapping);
                continue;
            };
            for entry in entries {
                if !places.contains_key(&entry.key) {
                    places.insert(entry.key.clone(), entry.position);
                    own.push(entry);
                }
            }
        }
    }
    own
}

/// The path of a member.
pub(crate) fn member(path: &str, key: &str) -> String {
    if path.is_empty() { shown_key(key) } else { format!("{path}.{}", shown_key(key)) }
}

/// A key as it may appear in a message. Text that could be a credential written in the wrong
/// place is replaced by its length.
fn shown_key(key: &str) -> String {
    let is_plain = key.chars().all(|character| {
        character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '/' | '*' | '@' | '<')
    });
    let looks_secret = key.starts_with("sk-")
        || key.starts_with("AIza")
        || (key.len() > 20 && key.chars().any(|character| character.is_ascii_digit()));
    if is_plain && !looks_secret && !key.is_empty() && key.len() <= 60 {
        key.to_owned()
    } else {
        format!("(a key of {} characters)", key.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<String>) {
        let mut report = Report::default();
        let node = parse(text, &mut report);
        let problems = match report.finish(None) {
            Ok(warnings) => warnings.iter().map(ToString::to_string).collect(),
            Err(problems) => problems.list.iter().map(ToString::to_string).collect(),
        };
        (node, problems)
    }

    fn problems(text: &str) -> Vec<String> {
        read(text).1
    }

    fn entries(text: &str) -> Vec<Entry> {
        match read(text).0.unwrap().kind {
            Kind::Map(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn positions_count_from_one() {
        let entries = entries("a: 1\nb:\n  - x\n");
        assert_eq!(entries[0].position, Position { line: 1, column: 1 });
        assert_eq!(entries[0].value.position, Position { line: 1, column: 4 });
        let Kind::List(items) = &entries[1].value.kind else { panic!() };
        assert_eq!(items[0].position, Position { line: 3, column: 5 });
    }

    #[test]
    fn an_empty_file_and_a_file_of_comments_have_no_tree() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "~\n"] {
            let (node, problems) = read(text);
            assert!(node.is_none(), "{text:?}");
            assert!(problems.is_empty(), "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn a_duplicate_key_is_a_problem_at_the_second_place() {
        assert_eq!(
            problems("port: 1\nhost: x\nport: 2\n"),
            ["3:1: port: the key is written twice; keep one of them; the first is at line 1"]
        );
    }

    #[test]
    fn merge_keys_fill_in_what_is_missing() {
        let entries = entries("base: &b {x: 1, y: 2}\nused:\n  <<: *b\n  y: 3\n");
        let Kind::Map(used) = &entries[1].value.kind else { panic!() };
        let pairs: Vec<_> = used
            .iter()
            .map(|entry| match &entry.value.kind {
                Kind::Scalar { text, .. } => (entry.key.as_str(), text.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(pairs, [("y", "3"), ("x", "1")]);
    }

    #[test]
    fn alias_bombs_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = level - 1;
            let items = vec![format!("*a{before}"); 10].join(", ");
            text.extend([format!("a{level}: &a{level} [{items}]\n")]);
        }
        assert_eq!(problems(&text).len(), 1);
        assert!(problems(&text)[0].contains("aliases expand to too much content"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(problems(&"[".repeat(5000)).len(), 1);
        assert_eq!(problems(&"- ".repeat(5000)).len(), 1);
    }

    #[test]
    fn structures_that_cannot_be_read_have_their_place() {
        for (text, expected) in [
            ("a: 1\n[b]: 2\n", "2:1: a mapping key must be a single value"),
            ("a: 1\nb:\n  <<: 5\n", "3:7: b.<<: a merge key takes a mapping or a list of mappings"),
            ("a: &x [*x]\n", "1:8: an alias refers to the collection that contains it"),
            ("a: 1\nb: *nothing\n", "2:4: not valid YAML: an alias refers to an anchor that does not exist"),
        ] {
            assert_eq!(problems(text), [expected], "{text}");
        }
        let large = "# ".repeat(LARGEST_FILE);
        assert_eq!(problems(&large), ["the file is larger than 8 MiB"]);
    }

    #[test]
    fn a_second_document_is_reported() {
        assert_eq!(
            problems("a: 1\n---\nb: 2\n"),
            ["2:1: only the first YAML document of the file is read; remove the line `---` and what follows"]
        );
    }

    #[test]
    fn a_key_that_could_be_a_credential_is_not_shown() {
        assert_eq!(shown_key("keepalive-seconds"), "keepalive-seconds");
        assert_eq!(shown_key("sk-abc"), "(a key of 6 characters)");
        assert_eq!(shown_key("0123456789abcdef01234567"), "(a key of 24 characters)");
        assert_eq!(shown_key("two words"), "(a key of 9 characters)");
    }

    #[test]
    fn broken_syntax_names_line_and_column_without_the_text() {
        let found = problems("port: 8317\napi-keys: [sk-secret-value\nhost: x\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("not valid YAML"), "{found:?}");
        assert!(!found[0].contains("secret"), "{found:?}");
    }

    #[test]
    fn tags_decide_between_text_and_value() {
        let entries = entries("a: !!str 12\nb: !!int \"12\"\nc: !!null ''\n");
        assert!(matches!(entries[0].value.kind, Kind::Scalar { is_quoted: true, .. }));
        assert!(matches!(entries[1].value.kind, Kind::Scalar { is_quoted: false, .. }));
        assert!(matches!(entries[2].value.kind, Kind::Null));
    }
}
