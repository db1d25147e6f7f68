//! What an upstream writes in an error is not fit for a client as it stands: it may quote the gateway's own credential,
//! name an account or an internal host, or be endless.

use std::net::Ipv4Addr;

/// Longest message that is passed on, in bytes.
pub(super) const MAX_MESSAGE: usize = 2048;

const MARK: &str = "[redacted]";

/// How keys and tokens of known issuers begin.
const SECRET_PREFIXES: [&str; 25] = [
    "sk-",
    "sk_",
    "pk-",
    "rk-",
    "AIza",
    "ya29.",
    "1//",
    "GOCSPX-",
    "eyJ",
    "xai-",
    "gsk_",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "hf_",
    "AKIA",
    "ASIA",
    "ABSK",
    "nvapi-",
    "pplx-",
    "sess-",
    "csk-",
    "tvly-",
];

/// How ids begin that are long and look random, but tell a reader which item is meant.
const ID_PREFIXES: [&str; 14] = [
    "req_",
    "rs_",
    "msg_",
    "fc_",
    "ctc_",
    "resp_",
    "call_",
    "toolu_",
    "srvtoolu_",
    "item_",
    "chatcmpl-",
    "ws_",
    "gen-",
    "file-",
];

/// Names behind which a value follows that must not be shown.
const LABELS: [&str; 12] = [
    "key=",
    "api_key=",
    "apikey=",
    "token=",
    "access_token=",
    "refresh_token=",
    "id_token=",
    "client_secret=",
    "secret=",
    "password=",
    "key provided:",
    "bearer",
];

/// A message without credentials, accounts and private addresses, bounded in length.
pub(super) fn message(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(MAX_MESSAGE));
    let text = text.trim();
    // A secret that the cut splits would no longer be recognised, so the cut comes after the cleaning.
    let rest = text.get(..text.floor_char_boundary(MAX_MESSAGE * 4)).unwrap_or_default();
    redact(rest, &mut clean);
    if clean.len() > MAX_MESSAGE {
        clean.truncate(clean.floor_char_boundary(MAX_MESSAGE - 3));
        clean.push_str("...");
    }
    clean
}

/// Appends `text` to `clean` with everything that looks secret replaced.
pub(super) fn redact(text: &str, clean: &mut String) {
    let mut rest = text;
    while let Some(start) = rest.find(is_word_character) {
        let (gap, tail) = rest.split_at(start);
        push_gap(clean, gap);
        let end = tail.find(|character| !is_word_character(character)).unwrap_or(tail.len());
        let (word, behind) = tail.split_at(end);
        // A full stop at the end belongs to the sentence.
        let core = word.trim_end_matches(['.', ':', '/']);
        let trail = word.get(core.len()..).unwrap_or_default();
        if is_secret(core) || follows_label(clean, core) {
            clean.push_str(MARK);
        } else {
            push_assignment(clean, core);
        }
        clean.push_str(trail);
        rest = behind;
    }
    push_gap(clean, rest);
}

/// A word that may hold `name=value`.
fn push_assignment(clean: &mut String, word: &str) {
    match word.split_once('=') {
        Some((name, value)) if !value.is_empty() => {
            clean.push_str(name);
            clean.push('=');
            clean.push_str(if is_secret(value) || follows_label(clean, value) { MARK } else { value });
        }
        _ => clean.push_str(word),
    }
}

fn push_gap(clean: &mut String, gap: &str) {
    clean.extend(gap.chars().filter(|character| !character.is_control() || *character == '\n'));
}

fn is_word_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_.+/=*@:~".contains(character)
}

fn follows_label(before: &str, word: &str) -> bool {
    // A label is at most this long; only the end of what was written matters.
    let from = before.ceil_char_boundary(before.len().saturating_sub(24));
    let end = before.get(from..).unwrap_or_default().to_ascii_lowercase();
    let end = end.trim_end_matches([' ', '"', '\'']);
    LABELS.iter().any(|label| end.ends_with(label)) && (end.ends_with(['=', ':']) || word.len() >= 16)
}

