//! The real binary: running on a free port with a configuration of its own, or run to its end.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for a line; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the binary is started.
pub struct Launch {
    command: Command,
    directory: tempfile::TempDir,
}

/// A process that has ended.
pub struct Finished {
    /// Its exit code; absent when a signal ended it.
    pub code: Option<i32>,
    /// What it said.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Launch {
    /// `binary` in an empty directory, without variables that would change what it does.
    pub fn new(binary: &Path) -> Self {
        Self::new_in(tempfile::tempdir().expect("a directory"), binary)
    }

    /// The same in a directory that holds something already; it is the home directory too.
    pub fn new_in(directory: tempfile::TempDir, binary: &Path) -> Self {
        let mut command = Command::new(binary);
        command.current_dir(directory.path()).env("HOME", directory.path()).stdin(Stdio::null());
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        for name in
            ["MANAGEMENT_PASSWORD", "AMP_API_KEY", "SSL_CERT_FILE", "SSL_CERT_DIR", "DEPLOY", "WRITABLE_PATH"]
        {
            command.env_remove(name);
        }
        Self { command, directory }
    }

    /// With a configuration file, named on the command line.
    #[must_use]
    pub fn config(self, text: &str) -> Self {
        let file = self.file();
        super::write(&file, text);
        self.arguments(&["--config", &file.display().to_string()])
    }

    /// Where [`config`](Self::config) puts the file.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    /// With another file in its directory.
    #[must_use]
    pub fn beside(self, name: &str, text: &str) -> Self {
        super::write(&self.directory.path().join(name), text);
        self
    }

    /// With an auth file in the directory where it looks for them.
    #[must_use]
    pub fn beside_account(self, name: &str, text: &str) -> Self {
        let directory = self.directory.path().join(".cli-proxy-api");
        std::fs::create_dir_all(&directory).expect("a directory");
        super::write(&directory.join(name), text);
        self
    }

