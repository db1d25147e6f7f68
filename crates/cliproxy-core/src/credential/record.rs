//! An auth file as read: typed access to the members that mean something to us.
//!
//! A record is a reading, never the thing that is written back: saving patches single members of the file's own text
//! (`crate::store`), so unknown members, their order and their spelling survive. Times are Unix seconds.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::secret::Secret;
use crate::store::{Changes, Version};

/// One auth file.
#[derive(Clone, PartialEq)]
pub struct Record {
    provider: Box<str>,
    members: Map<String, Value>,
    /// Read once, because every request asks for it.
    expires_at: Option<u64>,
}

/// The member of an auth file that names the file of another program whose tokens it uses.
pub const BORROWED_FROM: &str = "borrowed_from";

/// Why a text is no auth file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARecord {
    /// Not JSON, or not an object.
    #[error("not a JSON object")]
    Malformed,
    /// No `type`: somebody else's file.
    #[error("no member `type`")]
    Untyped,
}

impl Record {
    /// Reads an auth file.
    ///
    /// # Errors
    /// A text that is no auth file.
    pub fn parse(text: &[u8]) -> Result<Self, NotARecord> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let members: Map<String, Value> =
            serde_json::from_slice(text).map_err(|_its_place_may_hold_a_token| NotARecord::Malformed)?;
        let kind = members.get("type").and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if kind.is_empty() {
            return Err(NotARecord::Untyped);
        }
        // Source: the `type` of Gemini CLI logins is the one that differs from the provider's name.
        let provider = if kind == "gemini" { "gemini-cli" } else { kind }.into();
        Ok(Self { provider, expires_at: end(&members), members })
    }

    /// The provider's name: the member `type`, with `gemini` read as `gemini-cli`.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// A member by path, outermost first.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.members.get(*first)?, |value, name| value.get(name))
    }

    /// A text that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(&[name]).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// A token: at the top level or, as in Gemini CLI files, inside `token`, which goes first.
    pub fn token(&self, name: &str) -> Option<Secret> {
        let inside = self.get(&["token", name]).and_then(Value::as_str).filter(|text| !text.is_empty());
        inside.or_else(|| self.text(name)).map(|text| Secret::new(text.to_owned()))
    }

    /// What requests carry: the access token or, with iFlow, the API key that was fetched with it.
    pub fn bearer(&self) -> Option<Secret> {
        self.token(if &*self.provider == "iflow" { "api_key" } else { "access_token" })
    }

    /// The first of several spellings that is a number or a numeric text.
    pub fn number(&self, names: &[&str]) -> Option<i64> {
        names.iter().find_map(|name| match self.get(&[name])? {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(truncated)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// The first of several spellings that is a boolean or says one.
    pub fn flag(&self, names: &[&str]) -> Option<bool> {
        names.iter().find_map(|name| match self.get(&[name])? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// The reading with changes that are not in the file yet.
    #[must_use]
    pub fn with(&self, changes: &Changes) -> Self {
        let mut members = self.members.clone();
        for (path, value) in changes.iter() {
            write(&mut members, path, value);
        }
        Self { provider: self.provider.clone(), expires_at: end(&members), members }
    }

    /// When the access token ends, in Unix seconds.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// When the token was last renewed, in Unix seconds.
    pub fn renewed_at(&self) -> Option<u64> {
        const NAMES: [&str; 4] = ["last_refresh", "lastRefresh", "last_refreshed_at", "lastRefreshedAt"];
        NAMES.iter().filter_map(|name| self.get(&[name])).find_map(time)
    }

    /// The file of another program whose tokens this account uses; `None` for an account with tokens of its own.
    pub fn borrowed_from(&self) -> Option<PathBuf> {
        self.text(BORROWED_FROM).map(PathBuf::from)
    }

    /// Loaded, but never selected.
    pub fn is_disabled(&self) -> bool {
        self.flag(&["disabled"]).unwrap_or(false)
    }

    /// A text that tells this reading from others and gives nothing of it away.
    pub(crate) fn reading(&self) -> String {
        let members = serde_json::to_vec(&self.members).unwrap_or_default();
        Version::of(&members).to_string()
    }

    /// What its refresh token can be recognized by.
    pub(crate) fn fingerprint(&self) -> String {
        let token = self.token("refresh_token").or_else(|| self.token("cookie"));
        let version = Version::of(token.as_ref().map_or("", |token| token.expose()).as_bytes());
        cliproxy_wire::id::hex("", 16, &[&format!("{version:?}")])
    }

    /// Who it belongs to, for people.
    pub fn label(&self) -> Option<&str> {
        self.text("label").or_else(|| self.text("email"))
    }
}

fn end(members: &Map<String, Value>) -> Option<u64> {
    const NAMES: [&str; 6] = ["expired", "expire", "expires_at", "expiresAt", "expiry", "expires"];
    let inside = members.get("token");
    let named = |name: &&str| inside.and_then(|token| token.get(name)).or_else(|| members.get(*name));
    NAMES.iter().filter_map(named).find_map(time)
}

fn write(members: &mut Map<String, Value>, path: &[String], value: Option<&Value>) {
    match (path, value) {
        ([], _) => {}
        ([name], Some(value)) => drop(members.insert(name.clone(), value.clone())),
        ([name], None) => drop(members.shift_remove(name)),
        ([name, rest @ ..], _) => {
            let inner = members.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                write(inner, rest, value);
            }
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Members are tokens; their names are enough.
        write!(f, "Record({}, {:?})", self.provider, self.members.keys().collect::<Vec<_>>())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, and such numbers mean nothing to us anyway")]
fn truncated(number: f64) -> i64 {
    number as i64
}

/// A time as found in auth files: RFC 3339, `YYYY-MM-DD HH:MM[:SS]` (read as UTC), Unix seconds or milliseconds.
pub fn time(value: &Value) -> Option<u64> {
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(truncated))?,
        Value::String(text) => {
            let text = text.trim();
            if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
                stamp.as_second()
            } else if let Ok(local) = text.parse::<jiff::civil::DateTime>() {
                local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second()
            } else {
                text.parse().ok()?
            }
        }
        _ => return None,
    };
    let seconds = if number > 1_000_000_000_000 { number / 1000 } else { number };
    u64::try_from(seconds).ok().filter(|&seconds| seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        Record::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_type_is_the_provider_and_gemini_is_gemini_cli() {
        assert_eq!(record(r#"{"type":"claude"}"#).provider(), "claude");
        assert_eq!(record(r#"{"type":"gemini"}"#).provider(), "gemini-cli");
        assert_eq!(Record::parse(b"{}"), Err(NotARecord::Untyped));
        assert_eq!(Record::parse(br#"{"type":7}"#), Err(NotARecord::Untyped));
        assert_eq!(Record::parse(b"[1]"), Err(NotARecord::Malformed));
        assert_eq!(Record::parse(b"{\"type\":\"cl"), Err(NotARecord::Malformed));
    }

    #[test]
    fn times_are_read_in_every_spelling() {
        let expected = Some(1_788_134_400);
        for text in [
            r#""2026-08-31T00:00:00Z""#,
            r#""2026-08-31T02:00:00.123456+02:00""#,
            r#""2026-08-31 00:00:00""#,
            r#""2026-08-31 00:00""#,
            "1788134400",
            "1788134400000",
            r#""1788134400""#,
        ] {
            let found = record(&format!(r#"{{"type":"x","expired":{text}}}"#)).expires_at();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(record(r#"{"type":"x","expired":"soon"}"#).expires_at(), None);
        let inside = record(r#"{"type":"gemini","token":{"expiry":"2026-08-31T00:00:00Z"},"expiry":5}"#);
        assert_eq!(inside.expires_at(), expected);
    }

    #[test]
    fn a_fingerprint_tells_tokens_apart_and_shows_nothing_of_them() {
        let fingerprint =
            |token: &str| record(&format!(r#"{{"type":"x","refresh_token":"{token}"}}"#)).fingerprint();
        let (one, two) = (fingerprint("secret-one"), fingerprint("secret-two"));
        assert_ne!(one, two);
        assert_eq!(one, fingerprint("secret-one"));
        assert!(!one.contains("secret"));
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", record(r#"{"type":"x","access_token":"secret-text"}"#));
        assert!(shown.contains("access_token") && !shown.contains("secret-text"), "{shown}");
    }
}
