//! What errors mean, where a provider does not say otherwise.

use std::time::Duration;

use cliproxy_wire::fault::{Fault, Kind as FaultKind};

use crate::failure::{Failure, Rest, Retry};

/// What most providers mean by an error.
pub(crate) fn judge(fault: &Fault) -> Retry {
    match fault.kind {
        FaultKind::InvalidRequest
        | FaultKind::ContextLength
        | FaultKind::ContentPolicy
        | FaultKind::Conflict
        | FaultKind::TooLarge
        | FaultKind::Unprocessable
        | FaultKind::ClientClosed => Retry::Never,
        FaultKind::Authentication => Retry::Next(Rest::Unauthorized),
        FaultKind::Permission | FaultKind::Billing => Retry::Next(Rest::Forbidden),
        FaultKind::NotFound => Retry::Next(Rest::ModelMissing),
        FaultKind::RateLimit | FaultKind::Quota => Retry::Next(Rest::Quota(fault.retry_after)),
        FaultKind::Overloaded
        | FaultKind::Unavailable
        | FaultKind::Timeout
        | FaultKind::Api
        | FaultKind::BadUpstream => {
            Retry::Next(Rest::Transient(fault.retry_after.filter(|wait| *wait > Duration::ZERO)))
        }
    }
}

/// An operation that an upstream does not have. The engine answers some of them itself.
pub(super) fn not_offered(what: &str) -> Failure {
    Failure::gateway(
        Fault::new(FaultKind::NotFound, format!("{what} is not offered by the upstream of this model"))
            .with_code("not_supported")
            .with_status(501),
    )
    .with_retry(Retry::Next(Rest::None))
}
