//! The processes that are measured: starting them, and what the kernel says they use.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How the two sides are started.
#[derive(Debug)]
pub(crate) struct Programs {
    gateway: PathBuf,
    upstream: SocketAddr,
    directory: tempfile::TempDir,
    /// What the gateway trusts beside the system's authorities.
    trusted: Option<PathBuf>,
}

/// Which side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Gateway,
    Bare,
}

impl Programs {
    pub(crate) fn new(gateway: PathBuf, upstream: SocketAddr, config: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        fs::File::create(directory.path().join("config.yaml"))?.write_all(config.as_bytes())?;
        Ok(Self { gateway, upstream, directory, trusted: None })
    }

    /// Has the gateway trust a certificate, given as PEM.
    pub(crate) fn trusting(mut self, pem: &str) -> anyhow::Result<Self> {
        let path = self.directory.path().join("trusted.pem");
        fs::File::create(&path)?.write_all(pem.as_bytes())?;
        self.trusted = Some(path);
        Ok(self)
    }

    /// Starts one side and waits until it answers.
    pub(crate) fn start(&self, side: Side) -> anyhow::Result<Server> {
        let address = free_address()?;
        let mut command = match side {
            Side::Gateway => self.gateway_command(address),
            Side::Bare => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["bare", "--listen", &address.to_string()]);
                command.args(["--upstream", &self.upstream.to_string()]);
                command
            }
        };
        // Not beside the configuration: that directory is watched, and every line would wake the watcher.
        let log = tempfile::tempfile()?;
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(log);
        let began = Instant::now();
        let child = command.spawn().context("cannot start the program to be measured")?;
        let mut server = Server { child, address, first_answer: Duration::ZERO };
        server.first_answer = server.wait_for_answer(began)?;
        Ok(server)
    }

    fn gateway_command(&self, address: SocketAddr) -> Command {
        let mut command = Command::new(&self.gateway);
        command.args(["--config", "config.yaml", "--host", "127.0.0.1"]);
        command.args(["--port", &address.port().to_string()]);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name);
        }
        if let Some(trusted) = &self.trusted {
            command.env("SSL_CERT_FILE", trusted);
        }
        command
    }

    /// Where the configuration lies.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn gateway(&self) -> &Path {
        &self.gateway
    }
}

/// A port that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// How long a program that was told to end may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running side; told to end when dropped, so that one that was built to count what it does writes its counts down.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first answer.
    pub(crate) first_answer: Duration,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "nothing tells when another process begins to listen")]
    fn wait_for_answer(&mut self, began: Instant) -> anyhow::Result<Duration> {
        while began.elapsed() < Duration::from_secs(10) {
            if answers(self.address) {
                return Ok(began.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the program to be measured ended at once: {status}");
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        bail!("the program to be measured does not answer on {}", self.address)
    }

    /// User and system time of all threads so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut total = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            total += scheduled(&thread?.path())?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing tells when another process has ended within a time"
    )]
    fn drop(&mut self) {
        interrupt(&mut self.child);
        let told = Instant::now();
        while told.elapsed() < PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Does what Ctrl-C does.
#[cfg(unix)]
fn interrupt(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process};
    // One that is gone already needs no telling.
    kill_process(Pid::from_child(child), Signal::INT).ok();
}

#[cfg(not(unix))]
fn interrupt(child: &mut Child) {
    child.kill().ok();
}

/// Nanoseconds on a processor of one thread. The tick counters of `stat` are too coarse for short slices.
fn scheduled(thread: &Path) -> anyhow::Result<u64> {
    let text = match fs::read_to_string(thread.join("schedstat")) {
        Ok(text) => text,
        // The thread has ended meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).context("cannot read schedstat; the benchmark needs Linux"),
    };
    let first = text.split_whitespace().next().context("schedstat is empty")?;
    first.parse().context("schedstat does not begin with a number")
}

/// Time on a processor of the calling thread.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    scheduled(Path::new("/proc/thread-self")).map(Duration::from_nanos)
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut head = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && head.ends_with(b" 200")
}
