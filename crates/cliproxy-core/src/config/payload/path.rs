//! Dotted paths into a JSON body.
//!
//! The notation and its meaning belong to the patcher of `cliproxy-wire`. Here a path is checked
//! once, when the rules are compiled, and put below the envelope of a body when it is used.

use cliproxy_wire::json::patch::{self, Path, Step};

use crate::config::diagnostic::Code;

/// Reads a path.
///
/// # Errors
/// Why it is no path.
pub(super) fn parse(text: &str) -> Result<Path, Code> {
    let text = text.trim();
    let plain = text.replace("\\\\", "").replace("\\#", "").replace("\\|", "").replace("\\@", "");
    if plain.contains(['#', '|']) {
        return Err(Code::PathQuery);
    }
    let path = Path::parse(text);
    if plain.starts_with('@') || plain.contains(".@") {
        return Err(Code::PathModifier);
    }
    if path.steps().iter().any(|step| matches!(step, Step::Key(name) if name.is_empty())) {
        return Err(Code::PathEmptyStep);
    }
    Ok(path)
}

/// The path below the member `root`.
pub(super) fn below(root: Option<&str>, path: &Path) -> Path {
    let Some(root) = root else {
        return path.clone();
    };
    path.steps().iter().fold(Path::root().key(root), |path, step| match step {
        Step::Key(name) => path.key(name),
        Step::Index(index) => path.index(*index),
        Step::Append => path.append(),
    })
}

/// The JSON text at the path; nothing is behind the end of a list.
pub(super) fn find<'body>(body: &'body str, root: Option<&str>, path: &Path) -> Option<&'body str> {
    if path.steps().contains(&Step::Append) {
        return None;
    }
    match root {
        Some(_) => patch::get(body, &below(root, path)),
        None => patch::get(body, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_steps_queries_and_modifiers_are_refused() {
        for text in ["", ".", "a..b", "a.", "a.#", "tools.#(x==1)", "a|b", "@this", "a.@reverse"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["a", "a.b.0", "tools.-1", "a\\.b", "a\\#b", "x@y"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_value_is_found_by_name_and_index_below_the_envelope() {
        let body = r#"{"request":{"a":[{"b":1},{"b":2}]}}"#;
        let path = parse("a.1.b").unwrap();
        assert_eq!(find(body, Some("request"), &path), Some("2"));
        assert_eq!(find(body, None, &path), None);
        assert_eq!(find(body, Some("request"), &parse("a.-1").unwrap()), None);
    }
}
