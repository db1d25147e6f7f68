//! Who may manage the gateway: the management key, from where it may come, and how often it may be guessed.
//!
//! The key in the file is a slow hash on purpose, so the last good key is remembered by a quick one that is good for
//! this process only. Reading headers and addresses is the caller's business; nothing here knows HTTP.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use tokio::time::Instant;

use crate::secret::Secret;

/// Failures of one address before it is banned.
const MOST_FAILURES: u32 = 5;
/// How long a ban lasts.
const BAN: Duration = Duration::from_mins(30);
/// After this long without another failure an address starts anew.
const FORGOTTEN: Duration = Duration::from_hours(2);
/// Addresses that are remembered; beyond, the oldest goes.
const MOST_ADDRESSES: usize = 10_000;
/// What bcrypt reads of a key, in bytes.
const LONGEST_HASHED: usize = 72;
/// Work factor of hashes that are written.
const COST: u32 = 10;

/// What opens the management interface, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The key of the file.
    pub key: Option<ManagementKey>,
    /// A further plain key, from the environment.
    pub password: Option<Secret>,
    /// Clients on other machines are allowed.
    pub allow_remote: bool,
}

impl Lock {
    /// Whether there is a key at all; without any, nobody gets in.
    pub fn has_key(&self) -> bool {
        self.key.is_some() || self.password.is_some()
    }
}

/// The management key as it is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagementKey {
    /// A bcrypt hash.
    Hash(Secret),
    /// The key itself.
    Plain(Secret),
}

/// Who knocks.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The address of the socket.
    pub address: IpAddr,
    /// Something between says that it speaks for somebody else: then a socket of this machine does not make it local.
    pub is_forwarded: bool,
    /// The key that was shown.
    pub key: Option<&'a [u8]>,
}

/// Why somebody is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Too many wrong keys from this address; the time that is left.
    Banned(Duration),
    /// Other machines are not allowed.
    Remote,
    /// There is no key to show.
    Unset,
    /// None was shown.
    Missing,
    /// Another one was shown.
    Invalid,
}

/// The words that control panels know.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Banned(left) => {
                let (minutes, seconds) = (left.as_secs() / 60, left.as_secs() % 60);
                f.write_str("IP banned due to too many failed attempts. Try again in ")?;
                if minutes > 0 { write!(f, "{minutes}m{seconds}s") } else { write!(f, "{seconds}s") }
            }
            Self::Remote => f.write_str("remote management disabled"),
            Self::Unset => f.write_str("remote management key not set"),
            Self::Missing => f.write_str("missing management key"),
            Self::Invalid => f.write_str("invalid management key"),
        }
    }
}

/// The door of the management interface.
pub struct Gate {
    failures: Mutex<HashMap<IpAddr, Failures>>,
    /// The last good key, hashed with ours, and the hash in the file that it belongs to.
    good: Mutex<Option<(Secret, hmac::Tag)>>,
    quick: hmac::Key,
    /// One slow comparison at a time, so that many guesses at once are counted like one after the other.
    comparing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

impl Default for Gate {
    fn default() -> Self {
        let mut seed = [0; 32];
        if rand::fill(&mut seed).is_err() {
            // Without randomness the quick hash can be computed by others, who cannot see it either.
            tracing::warn!("the system gives no random numbers");
        }
        Self {
            failures: Mutex::default(),
            good: Mutex::default(),
            quick: hmac::Key::new(hmac::HMAC_SHA256, &seed),
            comparing: tokio::sync::Mutex::default(),
        }
    }
}

impl Gate {
    /// Lets a visitor in, or says why not. `local` is a further key that only this machine may show.
    ///
    /// # Errors
    /// See [`Denied`]; checked in that order.
    pub async fn admit(
        &self,
        lock: &Lock,
        local: Option<&Secret>,
        visitor: Visitor<'_>,
    ) -> Result<(), Denied> {
        let is_local = visitor.address.to_canonical().is_loopback() && !visitor.is_forwarded;
        if !is_local {
            self.check_ban(visitor.address)?;
            if !lock.allow_remote {
                return Err(Denied::Remote);
            }
        }
        let local = local.filter(|_| is_local);
        if local.is_none() && !lock.has_key() {
            return Err(Denied::Unset);
        }
        let result = match visitor.key.map(<[u8]>::trim_ascii).filter(|key| !key.is_empty()) {
            None => Err(Denied::Missing),
            Some(key) if local.is_some_and(|local| local.matches(key)) => Ok(()),
            Some(key) if lock.password.as_ref().is_some_and(|password| password.matches(key)) => Ok(()),
            Some(key) => self.compare(lock.key.as_ref(), key, (!is_local).then_some(visitor.address)).await,
        };
        if !is_local {
            match result {
                Ok(()) => drop(self.failures().remove(&visitor.address)),
                Err(Denied::Missing) => self.failed(visitor.address),
                Err(_) => {}
            }
        }
        result
    }

