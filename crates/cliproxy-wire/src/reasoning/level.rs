//! Levels and budgets, and the way between them.

use crate::model::Level;

/// Levels in order, with the words that formats use.
pub(super) const LEVELS: [(Level, &str); 6] = [
    (Level::Minimal, "minimal"),
    (Level::Low, "low"),
    (Level::Medium, "medium"),
    (Level::High, "high"),
    (Level::XHigh, "xhigh"),
    (Level::Max, "max"),
];

/// Budgets of the levels. Configuration may choose another table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Tokens for minimal, low, medium, high, xhigh, max.
    pub budgets: [u64; 6],
}

impl Default for Table {
    fn default() -> Self {
        Self { budgets: [512, 1024, 8192, 24576, 32768, 128_000] }
    }
}

impl Table {
    /// A table by the name that configuration gives it: `default`, or `gemini`, which is that of a Gemini-only gateway
    /// and has smaller budgets for flash models.
    pub fn named(name: &str, model: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::default()),
            "gemini" if model.contains("flash") => {
                Some(Self { budgets: [512, 1024, 12288, 24576, 24576, 24576] })
            }
            "gemini" => Some(Self { budgets: [512, 1024, 16384, 32768, 32768, 32768] }),
            _ => None,
        }
    }

    /// Tokens for a level.
    pub fn budget(&self, level: Level) -> u64 {
        let pairs = LEVELS.iter().zip(&self.budgets);
        pairs.filter(|((known, _), _)| *known == level).map(|(_, budget)| *budget).next().unwrap_or_default()
    }

    /// The level that a number of tokens (above zero) stands for.
    pub fn level(&self, budget: u64) -> Level {
        let mut pairs = LEVELS.iter().zip(&self.budgets);
        pairs.find(|(_, most)| budget <= **most).map_or(Level::Max, |((level, _), _)| *level)
    }
}

/// The word of a level.
pub fn word(level: Level) -> &'static str {
    LEVELS.iter().find(|(known, _)| *known == level).map_or("medium", |(_, word)| word)
}

/// The level of a word, in any case.
pub fn from_word(word: &str) -> Option<Level> {
    LEVELS.iter().find(|(_, known)| known.eq_ignore_ascii_case(word)).map(|(level, _)| *level)
}

/// The offered level that comes nearest. `None` when none is offered.
pub(super) fn nearest(offered: &[Level], wanted: Level) -> Option<Level> {
    let preferred: &[Level] = match wanted {
        Level::Minimal => &[Level::Minimal, Level::Low],
        Level::XHigh => &[Level::XHigh, Level::Max, Level::High],
        Level::Max => &[Level::Max, Level::XHigh, Level::High],
        _ => &[],
    };
    if let Some(level) = preferred.iter().find(|level| offered.contains(level)) {
        return Some(*level);
    }
    // The distance first, then the lower level.
    offered.iter().copied().min_by_key(|level| ((*level as u8).abs_diff(wanted as u8), *level))
}

/// The levels as they are named to a client.
pub(super) fn list(levels: &[Level]) -> String {
    levels.iter().map(|level| word(*level)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_level_is_found() {
        use Level::*;
        for (offered, wanted, expected) in [
            (&[Low, High][..], Medium, Low),
            (&[Low, High], Minimal, Low),
            (&[Low, High], XHigh, High),
            (&[Low, High, Max], XHigh, Max),
            (&[Low, Medium, High, XHigh], Max, XHigh),
            (&[Minimal, High], Low, Minimal),
            (&[Minimal, High], Medium, High),
            (&[High], Minimal, High),
            (&[Medium, High, XHigh], Low, Medium),
        ] {
            assert_eq!(nearest(offered, wanted), Some(expected), "{wanted:?} of {offered:?}");
        }
        assert_eq!(nearest(&[], Low), None);
    }

    #[test]
    fn words_are_read_in_any_case() {
        assert_eq!(from_word("HIGH"), Some(Level::High));
        assert_eq!(from_word("none"), None);
        assert_eq!(LEVELS.map(|(level, _)| from_word(word(level))), LEVELS.map(|(level, _)| Some(level)));
    }
}
