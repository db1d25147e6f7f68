//! Rules on request bodies.

use super::decode::{Free, List, Map, section};

section! {
    /// `payload`: five lists, applied in this order.
    pub struct Payload {
        /// Set when missing.
        default: List<PayloadRule>,
        /// Set when missing, values are JSON text.
        default_raw: List<PayloadRule>,
        /// Set always.
        r#override: List<PayloadRule>,
        /// Set always, values are JSON text.
        override_raw: List<PayloadRule>,
        /// Remove.
        filter: List<PayloadFilter>,
    }
}

section! {
    /// A rule that sets members.
    pub struct PayloadRule {
        /// When it applies.
        models: List<PayloadModel>,
        /// What it sets, by path.
        params: Map<Free>,
    }
}

section! {
    /// A rule that removes members.
    pub struct PayloadFilter {
        /// When it applies.
        models: List<PayloadModel>,
        /// The paths that it removes.
        params: List<String>,
    }
}

section! {
    /// A condition; one of a rule's conditions must hold.
    pub struct PayloadModel {
        /// Pattern of model names.
        name: String,
        /// Format towards the upstream.
        protocol: String,
        /// Format of the client.
        from_protocol: String,
        /// Client headers, name to pattern.
        headers: Map<String>,
        /// Members that must have a value.
        r#match: List<Map<Free>>,
        /// Members that must not have a value.
        not_match: List<Map<Free>>,
        /// Members that must be there.
        exist: List<String>,
        /// Members that must be missing.
        not_exist: List<String>,
    }
}
