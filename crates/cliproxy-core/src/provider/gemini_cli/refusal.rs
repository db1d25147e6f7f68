//! What Code Assist's refusals mean. The official client's reading of them is the source; Antigravity shares it.
//!
//! Quotas are counted for each model and project, so a quota that is used up leaves the other models alone.

use std::time::Duration;

use cliproxy_wire::fault::{Fault, Kind, allows_nothing};

use crate::credential::Window;
use crate::failure::{Rest, Retry};
use crate::provider::judge as judge_any;
use crate::provider::quota::{Told, of_refusal};
use crate::reason::Code;

/// How long a short limit lasts when nothing is said.
const PACE: Duration = Duration::from_secs(10);
/// How long a limit per minute lasts when nothing is said.
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// What a refusal means for further attempts.
pub(crate) fn judge(fault: &Fault) -> Retry {
    let code = fault.code.as_deref().unwrap_or_default();
    let message = fault.message.to_ascii_lowercase();
    if message.contains("violation of terms of service") {
        return Retry::Leave(Rest::NeedsAttention(Code::ShutOut));
    }
    if code == "VALIDATION_REQUIRED" {
        return Retry::Leave(Rest::NeedsAttention(Code::Verify));
    }
    match fault.kind {
        Kind::RateLimit | Kind::Quota if allows_nothing(&message) => Retry::Next(Rest::ModelMissing),
        Kind::RateLimit if fault.retry_after.is_none() => {
            Retry::Next(Rest::Quota(match (says(fault, "PerMinute"), code) {
                (true, _) => Some(MINUTE),
                (false, "RATE_LIMIT_EXCEEDED") => Some(PACE),
                // Nothing is known: shortly, then less and less often.
                _ => None,
            }))
        }
        // The service is off for the project, whatever the model.
        Kind::Permission if code == "SERVICE_DISABLED" => Retry::Leave(Rest::Forbidden),
        _ => judge_any(fault),
    }
}

/// The quota that a refusal tells to be used up.
pub(crate) fn quota(told: &Told<'_>) -> Option<Window> {
    let fault = told.fault.filter(|fault| !allows_nothing(&fault.message))?;
    let window = of_refusal(told)?;
    let is_daily = says(fault, "PerDay") || says(fault, "Daily");
    Some(if is_daily { Window { name: "day".into(), length: Some(DAY), ..window } } else { window })
}

/// Whether the details name a quota of this kind.
fn says(fault: &Fault, kind: &str) -> bool {
    fault.details.as_ref().is_some_and(|details| details.as_str().contains(kind))
}
