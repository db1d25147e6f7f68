//! From connected web pages to credentials: there is no file, so everything is the same for all of them.

use std::sync::Arc;

use cliproxy_wire::catalog::{Caps, ReasoningCaps};
use cliproxy_wire::profile::Profile;

use super::Assembly;
use crate::credential::{Credential, CredentialId, Kind};
use crate::proxy::Proxy;

const CHANNEL: &str = "aistudio";
/// Models whose reasoning pages know by budget alone, though their names say otherwise elsewhere. Source: the model tables
/// of existing gateways.
const BY_BUDGET: [&str; 3] = ["gemini-3-pro-preview", "gemini-3-flash-preview", "gemini-3.1-pro-preview"];

impl Assembly<'_> {
    /// Adds a page with the models of AI Studio.
    pub(super) fn page(&mut self, id: &CredentialId) {
        let credential = Arc::new(Credential {
            id: id.clone(),
            kind: Kind::AiStudio,
            provider: CHANNEL.into(),
            key: None,
            account: None,
            project: None,
            // The page asks, over its own connection: that the gateway cannot reach the service itself is not held
            // against it, nor the other way round.
            base_url: id.as_str().into(),
            other_base_url: None,
            proxy: Proxy::Direct,
            headers: Vec::new(),
            prefix: None,
            priority: 0,
            weight: 1,
            concurrency: self.settings.routing.concurrency.map(std::num::NonZeroU32::get),
            never_rests: false,
            request_retry: None,
            profile: Arc::new(Profile::aistudio()),
            native: None,
            of_models: Arc::default(),
            websockets: false,
            scope: cliproxy_wire::id::hex("", 16, &["scope", CHANNEL, id.as_str()]).into(),
        });
        if let Some(rules) = self.settings.oauth.error_rules.get(CHANNEL) {
            self.error_rules.insert(id.clone(), rules.clone());
        }
        let mut models = self.models(None, CHANNEL, &[]);
        for (_, upstream, caps, _) in &mut models {
            if BY_BUDGET.contains(&&**upstream) {
                let reasoning = ReasoningCaps::GeminiBudget { min: 128, max: 32_768, has_off: false };
                *caps = Arc::new(Caps { reasoning, ..(**caps).clone() });
            }
        }
        self.builder.add(&credential, models, self.settings.routing.force_model_prefix);
    }
}
