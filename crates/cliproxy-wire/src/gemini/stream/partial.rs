//! A call whose arguments come in pieces by path (`partialArgs`): the arguments are put together and given out once.
//!
//! A path is a few bytes and may name much: what the pieces of a call make is bounded.

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::super::member::members;
use super::super::part::{Call, each};
use crate::Error;
use crate::json::{self, Object, Raw, Reader};

/// More nesting than arguments have.
const MAX_DEPTH: usize = 64;
/// More members and elements than the arguments of a call have.
const MAX_PLACES: usize = 100_000;
/// More elements than a call leaves out: lists come in order.
const MAX_GAPS: usize = 64;

/// A call in the making.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) signature: Option<String>,
    /// A piece had no place, so that the arguments are not what the model said.
    pub(super) is_garbled: bool,
    root: Node,
    made: Made,
}

/// What a call holds so far.
#[derive(Debug, Default)]
struct Made {
    places: usize,
    /// Elements that nothing was said of when they were made.
    gaps: usize,
}

impl Made {
    /// Makes room for `places` more, of which all but the last are gaps.
    fn add(&mut self, places: usize) -> Option<()> {
        self.places = self.places.checked_add(places).filter(|places| *places <= MAX_PLACES)?;
        self.gaps = Some(self.gaps + places - 1).filter(|gaps| *gaps <= MAX_GAPS)?;
        Some(())
    }
}

#[derive(Debug, Default)]
enum Node {
    #[default]
    Nothing,
    Object(IndexMap<String, Self, RandomState>),
    Array(Vec<Self>),
    Text(String),
    Raw(Raw),
}

impl Partial {
    /// Takes one part of the call in.
    ///
    /// # Errors
    /// Pieces of wrong kinds.
    pub(super) fn add(&mut self, call: &Call<'_>, signature: Option<&str>) -> Result<(), Error> {
        if self.is_garbled {
            return Ok(());
        }
        if let Some(id) = &call.id {
            self.id = Some(id.clone().into_owned());
        }
        if let Some(name) = &call.name {
            self.name = name.clone().into_owned();
        }
        if let Some(signature) = signature {
            self.signature = Some(signature.to_owned());
        }
        if let Some(args) = &call.args {
            args.reader().object(|name, value| {
                match self.root.member(name, &mut self.made) {
                    Some(slot) => *slot = Node::Raw(value.to_raw()?),
                    None => self.is_garbled = true,
                }
                Ok(())
            })?;
        }
        match call.partial {
            Some(pieces) => each(&mut Reader::new(pieces), |piece| self.piece(piece)),
            None => Ok(()),
        }
    }

    fn piece(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut path = String::new();
        let mut text = None;
        let mut value = None;
        members(reader, |name, member| {
            match name {
                "jsonPath" => path = member.string()?,
                "stringValue" => text = member.opt(Reader::string)?,
                "numberValue" | "boolValue" => value = member.opt(Reader::to_raw)?,
                "nullValue" => {
                    member.skip()?;
                    value = Some(Raw::new("null"));
                }
                _ => {}
            }
            Ok(())
        })?;
        let Some(slot) = self.root.descend(&path, &mut self.made) else {
            self.is_garbled = true;
            return Ok(());
        };
        match (text, value) {
            (Some(text), _) => match slot {
                Node::Text(known) => known.push_str(&text),
                other => *other = Node::Text(text),
            },
            (None, Some(value)) => *slot = Node::Raw(value),
            (None, None) => {}
        }
        Ok(())
    }

    /// Whether some of its arguments have come.
    pub(super) fn has_pieces(&self) -> bool {
        !matches!(self.root, Node::Nothing)
    }

    /// The arguments.
    pub(super) fn arguments(&self) -> String {
        let mut out = Vec::new();
        match &self.root {
            Node::Object(_) => self.root.write(&mut out),
            _ => out.extend_from_slice(b"{}"),
        }
        String::from_utf8(out).unwrap_or_default()
    }
}

impl Node {
    /// The node at `path`, such as `$.a.b[0]` or `$['a']`, made where there is none; `None` for what is no such path, and
    /// for one that makes too much.
    fn descend(&mut self, path: &str, made: &mut Made) -> Option<&mut Self> {
        let mut node = self;
        let mut rest = path.strip_prefix('$').unwrap_or(path);
        for _ in 0..=MAX_DEPTH {
            if rest.is_empty() {
                return Some(node);
            }
            if let Some(quoted) = rest.strip_prefix("['").or_else(|| rest.strip_prefix("[\"")) {
                let (name, after) = quoted.split_once("']").or_else(|| quoted.split_once("\"]"))?;
                node = node.member(name, made)?;
                rest = after;
            } else if let Some(bracket) = rest.strip_prefix('[') {
                let (index, after) = bracket.split_once(']')?;
                node = node.element(index.parse().ok()?, made)?;
                rest = after;
            } else {
                let bare = rest.strip_prefix('.').unwrap_or(rest);
                let end = bare.find(['.', '[']).unwrap_or(bare.len());
                let (name, after) = bare.split_at_checked(end)?;
                if name.is_empty() {
                    return None;
                }
                node = node.member(name, made)?;
                rest = after;
            }
        }
        None
    }

