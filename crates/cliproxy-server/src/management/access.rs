//! Reads from a request's head what decides whether it is let in.

use std::net::{IpAddr, Ipv4Addr};

use cliproxy_core::access::gate::Visitor;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::Console;
use super::answer::Refusal;
use crate::App;
use crate::peer::Origin;

/// Whether there is an interface: without any key there is none.
pub(super) fn exists(app: &App, console: &Console) -> bool {
    app.engine.snapshot().settings.management.is_enabled() || console.password.is_some()
}

/// Lets a request in, or says why not: by `Authorization`, with or without `Bearer`, before `X-Management-Key`. Without any
/// key there is no interface.
pub(super) async fn check(app: &App, console: &Console, head: &Parts) -> Result<(), Refusal> {
    let key = authorization(head).or_else(|| own(head));
    admit(app, console, head, key).await
}

/// Whether a request to another route than those of the interface shows its key, in the header that is for nothing else:
/// what stands in `Authorization` may be a client's key, which is no wrong guess.
pub(crate) async fn shows_key(app: &App, head: &Parts) -> bool {
    match (&app.console, own(head)) {
        (Some(console), key @ Some(_)) => admit(app, console, head, key).await.is_ok(),
        _ => false,
    }
}

async fn admit(app: &App, console: &Console, head: &Parts, key: Option<&[u8]>) -> Result<(), Refusal> {
    let snapshot = app.engine.snapshot();
    let management = &snapshot.settings.management;
    if !exists(app, console) {
        return Err(Refusal::absent());
    }
    let Origin { address, is_forwarded } = Origin::of(head, &management.trusted_proxies);
    // A router that is mounted into another program may not know who asks; then it is nobody of this machine.
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let visitor = Visitor { address: address.unwrap_or(unknown), is_forwarded, key };
    Ok(console.gate.admit(&management.lock, console.password.as_ref(), visitor).await?)
}

/// What `X-Management-Key` shows.
fn own(head: &Parts) -> Option<&[u8]> {
    head.headers.get("x-management-key").map(|value| value.as_bytes().trim_ascii())
}

/// What `Authorization` shows, with or without `Bearer`.
pub(super) fn authorization(head: &Parts) -> Option<&[u8]> {
    let value = head.headers.get(AUTHORIZATION)?.as_bytes().trim_ascii();
    let key = match value.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
        _ => value,
    };
    (!key.is_empty()).then_some(key)
}