fn is_secret(word: &str) -> bool {
    let is_issued =
        SECRET_PREFIXES.iter().any(|prefix| word.starts_with(prefix) && word.len() >= prefix.len() + 8);
    is_issued || is_address(word) || is_random(word)
}

/// An account's mail address, or a host of a private network.
fn is_address(word: &str) -> bool {
    if let Some((name, host)) = word.split_once('@') {
        return !name.is_empty() && host.contains('.');
    }
    let host = word.split_once("://").map_or(word, |(_, behind)| behind);
    let host = host.split([':', '/']).next().unwrap_or_default();
    // What everybody calls the own machine tells nothing of it, a service on it does.
    let is_own = |ip: Ipv4Addr| ip.is_loopback() && host.len() < word.len();
    host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_private() || is_own(ip) || ip.is_link_local())
}

/// A long word in which letters and digits change places often: nobody writes such words by hand.
fn is_random(word: &str) -> bool {
    let word = word.trim_matches(['=', ':', '/']);
    if word.len() < 32 || word.contains("://") || ID_PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
        return false;
    }
    if is_uuid(word) {
        return false;
    }
    let bytes = word.as_bytes();
    let turns = bytes
        .windows(2)
        .filter(|pair| {
            matches!(pair, [a, b] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric()
                && a.is_ascii_digit() != b.is_ascii_digit())
        })
        .count();
    let longest =
        word.split(|character: char| !character.is_ascii_alphanumeric()).map(str::len).max().unwrap_or(0);
    turns >= 4 && longest >= 16
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_accounts_and_private_hosts_are_replaced() {
        for (text, expected) in [
            (
                "Incorrect API key provided: sk-proj-abc***xyz. See docs.",
                "Incorrect API key provided: [redacted]. See docs.",
            ),
            ("Incorrect API key provided: invalid-key. You", "Incorrect API key provided: [redacted]. You"),
            ("https://host/v1?key=abc&alt=sse", "https://host/v1?key=[redacted]&alt=sse"),
            ("key AIzaSyA1234567890abcdefghijklmnopqrstu is bad", "key [redacted] is bad"),
            ("Authorization: Bearer ya29.a0AfH6SMBx-y_z12345", "Authorization: Bearer [redacted]"),
            ("header Bearer abcdefghijklmnopqrst", "header Bearer [redacted]"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "jwt [redacted]"),
            ("token 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "token [redacted]"),
            ("account jane.doe@example.com is out", "account [redacted] is out"),
            ("connect to 10.1.2.3:8080 failed", "connect to [redacted] failed"),
            ("connect to http://127.0.0.1:8080/v1 failed", "connect to [redacted] failed"),
            ("use localhost or 127.0.0.1; not 10.0.0.1", "use localhost or 127.0.0.1; not [redacted]"),
        ] {
            assert_eq!(message(text), expected);
        }
    }

    #[test]
    fn what_helps_a_reader_stays() {
        for text in [
            "Item 'rs_68c42de022c881948db7ed1cc2529f2e0202c9ad459e0d23' of type 'reasoning' was provided",
            "Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_paid_tier_input_token_count, limit: 1000000",
            "quotaId GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            "see https://platform.openai.com/docs/guides/error-codes/api-errors.",
            "model grok-4-1-fast-non-reasoning-20250101-preview is unknown",
            "request 123e4567-e89b-12d3-a456-426614174000 failed",
            "Röme 🌤 a=b x: y\nsecond line",
            "max_tokens: 5 > 4",
        ] {
            assert_eq!(message(text), text);
        }
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let cut = message(&"ä".repeat(5000));
        assert!(cut.len() <= MAX_MESSAGE && cut.ends_with("..."));
        assert_eq!(message("a\u{0}b\u{1b}[31mc"), "ab[31mc");
    }
}
