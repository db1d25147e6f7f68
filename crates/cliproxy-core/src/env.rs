//! The environment: every variable the program reads, and the only way to read one.
//!
//! Reading goes through the trait [`Env`], so that tests hand in a map and never touch the
//! process. Values are trimmed and an empty value counts as unset. A `.env` file is a layer
//! below the process ([`Layered`]); nothing here ever changes the process environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, fs};

/// Further management key in plain text; also opens the management interface to other machines.
pub const MANAGEMENT_PASSWORD: &str = "MANAGEMENT_PASSWORD";
/// Base directory of logs, panel and store mirrors.
pub const WRITABLE_PATH: &str = "WRITABLE_PATH";
/// Directory or file of the control panel.
pub const MANAGEMENT_STATIC_PATH: &str = "MANAGEMENT_STATIC_PATH";
/// `cloud`: tolerate a missing or invalid configuration and wait.
pub const DEPLOY: &str = "DEPLOY";
/// Postgres store: connection string.
pub const PGSTORE_DSN: &str = "PGSTORE_DSN";
/// Postgres store: schema.
pub const PGSTORE_SCHEMA: &str = "PGSTORE_SCHEMA";
/// Postgres store: base directory of the local mirror.
pub const PGSTORE_LOCAL_PATH: &str = "PGSTORE_LOCAL_PATH";
/// Object store: address.
pub const OBJECTSTORE_ENDPOINT: &str = "OBJECTSTORE_ENDPOINT";
/// Object store: access key.
pub const OBJECTSTORE_ACCESS_KEY: &str = "OBJECTSTORE_ACCESS_KEY";
/// Object store: secret key.
pub const OBJECTSTORE_SECRET_KEY: &str = "OBJECTSTORE_SECRET_KEY";
/// Object store: bucket.
pub const OBJECTSTORE_BUCKET: &str = "OBJECTSTORE_BUCKET";
/// Object store: base directory of the local mirror.
pub const OBJECTSTORE_LOCAL_PATH: &str = "OBJECTSTORE_LOCAL_PATH";
/// Git store: address of the repository.
pub const GITSTORE_GIT_URL: &str = "GITSTORE_GIT_URL";
/// Git store: user name.
pub const GITSTORE_GIT_USERNAME: &str = "GITSTORE_GIT_USERNAME";
/// Git store: token.
pub const GITSTORE_GIT_TOKEN: &str = "GITSTORE_GIT_TOKEN";
/// Git store: branch.
pub const GITSTORE_GIT_BRANCH: &str = "GITSTORE_GIT_BRANCH";
/// Git store: base directory of the local mirror.
pub const GITSTORE_LOCAL_PATH: &str = "GITSTORE_LOCAL_PATH";
/// Key towards the Amp control plane when the configuration has none.
pub const AMP_API_KEY: &str = "AMP_API_KEY";
/// Outbound proxy for plain HTTP when no proxy is configured.
pub const HTTP_PROXY: &str = "HTTP_PROXY";
/// Outbound proxy for HTTPS when no proxy is configured.
pub const HTTPS_PROXY: &str = "HTTPS_PROXY";
/// Outbound proxy where neither of the two above is set.
pub const ALL_PROXY: &str = "ALL_PROXY";
/// Hosts that are reached without the proxies above.
pub const NO_PROXY: &str = "NO_PROXY";
/// Time zone of log lines.
pub const TZ: &str = "TZ";
/// Directory of Codex, whose login can be imported.
pub const CODEX_HOME: &str = "CODEX_HOME";
/// Directory of Claude Code, whose login can be imported.
pub const CLAUDE_CONFIG_DIR: &str = "CLAUDE_CONFIG_DIR";
/// Set in sessions of a remote shell: the browser is on another machine.
pub const SSH_CONNECTION: &str = "SSH_CONNECTION";
/// The user's home directory, for a leading `~`.
pub const HOME: &str = "HOME";
/// The user's home directory on Windows.
pub const USERPROFILE: &str = "USERPROFILE";

/// Every variable, with what it is for; the source of the documentation.
pub const VARIABLES: &[(&str, &str)] = &[
    (MANAGEMENT_PASSWORD, "further management key; also opens the management interface to other machines"),
    (WRITABLE_PATH, "base directory of logs, panel and store mirrors"),
    (MANAGEMENT_STATIC_PATH, "directory or file of the control panel"),
    (DEPLOY, "`cloud`: wait instead of failing when there is no usable configuration"),
    (PGSTORE_DSN, "Postgres store: connection string"),
    (PGSTORE_SCHEMA, "Postgres store: schema"),
    (PGSTORE_LOCAL_PATH, "Postgres store: base directory of the local mirror"),
    (OBJECTSTORE_ENDPOINT, "object store: address"),
    (OBJECTSTORE_ACCESS_KEY, "object store: access key"),
    (OBJECTSTORE_SECRET_KEY, "object store: secret key"),
    (OBJECTSTORE_BUCKET, "object store: bucket"),
    (OBJECTSTORE_LOCAL_PATH, "object store: base directory of the local mirror"),
    (GITSTORE_GIT_URL, "git store: address of the repository"),
    (GITSTORE_GIT_USERNAME, "git store: user name"),
    (GITSTORE_GIT_TOKEN, "git store: token"),
    (GITSTORE_GIT_BRANCH, "git store: branch"),
    (GITSTORE_LOCAL_PATH, "git store: base directory of the local mirror"),
    (AMP_API_KEY, "key towards the Amp control plane"),
    (HTTP_PROXY, "outbound proxy for HTTP when none is configured"),
    (HTTPS_PROXY, "outbound proxy for HTTPS when none is configured"),
    (ALL_PROXY, "outbound proxy where the one for the scheme is unset"),
    (NO_PROXY, "hosts reached without these proxies"),
    (TZ, "time zone of log lines"),
    (CODEX_HOME, "directory of Codex, whose login `import` finds"),
    (CLAUDE_CONFIG_DIR, "directory of Claude Code, whose login `import` finds"),
    (SSH_CONNECTION, "the session is remote: logins explain the tunnel that a browser elsewhere needs"),
    (HOME, "home directory, for a leading `~`"),
    (USERPROFILE, "home directory on Windows"),
];

