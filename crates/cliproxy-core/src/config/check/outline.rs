//! Writing settings as YAML that people may see.
//!
//! Only what this file needs of YAML: nested members, lists, quoted text. Secrets come in
//! masked; nothing here can reach them.

/// Text that grows by indented lines.
#[derive(Debug, Default)]
pub(super) struct Outline {
    text: String,
    depth: usize,
    /// The next line starts a list item.
    is_item: bool,
}

impl Outline {
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// `key: "text"`.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.line(&format!("{key}: {}", quoted(value)));
    }

    /// `key: "text"` when there is one.
    pub(super) fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// `key: value` for numbers and booleans.
    pub(super) fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        self.line(&format!("{key}: {value}"));
    }

    /// `key: true` when it is.
    pub(super) fn flag(&mut self, key: &str, is_set: bool) {
        if is_set {
            self.plain(key, true);
        }
    }

    /// A member with members; nothing when `build` writes none.
    pub(super) fn section(&mut self, key: &str, build: impl FnOnce(&mut Self)) {
        let before = self.text.len();
        self.line(&format!("{key}:"));
        let after = self.text.len();
        self.depth = self.depth.saturating_add(1);
        build(self);
        self.depth = self.depth.saturating_sub(1);
        if self.text.len() == after {
            self.text.truncate(before);
        }
    }

    /// A list of texts; nothing when it is empty.
    pub(super) fn texts<'text>(&mut self, key: &str, values: impl IntoIterator<Item = &'text str>) {
        let values: Vec<String> = values.into_iter().map(quoted).collect();
        if !values.is_empty() {
            self.line(&format!("{key}: [{}]", values.join(", ")));
        }
    }

    /// A list of mappings; nothing when it is empty.
    pub(super) fn items<Value>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = Value>,
        mut build: impl FnMut(&mut Self, Value),
    ) {
        self.section(key, |outline| {
            for value in values {
                outline.is_item = true;
                outline.depth = outline.depth.saturating_add(1);
                build(outline, value);
                outline.depth = outline.depth.saturating_sub(1);
                outline.is_item = false;
            }
        });
    }

    fn line(&mut self, line: &str) {
        let steps = if self.is_item { self.depth.saturating_sub(1) } else { self.depth };
        self.text.push_str(&"  ".repeat(steps));
        if std::mem::take(&mut self.is_item) {
            self.text.push_str("- ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// A double-quoted YAML text.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            other if other.is_control() => quoted.push('?'),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_members_and_lists_are_indented() {
        let mut outline = Outline::default();
        outline.plain("a", 1);
        outline.section("b", |outline| {
            outline.text("c", "x \"y\"");
            outline.items("d", [1, 2], |outline, number| {
                outline.plain("e", number);
                outline.texts("f", ["g", "h"]);
            });
            outline.section("empty", |_| ());
        });
        outline.items("none", [(); 0], |_, ()| ());
        assert_eq!(
            outline.finish(),
            "a: 1\nb:\n  c: \"x \\\"y\\\"\"\n  d:\n    - e: 1\n      f: [\"g\", \"h\"]\n    - e: 2\n      f: [\"g\", \"h\"]\n"
        );
    }
}
