//! What holds for every route: the OpenAPI document names them all.

use cliproxy_testkit::Abroad;
use serde_json::Value;

use super::{KEY, Panel, json};
use crate::support::{client, launch, send};

/// A route of the document.
struct Route {
    method: String,
    /// With its parameters in braces.
    template: String,
    has_body: bool,
    is_edit: bool,
}

impl Route {
    /// Its path with `value` for every parameter.
    fn path(&self, value: &str) -> String {
        let parts = self.template.split('/').map(|part| if part.starts_with('{') { value } else { part });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// Every route that asks for the key.
async fn routes(panel: &Panel) -> Vec<Route> {
    let document = panel.get("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let (mut routes, mut open) = (Vec::new(), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().unwrap();
            let route = Route {
                method: method.to_uppercase(),
                template: path.strip_prefix("/v0/management").unwrap().to_owned(),
                has_body: operation.get("requestBody").is_some(),
                is_edit: parameters.contains(&json!({"$ref": "#/components/parameters/Expected"})),
            };
            if operation["security"] == json!([]) {
                open.push(format!("{} {}", route.method, route.template));
            } else {
                routes.push(route);
            }
        }
    }
    let alone = "the state of a login is the key to these alone";
    assert_eq!(open, ["GET /oauth-callback", "POST /oauth-callback"], "{alone}");
    assert!(routes.len() > 100, "{}", routes.len());
    routes
}

fn asking(url: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
    client().request(method.parse().unwrap(), format!("{url}/v0/management{path}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_is_served_without_the_key_or_to_strangers() {
    let panel = Panel::start("debug: false # stays\n");
    let (before, url) = (panel.file(), panel.gateway.url());
    for route in routes(&panel).await {
        let (method, path) = (&*route.method, route.path("x"));
        let answer = send(asking(url, method, &path)).await;
        let error = json!({"error": "missing management key"});
        assert_eq!((answer.status, answer.json()), (401, error), "{method} {path}");
        let answer = send(asking(url, method, &path).header("authorization", "Bearer wrong")).await;
        let error = json!({"error": "invalid management key"});
        assert_eq!((answer.status, answer.json()), (401, error), "{method} {path}");
        let request = panel.request(method, &path).header("x-forwarded-for", "192.0.2.1");
        let answer = send(request).await;
        let error = json!({"error": "remote management disabled"});
        assert_eq!((answer.status, answer.json()), (403, error), "{method} {path}");
    }
    assert_eq!(panel.file(), before);
}

/// By the socket and not by a header: the right key does not help, nor does any word of who asks.
#[tokio::test(flavor = "multi_thread")]
async fn no_route_is_served_to_another_machine_even_with_the_key() {
    let Some(abroad) = Abroad::open() else { return };
    let config = "host: 0.0.0.0\napi-keys: [client-key-0001]\nremote-management: {secret-key: the-plain-key-0001}\ndebug: false # stays\n";
    let gateway = launch().config(config).arguments(&["--password", KEY]).start();
    gateway.line("was replaced by its hash").await;
    let panel = Panel { gateway };
    let (before, door) = (panel.file(), abroad.door(&panel.gateway).await);
    let client = client();
    let ask = |method: &str, path: &str, key: &str| {
        client.request(method.parse().unwrap(), format!("{door}/v0/management{path}")).bearer_auth(key)
    };
    let error = json!({"error": "remote management disabled"});
    for route in routes(&panel).await {
        let (method, path) = (&*route.method, route.path("x"));
        for key in ["the-plain-key-0001", KEY, "wrong", ""] {
            let answer = send(ask(method, &path, key)).await;
            assert_eq!((answer.status, answer.json()), (403, error.clone()), "{method} {path}");
        }
        let request = ask(method, &path, "the-plain-key-0001");
        let request = request.header("x-forwarded-for", "127.0.0.1").header("x-real-ip", "::1");
        let answer = send(request.header("host", "localhost")).await;
        assert_eq!((answer.status, answer.json()), (403, error.clone()), "{method} {path}");
    }
    assert_eq!(panel.file(), before);
    let here = send(asking(panel.gateway.url(), "GET", "/debug").bearer_auth("the-plain-key-0001")).await;
    assert_eq!(here.status, 200, "whoever asks from here is let in, whatever was tried from there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body_changes_nothing() {
    let panel = Panel::start("debug: false # stays\n");
    let before = panel.file();
    for route in routes(&panel).await {
        let (method, path) = (&*route.method, route.path("x"));
        if !["PUT", "PATCH", "POST"].contains(&method) {
            continue;
        }
        for body in ["{\"value\":", "\u{0}", "[[[["] {
            let answer = send(panel.request(method, &path).body(body)).await;
            assert!(
                (400..500).contains(&answer.status),
                "{method} {path} {body:?}: {} {}",
                answer.status,
                answer.body
            );
            assert!(answer.json()["error"].is_string(), "{method} {path}: {}", answer.body);
        }
    }
    assert_eq!(panel.file(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_another_version_is_a_conflict_and_changes_nothing() {
    let panel = Panel::start("debug: false # stays\n");
    let before = panel.file();
    let routes = routes(&panel).await;
    assert!(routes.iter().filter(|route| route.is_edit).count() > 60);
    for route in routes.into_iter().filter(|route| route.is_edit) {
        let (method, path) = (&*route.method, route.path("x"));
        let request = panel.request(method, &path).header("if-match", "\"another\"");
        let answer = send(request.body("{}")).await;
        assert_eq!(
            (answer.status, answer.json()["error"].clone()),
            (409, json!("conflict")),
            "{method} {path}: {}",
            answer.body
        );
    }
    assert_eq!(panel.file(), before);
    // What writes nothing is based on no version.
    let request = panel.request("POST", "/config/check").header("if-match", "\"another\"");
    assert_eq!(send(request.body("debug: true\n")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_body_is_refused() {
    let panel = Panel::start("debug: false # stays\n");
    let before = panel.file();
    let body = "x".repeat(17 << 20);
    for route in routes(&panel).await {
        let (method, path) = (&*route.method, route.path("x"));
        if !route.has_body && !["PUT", "PATCH", "POST"].contains(&method) {
            continue;
        }
        if path == "/usage/import" {
            continue;
        }
        let answer = send(panel.request(method, &path).body(body.clone())).await;
        assert_eq!(answer.status, 413, "{method} {path}: {}", answer.body);
        assert!(answer.json()["error"].is_string(), "{method} {path}");
    }
    assert_eq!(panel.file(), before);
}

/// What goes to disk may be larger than a test should send: it is refused by what is announced.
#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_import_is_refused_before_it_comes() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let panel = Panel::start("debug: false\n");
    let mut socket = tokio::net::TcpStream::connect(panel.gateway.address()).await.unwrap();
    let head = format!(
        "POST /v0/management/usage/import HTTP/1.1\r\nhost: localhost\r\nauthorization: {KEY}\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        (2_u64 << 30) + 1
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    crate::support::within(socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let remedy = "the request body is larger than 2048 MiB; `cli-proxy-api usage --import FILE` takes more";
    assert!(answer.contains(remedy), "{answer}");
}

/// Nothing of a file comes, and none is written or removed.
fn leads_nowhere(answer: &crate::support::Answer, place: &str) {
    assert!((400..500).contains(&answer.status), "{place}: {}", answer.status);
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    assert!(body.get("files").is_none() && body.get("debug").is_none(), "{place}");
    assert!(!answer.body.contains("root:") && !answer.body.contains("# stays"), "{place}: {}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_climbs_leads_nowhere() {
    let panel = Panel::start("debug: false # stays\n");
    let before = panel.file();
    let routes = routes(&panel).await;
    let paths: std::collections::BTreeSet<String> = routes.iter().map(|route| route.path("x")).collect();
    for path in paths {
        for climb in ["/..%2f..%2fetc%2fpasswd", "/..%5c..%5cx", "/....//x"] {
            let place = format!("{path}{climb}");
            leads_nowhere(&send(panel.request("GET", &place)).await, &place);
        }
    }
    let inside: Vec<&Route> = routes.iter().filter(|route| route.template.contains('{')).collect();
    assert!(inside.len() >= 8, "{}", inside.len());
    for route in inside {
        for climb in [
            "..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
            "..%2fconfig.yaml",
            "%2e%2e%2f%2e%2e%2fconfig.yaml",
            "..%5cconfig.yaml",
            "%2fetc%2fpasswd",
            "error-..%2f..%2fconfig.yaml",
            "1%00",
        ] {
            let path = route.path(climb);
            let request = panel.request(&route.method, &path);
            let answer = if route.has_body { send(request.body("{}")).await } else { send(request).await };
            leads_nowhere(&answer, &format!("{} {path}", route.method));
        }
    }
    assert_eq!(panel.file(), before);
}
