//! Access to the management interface and the control panel.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::value::{is_on, is_placeholder, text};
use crate::access::gate::{Lock, ManagementKey};
use crate::config::diagnostic::{Code, Report};
use crate::config::file;
use crate::env::{self, Env};
use crate::secret::Secret;

/// The management interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// What opens it.
    pub lock: Lock,
    /// Reverse proxies whose word on the client's address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// No control panel page.
    pub disable_control_panel: bool,
    /// Whose panel is served instead of the built-in one, from a file.
    pub panel_repository: Option<String>,
    /// Directory or file of another panel than the built-in one, from the environment.
    pub panel_path: Option<PathBuf>,
    /// Without effect: nothing is fetched.
    pub disable_auto_update_panel: bool,
}

impl Management {
    /// Whether the interface exists at all.
    pub fn is_enabled(&self) -> bool {
        self.lock.has_key()
    }
}

pub(super) fn management(config: &file::Config, env: &dyn Env, report: &mut Report) -> Management {
    let section = config.remote_management.as_deref();
    let password = env.get(env::MANAGEMENT_PASSWORD).map(Secret::from);
    let key = section.and_then(|section| section.secret_key.as_ref()).and_then(|member| {
        let text = member.expose().trim();
        if text.is_empty() {
            return None;
        }
        if is_placeholder(text) {
            report.problem(&member.origin, Code::TemplateManagementKey);
        }
        let is_hash = ["$2a$", "$2b$", "$2y$"].iter().any(|mark| text.starts_with(mark));
        let key = Secret::new(text);
        Some(if is_hash { ManagementKey::Hash(key) } else { ManagementKey::Plain(key) })
    });
    let repository = section.and_then(|section| section.panel_github_repository.as_ref());
    Management {
        lock: Lock {
            key,
            allow_remote: password.is_some()
                || is_on(section.and_then(|section| section.allow_remote.as_ref())),
            password,
        },
        trusted_proxies: trusted_proxies(section, report),
        disable_control_panel: is_on(section.and_then(|section| section.disable_control_panel.as_ref())),
        panel_repository: text(repository).map(str::to_owned),
        panel_path: env.get(env::MANAGEMENT_STATIC_PATH).map(PathBuf::from),
        disable_auto_update_panel: is_on(
            section.and_then(|section| section.disable_auto_update_panel.as_ref()),
        ),
    }
}

/// Addresses, and networks as `10.0.0.0/8`.
fn trusted_proxies(section: Option<&file::RemoteManagement>, report: &mut Report) -> Vec<IpNet> {
    let list = section.and_then(|section| section.trusted_proxies.as_ref());
    let mut networks = Vec::new();
    for member in list.into_iter().flat_map(|list| &list.value) {
        let written = member.value.trim();
        let network =
            written.parse::<IpNet>().or_else(|_no_network| written.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) => networks.push(network),
            Err(_neither) => {
                report.problem(&member.origin, Code::NotANetwork);
            }
        }
    }
    networks
}
