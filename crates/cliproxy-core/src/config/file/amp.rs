//! The Amp control plane's section.

use super::decode::{List, section};
use crate::secret::Secret;

section! {
    /// `ampcode`.
    pub struct Ampcode {
        /// Address of the control plane.
        upstream_url: String,
        /// Key towards it.
        upstream_api_key: Secret,
        /// Keys towards it, per client.
        upstream_api_keys: List<UpstreamKey>,
        /// Management routes on loopback only.
        restrict_management_to_localhost: bool,
        /// Replacements of model names.
        model_mappings: List<ModelMapping>,
        /// Replace before asking whether the name is served here.
        force_model_mappings: bool,
        /// Ask the control plane, too, when all who serve a model here have used their quotas up.
        upstream_when_exhausted: bool,
    }
}

section! {
    /// One item of `upstream-api-keys`.
    pub struct UpstreamKey {
        /// Key towards the control plane.
        upstream_api_key: Secret,
        /// The clients that use it.
        api_keys: List<Secret>,
    }
}

section! {
    /// One item of `model-mappings`.
    pub struct ModelMapping {
        /// Name that is asked for, or a regular expression.
        from: String,
        /// Name that is used.
        to: String,
        /// Whether `from` is a regular expression.
        regex: bool,
    }
}
