//! Where the server listens, and for whom.
//!
//! A gateway without client keys serves whoever reaches it, with the owner's accounts. It
//! therefore stays on loopback unless the owner says otherwise in so many words.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use super::value::{is_on, is_placeholder, text};
use crate::access::allowance::Allowance;
use crate::config::Overrides;
use crate::config::diagnostic::{Code, Report};
use crate::config::file;
use crate::secret::Secret;

/// Port when the file names none.
pub const DEFAULT_PORT: u16 = 8317;

/// The listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Interface.
    pub host: Host,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
    /// HTTPS, when switched on.
    pub tls: Option<Tls>,
}

/// The interfaces that are listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// This machine only, `127.0.0.1`.
    Loopback,
    /// Every interface, IPv4 and IPv6.
    Every,
    /// A name or an address, as written.
    Named(String),
}

impl Host {
    /// Whether only this machine can connect.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Loopback => true,
            Self::Every => false,
            Self::Named(name) => {
                name.eq_ignore_ascii_case("localhost")
                    || bare(name).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }

    /// The text for people.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Loopback => "127.0.0.1",
            Self::Every => "",
            Self::Named(name) => name,
        }
    }
}

fn bare(name: &str) -> &str {
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
}

/// The files of an HTTPS listener, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Who may use the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Client keys; empty means that no key is asked for.
    pub client_keys: Vec<Secret>,
    /// What single client keys may do.
    pub allowances: Vec<Arc<Allowance>>,
    /// Serve other machines even without client keys.
    pub allow_unauthenticated_remote: bool,
    /// Client keys also on the relay socket.
    pub ws_auth: bool,
}

pub(super) fn access(config: &file::Config, overrides: &Overrides, report: &mut Report) -> Access {
    let mut client_keys: Vec<Secret> = Vec::new();
    for key in config.api_keys.iter().flat_map(|list| &list.value) {
        let trimmed = key.expose().trim();
        if trimmed.is_empty() {
            report.warning(&key.origin, Code::EmptyClientKey);
        } else if is_placeholder(trimmed) {
            report.problem(&key.origin, Code::TemplateClientKey);
        } else if client_keys.iter().any(|known| known.matches(trimmed.as_bytes())) {
            report.warning(&key.origin, Code::RepeatedClientKey);
        } else {
            client_keys.push(Secret::new(trimmed));
        }
    }
    Access {
        allowances: super::allowance::allowances(config, &client_keys, report),
        client_keys,
        allow_unauthenticated_remote: overrides.allow_unauthenticated_remote
            || is_on(config.allow_unauthenticated_remote.as_ref()),
        ws_auth: config.ws_auth.as_ref().is_none_or(|member| member.value),
    }
}

pub(super) fn listen(
    config: &file::Config,
    has_file: bool,
    overrides: &Overrides,
    access: &Access,
    report: &mut Report,
) -> Listen {
    Listen {
        host: host(config, has_file, overrides, access, report),
        port: port(config, overrides, report),
        tls: tls(config, report),
    }
}

fn host(
    config: &file::Config,
    has_file: bool,
    overrides: &Overrides,
    access: &Access,
    report: &mut Report,
) -> Host {
    let is_protected = !access.client_keys.is_empty() || access.allow_unauthenticated_remote;
    let given = overrides.host.as_deref().map(str::trim).filter(|host| !host.is_empty());
    let Some(name) = given.or_else(|| text(config.host.as_ref())) else {
        if !has_file {
            return Host::Loopback;
        }
        if is_protected {
            return Host::Every;
        }
        // Keys may be missing only because they, or the file, could not be read; the problem says more.
        if report.has_problems() {
            return Host::Loopback;
        }
        match &config.host {
            Some(member) => report.warning(&member.origin, Code::NoClientKeys),
            None => report.warning_general(Code::NoClientKeys),
        }
        return Host::Loopback;
    };
    let host = match bare(name).parse::<IpAddr>() {
        Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)) => Host::Loopback,
        Ok(IpAddr::V6(address)) if address.is_unspecified() => Host::Every,
        _ => Host::Named(bare(name).to_owned()),
    };
    if !host.is_loopback() && !is_protected {
        match (&config.host, given) {
            (Some(member), None) => report.problem(&member.origin, Code::OpenWithoutKeys),
            _ => report.problem_general(Code::OpenWithoutKeys),
        }
    }
    host
}

fn port(config: &file::Config, overrides: &Overrides, report: &mut Report) -> u16 {
    if let Some(port) = overrides.port {
        return port;
    }
    let Some(member) = &config.port else {
        return DEFAULT_PORT;
    };
    u16::try_from(member.value).unwrap_or_else(|_| {
        report.problem(&member.origin, Code::PortRange);
        DEFAULT_PORT
    })
}

fn tls(config: &file::Config, report: &mut Report) -> Option<Tls> {
    let section = config.tls.as_ref()?;
    let enable = section.enable.as_ref().filter(|member| member.value)?;
    let certificate = text(section.cert.as_ref());
    let key = text(section.key.as_ref());
    if let (Some(certificate), Some(key)) = (certificate, key) {
        return Some(Tls { certificate: certificate.into(), key: key.into() });
    }
    report.problem(&enable.origin, Code::TlsIncomplete);
    None
}
