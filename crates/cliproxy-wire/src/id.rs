//! Ids: made by pure functions of what is known, never by clocks or counters, so that body and stream agree and a
//! repeated encoding gives the same bytes.

use sha2::{Digest as _, Sha256};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A hash of `parts` and of where each of them ends.
pub fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// `prefix` and `length` base62 characters derived from `parts`.
pub fn base62(prefix: &str, length: usize, parts: &[&str]) -> String {
    let mut id = String::with_capacity(prefix.len() + length);
    id.push_str(prefix);
    let hash = digest(parts);
    for at in 0..length {
        let byte = hash.get(at % 32).copied().unwrap_or_default();
        let byte = if at < 32 { byte } else { byte.rotate_left(3) };
        id.push(char::from(BASE62.get(usize::from(byte) % 62).copied().unwrap_or(b'0')));
    }
    id
}

/// `prefix` and `length` hexadecimal characters (at most 64) derived from `parts`.
pub fn hex(prefix: &str, length: usize, parts: &[&str]) -> String {
    let mut id = String::with_capacity(prefix.len() + length);
    id.push_str(prefix);
    for byte in digest(parts) {
        for nibble in [byte >> 4, byte & 0xF] {
            id.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    id.truncate(prefix.len() + length);
    id
}

/// An id in the form of a UUID derived from `parts`.
pub fn uuid(parts: &[&str]) -> String {
    let digits = hex("", 32, parts);
    let mut id = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}

/// The id of a tool call that the upstream left without one.
pub fn call(request_id: &str, candidate: u32, ordinal: u32, name: &str) -> String {
    base62("call_", 24, &[request_id, &candidate.to_string(), &ordinal.to_string(), name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_every_part_and_nothing_else() {
        let id = call("req", 0, 1, "f");
        assert_eq!(id, call("req", 0, 1, "f"));
        assert_eq!(id.len(), 29);
        assert_ne!(id, call("req", 0, 2, "f"));
        assert_ne!(base62("", 24, &["a", "bc"]), base62("", 24, &["ab", "c"]));
        assert_eq!(hex("resp_", 48, &["x"]).len(), 53);
    }
}
