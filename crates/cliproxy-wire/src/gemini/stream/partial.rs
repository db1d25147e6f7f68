//! A call whose arguments come in pieces by path (`partialArgs`): the arguments are put together and given out once.

use super::super::member::members;
use super::super::part::{Call, each};
use crate::Error;
use crate::json::{self, Object, Raw, Reader};

/// More nesting than arguments have; deeper pieces are ignored.
const MAX_DEPTH: usize = 64;
/// More elements than a list is filled up with for an index that skips some.
const MAX_INDEX: usize = 100_000;

/// A call in the making.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) signature: Option<String>,
    root: Node,
}

#[derive(Debug, Default)]
enum Node {
    #[default]
    Nothing,
    Object(Vec<(String, Self)>),
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
                if let Some(slot) = self.root.member(name) {
                    *slot = Node::Raw(value.to_raw()?);
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
        let Some(slot) = self.root.descend(&path) else { return Ok(()) };
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
    /// The node at `path`, such as `$.a.b[0]` or `$['a']`, made where there is none.
    fn descend(&mut self, path: &str) -> Option<&mut Self> {
        let mut node = self;
        let mut rest = path.strip_prefix('$').unwrap_or(path);
        for _ in 0..MAX_DEPTH {
            if rest.is_empty() {
                return Some(node);
            }
            if let Some(quoted) = rest.strip_prefix("['").or_else(|| rest.strip_prefix("[\"")) {
                let (name, after) = quoted.split_once("']").or_else(|| quoted.split_once("\"]"))?;
                node = node.member(name)?;
                rest = after;
            } else if let Some(bracket) = rest.strip_prefix('[') {
                let (index, after) = bracket.split_once(']')?;
                node = node.element(index.parse().ok()?)?;
                rest = after;
            } else {
                let bare = rest.strip_prefix('.').unwrap_or(rest);
                let end = bare.find(['.', '[']).unwrap_or(bare.len());
                let (name, after) = bare.split_at_checked(end)?;
                if name.is_empty() {
                    return None;
                }
                node = node.member(name)?;
                rest = after;
            }
        }
        None
    }

    fn member(&mut self, name: &str) -> Option<&mut Self> {
        if !matches!(self, Self::Object(_)) {
            *self = Self::Object(Vec::new());
        }
        let Self::Object(members) = self else { return None };
        let known = members.iter().position(|(known, _)| known == name);
        let at = known.unwrap_or(members.len());
        if known.is_none() {
            members.push((name.to_owned(), Self::Nothing));
        }
        members.get_mut(at).map(|(_, node)| node)
    }

    fn element(&mut self, index: usize) -> Option<&mut Self> {
        if index > MAX_INDEX {
            return None;
        }
        if !matches!(self, Self::Array(_)) {
            *self = Self::Array(Vec::new());
        }
        let Self::Array(elements) = self else { return None };
        if elements.len() <= index {
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

    #[test]
    fn wild_paths_change_nothing() {
        let mut partial = Partial::default();
        for path in ["$.a[99999999999]", "$..", "$[x]", "$['open", &".a".repeat(1000)] {
            let pieces = Raw::array(|list| {
                list.object(|piece| {
                    piece.str("jsonPath", path);
                    piece.str("stringValue", "x");
                });
            });
            partial.add(&Call { partial: Some(pieces.as_str()), ..Call::default() }, None).unwrap();
        }
        assert!(Raw::parse(&partial.arguments()).is_ok());
    }
}
