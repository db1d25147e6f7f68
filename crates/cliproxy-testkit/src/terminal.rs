//! The real binary at a terminal: lines go in, text comes out, in the end there is an exit code.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Longest wait for anything; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A directory with a configuration and an auth directory, where the binary is run.
pub struct Home {
    directory: tempfile::TempDir,
    /// As whom the binary is run; `None` as whoever runs the tests.
    user: Option<u32>,
}

impl Home {
    /// A directory with this configuration besides its own `auth-dir`.
    pub fn new(config: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Self { directory, user: None };
        home.configure(config);
        home
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &str) {
        self.write("config.yaml", &format!("auth-dir: {}\n{config}", self.auth_dir().display()));
    }

    /// The binary is run as a user whom the permissions of files bind, from now on, and what is there belongs to that one.
    /// False, said aloud, when this machine has none that can reach the binary.
    #[cfg(unix)]
    pub fn unprivileged(&mut self, binary: &Path) -> bool {
        self.user = crate::user::bound_by_permissions();
        let Some(user) = self.user else { return true };
        if !crate::user::is_open_to_all(binary) {
            crate::skip("no user but root can reach the binary");
            return false;
        }
        crate::user::give(self.path(), user);
        true
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The auth directory. It is not there until something is in it.
    pub fn auth_dir(&self) -> PathBuf {
        self.path().join("auth")
    }

    /// Writes a file, with the directories above it.
    #[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// The names of the auth files, sorted.
    pub fn auth_files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.auth_dir()) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let name = |path: PathBuf| path.file_name()?.to_str().map(str::to_owned);
        let mut names: Vec<String> = files.filter_map(name).collect();
        names.sort();
        names
    }

    /// An auth file.
    pub fn auth_file(&self, name: &str) -> serde_json::Value {
        let text = std::fs::read_to_string(self.auth_dir().join(name)).expect("an auth file");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Runs the binary with these arguments.
    pub fn run(&self, binary: &Path, arguments: &[&str]) -> Terminal {
        self.run_with(binary, arguments, &[])
    }

    /// Runs the binary with these arguments and variables.
    pub fn run_with(&self, binary: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Terminal {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_remove("HTTP_PROXY")
            .env_remove("HTTPS_PROXY")
            .env_remove("ALL_PROXY")
            .env_remove("SSH_CONNECTION")
            .env("HOME", self.path())
            .envs(variables.iter().copied())
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        #[cfg(unix)]
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().expect("the binary starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        Terminal { child, stdin, stdout, text: String::new(), seen: 0 }
    }
}

/// The binary, running.
pub struct Terminal {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    text: String,
    seen: usize,
}

impl Terminal {
    /// Waits until `wanted` has been printed, after whatever was waited for before.
    ///
    /// # Panics
    /// When the program ends without it.
    pub async fn wait_for(&mut self, wanted: &str) {
        loop {
            if let Some((before, _)) = self.rest().split_once(wanted) {
                self.seen += before.len() + wanted.len();
                return;
            }
            assert!(self.read().await, "the program ended without {wanted:?}:\n{}", self.text);
        }
    }

    /// The rest of the line that is being printed, without its end.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some((line, _)) = self.rest().split_once('\n') {
                let line = line.to_owned();
                self.seen += line.len() + 1;
                return line;
            }
            assert!(self.read().await, "the program ended:\n{}", self.text);
        }
    }

    /// The address that a login prints.
    pub async fn url(&mut self) -> String {
        self.wait_for("Visit the following URL to continue authentication:\n").await;
        self.line().await
    }

    /// Types a line.
    pub async fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("an open terminal");
        stdin.write_all(format!("{line}\n").as_bytes()).await.expect("the program listens");
        stdin.flush().await.expect("the program listens");
    }

    /// Says nothing any more.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Ends it at once (`SIGKILL`).
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it can be ended");
    }

    /// Waits for the end, and gives the exit code and everything that was printed.
    pub async fn end(mut self) -> (i32, String) {
        while self.read().await {}
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the program ends");
        (status.expect("a status").code().unwrap_or(-1), self.text)
    }

    fn rest(&self) -> &str {
        self.text.get(self.seen..).unwrap_or_default()
    }

    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, self.stdout.read(&mut bytes)).await;
        let count = read.unwrap_or_else(|_elapsed| panic_with(&self.text)).expect("a pipe");
        self.text.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()));
        count > 0
    }
}

#[expect(clippy::panic, reason = "a failed test set-up ends the test")]
fn panic_with(text: &str) -> ! {
    panic!("the program says nothing more:\n{text}")
}
