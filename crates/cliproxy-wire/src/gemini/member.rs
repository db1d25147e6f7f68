//! Member names. Gemini accepts each member in camelCase and in `snake_case`, and clients mix both in one body, so every
//! object of this format is read through [`members`], which hands out camelCase only.
//!
//! Objects whose names belong to the user (arguments, schemas, labels) are never read this way.

use crate::Error;
use crate::json::Reader;

/// Longer names are of no member of this format.
const MAX_NAME: usize = 48;

/// More humped names than any object of this format has.
const MAX_SEEN: usize = 40;

/// Reads an object, calling `each` with the camelCase name of every member. Where both spellings are there, the
/// camelCase one wins wherever it stands: a later `snake_case` member is skipped, an earlier one is passed first and so
/// has to be replaced, not added to.
///
/// # Errors
/// Those of [`Reader::object`].
pub(super) fn members<'a>(
    reader: &mut Reader<'a>,
    mut each: impl FnMut(&str, &mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut seen = Seen { hashes: [0; MAX_SEEN], count: 0 };
    reader.object(|key, value| {
        let mut buffer = [0; MAX_NAME];
        match camel(key, &mut buffer) {
            Some(name) if seen.holds(name) => Ok(()),
            Some(name) => each(name, value),
            None => {
                seen.add(key);
                each(key, value)
            }
        }
    })
}

/// The camelCase form of a `snake_case` name; `None` for a name without underscore (or a foreign one).
fn camel<'b>(key: &str, buffer: &'b mut [u8; MAX_NAME]) -> Option<&'b str> {
    let bytes = key.as_bytes();
    if bytes.len() > MAX_NAME || !bytes.contains(&b'_') || bytes.starts_with(b"_") {
        return None;
    }
    let mut length = 0;
    let mut is_hump = false;
    for &byte in bytes {
        if byte == b'_' {
            is_hump = true;
            continue;
        }
        let slot = buffer.get_mut(length)?;
        *slot = if std::mem::take(&mut is_hump) { byte.to_ascii_uppercase() } else { byte };
        length += 1;
    }
    std::str::from_utf8(buffer.get(..length)?).ok()
}

/// The camelCase names with a hump that an object had so far. Only those have a second spelling.
struct Seen {
    hashes: [u64; MAX_SEEN],
    count: usize,
}

impl Seen {
    fn add(&mut self, name: &str) {
        if name.bytes().any(|byte| byte.is_ascii_uppercase())
            && let Some(slot) = self.hashes.get_mut(self.count)
        {
            *slot = hash(name);
            self.count += 1;
        }
    }

    fn holds(&self, name: &str) -> bool {
        let hash = hash(name);
        self.hashes.iter().take(self.count).any(|known| *known == hash)
    }
}

fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, i64)> {
        let mut found = Vec::new();
        members(&mut Reader::new(text), |name, value| {
            found.push((name.to_owned(), value.i64()?));
            Ok(())
        })
        .unwrap();
        found
    }

    #[test]
    fn both_spellings_are_one_member() {
        assert_eq!(
            read(r#"{"top_p":1,"response_json_schema":2}"#),
            read(r#"{"topP":1,"responseJsonSchema":2}"#)
        );
    }

    #[test]
    fn camel_case_wins_wherever_it_stands() {
        assert_eq!(read(r#"{"topK":1,"top_k":2}"#), [("topK".to_owned(), 1)]);
        assert_eq!(read(r#"{"top_k":2,"topK":1}"#).last(), Some(&("topK".to_owned(), 1)));
    }

    #[test]
    fn errors_keep_the_spelling_of_the_client() {
        let error =
            members(&mut Reader::new(r#"{"top_k":"x"}"#), |_, value| value.u64().map(drop)).unwrap_err();
        assert_eq!(error.path().as_deref(), Some("top_k"));
    }
}
