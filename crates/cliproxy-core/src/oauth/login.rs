//! Ways to log in, as data, and what a login yields.

use std::fmt;

use super::flow::{Flow, Refusal, RefusalKind};
use super::{Identity, Pkce, State};
use crate::store::Changes;

/// A way to log in to a provider.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// Its name on the command line, such as `codex-device-login`.
    pub name: &'static str,
    /// The provider, as in the member `type` of auth files and in `oauth-endpoints`.
    pub provider: &'static str,
    /// The provider's name for people.
    pub title: &'static str,
    /// What it does, for the list of flags.
    pub about: &'static str,
    /// What a person should know before: what the provider's terms say, or that the service has closed.
    pub notice: Option<&'static str>,
    /// Addresses and ids, before configuration.
    pub identity: fn() -> Identity,
    /// Whether and where a browser comes back.
    pub redirect: Redirect,
    /// Whether the application's secret is needed.
    pub needs_secret: bool,
    /// Begins the conversation.
    pub begin: fn(Setup) -> Conversation,
}

/// Where a browser comes back to at the end of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// Nowhere.
    None,
    /// To the registered address, whichever port listens (an SSH tunnel may lead there).
    Registered,
    /// To the port that listens.
    Listening,
}

/// A conversation that logs in.
pub type Conversation = Box<dyn Flow<Output = Grant>>;

/// What a conversation starts with: everything that is random, read from a clock or chosen by a person.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Addresses and ids with configuration applied; its redirect address is the one to send.
    pub identity: Identity,
    /// The state that the callback must bring back.
    pub state: State,
    /// Proof of the code exchange.
    pub pkce: Pkce,
    /// A random id for providers that want to recognize this installation.
    pub device_id: String,
    /// The clock, in Unix seconds.
    pub now: fn() -> u64,
    /// What the person chose beforehand.
    pub options: Options,
}

/// What a person chose before a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Google: a project, several with commas between, or `ALL`.
    pub project: Option<String>,
}

impl Setup {
    /// With fresh randomness.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new(identity: Identity, now: fn() -> u64, options: Options) -> Result<Self, Refusal> {
        let (mut state, mut verifier) = ([0; 16], [0; 96]);
        let filled = aws_lc_rs::rand::fill(&mut state).and_then(|()| aws_lc_rs::rand::fill(&mut verifier));
        filled.map_err(|_unspecified| Refusal {
            kind: RefusalKind::Passing(None),
            message: "the system gives no random numbers".into(),
            remedy: "try again later".into(),
        })?;
        Ok(Self {
            identity,
            state: State::from_random(&state),
            pkce: Pkce::from_random(&verifier),
            device_id: uuid::Uuid::new_v4().to_string(),
            now,
            options,
        })
    }
}

/// A text of a provider as part of a file name: letters, digits and `@._+-`, the rest replaced.
pub(crate) fn file_part(text: &str) -> String {
    let part: String = text
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '@' | '.' | '_' | '+' | '-' => character,
            _ => '_',
        })
        .take(120)
        .collect();
    // Neither hidden nor a way out of the directory.
    part.trim_start_matches('.').to_owned()
}

/// What a login yields: an auth file to write.
#[derive(Clone, PartialEq)]
pub struct Grant {
    /// Name of the file when the account has none yet.
    pub file: String,
    /// Members that say whose account a file is, most telling first. A file with the same ones is the same account.
    pub account: Vec<(&'static str, String)>,
    /// Members to write.
    pub changes: Changes,
    /// Members to write besides when the account has no file yet.
    pub defaults: Changes,
    /// The account's name for people.
    pub label: String,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({}, {:?})", self.file, self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_never_leaves_its_directory() {
        assert_eq!(file_part("a.b+c@d-e.f"), "a.b+c@d-e.f");
        assert_eq!(file_part("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(file_part("a\\b:c d\u{0}"), "a_b_c_d_");
        assert_eq!(file_part(&"x".repeat(500)).len(), 120);
    }
}
