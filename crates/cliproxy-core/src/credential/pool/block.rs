//! Rests as they are told: until when, why, and what they cover.

use tokio::time::Instant;

/// A rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Until when, by the best estimate.
    pub until: Instant,
    /// When one request may try whether it is over.
    pub trial: Instant,
    /// Why.
    pub why: Why,
    /// What rests.
    pub scope: Scope,
}

/// Why somebody rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// 401.
    Unauthorized,
    /// 402, 403.
    Forbidden,
    /// 404 for the model.
    ModelMissing,
    /// 429.
    Quota,
    /// A passing fault. Such a credential is still used when no other is there.
    Transient,
}

impl Why {
    const ALL: [Self; 5] =
        [Self::Unauthorized, Self::Forbidden, Self::ModelMissing, Self::Quota, Self::Transient];

    /// In words, for explanations and logs.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unauthorized => "the upstream does not accept the credential",
            Self::Forbidden => "payment or permission is missing",
            Self::ModelMissing => "the account does not have the model",
            Self::Quota => "its quota is used up for now",
            Self::Transient => "the upstream failed a moment ago",
        }
    }

    /// A short word, for files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ModelMissing => "model-missing",
            Self::Quota => "quota",
            Self::Transient => "transient",
        }
    }

    /// Whether somebody who rests is used when no other is there.
    pub fn is_soft(self) -> bool {
        self == Self::Transient
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.word() == word)
    }

    pub(super) fn byte(self) -> u8 {
        // 0 means that there is no rest.
        Self::ALL.iter().zip(1..).find(|(why, _)| **why == self).map_or(0, |(_, byte)| byte)
    }

    pub(super) fn of_byte(word: u64) -> Option<Self> {
        let byte = usize::try_from(word & 0xff).ok()?;
        Self::ALL.get(byte.checked_sub(1)?).copied()
    }
}

/// What a rest covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One model of one account.
    Model,
    /// One account with all its models.
    Account,
    /// Everybody who is served by the same host.
    Host,
    /// Everybody who goes out through the same proxy.
    Proxy,
}

impl Scope {
    /// In words, for explanations.
    pub fn text(self) -> &'static str {
        match self {
            Self::Model => "for this model",
            Self::Account => "for every model",
            Self::Host => "with everybody at the same address",
            Self::Proxy => "with everybody behind the same proxy",
        }
    }

    /// A short word, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Account => "account",
            Self::Host => "host",
            Self::Proxy => "proxy",
        }
    }
}
