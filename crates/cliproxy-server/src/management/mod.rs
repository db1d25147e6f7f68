//! The management interface below `/v0/management`, word for word what control panels of the existing program expect.
//!
//! Every route is a row of a table ([`Endpoint`]): from it come the router and the OpenAPI document, so that the two
//! cannot differ. A handler translates between HTTP and functions of `cliproxy-core`, which decide; who may come in is
//! decided by [`cliproxy_core::access::gate`] before a body is read.

mod access;
mod account;
mod ampcode;
mod answer;
mod auth_file;
mod call;
mod config_document;
mod explain;
mod history;
mod import;
mod keep_alive;
mod key_limit;
mod list;
mod live;
mod log;
mod login;
mod model;
mod openapi;
mod plugin;
mod route;
mod rule;
mod scalar;
mod usage;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter};
use bytes::Bytes;
use cliproxy_core::access::gate::Gate;
use cliproxy_core::config::document::Document;
use cliproxy_core::config::keeper::{Keeper, Unkept};
use cliproxy_core::desk::Desk;
use cliproxy_core::secret::Secret;
use cliproxy_core::usage::{Ledger, Live, Queue};
use cliproxy_wire::fault::{Fault, Kind};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::encoding::{NotSpooled, Spooled};
use crate::{App, encoding};
pub(crate) use access::shows_key;
pub(crate) use keep_alive::alive;

use answer::{Outcome, Refusal};
use route::{Endpoint, endpoint};

/// Where the interface is.
pub(crate) const BASE: &str = "/v0/management";

/// What the management interface works on.
#[derive(Debug)]
pub struct Console {
    keeper: Keeper,
    gate: Gate,
    password: Option<Secret>,
    desk: Desk,
    records: Records,
    ending: CancellationToken,
    alive: keep_alive::Alive,
}

/// What is known of requests.
#[derive(Clone, Debug)]
pub struct Records {
    /// Those of the past, where there is a place for them.
    pub ledger: Option<Ledger>,
    /// Those that panels take away.
    pub queue: Queue,
    /// Those on their way.
    pub live: Live,
}

impl Console {
    /// An interface that edits the file of `keeper`. `password` is a further key for this machine only; answers that
    /// would go on for ever end with `ending`.
    pub fn new(
        keeper: Keeper,
        password: Option<Secret>,
        records: Records,
        ending: CancellationToken,
    ) -> Self {
        let (gate, desk, alive) = (Gate::default(), Desk::default(), keep_alive::Alive::default());
        Self { keeper, gate, password, desk, records, ending, alive }
    }

    /// The configuration file.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }
}

/// A request that was let in.
struct Ask {
    app: App,
    console: Arc<Console>,
    row: Arc<Endpoint>,
    parameters: HashMap<String, String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    /// The body where it went to disk.
    spooled: Option<Spooled>,
}

impl Ask {
    /// The first value of a query parameter, trimmed; `None` when it is empty or missing.
    fn query(&self, name: &str) -> Option<&str> {
        debug_assert!(self.row.queries.iter().any(|known| known.name == name), "{name} is not declared");
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// A part of the path.
    fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The body, as what panels send.
    fn json<T: DeserializeOwned + 'static>(&self) -> Result<T, Refusal> {
        debug_assert_eq!(self.row.reads, Some(std::any::TypeId::of::<T>()), "another body is declared");
        serde_json::from_slice(&self.body).map_err(|_its_text_may_hold_a_key| Refusal::bad("invalid body"))
    }

    /// The version of the file that an edit is based on, where the client says one.
    fn expected(&self) -> Option<&str> {
        let value = self.headers.get(http::header::IF_MATCH)?.to_str().ok()?;
        Some(value.trim().trim_start_matches("W/").trim_matches('"')).filter(|tag| *tag != "*")
    }

    /// Changes the configuration file.
    async fn edit(&self, change: impl FnOnce(&mut Document) -> Result<(), Refusal>) -> Result<(), Refusal> {
        debug_assert!(self.row.is_edit, "an edit is not declared");
        self.console.keeper.edit(self.expected(), change).await
    }
}

/// Every route of the interface.
fn endpoints() -> Vec<Endpoint> {
    let mut list: Vec<Endpoint> = Vec::new();
    list.extend(config_document::endpoints());
    list.extend(scalar::endpoints());
    list.extend(list::endpoints());
    list.extend(key_limit::endpoints());
    list.extend(rule::endpoints());
    list.extend(ampcode::endpoints());
    list.extend(auth_file::endpoints());
    list.extend(account::endpoints());
    list.extend(login::endpoints());
    list.extend(import::endpoints());
    list.extend(model::endpoints());
    list.extend(call::endpoints());
    list.extend(usage::endpoints());
    list.extend(history::endpoints());
    list.extend(live::endpoints());
    list.extend(explain::endpoints());
    list.extend(log::endpoints());
    list.extend(plugin::endpoints());
    list.extend(openapi::endpoints());
    list
}