    async fn compare(
        &self,
        wanted: Option<&ManagementKey>,
        key: &[u8],
        guesser: Option<IpAddr>,
    ) -> Result<(), Denied> {
        let is_right = match wanted {
            None => false,
            Some(ManagementKey::Plain(plain)) => plain.matches(key),
            Some(ManagementKey::Hash(hash)) if self.is_remembered(hash, key) => true,
            Some(ManagementKey::Hash(hash)) => {
                let _turn = self.comparing.lock().await;
                if let Some(address) = guesser {
                    self.check_ban(address)?;
                }
                let is_right = verified(hash.clone(), key.to_vec()).await;
                if is_right {
                    let tag = hmac::sign(&self.quick, key);
                    *self.good.lock().unwrap_or_else(PoisonError::into_inner) = Some((hash.clone(), tag));
                } else if let Some(address) = guesser {
                    self.failed(address);
                }
                return if is_right { Ok(()) } else { Err(Denied::Invalid) };
            }
        };
        if is_right {
            return Ok(());
        }
        if let Some(address) = guesser {
            self.failed(address);
        }
        Err(Denied::Invalid)
    }

    fn is_remembered(&self, hash: &Secret, key: &[u8]) -> bool {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.as_ref()
            .is_some_and(|(of, tag)| of == hash && hmac::verify(&self.quick, key, tag.as_ref()).is_ok())
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_ban(&self, address: IpAddr) -> Result<(), Denied> {
        let now = Instant::now();
        let mut failures = self.failures();
        let Some(known) = failures.get(&address) else { return Ok(()) };
        if known.count < MOST_FAILURES {
            return Ok(());
        }
        let left = BAN.saturating_sub(now.duration_since(known.last));
        if left.is_zero() {
            failures.remove(&address);
            return Ok(());
        }
        Err(Denied::Banned(left))
    }

    fn failed(&self, address: IpAddr) {
        let now = Instant::now();
        let mut failures = self.failures();
        failures.retain(|_, known| now.duration_since(known.last) < FORGOTTEN);
        if failures.len() >= MOST_ADDRESSES
            && let Some(oldest) =
                failures.iter().min_by_key(|(_, known)| known.last).map(|(address, _)| *address)
        {
            failures.remove(&oldest);
        }
        let known = failures.entry(address).or_insert(Failures { count: 0, last: now });
        known.count = known.count.saturating_add(1);
        known.last = now;
        if known.count == MOST_FAILURES {
            tracing::warn!(%address, "too many wrong management keys; the address is kept out for half an hour");
        }
    }
}

async fn verified(hash: Secret, key: Vec<u8>) -> bool {
    let verifying = tokio::task::spawn_blocking(move || bcrypt::verify(&key, hash.expose()).unwrap_or(false));
    verifying.await.unwrap_or(false)
}

/// The hash of a management key as it is written into the file; `None` for one that is too long for the algorithm.
/// It takes a tenth of a second.
pub(crate) fn hashed(key: &str) -> Option<String> {
    if key.len() > LONGEST_HASHED {
        return None;
    }
    bcrypt::hash(key, COST).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(key: Option<ManagementKey>, allow_remote: bool) -> Lock {
        Lock { key, password: None, allow_remote }
    }

    fn hash() -> ManagementKey {
        ManagementKey::Hash(bcrypt::hash("the-key", 4).unwrap().into())
    }

    fn visitor<'a>(address: &str, key: Option<&'a str>) -> Visitor<'a> {
        Visitor { address: address.parse().unwrap(), is_forwarded: false, key: key.map(str::as_bytes) }
    }

