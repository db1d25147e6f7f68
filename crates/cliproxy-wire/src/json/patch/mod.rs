//! Edits of JSON text that leave every other byte alone.
//!
//! Between equal formats a body is forwarded as the client wrote it, and only what must change is changed: unknown
//! members, number spelling, escapes, order and white space survive. So edits are not made on a tree that is printed
//! again but on the text: one pass finds what the paths name, and the result is assembled from untouched spans and
//! new pieces. Of duplicate members the last one counts; an object that is changed loses the earlier ones.

mod path;
mod splice;

pub use path::{Path, Step};

use std::borrow::Cow;

use super::{Kind, Raw, Reader};
use crate::Error;
use splice::{Node, Splices};

/// Edits deeper than this have no effect: no reader would accept what they build.
const MAX_STEPS: usize = 64;

/// One edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    path: Path,
    change: Change,
}

#[derive(Clone, Debug, PartialEq)]
enum Change {
    Set(Raw),
    SetDefault(Raw),
    Remove,
    Rename(String),
}

impl Edit {
    /// Writes `value` at `path`, whatever is there. Missing parents are made; a parent that is `null` or a scalar
    /// is replaced. An index behind the end of an array fills the gap with `null`. A name inside an array is no place
    /// and has no effect.
    pub fn set(path: Path, value: Raw) -> Self {
        Self { path, change: Change::Set(value) }
    }

    /// Writes `value` at `path` unless something, be it `null`, is there.
    pub fn set_default(path: Path, value: Raw) -> Self {
        Self { path, change: Change::SetDefault(value) }
    }

    /// Removes what is at `path`; [`Path::append`] means the last element.
    pub fn remove(path: Path) -> Self {
        Self { path, change: Change::Remove }
    }

    /// Gives the member at `path` another name, in its place. Where that name is taken, the member is removed.
    pub fn rename(path: Path, name: impl Into<String>) -> Self {
        Self { path, change: Change::Rename(name.into()) }
    }

    /// Where the edit happens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Applies `edits` to `text`, borrowed where none of them has an effect.
///
/// All paths name places in `text` as it is, so two removals of elements do not disturb each other. Only an edit at,
/// above or below the place of an earlier one sees what that one did.
///
/// # Errors
/// When `text` is not one JSON value, as far as it is read: what no path leads into is moved over, and stays as it is.
pub fn apply<'t>(text: &'t str, edits: &[Edit]) -> Result<Cow<'t, str>, Error> {
    let mut result = Cow::Borrowed(text);
    let mut rest = edits;
    loop {
        // The longest run of edits that do not touch each other goes in one pass.
        let count = rest
            .iter()
            .enumerate()
            .position(|(at, edit)| rest.iter().take(at).any(|earlier| earlier.path.meets(&edit.path)))
            .unwrap_or(rest.len());
        let (batch, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let changed = pass(&result, batch)?;
        if let Some(changed) = changed {
            result = Cow::Owned(changed);
        }
        if later.is_empty() {
            return Ok(result);
        }
        rest = later;
    }
}

fn pass(text: &str, edits: &[Edit]) -> Result<Option<String>, Error> {
    let mut root = Node::default();
    for edit in edits.iter().filter(|edit| edit.path.steps().len() <= MAX_STEPS) {
        root.plant(edit.path.steps(), &edit.change);
    }
    let mut splices = Splices::new(text);
    let mut reader = Reader::new(text);
    splices.value(&mut reader, &root)?;
    reader.finish()?;
    Ok(splices.assemble())
}

