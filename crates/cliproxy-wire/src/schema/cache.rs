//! Cleaned schemas of earlier requests. Bounded by count and bytes; emptied when full, which costs one round of
//! cleaning and needs no bookkeeping per lookup.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use foldhash::quality::RandomState;

use crate::json::Raw;

use super::{Dialect, Fitted, Purpose};

const MAX_ENTRIES: usize = 4096;
const MAX_BYTES: usize = 16 << 20;

type Key = (Raw, Dialect, Purpose);

/// Cleaned schemas of earlier requests, by their text: agents resend the same tools with every turn.
#[derive(Debug, Default)]
pub struct Cleaned {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    schemas: HashMap<Key, Fitted, RandomState>,
    bytes: usize,
}

impl Cleaned {
    pub(super) fn get(&self, schema: &Raw, dialect: Dialect, purpose: Purpose) -> Option<Fitted> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.schemas.get(&(schema.clone(), dialect, purpose)).cloned()
    }

    pub(super) fn put(&self, schema: &Raw, dialect: Dialect, purpose: Purpose, result: &Fitted) {
        let bytes = schema.as_str().len() + result.schema.as_str().len();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.schemas.len() >= MAX_ENTRIES || known.bytes + bytes > MAX_BYTES {
            known.schemas.clear();
            known.bytes = 0;
        }
        if bytes <= MAX_BYTES
            && known.schemas.insert((schema.detached(), dialect, purpose), result.detached()).is_none()
        {
            known.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_stays_within_its_bounds() {
        let cache = Cleaned::default();
        let result = Fitted { schema: Raw::new("{}"), takes_nothing: false };
        for number in 0..2 * MAX_ENTRIES {
            cache.put(&Raw::new(number.to_string()), Dialect::OpenAi, Purpose::Tool, &result);
        }
        assert!(cache.known.lock().unwrap().schemas.len() <= MAX_ENTRIES);
        let large = Raw::string(&"x".repeat(MAX_BYTES / 3));
        for dialect in [Dialect::OpenAi, Dialect::OpenApi, Dialect::ClaudeTool, Dialect::ClaudeStrict] {
            cache.put(&large, dialect, Purpose::Tool, &result);
        }
        assert!(cache.known.lock().unwrap().bytes <= MAX_BYTES);
        assert_eq!(cache.get(&large, Dialect::ClaudeStrict, Purpose::Tool), Some(result));
        assert_eq!(cache.get(&large, Dialect::ClaudeStrict, Purpose::Answer), None);
    }
}