    #[tokio::test]
    async fn the_right_key_opens_and_is_remembered_for_its_hash_only() {
        let gate = Gate::default();
        let own = lock(Some(hash()), false);
        assert_eq!(gate.admit(&own, None, visitor("127.0.0.1", Some("the-key"))).await, Ok(()));
        let Some(ManagementKey::Hash(known)) = &own.key else { unreachable!() };
        assert!(gate.is_remembered(known, b"the-key"));
        assert!(!gate.is_remembered(known, b"the-key2"));
        assert!(!gate.is_remembered(&Secret::new("other"), b"the-key"));
        let mapped = visitor("::ffff:127.0.0.1", Some("the-key"));
        assert_eq!(gate.admit(&own, None, mapped).await, Ok(()));
        assert_eq!(gate.admit(&own, None, visitor("::1", Some("x"))).await, Err(Denied::Invalid));
        assert_eq!(gate.admit(&own, None, visitor("::1", None)).await, Err(Denied::Missing));
    }

    #[tokio::test]
    async fn other_machines_need_leave_and_whoever_speaks_for_others_is_one() {
        let gate = Gate::default();
        let (closed, open) = (lock(Some(hash()), false), lock(Some(hash()), true));
        let remote = visitor("192.0.2.1", Some("the-key"));
        assert_eq!(gate.admit(&closed, None, remote).await, Err(Denied::Remote));
        assert_eq!(gate.admit(&open, None, remote).await, Ok(()));
        let forwarded = Visitor { is_forwarded: true, ..visitor("127.0.0.1", Some("the-key")) };
        assert_eq!(gate.admit(&closed, None, forwarded).await, Err(Denied::Remote));
    }

    #[tokio::test]
    async fn a_local_key_is_for_this_machine_only() {
        let gate = Gate::default();
        let (none, local) = (lock(None, true), Secret::new("local-key"));
        let key = Some("local-key");
        assert_eq!(gate.admit(&none, Some(&local), visitor("127.0.0.1", key)).await, Ok(()));
        assert_eq!(gate.admit(&none, Some(&local), visitor("192.0.2.1", key)).await, Err(Denied::Unset));
    }

    #[tokio::test(start_paused = true)]
    async fn guessers_are_banned_for_half_an_hour_and_many_at_once_too() {
        let gate = Gate::default();
        let own = lock(Some(hash()), true);
        let guesses = (0..20).map(|_| gate.admit(&own, None, visitor("192.0.2.1", Some("wrong"))));
        let results = futures_util::future::join_all(guesses).await;
        assert_eq!(results.iter().filter(|result| **result == Err(Denied::Invalid)).count(), 5);
        let right = visitor("192.0.2.1", Some("the-key"));
        let denied = gate.admit(&own, None, right).await.unwrap_err();
        assert!(denied.to_string().starts_with("IP banned due to too many failed attempts. Try again in "));
        assert_eq!(gate.admit(&own, None, visitor("192.0.2.2", Some("the-key"))).await, Ok(()));
        tokio::time::advance(BAN).await;
        assert_eq!(gate.admit(&own, None, right).await, Ok(()));
    }

    #[tokio::test]
    async fn success_clears_failures() {
        let gate = Gate::default();
        let own = lock(Some(hash()), true);
        for _ in 0..3 {
            for _ in 0..4 {
                let denied = gate.admit(&own, None, visitor("192.0.2.1", None)).await;
                assert_eq!(denied, Err(Denied::Missing));
            }
            assert_eq!(gate.admit(&own, None, visitor("192.0.2.1", Some("the-key"))).await, Ok(()));
        }
    }

    #[test]
    fn a_written_hash_fits_its_key() {
        let hash = hashed("the-key").unwrap();
        assert!(hash.starts_with("$2b$10$"));
        assert!(bcrypt::verify("the-key", &hash).unwrap());
        assert_eq!(hashed(&"x".repeat(73)), None);
    }
}
