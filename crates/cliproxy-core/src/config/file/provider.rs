//! Switches of single providers.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::decode::{Cursor, Decode, List, section};
use super::tree::Node;
use crate::secret::Secret;

section! {
    /// `codex`.
    pub struct Codex {
        /// Hold back a stream's head until real output arrives.
        stream_bootstrap_buffering: bool,
        /// Settings for several agents at once.
        optimize_multi_agent_v2: bool,
        /// Relay of live media.
        live_media_relay: LiveMediaRelay,
    }
    disguise: ["identity-confuse", "disable-codex-cloaking"]
}

section! {
    /// `codex.live-media-relay`.
    pub struct LiveMediaRelay {
        /// Whether it runs.
        enabled: bool,
        /// Most sessions at once.
        max_sessions: i64,
        /// Refuse remote addresses of private networks.
        disable_private_remote_ips: bool,
        /// Address that peers see.
        public_ip: String,
        /// First UDP port.
        udp_port_min: i64,
        /// Last UDP port.
        udp_port_max: i64,
        /// Servers that help to connect.
        ice_servers: List<IceServer>,
    }
}

section! {
    /// One item of `ice-servers`.
    pub struct IceServer {
        /// Addresses.
        urls: List<String>,
        /// User name.
        username: String,
        /// Password.
        credential: Secret,
    }
}

section! {
    /// `xai`.
    pub struct Xai {
        /// Offer the search tool of that network.
        inject_x_search: bool,
    }
}

section! {
    /// `claude-code`.
    pub struct ClaudeCode {
        /// Model ids stay as they are in listings; always so here.
        disable_cloaking_model_list: bool,
    }
}

/// `antigravity`: no key of it has an effect.
#[derive(Clone, Debug, Default)]
pub struct Antigravity;

impl Decode for Antigravity {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        for entry in cursor.members(node)? {
            if entry.key == "sensitive-words" {
                cursor.ignored(entry);
            } else {
                cursor.unknown(entry, &[]);
            }
        }
        Some(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object"})
    }
}