/// The text of the value at `path`; `None` when it is missing or `text` is malformed.
pub fn get<'t>(text: &'t str, path: &Path) -> Option<&'t str> {
    let mut span = text;
    for step in path.steps() {
        let mut reader = Reader::new(span);
        let mut found = None;
        match reader.kind() {
            Kind::Object => {
                let name = step.name();
                reader
                    .object(|key, value| {
                        if key == name {
                            found = Some(value.raw()?);
                        }
                        Ok(())
                    })
                    .ok()?;
            }
            Kind::Array => {
                let Step::Index(wanted) = step else { return None };
                reader
                    .array(|index, value| {
                        if index == *wanted {
                            found = Some(value.raw()?);
                        }
                        Ok(())
                    })
                    .ok()?;
            }
            _ => return None,
        }
        span = found?;
    }
    Reader::new(span).raw().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw {
        Raw::parse(text).unwrap()
    }

    fn edited(text: &str, edits: &[Edit]) -> String {
        let result = apply(text, edits).unwrap().into_owned();
        Raw::parse(&result).unwrap();
        result
    }

    fn set(path: &str, value: &str) -> Edit {
        Edit::set(Path::parse(path), raw(value))
    }

    fn default(path: &str, value: &str) -> Edit {
        Edit::set_default(Path::parse(path), raw(value))
    }

    fn remove(path: &str) -> Edit {
        Edit::remove(Path::parse(path))
    }

    const ODD: &str = "{ \"a\" : 1.0,\n \"mod\\u0065l\":\"x\\/y\" , \"n\":{\"z\":12345678901234567890, \"q\":[1e3, {\"k\":null} ]},\"t\":true }";

    #[test]
    fn only_the_named_value_changes() {
        assert_eq!(edited(ODD, &[set("model", "\"m\"")]), ODD.replace("\"x\\/y\"", "\"m\""));
        assert_eq!(edited(ODD, &[set("n.q.1.k", "[]")]), ODD.replace("null", "[]"));
        assert_eq!(
            edited(ODD, &[set("n.z", "1"), set("a", "2")]),
            ODD.replace("12345678901234567890", "1").replace("1.0", "2")
        );
    }

    #[test]
    fn an_edit_without_effect_leaves_the_text_borrowed() {
        for edit in [
            set("a", "1.0"),
            default("n.q", "[]"),
            default("n.q.1.k", "5"),
            remove("missing.deep"),
            remove("n.q.7"),
            set("n.q.name", "1"),
            Edit::rename(Path::parse("zz"), "y"),
        ] {
            assert!(matches!(apply(ODD, std::slice::from_ref(&edit)).unwrap(), Cow::Borrowed(_)), "{edit:?}");
        }
        assert!(matches!(apply(ODD, &[]).unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn members_are_removed_with_one_comma() {
        let text = r#"{"a":1, "b":2, "c":3}"#;
        assert_eq!(edited(text, &[remove("a")]), r#"{"b":2, "c":3}"#);
        assert_eq!(edited(text, &[remove("b")]), r#"{"a":1, "c":3}"#);
        assert_eq!(edited(text, &[remove("c")]), r#"{"a":1, "b":2}"#);
        assert_eq!(edited(text, &[remove("a"), remove("b")]), r#"{"c":3}"#);
        assert_eq!(edited(text, &[remove("b"), remove("c")]), r#"{"a":1}"#);
        assert_eq!(edited(text, &[remove("c"), remove("a"), remove("b")]), "{}");
        assert_eq!(edited(text, &[remove("c"), remove("a"), remove("b"), set("d", "4")]), r#"{"d":4}"#);
        assert_eq!(edited(text, &[remove("c"), set("d.e", "4")]), r#"{"a":1, "b":2,"d":{"e":4}}"#);
    }

    #[test]
    fn elements_are_removed_by_their_old_index() {
        let text = "[0, 1 ,2,{\"a\":[3]}]";
        assert_eq!(edited(text, &[remove("0"), remove("2")]), "[1,{\"a\":[3]}]");
        assert_eq!(edited(text, &[remove("3.a.0")]), "[0, 1 ,2,{\"a\":[]}]");
        assert_eq!(edited(text, &[remove("-1")]), "[0, 1 ,2]");
        assert_eq!(edited(text, &[remove("0"), remove("1"), remove("2"), remove("3")]), "[]");
    }

    #[test]
    fn missing_places_are_made() {
        assert_eq!(edited("{}", &[set("a.b.c", "1")]), r#"{"a":{"b":{"c":1}}}"#);
        assert_eq!(edited("{ }", &[set("a.-1", "1"), set("a.-1", "2")]), r#"{"a":[1,2] }"#);
        assert_eq!(edited("{\"a\":[1]}", &[set("a.-1", "2"), set("a.3", "4")]), r#"{"a":[1,2,null,4]}"#);
        assert_eq!(edited("{\"a\":null}", &[default("a.b", "1")]), r#"{"a":{"b":1}}"#);
        assert_eq!(edited("{\"a\":\"s\"}", &[set("a.b", "1"), set("a.c", "2")]), r#"{"a":{"b":1,"c":2}}"#);
        assert_eq!(edited("{}", &[set("a.0.b", "1")]), r#"{"a":[{"b":1}]}"#);
        assert_eq!(edited("{}", &[set("a.:0", "1"), set("x\\.y", "2")]), r#"{"a":{"0":1},"x.y":2}"#);
        assert_eq!(edited("{\"0\":{}}", &[set("0.-1", "1")]), r#"{"0":{"-1":1}}"#);
    }

    #[test]
    fn later_edits_of_one_place_see_the_earlier_ones() {
        assert_eq!(edited("{}", &[set("a", "1"), set("a", "2"), default("a", "3")]), r#"{"a":2}"#);
        assert_eq!(edited("{}", &[set("a", "{}"), set("a.b", "2"), remove("a")]), "{}");
    }

    #[test]
    fn the_last_of_duplicates_counts_and_a_change_drops_the_others() {
        let text = r#"{"model":"a", "x":1,"model":"b","x":2}"#;
        assert_eq!(get(text, &Path::parse("model")), Some("\"b\""));
        assert_eq!(edited(text, &[set("model", "\"c\"")]), r#"{"model":"c","x":2}"#);
        assert_eq!(edited(text, &[remove("model")]), r#"{"x":2}"#);
        assert_eq!(edited(text, &[remove("y")]), text);
        let nested = r#"{"o":{"a":1},"o":{"a":2}}"#;
        assert_eq!(edited(nested, &[set("o.a", "3")]), r#"{"o":{"a":3}}"#);
        assert_eq!(edited(nested, &[set("o.a", "2")]), nested);
    }

    #[test]
    fn a_member_is_renamed_in_its_place() {
        let rename = |from: &str, to: &str| Edit::rename(Path::parse(from), to);
        assert_eq!(edited(r#"{"a" : 1,"b":2}"#, &[rename("a", "c")]), r#"{"c" : 1,"b":2}"#);
        assert_eq!(edited(r#"{"a":1,"b":2}"#, &[rename("a", "b")]), r#"{"b":2}"#);
        assert_eq!(edited(r#"{"o":{"a":1}}"#, &[rename("o.a", "\"")]), r#"{"o":{"\"":1}}"#);
    }

    #[test]
    fn values_are_found_by_path() {
        assert_eq!(get(ODD, &Path::parse("n.q.1.k")), Some("null"));
        assert_eq!(get(ODD, &Path::parse("n.q.0")), Some("1e3"));
        assert_eq!(get(ODD, &Path::parse("model")), Some("\"x\\/y\""));
        for missing in ["n.q.2", "a.b", "n.q.x", "n.q.-1"] {
            assert_eq!(get(ODD, &Path::parse(missing)), None, "{missing}");
        }
    }

    #[test]
    fn an_edit_deeper_than_any_reader_goes_has_no_effect() {
        assert_eq!(edited("{}", &[set(&"a.".repeat(100_000), "1")]), "{}");
    }

    #[test]
    fn malformed_text_is_an_error() {
        assert!(apply("{\"a\":1,}", &[set("b", "1")]).is_err());
        assert!(apply("{\"a\":1} x", &[]).is_err());
    }
}
