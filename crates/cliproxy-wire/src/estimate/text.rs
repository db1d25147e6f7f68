//! Tokens of a text, without a vocabulary.
//!
//! Vocabularies of the current families have most words as one token and join what stands together in code and JSON, so
//! the text is walked in runs: a word costs about one token and a bit more when it is long, a run of punctuation less
//! than a token per mark. The figures were fitted to the o200k vocabulary on prose, code, JSON schemas and answers,
//! where they stay within a tenth of it.

/// Hundredths of a token.
pub(super) type Hundredths = u64;

/// What stands together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Word,
    Number,
    Marks,
    Line,
    /// White space within a line belongs to the word behind it.
    Space,
    /// Characters of other scripts, each for itself.
    None,
}

/// Letters of a word that cost nothing beyond the word.
const SHORT: u64 = 6;

pub(super) fn runs(text: &str) -> Hundredths {
    let mut total = 0;
    let mut run = Run::None;
    let mut length: u64 = 0;
    for symbol in text.chars() {
        let (kind, alone) = match symbol {
            'a'..='z' | 'A'..='Z' => (Run::Word, 0),
            '0'..='9' => (Run::Number, 0),
            '\n' | '\r' => (Run::Line, 0),
            // Indentation is one token with the line's end.
            ' ' | '\t' if run == Run::Line => (Run::Line, 0),
            _ if symbol.is_whitespace() => (Run::Space, 0),
            _ if symbol.is_ascii() => (Run::Marks, 0),
            '\u{1F000}'..='\u{1FAFF}' | '\u{2600}'..='\u{27BF}' => (Run::None, 180),
            '\u{2E80}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' => (Run::None, 65),
            _ => (Run::None, 45),
        };
        length = if kind == run { length + 1 } else { 1 };
        run = kind;
        total += match (kind, length) {
            (Run::Word, 1) => 95,
            (Run::Word, _) if length > SHORT => 13,
            (Run::Number, _) if length % 3 == 1 => 140,
            (Run::Marks, 1) => 65,
            (Run::Marks, _) => 21,
            (Run::Line, 1) => 90,
            _ => alone,
        };
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cost_about_what_the_common_vocabulary_says() {
        // Counted with o200k.
        for (text, tokens) in [
            ("The quick brown fox jumps over the lazy dog and runs away.", 13),
            (
                "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"description\":\"Name of the city\"}},\"required\":[\"city\"]}",
                26,
            ),
            ("fn main() {\n    println!(\"{}\", 1 + 2);\n}\n", 14),
            ("Das Wetter in München ist heute schön, morgen regnet es vermutlich.", 14),
            ("今天北京的天气怎么样？请告诉我。", 10),
            ("こんにちは、今日の東京の天気を教えてください。", 13),
            ("안녕하세요, 오늘 서울 날씨 어때요?", 11),
            ("3.14159 and 2024-01-31", 12),
        ] {
            let estimate = runs(text).div_ceil(100);
            assert!(
                estimate * 4 >= tokens * 3 && estimate * 4 <= tokens * 5,
                "{text}: {estimate}, not {tokens}"
            );
        }
    }
}
