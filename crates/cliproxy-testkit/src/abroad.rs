//! Clients that are not on this machine, as far as the gateway can see.
//!
//! A network namespace of its own, joined to this one by a pair of virtual cables: what connects from there has another
//! address than loopback, by the socket and not by a header. Tests reach it through a door, a loopback address whose
//! connections go on from abroad, so that any client will do. It takes Linux, the programs `ip` and `unshare`, and the
//! right to make networks; everything is gone with the test's process, whatever ends it. Without them an address that
//! this machine has beside loopback serves as well, if there is one.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::{TcpListener, TcpStream};

use crate::Gateway;

/// What a namespace does: says that it is there, waits for its end of the cable, and stays until its input ends.
const INSIDE: &str = r#"echo here; read end own; ip address add "$own/30" dev "$end" && ip link set "$end" up && echo up; exec cat"#;

/// Another machine, in effect.
pub struct Abroad {
    /// Holds the namespace; absent where there is none to be had.
    namespace: Option<Child>,
    here: IpAddr,
    there: IpAddr,
}

impl Abroad {
    /// Opens one, or says why this machine cannot.
    pub fn open() -> Option<Self> {
        let reason = match Self::behind_a_cable() {
            Ok(abroad) => return Some(abroad),
            Err(reason) => reason,
        };
        let own = own_address().map(|own| Self { namespace: None, here: own, there: own });
        if own.is_none() {
            crate::skip(&format!("nothing connects from another address than loopback: {reason}"));
        }
        own
    }

    fn behind_a_cable() -> Result<Self, String> {
        static OPENED: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id();
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        // Networks of four addresses out of 198.18.0.0/15, which is set aside for tests of networks.
        let network = (process.wrapping_mul(17).wrapping_add(number) % 0x7fff) << 2;
        let address = |host: u32| Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + network + host);
        let (here, there) = (address(1), address(2));
        let [near, far] = ["a", "b"].map(|end| format!("cp{process}{end}{number}"));

        let mut namespace = Command::new("unshare")
            .args(["--net", "sh", "-c", INSIDE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("unshare does not start: {error}"))?;
        let mut said = BufReader::new(namespace.stdout.take().expect("a pipe"));
        // From here on the namespace ends with it.
        let holder = namespace.id().to_string();
        let mut input = namespace.stdin.take().expect("a pipe");
        let mut abroad = Self { namespace: Some(namespace), here: here.into(), there: there.into() };
        expect(&mut said, "here")?;
        ip(&["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &holder])?;
        ip(&["address", "add", &format!("{here}/30"), "dev", &near])?;
        ip(&["link", "set", &near, "up"])?;
        writeln!(input, "{far} {there}").map_err(|error| format!("the namespace has ended: {error}"))?;
        expect(&mut said, "up")?;
        if let Some(namespace) = &mut abroad.namespace {
            namespace.stdin = Some(input);
        }
        Ok(abroad)
    }

    /// The address of this machine as it is seen from there. A gateway serves it that has it, or `0.0.0.0`, as `host`.
    pub fn here(&self) -> IpAddr {
        self.here
    }

    /// The address that clients from there have.
    pub fn there(&self) -> IpAddr {
        self.there
    }

    /// A URL for clients in this process or another one: what connects to it reaches `gateway` from abroad.
    pub async fn door(&self, gateway: &Gateway) -> String {
        let port = gateway.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let target = SocketAddr::from((self.here, port));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let holder = self.namespace.as_ref().map(Child::id);
        crate::background(async move {
            while let Ok((client, _)) = listener.accept().await {
                crate::background(pass(client, holder, target));
            }
        });
        url
    }
}

impl Drop for Abroad {
    fn drop(&mut self) {
        if let Some(namespace) = &mut self.namespace {
            namespace.kill().ok();
            namespace.wait().ok();
        }
    }
}

/// Carries one connection on, from the namespace of the process `holder`.
async fn pass(mut client: TcpStream, holder: Option<u32>, target: SocketAddr) {
    // A socket belongs to the namespace that its thread was in, and the thread goes no way back.
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || tell.send(connect(holder, target)));
    let connected = told.await.expect("the thread says").and_then(TcpStream::from_std);
    if let Ok(mut server) = connected {
        tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
    }
}

fn connect(holder: Option<u32>, target: SocketAddr) -> std::io::Result<std::net::TcpStream> {
    if let Some(holder) = holder {
        enter(holder)?;
    }
    let stream = std::net::TcpStream::connect(target)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Moves this thread into the namespace of the process `holder`.
#[cfg(target_os = "linux")]
fn enter(holder: u32) -> std::io::Result<()> {
    use std::os::fd::AsFd as _;

    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    let namespace = std::fs::File::open(format!("/proc/{holder}/ns/net"))?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

#[cfg(not(target_os = "linux"))]
fn enter(_holder: u32) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// An address of this machine that is not loopback, if it has one. Nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

fn expect(said: &mut impl BufRead, wanted: &str) -> Result<(), String> {
    let mut line = String::new();
    said.read_line(&mut line).map_err(|error| format!("the namespace says nothing: {error}"))?;
    if line.trim_end() == wanted { Ok(()) } else { Err("no network namespace can be made".to_owned()) }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let done =
        Command::new("ip").args(arguments).output().map_err(|error| format!("ip does not start: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("ip {}: {}", arguments.join(" "), said.trim_end()))
}