/// The router of every route. Without a configured key there is none of them.
pub(crate) fn routes() -> Router<App> {
    let mut paths: BTreeMap<&'static str, Vec<Endpoint>> = BTreeMap::new();
    for endpoint in endpoints() {
        paths.entry(endpoint.path).or_default().push(endpoint);
    }
    let mut router = Router::new();
    for (path, endpoints) in paths {
        let mut methods: MethodRouter<App> = MethodRouter::new();
        for endpoint in endpoints {
            let Ok(filter) = MethodFilter::try_from(endpoint.method.clone()) else { continue };
            let endpoint = Arc::new(endpoint);
            methods = methods.on(
                filter,
                move |State(app): State<App>, parameters: RawPathParams, request: Request| {
                    let parameters =
                        parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                    serve(app, Arc::clone(&endpoint), parameters, request)
                },
            );
        }
        router = router.route(&format!("{BASE}{path}"), methods);
    }
    for path in [
        "/anthropic/callback",
        "/codex/callback",
        "/google/callback",
        "/iflow/callback",
        "/antigravity/callback",
    ] {
        router = router.route(path, axum::routing::get(login::returned));
    }
    router
}

async fn serve(
    app: App,
    endpoint: Arc<Endpoint>,
    parameters: HashMap<String, String>,
    request: Request,
) -> Response {
    let version = app.version;
    let outcome = admitted(app, &endpoint, parameters, request).await;
    let mut response = match outcome {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    if response.status() != StatusCode::NOT_FOUND || !answer::is_absent(&response) {
        answer::identify(response.headers_mut(), version);
    }
    response
}

async fn admitted(
    app: App,
    endpoint: &Arc<Endpoint>,
    parameters: HashMap<String, String>,
    request: Request,
) -> Outcome {
    let (head, body) = request.into_parts();
    let admission = match app.console.clone() {
        Some(console) if endpoint.is_open && access::exists(&app, &console) => Ok(console),
        Some(console) => access::check(&app, &console, &head).await.map(|()| console),
        None => Err(Refusal::absent()),
    };
    let console = match admission {
        Ok(console) => console,
        Err(refusal) => {
            encoding::drain(&head.headers, body).await;
            return Err(refusal);
        }
    };
    let (body, spooled) = if endpoint.is_spooled {
        (Bytes::new(), Some(spool(&console, endpoint, &head.headers, body).await?))
    } else {
        let read = encoding::read(&head.headers, body, endpoint.largest).await;
        (read.map_err(|fault| unread(fault, endpoint))?, None)
    };
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let query = url::form_urlencoded::parse(query).into_owned().collect();
    let row = Arc::clone(endpoint);
    let ask = Ask { app, console, row, parameters, query, headers: head.headers, body, spooled };
    // Told before anything else, so that no route forgets it; whoever edits asks again when it is its turn.
    if endpoint.is_edit
        && let Some(expected) = ask.expected()
        && !ask.console.keeper.is_current(expected).await?
    {
        return Err(Unkept::Stale.into());
    }
    (endpoint.run)(ask).await
}

/// Puts a body on disk, beside the ledger.
async fn spool(
    console: &Console,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Spooled, Refusal> {
    let place = match console.records.ledger.clone() {
        Some(ledger) => {
            let made = tokio::task::spawn_blocking(move || ledger.scratch()).await;
            made.map_err(std::io::Error::other).and_then(|made| made)
        }
        None => Err(std::io::Error::other("there is no place for usage records")),
    };
    let file = match place {
        Ok(file) => file,
        Err(error) => {
            encoding::drain(headers, body).await;
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the body cannot be kept: {error}"),
            ));
        }
    };
    encoding::spool(headers, body, endpoint.largest as u64, file).await.map_err(|why| match why {
        NotSpooled::Fault(fault) => unread(fault, endpoint),
        NotSpooled::Storage(error) => {
            Refusal::new(StatusCode::INSUFFICIENT_STORAGE, format!("the body cannot be kept: {error}"))
        }
    })
}

/// A body that cannot be read.
fn unread(fault: Fault, endpoint: &Endpoint) -> Refusal {
    if fault.kind != Kind::TooLarge {
        return Refusal::new(StatusCode::BAD_REQUEST, fault.message);
    }
    let remedy = if endpoint.is_spooled { "; `cli-proxy-api usage --import FILE` takes more" } else { "" };
    let message = format!("the request body is larger than {} MiB{remedy}", endpoint.largest >> 20);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