    fn member(&mut self, name: &str, made: &mut Made) -> Option<&mut Self> {
        if !matches!(self, Self::Object(_)) {
            *self = Self::Object(IndexMap::default());
        }
        let Self::Object(members) = self else { return None };
        if !members.contains_key(name) {
            made.add(1)?;
            members.insert(name.to_owned(), Self::Nothing);
        }
        members.get_mut(name)
    }

    fn element(&mut self, index: usize, made: &mut Made) -> Option<&mut Self> {
        if !matches!(self, Self::Array(_)) {
            *self = Self::Array(Vec::new());
        }
        let Self::Array(elements) = self else { return None };
        if let Some(more) = index.checked_sub(elements.len()) {
            made.add(more.checked_add(1)?)?;
            elements.resize_with(index + 1, Self::default);
        }
        elements.get_mut(index)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.extend_from_slice(b"null"),
            Self::Text(text) => json::string(out, text),
            Self::Raw(raw) => out.extend_from_slice(raw.as_str().as_bytes()),
            Self::Object(members) => json::object(out, |object: &mut Object<'_>| {
                for (name, node) in members {
                    object.key(name);
                    node.write(object.buffer());
                }
            }),
            Self::Array(elements) => {
                out.push(b'[');
                for (at, node) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    node.write(out);
                }
                out.push(b']');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_at_their_paths_in_the_order_they_came() {
        let mut partial = Partial::default();
        for pieces in [
            r#"[{"jsonPath":"$.city","stringValue":"Ro"},{"jsonPath":"$.size","numberValue":12345678901234567890}]"#,
            r#"[{"jsonPath":"$.city","stringValue":"me"}]"#,
            r#"[{"jsonPath":"$.days[1].name","stringValue":"Mo"},{"jsonPath":"$['odd key']","boolValue":true}]"#,
            r#"[{"json_path":"$.none","null_value":null}]"#,
        ] {
            partial.add(&Call { partial: Some(pieces), ..Call::default() }, None).unwrap();
        }
        assert_eq!(
            partial.arguments(),
            r#"{"city":"Rome","size":12345678901234567890,"days":[null,{"name":"Mo"}],"odd key":true,"none":null}"#
        );
    }

    fn put_together(paths: impl IntoIterator<Item = String>) -> Partial {
        let mut partial = Partial::default();
        for path in paths {
            let pieces = Raw::array(|list| {
                list.object(|piece| {
                    piece.str("jsonPath", &path);
                    piece.str("stringValue", "x");
                });
            });
            partial.add(&Call { partial: Some(pieces.as_str()), ..Call::default() }, None).unwrap();
        }
        partial
    }

    #[test]
    fn pieces_without_a_place_are_not_left_out_in_silence() {
        let deep = ".a".repeat(MAX_DEPTH + 1);
        for path in ["$.a[65]", "$.a[99999999999]", "$.a[-1]", "$..", "$[x]", "$['open", &deep] {
            assert!(put_together([path.to_owned()]).is_garbled, "{path}");
        }
        for path in ["$.a[64]", "$.a[2].b[3]", "$", &".a".repeat(MAX_DEPTH)] {
            assert!(!put_together([path.to_owned()]).is_garbled, "{path}");
        }
    }

    #[test]
    fn few_words_do_not_make_large_arguments() {
        let nested = "[50]".repeat(60);
        let partial = put_together((0..1000).map(|at| format!("$.a{at}{nested}")));
        assert!(partial.is_garbled && partial.arguments().len() < 1000);
        let partial = put_together((0..1000).map(|at| format!("$.a{at}{}", ".b".repeat(60))));
        assert!(!partial.is_garbled);
        let partial = put_together((0..3000).map(|at| format!("$.a{at}{}", ".b".repeat(60))));
        assert!(partial.is_garbled);
        let list = put_together((0..3000).map(|at| format!("$.list[{at}]")));
        assert_eq!(list.arguments().matches("\"x\"").count(), 3000);
    }
}
