//! Conversations and the credentials they have been with.
//!
//! Prompt caches belong to an account, and so does encrypted reasoning: a conversation that moves pays for its whole
//! history again, or loses what the model thought. So a conversation stays where it is for as long as its credential
//! is free ([`select`](crate::route::select) is told who that is), and is bound anew to whoever answers when it is not.
//!
//! What a conversation is, clients say in different ways; see [`session`].

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use cliproxy_wire::lane::Peek;
use http::HeaderMap;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::CredentialId;

/// How many conversations are remembered; those not heard of for longest are forgotten first.
const CONVERSATIONS: usize = 20_000;

/// How long a conversation stays bound when configuration does not say.
pub const DEFAULT_TTL: Duration = Duration::from_hours(1);

/// Headers in which clients name a session, most telling first.
const HEADERS: [&str; 7] = [
    "x-claude-code-session-id",
    "x-session-id",
    "session-id",
    "session_id",
    "x-session-affinity",
    "thread-id",
    "conversation_id",
];

/// A conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session(u64);

impl Session {
    /// The conversation that clients name like this in a header.
    pub fn named(name: &str) -> Self {
        Self(hash(&name.as_bytes()))
    }

    /// The conversation as held with one model.
    fn with(self, model: &str) -> u64 {
        hash(&(self.0, model))
    }
}

/// Keyed by nothing secret: a collision joins two conversations on one credential, which is harmless.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The conversation that a request belongs to, if there is any sign of one: a header, a member that names it, and at
/// last the words it opened with.
pub fn session(headers: &HeaderMap, peek: &Peek<'_>) -> Option<Session> {
    let header = HEADERS.iter().find_map(|name| headers.get(*name)).map(http::HeaderValue::as_bytes);
    let member =
        [&peek.prompt_cache_key, &peek.session_id, &peek.user_id].into_iter().find_map(Option::as_deref);
    let sign = header.or_else(|| member.map(str::as_bytes)).or_else(|| peek.opening.map(str::as_bytes))?;
    Some(Session(hash(&sign)))
}

/// Which conversation is with which credential.
#[derive(Debug)]
pub struct Affinity {
    bindings: Cache<u64, (CredentialId, Instant)>,
}

impl Default for Affinity {
    fn default() -> Self {
        Self { bindings: Cache::new(CONVERSATIONS) }
    }
}

impl Affinity {
    /// The credential that a conversation has been with, unless that is too long ago.
    pub fn bound(&self, session: Session, model: &str, now: Instant) -> Option<CredentialId> {
        let (credential, until) = self.bindings.get(&session.with(model))?;
        (until > now).then_some(credential)
    }

    /// The conversation is with this credential, for `ttl` from now on.
    pub fn bind(&self, session: Session, model: &str, credential: &CredentialId, ttl: Duration) {
        self.bindings.insert(session.with(model), (credential.clone(), Instant::now() + ttl));
    }
}

#[cfg(test)]
mod tests {
    use cliproxy_wire::Format;
    use cliproxy_wire::lane::peek;

    use super::*;

    fn of(body: &str, headers: &[(&'static str, &'static str)]) -> Option<Session> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect();
        session(&headers, &peek(Format::Chat, body.as_bytes()).unwrap())
    }

    #[test]
    fn the_next_turn_of_a_conversation_is_recognized_by_its_opening() {
        let first = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
        let next = r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}"#;
        let other = r#"{"messages":[{"role":"user","content":"hey"}]}"#;
        assert!(of(first, &[]).is_some());
        assert_eq!(of(first, &[]), of(next, &[]));
        assert_ne!(of(first, &[]), of(other, &[]));
        assert_eq!(of("{}", &[]), None);
    }

    #[test]
    fn what_names_the_session_wins_over_its_words() {
        let keyed = r#"{"prompt_cache_key":"k","messages":[{"role":"user","content":"hi"}]}"#;
        let rekeyed = r#"{"prompt_cache_key":"k","messages":[{"role":"user","content":"later"}]}"#;
        assert_eq!(of(keyed, &[]), of(rekeyed, &[]));
        let headers = [("x-session-id", "s")];
        assert_eq!(of(keyed, &headers), of("{}", &headers));
        assert_ne!(of(keyed, &headers), of(keyed, &[]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_binding_ends_when_nothing_was_heard_for_its_time() {
        let (affinity, session) = (Affinity::default(), Session(7));
        let id = CredentialId::new("a");
        affinity.bind(session, "m", &id, DEFAULT_TTL);
        assert_eq!(affinity.bound(session, "m", Instant::now()), Some(id.clone()));
        tokio::time::advance(Duration::from_mins(50)).await;
        affinity.bind(session, "m", &id, DEFAULT_TTL);
        tokio::time::advance(Duration::from_mins(50)).await;
        assert_eq!(affinity.bound(session, "m", Instant::now()), Some(id));
        tokio::time::advance(Duration::from_mins(11)).await;
        assert_eq!(affinity.bound(session, "m", Instant::now()), None);
    }
}
