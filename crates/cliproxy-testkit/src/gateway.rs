//! The real binary, running on a free port with a configuration of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running gateway; killed when dropped.
pub struct Gateway {
    child: Child,
    url: String,
    directory: tempfile::TempDir,
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
        let url = loop {
            let line = lines.next().expect("the gateway says that it serves").expect("text");
            if let Some(address) = line.strip_prefix("API server started successfully on: ") {
                break format!("http://{address}");
            }
        };
        // What it says from here on is read, so that the pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url, directory }
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

    /// Replaces the configuration file as editors do, by renaming.
    pub fn rewrite(&self, config: &str) {
        let next = self.directory.path().join("config.yaml.next");
        write(&next, config);
        std::fs::rename(next, self.config()).expect("renamed");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}
