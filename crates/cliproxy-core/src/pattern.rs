//! Name patterns with `*`.
//!
//! Model names are matched in several places (exclusions, payload rules); they must agree on
//! what `*` means: any run of characters, also an empty one, anywhere. Nothing else is special.

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    text: String,
    ignores_case: bool,
}

impl Pattern {
    /// A pattern that tells upper from lower case.
    pub fn exact_case(text: &str) -> Self {
        Self { text: text.to_owned(), ignores_case: false }
    }

    /// A pattern that ignores case.
    pub fn any_case(text: &str) -> Self {
        Self { text: text.to_lowercase(), ignores_case: true }
    }

    /// The pattern's text; in lower case when it ignores case.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole name fits.
    pub fn matches(&self, name: &str) -> bool {
        if self.ignores_case { fits(&self.text, &name.to_lowercase()) } else { fits(&self.text, name) }
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The earliest place of each middle part leaves the most room for the others.
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some((_, after)) = name.split_once(part) else {
            return false;
        };
        name = after;
    }
    name.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, name, expected) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5.1", false),
            ("gpt-*", "gpt-5", true),
            ("gpt-*", "gpt-", true),
            ("*-mini", "gpt-5-mini", true),
            ("*-mini", "gpt-5-mini-high", false),
            ("*flash*", "gemini-2.5-flash-lite", true),
            ("g*2*lite", "gemini-2.5-flash-lite", true),
            ("g*lite*2", "gemini-2.5-flash-lite", false),
            ("*", "", true),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
            ("ab*ba", "aba", false),
            ("a.c", "abc", false),
        ] {
            assert_eq!(Pattern::exact_case(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn case_matters_only_when_asked() {
        assert!(!Pattern::exact_case("GPT-*").matches("gpt-5"));
        assert!(Pattern::any_case("GPT-*").matches("gpt-5"));
        assert!(Pattern::any_case("gpt-*").matches("GPT-5"));
    }

    proptest::proptest! {
        #[test]
        fn a_name_fits_itself_and_itself_with_stars(name in "[a-z.*-]{0,12}", at in 0_usize..12) {
            let mut starred: String = name.chars().take(at).collect();
            starred.push('*');
            starred.extend(name.chars().skip(at));
            proptest::prop_assert!(Pattern::exact_case(&name).matches(&name));
            proptest::prop_assert!(Pattern::exact_case(&starred).matches(&name));
        }
    }
}
