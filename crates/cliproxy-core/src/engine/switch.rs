//! What a used up quota leads to, as `quota-exceeded` in the configuration has it: another project of the same account
//! or none of them, and the preview of the model or only the model itself. And what an address that fails leads to, where
//! its service has another one.
//!
//! Who rests because of the refusal is the pool's business; other models by name are `routing.fallback`'s.

use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::fault::Kind;

use crate::credential::Credential;
use crate::failure::{Failure, Origin, Rest, Retry};
use crate::route::{Offer, Offers};
use crate::snapshot::Snapshot;

/// Whether a failure says that a quota is used up.
pub(super) fn is_of_quota(failure: &Failure) -> bool {
    matches!(failure.retry(), Retry::Next(Rest::Quota(_)) | Retry::Leave(Rest::Quota(_)))
        || matches!(failure.fault().kind, Kind::RateLimit | Kind::Quota)
}

/// A limit that lasts longer than this is a quota, which the other addresses of a service count too.
const LONGEST_PACE: Duration = Duration::from_mins(5);

/// Whether the same request may succeed at another address of the service: nobody answered, or there is no capacity.
pub(super) fn may_go_elsewhere(failure: &Failure) -> bool {
    let fault = failure.fault();
    if failure.origin() == Origin::Proxy {
        return false;
    }
    let is_pace = fault.kind == Kind::RateLimit && fault.retry_after.is_none_or(|wait| wait < LONGEST_PACE);
    let is_full = matches!(fault.kind, Kind::Overloaded | Kind::Unavailable);
    is_pace || is_full || fault.code.as_deref() == Some("upstream_unreachable")
}

/// The same offer at the other address of its service.
pub(super) fn elsewhere(offer: &Offer) -> Option<Offer> {
    let other = offer.credential.other_base_url.clone()?;
    let credential = Credential { base_url: other, other_base_url: None, ..(*offer.credential).clone() };
    Some(Offer { credential: Arc::new(credential), ..offer.clone() })
}

/// The offers that this request leaves out after the refusal of one: the other projects of its account, where the
/// configuration forbids to go on with them.
pub(super) fn left_out(
    snapshot: &Snapshot,
    offers: &Offers,
    refused: usize,
    failure: &Failure,
) -> Vec<usize> {
    if snapshot.settings.routing.switch_project || !is_of_quota(failure) {
        return Vec::new();
    }
    let account = |index: usize| offers.members().get(index)?.credential.account.as_ref();
    let Some(refused_account) = account(refused) else { return Vec::new() };
    let is_another = |index: &usize| {
        *index != refused && account(*index).is_some_and(|other| Arc::ptr_eq(other, refused_account))
    };
    (0..offers.members().len()).filter(is_another).collect()
}

/// The previews of a model whose quota is used up everywhere, by their names; the plain one first.
pub(super) fn previews(snapshot: &Snapshot, model: &str, failure: &Failure) -> Vec<String> {
    if !snapshot.settings.routing.switch_preview_model || !is_of_quota(failure) {
        return Vec::new();
    }
    let preview = format!("{model}-preview");
    let is_preview = |id: &str| {
        id.strip_prefix(&preview).is_some_and(|version| version.is_empty() || version.starts_with('-'))
    };
    let ids = snapshot.routes.listed().iter().map(|listed| &*listed.id).filter(|id| is_preview(id));
    let mut names: Vec<String> = ids.map(str::to_owned).collect();
    names.sort_unstable();
    names
}
