//! Where clients connect: the port, the TLS files, and the ports on which browsers come back from logins.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::time::Duration;

use cliproxy_core::config::Settings;
use cliproxy_core::config::settings::Host;
use cliproxy_core::oauth::Redirect;
use cliproxy_core::provider::LOGINS;
use cliproxy_core::store::atomic;
use cliproxy_server::{Tls, TlsFiles, clock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::configuration::shown;
use super::finding::Findings;
use super::holder;
use crate::command::show;

const AREA: &str = "port";
const TLS: &str = "tls";

/// Longest wait for whoever is on the port to say what it is.
const PATIENCE: Duration = Duration::from_secs(2);
/// Certificates that end sooner are told of.
const SOON: u64 = 14 * 24 * 3600;

/// The addresses that the server would take, one of which is enough.
fn addresses(settings: &Settings) -> io::Result<Vec<SocketAddr>> {
    let port = settings.listen.port;
    Ok(match &settings.listen.host {
        Host::Loopback => vec![(Ipv4Addr::LOCALHOST, port).into()],
        Host::Every => vec![
            (IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED), port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ],
        Host::Named(host) => (host.as_str(), port).to_socket_addrs()?.collect(),
    })
}

/// Whether the port is there to be taken.
pub(super) async fn port(settings: &Settings, findings: &mut Findings) {
    let port = settings.listen.port;
    if port == 0 {
        return findings.note(AREA, "the system chooses a port at each start");
    }
    let refused = addresses(settings).map(|addresses| {
        let mut refused = None;
        for address in addresses {
            match TcpListener::bind(address) {
                Ok(_free) => return None,
                // A machine without the newer protocol is no matter; a port that is taken is one.
                Err(error) => refused = refused.filter(is_taken).or(Some(error)),
            }
        }
        refused
    });
    match refused {
        Ok(None) => findings.ok(AREA, format!("port {port} is free")),
        Ok(Some(error)) if is_taken(&error) => taken(settings, findings).await,
        Ok(Some(error)) | Err(error) if error.kind() == io::ErrorKind::PermissionDenied => findings.problem(
            AREA,
            format!("port {port} is for the system's administrator only: {error}"),
            "choose a port from 1024 on with `port`",
        ),
        Ok(Some(error)) | Err(error) => findings.problem(
            AREA,
            format!("{}:{port} cannot be listened on: {error}", settings.listen.host.as_str()),
            "set `host` to an address of this machine",
        ),
    }
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

async fn taken(settings: &Settings, findings: &mut Findings) {
    let port = settings.listen.port;
    let by = named(&holder::of(port));
    match introduction(settings).await {
        Some(Introduction::Ours(version)) => {
            findings
                .ok(AREA, format!("a gateway like this one, version {version}, serves on port {port}{by}"));
        }
        Some(Introduction::Original) => findings.problem(
            AREA,
            format!("CLIProxyAPI serves on port {port}{by}"),
            "end it, or choose another port with `port`",
        ),
        None => findings.problem(
            AREA,
            format!("port {port} is taken{by}"),
            "end that program, or choose another port with `port` or --port",
        ),
    }
}

fn named(holders: &[(u32, String)]) -> String {
    let named: Vec<String> = holders.iter().map(|(id, name)| format!("{name} (process {id})")).collect();
    if named.is_empty() { String::new() } else { format!(", by {}", named.join(", ")) }
}

enum Introduction {
    Ours(String),
    Original,
}

/// What is on the port says of itself. Behind TLS it is not asked.
async fn introduction(settings: &Settings) -> Option<Introduction> {
    let mut address = addresses(settings).ok()?.into_iter().next()?;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let asking = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(64 << 10).read_to_end(&mut answer).await.ok()?;
        Some(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await.ok()??;
    let text = String::from_utf8_lossy(&answer);
    let (_, body) = text.split_once("\r\n\r\n")?;
    let (start, end) = (body.find('{')?, body.rfind('}')?);
    let document: serde_json::Value = serde_json::from_str(body.get(start..=end)?).ok()?;
    let text = |name: &str| document.get(name).and_then(serde_json::Value::as_str);
    match (text("name"), text("version"), text("message")) {
        (Some("cliproxy"), Some(version), _) => Some(Introduction::Ours(version.to_owned())),
        (None, _, Some("CLI Proxy API Server")) => Some(Introduction::Original),
        _ => None,
    }
}

/// Whether certificate and key can be used, and for how long.
pub(super) fn tls(settings: &Settings, findings: &mut Findings) {
    let Some(tls) = &settings.listen.tls else { return };
    let files = TlsFiles { certificate: tls.certificate.clone(), key: tls.key.clone() };
    if let Err(error) = Tls::read(&files) {
        return findings.problem(
            TLS,
            error.to_string(),
            "point `tls.cert` and `tls.key` to a pair of PEM files",
        );
    }
    if atomic::is_open(&tls.key) {
        findings.warning(
            TLS,
            format!("the private key {} can be read by other users of this machine", shown(&tls.key)),
            format!("chmod 600 {}", shown(&tls.key)),
        );
    }
    let (certificate, now) = (shown(&tls.certificate), clock::now());
    let renew = "renew it and start the server again";
    match files.end() {
        Some(end) if end <= now => {
            findings.problem(TLS, format!("{certificate} ended {}", show::when(end, now)), renew);
        }
        Some(end) if end < now + SOON => {
            findings.warning(TLS, format!("{certificate} ends {}", show::when(end, now)), renew);
        }
        Some(end) => findings.ok(TLS, format!("{certificate} ends {}", show::when(end, now))),
        None => findings.note(TLS, format!("when {certificate} ends cannot be told")),
    }
}

/// Ports on which browsers come back from logins: told of when they are taken.
pub(super) fn login_ports(settings: &Settings, findings: &mut Findings) {
    for login in LOGINS.iter().filter(|login| login.redirect != Redirect::None) {
        let identity = settings.oauth.identity(login.provider, (login.identity)());
        let port = url::Url::parse(&identity.redirect_url).ok().and_then(|url| url.port_or_known_default());
        let Some(port) = port else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err_and(|error| is_taken(&error)) {
            let by = named(&holder::of(port));
            findings.note(
                AREA,
                format!("port {port}, on which a browser comes back from --{}, is taken{by}; a login needs --oauth-callback-port then", login.name),
            );
        }
    }
}
