//! Who serves a model call of Amp's programs: decided by the name alone, before anything is asked.

use cliproxy_core::credential::Kind;
use cliproxy_core::snapshot::Snapshot;
use cliproxy_wire::reasoning::suffix;

/// Where the lines in the log are from.
const COMPONENT: &str = "amp-routing";

/// Who serves.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The accounts and keys here, by the requested name.
    Local,
    /// The accounts and keys here, by this name.
    Mapped(String),
    /// The control plane, at the cost of credits.
    Upstream,
    /// Nobody; the ordinary route says so.
    Nobody,
}

/// Chooses for a name. A model counts as served here when it is offered, also while everybody who offers it rests: a
/// pause must not cost credits without having been asked for.
pub(super) fn choose(snapshot: &Snapshot, requested: &str) -> Choice {
    let amp = &snapshot.settings.amp;
    let is_local = |name: &str| snapshot.routes.resolve(name).is_some();
    let local = || is_local(requested).then_some(Choice::Local);
    let mapped = || amp.target(requested).filter(|target| is_local(target)).map(Choice::Mapped);
    let here = if amp.force_mappings { mapped().or_else(local) } else { local().or_else(mapped) };
    let elsewhere = if amp.upstream.is_some() { Choice::Upstream } else { Choice::Nobody };
    here.unwrap_or(elsewhere)
}

/// Whether a model is Claude's own, so that its thoughts can be sent back where they came from.
pub(super) fn is_claude(snapshot: &Snapshot, model: &str) -> bool {
    let resolved = snapshot.routes.resolve(model);
    resolved
        .is_some_and(|found| found.offers.members().iter().any(|offer| offer.credential.kind == Kind::Claude))
}

/// One line for a call that everybody here has refused for want of quota, and that goes on to the control plane.
pub(super) fn log_exhausted(requested: &str, path: &str) {
    let why = "everybody here who serves this model has used its quota up, and ampcode.upstream-when-exhausted is set";
    log_credits(requested, path, why);
}

/// One line for a call that costs credits.
fn log_credits(requested: &str, path: &str, why: &str) {
    let (base, _) = suffix::split(requested);
    tracing::warn!(
        component = COMPONENT,
        route_type = "AMP_CREDITS",
        requested_model = requested,
        model_id = base,
        path,
        cost = "amp_credits",
        source = "ampcode.com",
        "amp call goes to the control plane and uses credits; {why}"
    );
}

impl Choice {
    /// One line per call; what costs credits, and what nobody serves, is a warning.
    pub(super) fn log(&self, requested: &str, path: &str) {
        let (base, _) = suffix::split(requested);
        match self {
            Self::Local => tracing::debug!(
                component = COMPONENT,
                route_type = "LOCAL_PROVIDER",
                requested_model = requested,
                resolved_model = requested,
                path,
                cost = "free",
                source = "local_oauth",
                "amp call is served here"
            ),
            Self::Mapped(target) => tracing::debug!(
                component = COMPONENT,
                route_type = "MODEL_MAPPING",
                requested_model = requested,
                resolved_model = %target,
                mapping = %format!("{requested} -> {target}"),
                path,
                cost = "free",
                source = "local_oauth",
                "amp call is served here by another model"
            ),
            Self::Upstream => {
                let why = format!(
                    "to serve it here, add an entry `from: \"{base}\"` to ampcode.model-mappings in config.yaml"
                );
                log_credits(requested, path, &why);
            }
            Self::Nobody => tracing::warn!(
                component = COMPONENT,
                route_type = "NO_PROVIDER",
                requested_model = requested,
                model_id = base,
                path,
                cost = "none",
                source = "error",
                "nobody serves this model and ampcode.upstream-url is not set; add an entry to ampcode.model-mappings in config.yaml"
            ),
        }
    }
}
