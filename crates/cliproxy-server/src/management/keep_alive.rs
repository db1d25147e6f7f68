//! `GET /keep-alive`: how a program that has started this one ties the gateway's life to its own.
//!
//! The program shows the password that it chose (`--password`). Once it has called, silence means that it is gone, and the
//! gateway ends in order. Whoever never calls has not asked for that, so the password alone ends nothing.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Console, access};
use crate::api::not_found;
use crate::peer::Origin;
use crate::{App, reply};

/// Longest silence between two calls.
const SILENCE: Duration = Duration::from_secs(10);

/// Signs of life.
#[derive(Debug, Default)]
pub(super) struct Alive(Notify);

impl Alive {
    async fn left_alone(&self) {
        self.0.notified().await;
        while timeout(SILENCE, self.0.notified()).await.is_ok() {}
    }
}

impl Console {
    /// Waits until a program that called has called no more.
    pub async fn left_alone(&self) {
        self.alive.left_alone().await;
    }
}

/// Takes a sign of life.
pub(crate) async fn alive(State(app): State<App>, request: Request) -> Response {
    let console = app.console.as_ref();
    let Some((console, password)) = console.and_then(|console| Some((console, console.password.as_ref()?)))
    else {
        return not_found(request).await;
    };
    let (head, _body) = request.into_parts();
    let snapshot = app.engine.snapshot();
    let is_here = Origin::of(&head, &snapshot.settings.management.trusted_proxies).is_here();
    if !is_here || !shown(&head).is_some_and(|shown| password.matches(shown)) {
        return reply::json_response(StatusCode::UNAUTHORIZED, |root| root.str("error", "invalid password"));
    }
    console.alive.0.notify_one();
    reply::json_response(StatusCode::OK, |root| root.str("status", "ok"))
}

/// What is shown as the password.
fn shown(head: &Parts) -> Option<&[u8]> {
    let own = || head.headers.get("x-local-password").map(|value| value.as_bytes().trim_ascii());
    access::authorization(head).or_else(own)
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_called_is_gone_after_ten_seconds_of_silence_and_who_has_not_is_not_waited_for() {
        let alive = Alive::default();
        let hour = Duration::from_hours(1);
        assert!(timeout(hour, alive.left_alone()).await.is_err(), "nobody has called");
        let started = Instant::now();
        let calling = async {
            for _ in 0..5 {
                alive.0.notify_one();
                sleep(Duration::from_secs(9)).await;
            }
        };
        tokio::join!(alive.left_alone(), calling);
        assert_eq!(started.elapsed(), Duration::from_secs(4 * 9 + 10));
    }
}
