//! Tool call ids that fit the target.
//!
//! Providers disagree about the length and the alphabet of ids, and a conversation may move between them. Fitting is a
//! pure function of the id, so call and result are changed alike and nothing has to be remembered between requests.

use std::borrow::Cow;

use crate::profile::ToolIdRule;

/// Length of the hash part of a fitted id.
const HASH: usize = 16;

/// `id` if it satisfies `rule`, else an id that does: what is legal of the original, and a hash of all of it.
///
/// Idempotent, and different ids stay different.
pub fn fit(id: &str, rule: ToolIdRule) -> Cow<'_, str> {
    if is_legal(id, rule) {
        return Cow::Borrowed(id);
    }
    let max = match rule {
        ToolIdRule::Alphanumeric9 => return Cow::Owned(crate::id::base62("", 9, &[id])),
        ToolIdRule::Any { max } | ToolIdRule::Word { max } => max,
    };
    let hash = HASH.min(max);
    let room = max.saturating_sub(hash + 1);
    let mut fitted: String = id.chars().filter(|&letter| is_word(letter)).take(room).collect();
    if fitted.is_empty() && room >= 4 {
        fitted.push_str("call");
    }
    if room > 0 {
        fitted.push('_');
    }
    fitted.push_str(&crate::id::base62("", hash, &[id]));
    Cow::Owned(fitted)
}

/// Whether `id` satisfies `rule` as it is.
pub fn is_legal(id: &str, rule: ToolIdRule) -> bool {
    match rule {
        ToolIdRule::Any { max } => !id.is_empty() && (id.len() <= max || id.chars().count() <= max),
        ToolIdRule::Word { max } => !id.is_empty() && id.len() <= max && id.chars().all(is_word),
        ToolIdRule::Alphanumeric9 => id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
    }
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const RULES: [ToolIdRule; 4] = [
        ToolIdRule::Any { max: 40 },
        ToolIdRule::Word { max: 64 },
        ToolIdRule::Word { max: 256 },
        ToolIdRule::Alphanumeric9,
    ];

    #[test]
    fn j237_fit_is_idempotent_and_injective_on_ten_thousand_ids_per_rule() {
        for rule in RULES {
            let mut seen = HashSet::new();
            for number in 0..10_000 {
                let id = match number % 4 {
                    0 => format!("call_{number}"),
                    1 => format!("fc.{number}:{}", "x".repeat(80)),
                    2 => format!("{}{number}", "läng".repeat(30)),
                    _ => format!("toolu_{number:09}"),
                };
                let fitted = fit(&id, rule).into_owned();
                assert!(is_legal(&fitted, rule), "{fitted}");
                assert_eq!(fit(&fitted, rule), fitted);
                assert!(seen.insert(fitted), "{id} collides");
            }
        }
    }

    #[test]
    fn a_legal_id_is_kept_whatever_provider_it_names() {
        for id in ["toolu_01A", "call_abc", "fc_1", "functions.get:0"] {
            assert_eq!(fit(id, ToolIdRule::Any { max: 40 }), id);
        }
        assert_ne!(fit("functions.get:0", ToolIdRule::Word { max: 64 }), "functions.get:0");
        assert!(fit("functions.get:0", ToolIdRule::Word { max: 64 }).starts_with("functionsget0_"));
    }

    #[test]
    fn an_empty_id_becomes_a_legal_one() {
        assert!(fit("", ToolIdRule::Any { max: 40 }).starts_with("call_"));
    }
}