/// Where variables come from.
pub trait Env: fmt::Debug + Send + Sync {
    /// The variable as it is set.
    fn raw(&self, name: &str) -> Option<String>;

    /// The variable, trimmed; under its lower-case name when the usual one is unset.
    fn get(&self, name: &str) -> Option<String> {
        let filled = |name: &str| {
            self.raw(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        filled(name).or_else(|| filled(&name.to_ascii_lowercase()))
    }
}

/// The process environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Env for Process {
    fn raw(&self, name: &str) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        std::env::var(name).ok()
    }
}

/// The process environment with the `.env` file of a directory below it, if there is one.
pub fn with_dotenv(directory: &Path) -> Layered<Process, Fixed> {
    let text = fs::read_to_string(directory.join(".env")).unwrap_or_default();
    Layered(Process, Fixed::from_dotenv(&text))
}

/// Whether the deployment wants the program to wait instead of failing when there is no usable
/// configuration.
pub fn waits_for_configuration(env: &dyn Env) -> bool {
    env.get(DEPLOY).is_some_and(|value| value.eq_ignore_ascii_case("cloud"))
}

/// A fixed set of variables.
#[derive(Clone, Default)]
pub struct Fixed(BTreeMap<String, String>);

impl Fixed {
    /// A set from pairs of name and value.
    pub fn new<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Reads the text of a `.env` file: `NAME=value` lines, optional `export`, optional quotes,
    /// `#` comments. Lines of another shape are skipped.
    pub fn from_dotenv(text: &str) -> Self {
        Self(text.lines().filter_map(dotenv_line).collect())
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Env for Fixed {
    fn raw(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

/// Two environments; the first one wins.
#[derive(Clone, Debug)]
pub struct Layered<First, Second>(pub First, pub Second);

impl<First: Env, Second: Env> Env for Layered<First, Second> {
    fn raw(&self, name: &str) -> Option<String> {
        self.0.raw(name).or_else(|| self.1.raw(name))
    }
}

fn dotenv_line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    if !is_name {
        return None;
    }
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let (inside, rest) = value.strip_prefix(quote)?.rsplit_once(quote)?;
        (rest.trim().is_empty() || rest.trim_start().starts_with('#')).then_some(inside)
    });
    let value = quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim());
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_trimmed_and_empty_means_unset() {
        let env = Fixed::new([("A", "  x "), ("B", "   ")]);
        assert_eq!(env.get("A").as_deref(), Some("x"));
        assert_eq!(env.get("B"), None);
        assert_eq!(env.get("C"), None);
    }

    #[test]
    fn lower_case_names_stand_in_for_upper_case_ones() {
        let env = Fixed::new([("writable_path", "/a"), ("deploy", "no"), ("DEPLOY", "cloud")]);
        assert_eq!(env.get(WRITABLE_PATH).as_deref(), Some("/a"));
        assert_eq!(env.get(DEPLOY).as_deref(), Some("cloud"));
    }

    #[test]
    fn a_dotenv_file_has_comments_quotes_and_export() {
        let env = Fixed::from_dotenv(
            "# note\nA=1\nexport B = \"two words\"  \nC='x # y'\nD=z # note\nnonsense\n=5\nE=\n",
        );
        let read = |name: &str| env.raw(name);
        assert_eq!(read("A").as_deref(), Some("1"));
        assert_eq!(read("B").as_deref(), Some("two words"));
        assert_eq!(read("C").as_deref(), Some("x # y"));
        assert_eq!(read("D").as_deref(), Some("z"));
        assert_eq!(read("E").as_deref(), Some(""));
        assert_eq!(read("nonsense"), None);
    }

    #[test]
    fn a_dotenv_file_stands_below_the_process_and_may_be_missing() {
        use std::io::Write as _;
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(with_dotenv(directory.path()).get("CONFIG_TEST_ONLY_HERE"), None);
        let mut file = fs::File::create(directory.path().join(".env")).unwrap();
        writeln!(file, "CONFIG_TEST_ONLY_HERE=1").unwrap();
        assert_eq!(with_dotenv(directory.path()).get("CONFIG_TEST_ONLY_HERE").as_deref(), Some("1"));
    }

    #[test]
    fn only_the_word_cloud_makes_the_program_wait() {
        assert!(waits_for_configuration(&Fixed::new([("DEPLOY", "cloud")])));
        assert!(!waits_for_configuration(&Fixed::new([("DEPLOY", "local")])));
        assert!(!waits_for_configuration(&Fixed::default()));
    }

    #[test]
    fn the_first_layer_wins() {
        let env = Layered(Fixed::new([("A", "1")]), Fixed::new([("A", "2"), ("B", "3")]));
        assert_eq!(env.get("A").as_deref(), Some("1"));
        assert_eq!(env.get("B").as_deref(), Some("3"));
    }

    #[test]
    fn debug_output_has_names_only() {
        let env = Fixed::new([("MANAGEMENT_PASSWORD", "hidden")]);
        assert!(!format!("{env:?}").contains("hidden"));
    }

    #[test]
    fn every_variable_is_described_once() {
        let mut names: Vec<_> = VARIABLES.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VARIABLES.len());
        assert!(VARIABLES.iter().all(|(_, text)| !text.is_empty()));
    }
}
