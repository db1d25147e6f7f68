//! What holds for every route: the OpenAPI document names them all.

use serde_json::Value;

use super::{Panel, json};
use crate::support::{client, send};

/// Method and path of every route, with something in place of parameters.
async fn routes(panel: &Panel) -> Vec<(String, String)> {
    let document = panel.get("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let (mut routes, mut open) = (Vec::new(), Vec::new());
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let path = path.strip_prefix("/v0/management").unwrap();
            let route = (method.to_uppercase(), path.replace('{', "x").replace('}', ""));
            if operation["security"] == json!([]) { open.push(route) } else { routes.push(route) }
        }
    }
    let callback = |method: &str| (method.to_owned(), "/oauth-callback".to_owned());
    assert_eq!(open, [callback("GET"), callback("POST")], "the state of a login is the key to these alone");
    assert!(routes.len() > 100, "{}", routes.len());
    routes
}

fn asking(panel: &Panel, method: &str, path: &str) -> reqwest::RequestBuilder {
    let url = format!("{}/v0/management{path}", panel.gateway.url());
    client().request(method.parse().unwrap(), url)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_is_served_without_the_key_or_to_strangers() {
    let panel = Panel::start("debug: false # stays\n");
    let before = panel.file();
    for (method, path) in routes(&panel).await {
        let answer = send(asking(&panel, &method, &path)).await;
        let error = json!({"error": "missing management key"});
        assert_eq!((answer.status, answer.json()), (401, error), "{method} {path}");
        let answer = send(asking(&panel, &method, &path).header("authorization", "Bearer wrong")).await;
        let error = json!({"error": "invalid management key"});
        assert_eq!((answer.status, answer.json()), (401, error), "{method} {path}");
        let request = panel.request(&method, &path).header("x-forwarded-for", "192.0.2.1");
        let answer = send(request).await;
        let error = json!({"error": "remote management disabled"});
        assert_eq!((answer.status, answer.json()), (403, error), "{method} {path}");
    }
    assert_eq!(panel.file(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body_changes_nothing() {
    let panel = Panel::start("debug: false # stays\n");
    let before = panel.file();
    for (method, path) in routes(&panel).await {
        if !["PUT", "PATCH", "POST"].contains(&method.as_str()) {
            continue;
        }
        for body in ["{\"value\":", "\u{0}", "[[[["] {
            let answer = send(panel.request(&method, &path).body(body)).await;
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
    for (method, path) in routes(&panel).await {
        if method == "GET" {
            continue;
        }
        let request = panel.request(&method, &path).header("if-match", "\"another\"");
        let answer = send(request.body("{}")).await;
        assert_eq!(
            (answer.status, answer.json()["error"].clone()),
            (409, json!("conflict")),
            "{method} {path}: {}",
            answer.body
        );
    }
    assert_eq!(panel.file(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_body_is_refused() {
    let panel = Panel::start("debug: false # stays\n");
    let before = panel.file();
    let (body, huge) = ("x".repeat(33 << 20), "x".repeat(65 << 20));
    for (method, path) in routes(&panel).await {
        if !["PUT", "PATCH", "POST"].contains(&method.as_str()) {
            continue;
        }
        let body = if path == "/usage/import" { &huge } else { &body };
        let answer = send(panel.request(&method, &path).body(body.clone())).await;
        assert_eq!(answer.status, 413, "{method} {path}: {}", answer.body);
        assert!(answer.json()["error"].is_string(), "{method} {path}");
    }
    assert_eq!(panel.file(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_climbs_leads_nowhere() {
    let panel = Panel::start("debug: false\n");
    let paths: std::collections::BTreeSet<String> =
        routes(&panel).await.into_iter().map(|(_, path)| path).collect();
    for path in paths {
        for climb in ["/..%2f..%2fetc%2fpasswd", "/..%5c..%5cx", "/....//x"] {
            let answer = send(panel.request("GET", &format!("{path}{climb}"))).await;
            assert!((400..500).contains(&answer.status), "{path}{climb}: {}", answer.status);
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            assert!(body.get("files").is_none() && body.get("debug").is_none(), "{path}{climb}");
        }
    }
}
