//! The real binary, running on a free port with a configuration of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a test waits for a line of the log.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running gateway; killed when dropped.
pub struct Gateway {
    process: Killer,
    log: Arc<Log>,
    url: String,
    directory: tempfile::TempDir,
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

/// What a gateway has said.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Gateway {
    /// Starts `binary` with `config` as its configuration file and further `arguments`.
    ///
    /// # Panics
    /// When it does not say within its first lines that it serves.
    pub fn start(binary: &Path, config: &str, arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), binary, config, arguments)
    }

    /// The same in a directory that holds something already; it is the home directory too.
    ///
    /// # Panics
    /// When it does not say within its first lines that it serves.
    pub fn start_in(directory: tempfile::TempDir, binary: &Path, config: &str, arguments: &[&str]) -> Self {
        let file = directory.path().join("config.yaml");
        write(&file, config);
        let mut child = Command::new(binary)
            .arg("--config")
            .arg(&file)
            .args(["--port", "0"])
            .args(arguments)
            .current_dir(directory.path())
            .env("HOME", directory.path())
            .env_remove("HTTP_PROXY")
            .env_remove("HTTPS_PROXY")
            .env_remove("ALL_PROXY")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let log = Arc::new(Log::default());
        let url = loop {
            let line = lines.next().expect("the gateway says that it serves").expect("text");
            log.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            if let Some(address) = line.strip_prefix("API server started successfully on: ") {
                break format!("http://{address}");
            }
        };
        // What it says from here on is read, so that the pipe never fills.
        let said = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                said.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                said.grown.notify_all();
            }
        });
        Self { process: Killer(Arc::new(Mutex::new(child))), log, url, directory }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Waits until it has said a line with `text` `times` times, and gives the last of them.
    ///
    /// # Panics
    /// When it does not within half a minute.
    pub fn said(&self, text: &str, times: usize) -> String {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = lines.iter().filter(|line| line.contains(text)).nth(times.saturating_sub(1)) {
                return line.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the gateway has not said {text:?}, but:\n{}", lines.join("\n"));
            lines = self.log.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What can end it from elsewhere.
    pub fn killer(&self) -> Killer {
        self.process.clone()
    }

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its auth directory.
    pub fn accounts(&self) -> PathBuf {
        self.directory.path().join(".cli-proxy-api")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    /// Asks it to end, as a terminal or a service manager does, and waits until it has.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn end(&self) -> std::process::ExitStatus {
        let mut child = self.process.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = Command::new("kill").arg(child.id().to_string()).status().expect("a program that asks");
        assert!(asked.success(), "the gateway runs");
        child.wait().expect("the gateway ends")
    }

    /// Replaces the configuration file as editors do, by renaming.
    pub fn rewrite(&self, config: &str) {
        let next = self.directory.path().join("config.yaml.next");
        write(&next, config);
        std::fs::rename(next, self.config()).expect("renamed");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill();
    }
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}