    /// With further arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// With a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// As a user whom the permissions of files bind, and to whom its directory and these belong: where the tests are run
    /// by root, as another one. `None`, said aloud, when that one cannot reach the binary. To be said last.
    #[cfg(unix)]
    pub fn unprivileged(mut self, directories: &[&Path]) -> Option<Self> {
        use std::os::unix::process::CommandExt as _;
        let Some(user) = crate::user::bound_by_permissions() else { return Some(self) };
        if !crate::user::is_open_to_all(Path::new(self.command.get_program())) {
            crate::skip("no user but root can reach the binary");
            return None;
        }
        directories.iter().chain([&self.directory.path()]).for_each(|path| crate::user::give(path, user));
        self.command.uid(user).gid(user);
        Some(self)
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Finished {
        let output = self.command.output().expect("the binary starts");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Starts it on a free port and waits until it serves.
    pub fn start(self) -> Gateway {
        let Self { mut command, directory } = self.arguments(&["--port", "0"]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let said = Arc::new(Said::default());
        said.gather(child.stdout.take().expect("a pipe"));
        said.gather(child.stderr.take().expect("a pipe"));
        let mut gateway =
            Gateway { process: Killer(Arc::new(Mutex::new(child))), url: String::new(), said, directory };
        let line = gateway.said.first("API server started successfully on: ");
        // The last line of every start; a test that waits for another of its kind must not find this one.
        gateway.said.first("server clients and configuration updated");
        let address = line.rsplit(' ').next().unwrap_or_default();
        gateway.url = format!("http://{address}");
        gateway
    }
}

/// What a process said so far, line by line.
#[derive(Default)]
struct Said {
    lines: Mutex<Lines>,
    changed: Condvar,
    notify: tokio::sync::Notify,
}

#[derive(Default)]
struct Lines {
    all: Vec<String>,
    /// How many of the two pipes have ended.
    ended: u8,
}

impl Lines {
    /// The first line from the `skip`-th on that holds `wanted`.
    fn find(&self, wanted: &str, skip: usize) -> Option<String> {
        let found = self.all.iter().skip(skip).find(|line| line.contains(wanted)).cloned();
        assert!(found.is_some() || self.ended < 2, "no line with {wanted:?} in:\n{}", self.all.join("\n"));
        found
    }
}

impl Said {
    /// Reads a pipe to its end, so that it never fills.
    fn gather(self: &Arc<Self>, pipe: impl Read + Send + 'static) {
        let said = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                said.change(|lines| lines.all.push(line));
            }
            said.change(|lines| lines.ended += 1);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        self.notify.notify_waiters();
    }

    /// Blocks until a line holds `wanted`.
    fn first(&self, wanted: &str) -> String {
        self.nth(wanted, 1)
    }

    /// Blocks until `times` lines hold `wanted`, and gives the last of them.
    fn nth(&self, wanted: &str, times: usize) -> String {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut found = lines.all.iter().filter(|line| line.contains(wanted));
            if let Some(line) = found.nth(times.saturating_sub(1)) {
                return line.clone();
            }
            assert!(lines.ended < 2, "no line with {wanted:?} in:\n{}", lines.all.join("\n"));
            let (next, timeout) =
                self.changed.wait_timeout(lines, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            lines = next;
            assert!(!timeout.timed_out(), "no line with {wanted:?} in:\n{}", lines.all.join("\n"));
        }
    }

    /// Waits until nothing more can come.
    async fn closed(&self) {
        let waiting = async {
            loop {
                let changed = self.notify.notified();
                if self.lines.lock().unwrap_or_else(PoisonError::into_inner).ended == 2 {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the gateway ends in time");
    }

    /// Waits for a line that holds `wanted` and comes after the first `skip` ones.
    async fn wait(&self, wanted: &str, skip: usize) -> String {
        let waiting = async {
            loop {
                let changed = self.notify.notified();
                let found = self.lines.lock().unwrap_or_else(PoisonError::into_inner).find(wanted, skip);
                if let Some(line) = found {
                    return line;
                }
                changed.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| unreachable!("no line with {wanted:?}"))
    }
}

/// Ends a gateway from anywhere, as if the power went out for it alone.
#[derive(Clone)]
pub struct Killer(Arc<Mutex<Child>>);

impl Killer {
    /// Ends it at once (`SIGKILL`).
    pub fn kill(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().ok();
        child.wait().ok();
    }
}

/// A running gateway; killed when dropped.
pub struct Gateway {
    process: Killer,
    url: String,
    said: Arc<Said>,
    directory: tempfile::TempDir,
}

impl Gateway {
    /// Starts `binary` with `config` as its configuration file and further `arguments`.
    pub fn start(binary: &Path, config: &str, arguments: &[&str]) -> Self {
        Launch::new(binary).config(config).arguments(arguments).start()
    }

    /// The same in a directory that holds something already; it is the home directory too.
    pub fn start_in(directory: tempfile::TempDir, binary: &Path, config: &str, arguments: &[&str]) -> Self {
        Launch::new_in(directory, binary).config(config).arguments(arguments).start()
    }

    /// Another one on the same directory, after this one was killed unless it has ended.
    #[must_use]
    pub fn again(mut self, binary: &Path) -> Self {
        self.process.kill();
        let empty = tempfile::tempdir().expect("a directory");
        let directory = std::mem::replace(&mut self.directory, empty);
        Launch::new_in(directory, binary).start()
    }

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address it listens on.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Its auth directory.
    pub fn accounts(&self) -> PathBuf {
        self.directory.path().join(".cli-proxy-api")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    /// Replaces the configuration file as editors do, by renaming.
    pub fn rewrite(&self, config: &str) {
        let next = self.directory.path().join("config.yaml.next");
        super::write(&next, config);
        std::fs::rename(next, self.config()).expect("renamed");
    }

    /// Writes over the configuration file.
    pub fn rewrite_in_place(&self, config: &str) {
        super::write(&self.config(), config);
    }

    /// Replaces the configuration file and waits until the gateway says `line`.
    pub async fn reload(&self, config: &str, line: &str) -> String {
        let skip = self.lines().len();
        self.rewrite(config);
        self.said.wait(line, skip).await
    }

    /// Waits for a line that holds `wanted`, said or yet to come.
    pub async fn line(&self, wanted: &str) -> String {
        self.said.wait(wanted, 0).await
    }

    /// Waits for a line that holds `wanted` and comes after the first `skip` ones.
    pub async fn line_after(&self, skip: usize, wanted: &str) -> String {
        self.said.wait(wanted, skip).await
    }

    /// What it said so far.
    pub fn lines(&self) -> Vec<String> {
        self.said.lines.lock().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    /// What it has said so far, in one text.
    pub fn log(&self) -> String {
        self.lines().join("\n")
    }

    /// Blocks until it has said a line with `text` `times` times, and gives the last of them.
    pub fn said(&self, text: &str, times: usize) -> String {
        self.said.nth(text, times)
    }

    /// What can end it from elsewhere.
    pub fn killer(&self) -> Killer {
        self.process.clone()
    }

    /// Asks it to end, as a terminal or a service manager does, and waits until it has.
    pub fn end(&self) -> ExitStatus {
        let mut child = self.process.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = Command::new("kill").arg(child.id().to_string()).status().expect("a program that asks");
        assert!(asked.success(), "the gateway runs");
        child.wait().expect("the gateway ends")
    }

    /// Sends it a signal by name, such as `TERM`, and does not wait for what comes of it.
    pub fn signal(&self, name: &str) {
        let asked = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(asked.expect("a program that asks").success(), "the gateway runs");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&self) -> ExitStatus {
        self.said.closed().await;
        let mut child = self.process.0.lock().unwrap_or_else(PoisonError::into_inner);
        child.wait().expect("the gateway ends")
    }

    /// Its id, for what only the system can tell.
    pub fn id(&self) -> u32 {
        self.process.0.lock().unwrap_or_else(PoisonError::into_inner).id()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill();
    }
}
