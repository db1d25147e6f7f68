//! Dotted paths into a JSON body.
//!
//! `a.b.0.c`: members by name, array items by index, `-1` for a new last item; `\.` is a dot
//! inside a name. Queries of the larger path languages are refused when the rules are compiled.

use std::fmt;

use serde_json::Value;

/// A path, split into steps.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

impl Path {
    /// Splits a text.
    ///
    /// # Errors
    /// Why it is no path.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut steps = Vec::new();
        let mut step = String::new();
        let mut characters = text.trim().chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => step.extend(characters.next()),
                '.' => steps.push(std::mem::take(&mut step)),
                '#' | '|' => return Err("queries are not supported in paths"),
                '@' if step.is_empty() => return Err("modifiers are not supported in paths"),
                other => step.push(other),
            }
        }
        steps.push(step);
        if steps.iter().any(String::is_empty) {
            return Err("a path has no empty steps");
        }
        Ok(Self(steps))
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[String] {
        &self.0
    }

    /// The value at this path below `root`.
    pub(super) fn find<'value>(&self, value: &'value Value, root: Option<&str>) -> Option<&'value Value> {
        let mut value = match root {
            Some(root) => value.get(root)?,
            None => value,
        };
        for step in &self.0 {
            value = match value {
                Value::Object(members) => members.get(step)?,
                Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            formatter.write_str(&step.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<String> {
        Path::parse(text).unwrap().steps().to_vec()
    }

    #[test]
    fn dots_split_and_a_backslash_keeps_them() {
        assert_eq!(steps("a.b.0"), ["a", "b", "0"]);
        assert_eq!(steps("a\\.b.c"), ["a.b", "c"]);
        assert_eq!(steps("tools.-1"), ["tools", "-1"]);
        assert_eq!(Path::parse("a\\.b.c").unwrap().to_string(), "a\\.b.c");
    }

    #[test]
    fn empty_steps_and_queries_are_refused() {
        for text in ["", ".", "a..b", "a.", "a.#", "tools.#(x==1)", "a|b", "@this"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_is_found_by_name_and_index() {
        let value = serde_json::json!({"request": {"a": [{"b": 1}, {"b": 2}]}});
        let path = Path::parse("a.1.b").unwrap();
        assert_eq!(path.find(&value, Some("request")), Some(&serde_json::json!(2)));
        assert_eq!(path.find(&value, None), None);
        assert_eq!(Path::parse("a.-1").unwrap().find(&value, Some("request")), None);
    }
}
