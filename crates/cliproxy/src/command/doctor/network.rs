//! The way to the upstreams: names, proxies, and with `--online` the upstreams themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use cliproxy_core::Engine;
use cliproxy_core::credential::{CredentialId, Kind};
use cliproxy_core::env::{self, Env as _};
use cliproxy_core::provider::{self};
use cliproxy_core::proxy::{Proxy, ProxyUrl};
use cliproxy_core::upstream::{Clients, Egress, Limits, Outgoing, Pieces};
use cliproxy_server::clock;
use futures_util::future::join_all;
use http::header::{DATE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};
use url::Url;

use super::clock::{AREA as CLOCK, REMEDY, TOLERANCE};
use super::finding::Findings;
use crate::command::show;

const DNS: &str = "names";
const PROXY: &str = "proxies";
const UPSTREAM: &str = "upstreams";

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of more places the first are looked at.
const MOST: usize = 32;

/// Names and proxies.
pub(super) async fn look(engine: &Engine, findings: &mut Findings) {
    let proxies = environment();
    let names = names(engine, !proxies.is_empty());
    let resolving = names.iter().take(MOST).map(|(name, port)| async move {
        let found = tokio::net::lookup_host((name.as_str(), *port));
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Ok(mut found)) => found.next().is_none().then(|| format!("{name} has no address")),
            Ok(Err(error)) => Some(format!("{name} cannot be resolved: {error}")),
            Err(_elapsed) => Some(format!("{name} cannot be resolved within {} s", PATIENCE.as_secs())),
        }
    });
    let failed: Vec<String> = join_all(resolving).await.into_iter().flatten().collect();
    if failed.is_empty() && !names.is_empty() {
        findings.ok(DNS, format!("names of upstreams that are resolved: {}", names.len().min(MOST)));
    }
    for what in failed {
        findings.problem(DNS, what, "check the network, the name servers of this machine, and `base-url`");
    }
    let mut used: BTreeMap<String, (String, u16)> = BTreeMap::new();
    let snapshot = engine.snapshot();
    let configured = snapshot.routes.credentials().iter().map(|credential| &credential.proxy);
    for proxy in configured.chain([&snapshot.settings.proxy]).chain(&proxies) {
        if let Proxy::Url(url) = proxy
            && let Some((host, port)) = url.place()
        {
            used.insert(url.redacted(), (host.to_owned(), port));
        }
    }
    let knocking = used.iter().take(MOST).map(|(shown, (host, port))| async move {
        let knock = tokio::net::TcpStream::connect((host.trim_matches(['[', ']']), *port));
        let failed = match tokio::time::timeout(PATIENCE, knock).await {
            Ok(Ok(_open)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        (shown, failed)
    });
    for (shown, failed) in join_all(knocking).await {
        match failed {
            None => findings.ok(PROXY, format!("{shown} takes connections")),
            Some(why) => findings.problem(
                PROXY,
                format!("{shown} cannot be reached: {why}"),
                "start that proxy, or correct `proxy-url` and the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY",
            ),
        }
    }
}

/// The proxies that the environment names.
fn environment() -> Vec<Proxy> {
    let environment = env::with_dotenv(Path::new("."));
    let named =
        [env::HTTPS_PROXY, env::HTTP_PROXY, env::ALL_PROXY].iter().filter_map(|name| environment.get(name));
    let parsed = named.filter_map(|address| {
        let address = if address.contains("://") { address } else { format!("http://{address}") };
        ProxyUrl::parse(&address).ok().map(Proxy::Url)
    });
    parsed.collect()
}

/// The names that this machine resolves itself: those behind a proxy are the proxy's business.
fn names(engine: &Engine, has_environment: bool) -> BTreeSet<(String, u16)> {
    let snapshot = engine.snapshot();
    let mut names = BTreeSet::new();
    for credential in snapshot.routes.credentials() {
        let resolves_here = match &credential.proxy {
            Proxy::Direct => true,
            Proxy::Inherit => !has_environment,
            Proxy::Url(url) => url.wants_addresses(),
        };
        if !resolves_here || credential.kind == Kind::Demo {
            continue;
        }
        names.extend(name_of(&credential.base_url));
        if credential.account.is_some() {
            let usual = provider::identity(&credential.provider).unwrap_or_default();
            let identity = snapshot.settings.oauth.identity(&credential.provider, usual);
            names.extend(name_of(&identity.token_url));
        }
    }
    names
}

fn name_of(address: &str) -> Option<(String, u16)> {
    let url = Url::parse(address).ok()?;
    match url.host()? {
        url::Host::Domain(name) => Some((name.to_owned(), url.port_or_known_default()?)),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

/// Asks the upstreams for their head: whether they answer, and what time it is there.
pub(super) async fn online(engine: &Engine, findings: &mut Findings) {
    let snapshot = engine.snapshot();
    let mut places: BTreeMap<(String, String), (Url, Proxy)> = BTreeMap::new();
    for credential in snapshot.routes.credentials() {
        if let Ok(url) = Url::parse(&credential.base_url)
            && credential.kind != Kind::Demo
        {
            let key = (url.origin().ascii_serialization(), credential.proxy.key());
            places.entry(key).or_insert_with(|| (url, credential.proxy.clone()));
        }
    }
    let clients = Clients::default();
    let asking = places.into_iter().take(MOST).map(|((origin, _), (_, proxy))| {
        let clients = &clients;
        async move {
            let answer = head(clients, &origin, proxy).await;
            (origin, answer)
        }
    });
    let mut clocks = Vec::new();
    for (origin, answer) in join_all(asking).await {
        match answer {
            Ok(date) => {
                findings.ok(UPSTREAM, format!("{origin} answers"));
                clocks.extend(date.map(|date| (origin, date)));
            }
            Err(why) => findings.problem(
                UPSTREAM,
                format!("{origin} does not answer: {why}"),
                "check the network, a firewall in between, and `proxy-url`",
            ),
        }
    }
    let now = clock::now();
    let wrong = clocks.iter().find(|(_, date)| date.abs_diff(now) > TOLERANCE);
    match (wrong, clocks.first()) {
        (Some((origin, date)), _) => findings.problem(
            CLOCK,
            format!("this machine's clock and that of {origin} differ by {}", show::span(date.abs_diff(now))),
            REMEDY,
        ),
        (None, Some((origin, _))) => findings.ok(CLOCK, format!("as that of {origin}")),
        (None, None) => {}
    }
}

/// The time at an origin, where its answer tells it. No credential goes out.
async fn head(clients: &Clients, origin: &str, proxy: Proxy) -> Result<Option<u64>, String> {
    let uri: Uri = format!("{origin}/").parse().map_err(|_no_address| "it is no address".to_owned())?;
    let agent = HeaderValue::from_static(concat!("cli-proxy-api/", env!("CARGO_PKG_VERSION")));
    let headers = HeaderMap::from_iter([(USER_AGENT, agent)]);
    let outgoing = Outgoing::Http { method: Method::HEAD, uri, headers, body: Pieces::default() };
    let egress = Egress { credential: CredentialId::new("doctor"), proxy };
    let limits = Limits { first_byte: Some(PATIENCE), ..Limits::default() };
    match clients.send(&egress, outgoing, &limits, None).await {
        Ok(reply) => Ok(reply.headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(seconds)),
        Err(failure) => Err(failure.detail().to_owned()),
    }
}

/// A time as HTTP writes it.
fn seconds(date: &str) -> Option<u64> {
    let stamp = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    u64::try_from(stamp.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_answers_are_read() {
        assert_eq!(seconds("Sun, 29 Nov 2026 00:40:10 GMT"), Some(1_795_912_810));
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn only_names_are_resolved() {
        assert_eq!(name_of("https://a.b/v1"), Some(("a.b".to_owned(), 443)));
        assert_eq!(name_of("http://127.0.0.1:1"), None);
    }
}
