//! Amp's programs: calls served here, under another name, or by the control plane; everything else passed on with the
//! right key; and what their answers need.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use cliproxy_testkit::{Abroad, Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, Answer, FORMATS, TEXT};

const KEYS: &str = "api-keys: [client-key-0001, client-key-0002]\n";
const CLIENT: &str = "Bearer client-key-0001";

/// The path of a provider's alias.
fn alias(path: &str) -> String {
    format!("/api/provider/any{path}")
}

/// A control plane that says which request it got.
async fn control() -> Upstream {
    Upstream::start(|received| Script::json(200, json!({"path": received.path}).to_string())).await
}

fn section(control: &Upstream, members: &str) -> String {
    format!("ampcode:\n  upstream-url: {}\n{members}", control.url())
}

async fn asked(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let address = format!("{}{path}", gateway.url());
    let request = support::client().request(method.parse().unwrap(), address);
    support::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn last(upstream: &Upstream) -> Received {
    upstream.received().pop().expect("a request arrived")
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_are_here_are_served_in_every_format_without_a_control_plane() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    for format in FORMATS {
        for is_stream in [false, true] {
            let (path, body) = support::request(format, "up", is_stream);
            let answer = support::ask(&gateway, &alias(&path), &body).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of(format, is_stream, &answer.body), TEXT, "{format}");
            assert_eq!(answer.header("x-gateway-dropped"), "", "{format}");
        }
    }
    for (path, member, content) in [
        ("/chat/completions", "messages", json!([{"role": "user", "content": "hi"}])),
        ("/responses", "input", json!("hi")),
        ("/completions", "prompt", json!("hi")),
        ("/v1/completions", "prompt", json!("hi")),
    ] {
        let answer = support::ask(&gateway, &alias(path), &json!({"model": "up", member: content})).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let (_, body) = support::request("gemini", "up", false);
    let vertex = "/api/provider/google/v1beta1/publishers/google/models/up:generateContent";
    let answer = support::ask(&gateway, vertex, &body).await;
    assert_eq!(support::text_of("gemini", false, &answer.body), TEXT);
    let counted = json!({"model": "up", "messages": [{"role": "user", "content": "hi"}]});
    assert!(
        support::ask(&gateway, &alias("/v1/messages/count_tokens"), &counted).await.json()["input_tokens"]
            .is_u64()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_in_the_path_decides_the_shape_of_lists_and_the_route_that_of_errors() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let gateway = support::start(&format!("{KEYS}{}", support::config("claude", &upstream)), &[]);
    for (path, member) in [
        ("/api/provider/anthropic/models", "first_id"),
        ("/api/provider/anthropic/v1/models", "first_id"),
        ("/api/provider/google/v1/models", "models"),
        ("/api/provider/openai/v1/models", "object"),
        ("/api/provider/google/v1beta/models", "models"),
        ("/api/provider/google/v1beta/models/up", "name"),
    ] {
        let answer = asked(&gateway, "GET", path, &[("authorization", CLIENT)]).await;
        assert!(answer.json().get(member).is_some(), "{path}: {}", answer.body);
        assert_eq!(asked(&gateway, "GET", path, &[]).await.status, 401, "{path}");
    }
    for format in FORMATS {
        let (path, body) = support::request(format, "none", false);
        let refused = support::ask(&gateway, &alias(&path), &body).await;
        assert_eq!(refused.status, 401, "{format}");
        refused.error(format);
        let unknown = support::send(
            support::posting(&gateway, &alias(&path), &body).header("x-api-key", "client-key-0001"),
        )
        .await;
        assert_eq!(unknown.status, 404, "{format}");
        assert!(unknown.error(format).2.contains("`none`"), "{}", unknown.body);
    }
    gateway.line_after(0, "nobody serves this model and ampcode.upstream-url is not set").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kept_connection_loses_is_asked_once_more_where_that_does_no_harm() {
    for (method, status, count) in [("GET", 200, 3), ("DELETE", 200, 3), ("POST", 502, 2), ("PATCH", 502, 2)]
    {
        let asked_before = AtomicUsize::new(0);
        let control = Upstream::start(move |_| match asked_before.fetch_add(1, Ordering::SeqCst) {
            1 => Script::hang_up(),
            _ => Script::json(200, "{}"),
        })
        .await;
        let gateway = support::start(&format!("{KEYS}{}", section(&control, "")), &[]);
        let key = [("authorization", CLIENT)];
        assert_eq!(asked(&gateway, "GET", "/api/user", &key).await.status, 200);
        let answer = asked(&gateway, method, "/api/user", &key).await;
        assert_eq!((answer.status, control.received().len()), (status, count), "{method}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_the_control_plane_serve_what_it_may_use_alone() {
    let control = control().await;
    for (limits, model, code) in [
        ("models: ['gpt-*']", "claude-x", "model_not_allowed"),
        ("models: ['gpt-*']", "gpt-x", ""),
        ("credentials: [codex]", "gpt-x", "credential_not_allowed"),
        ("credentials: [codex, amp]", "gpt-x", ""),
    ] {
        let limits = format!("api-key-limits: [{{api-key: client-key-0001, {limits}}}]\n");
        let gateway = support::start(&format!("{KEYS}{limits}{}", section(&control, "")), &[]);
        let (path, body) = support::request("chat", model, false);
        let google = format!("/api/provider/google/v1beta/models/{model}:embedContent");
        for path in [alias(&path), google] {
            for (key, code) in [("client-key-0001", code), ("client-key-0002", "")] {
                let before = control.received().len();
                let asking = support::posting(&gateway, &path, &body).header("x-api-key", key);
                let answer = support::send(asking).await;
                let passed = control.received().len() - before;
                let expected = if code.is_empty() { (200, 1) } else { (403, 0) };
                assert_eq!((answer.status, passed), expected, "{limits}: {path} of {key}: {}", answer.body);
                assert!(!path.contains("/v1/") || answer.body.contains(code), "{}", answer.body);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_too_many_shows_nothing_to_pages_of_other_sites() {
    let control = control().await;
    let gateway = support::start(&format!("{KEYS}{}", section(&control, "")), &[]);
    let headers = [("authorization", CLIENT), ("origin", "https://other.example")];
    for path in ["/api/user", "//api/user", "/api//user", "/api/user/"] {
        let answer = asked(&gateway, "GET", path, &headers).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""), "{path}");
        assert_eq!(asked(&gateway, "OPTIONS", path, &headers).await.status, 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_says_nothing_more_holds_nobody_up() {
    let control = Upstream::start(|_| Script::json(200, "").stalled()).await;
    let config = format!("{KEYS}upstream-timeouts: {{idle: 1}}\n{}", section(&control, ""));
    let gateway = support::start(&config, &[]);
    let answer = asked(&gateway, "GET", "/api/user", &[("authorization", CLIENT)]).await;
    assert_eq!((answer.status, &answer.json()["error"]), (502, &json!("amp_upstream_proxy_error")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_nobody_here_has_goes_to_the_control_plane_with_its_key_and_without_the_clients() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let control = control().await;
    let members = "  upstream-api-key: amp-key-0001\n";
    let config = support::config("claude", &upstream) + section(&control, members).as_str();
    let config = format!("host: 127.0.0.1\n{KEYS}{config}");
    let gateway = support::start(&config, &[]);
    for (count, format) in FORMATS.into_iter().enumerate() {
        let (path, body) = support::request(format, "elsewhere", false);
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{}{separator}key=client-key-0001&x=%2f", alias(&path));
        let request = support::posting(&gateway, &path, &body)
            .header("x-goog-api-key", "client-key-0001")
            .header("anthropic-beta", "context-1m-2025-08-07,other")
            .header("x-amp-thread", "T-1");
        let answer = support::send(request).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        let received = last(&control);
        assert_eq!(control.received().len(), count + 1);
        assert_eq!(received.path, path.replace("key=client-key-0001&", ""));
        assert_eq!(received.json(), body, "as the client wrote it");
        assert_eq!(received.header("authorization"), "Bearer amp-key-0001");
        assert_eq!(received.header("x-api-key"), "amp-key-0001");
        assert_eq!(received.header("x-goog-api-key"), "");
        assert_eq!(received.header("anthropic-beta"), "context-1m-2025-08-07,other");
        assert_eq!(received.header("x-amp-thread"), "T-1");
        assert_eq!(received.header("x-forwarded-for"), "127.0.0.1");
        assert_eq!(format!("http://{}", received.header("host")), control.url());
        assert!(!format!("{received:?}").contains("client-key"), "{received:?}");
    }
    let warned = gateway.line_after(0, "uses credits").await;
    assert!(warned.contains("elsewhere") && warned.contains("ampcode.model-mappings"), "{warned}");
    assert!(upstream.received().is_empty());
    // What nobody here knows how to do, too.
    let path = "/api/provider/google/v1beta1/projects/p/locations";
    assert_eq!(asked(&gateway, "GET", path, &[("authorization", CLIENT)]).await.json()["path"], path);
    let path = "/api/provider/google/v1beta1/publishers/google/models/up:predict";
    assert_eq!(asked(&gateway, "POST", path, &[("authorization", CLIENT)]).await.json()["path"], path);
    let broken =
        asked(&gateway, "POST", "/api/provider/google/v1beta1/models/:x", &[("authorization", CLIENT)]).await;
    assert_eq!((broken.status, &broken.json()["error"]), (400, &json!("Invalid Gemini API path format")));
    assert!(!gateway.log().contains("amp-key-0001") && !gateway.log().contains("client-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_model_answers_under_the_name_that_was_asked_for() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let control = control().await;
    let members = "  model-mappings:\n    - {from: '^claude-opus', to: up, regex: true}\n    - {from: Exact, to: none}\n    - {from: exact, to: up}\n    - {from: far, to: nowhere}\n";
    let gateway = support::start(
        &format!("{}{}", support::config("claude", &upstream), section(&control, members)),
        &[],
    );
    for format in FORMATS {
        for is_stream in [false, true] {
            for model in ["Claude-Opus-9", "EXACT"] {
                let (path, body) = support::request(format, model, is_stream);
                let answer = support::ask(&gateway, &alias(&path), &body).await;
                assert_eq!(answer.status, 200, "{format}: {}", answer.body);
                assert_eq!(support::text_of(format, is_stream, &answer.body), TEXT, "{format}");
                assert_eq!(last(&upstream).json()["model"], "up");
                assert!(answer.body.contains(&format!("\"{model}\"")), "{format}: {}", answer.body);
                assert!(!answer.body.contains("\"up\""), "{format}: {}", answer.body);
            }
        }
    }
    // The target must be here; the ordinary routes know no mappings.
    let (path, body) = support::request("chat", "far", false);
    assert_eq!(support::ask(&gateway, &alias(&path), &body).await.json()["path"], alias(&path));
    assert_eq!(support::ask_model(&gateway, "chat", "exact", false).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suffix_of_a_mapping_wins_over_that_of_the_request_and_force_over_what_is_here() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let models = "models: [{name: gpt-5, alias: y}, {name: other, alias: here}]";
    let entry = support::entry("chat", "upstream-key-0001", &upstream.url(), models);
    let mapping = |to: &str, force: bool| {
        format!(
            "{}ampcode:\n  force-model-mappings: {force}\n  model-mappings: [{{from: x, to: '{to}'}}, {{from: here, to: y}}]\n",
            support::list("chat", std::slice::from_ref(&entry))
        )
    };
    for (to, model, effort) in
        [("y", "x(high)", json!("high")), ("y(low)", "x(high)", json!("low")), ("y", "x", Value::Null)]
    {
        let gateway = support::start(&mapping(to, false), &[]);
        let (path, body) = support::request("chat", model, false);
        let answer = support::ask(&gateway, &alias(&path), &body).await;
        assert_eq!(answer.json()["model"], model, "{}", answer.body);
        let received = last(&upstream).json();
        assert_eq!(
            (&received["model"], &received["reasoning_effort"]),
            (&json!("gpt-5"), &effort),
            "{to} {model}"
        );
    }
    for (force, served) in [(false, "other"), (true, "gpt-5")] {
        let gateway = support::start(&mapping("y", force), &[]);
        let (path, body) = support::request("chat", "here", false);
        assert_eq!(support::ask(&gateway, &alias(&path), &body).await.json()["model"], "here");
        assert_eq!(last(&upstream).json()["model"], served, "{force}");
    }
}

#[test]
fn mappings_that_lead_in_a_circle_are_a_problem() {
    let told = |mappings: &str| support::check(&format!("ampcode:\n  model-mappings: [{mappings}]\n"));
    for circle in [
        "{from: a, to: b}, {from: b, to: A}",
        "{from: a, to: b(high)}, {from: '^b', to: c, regex: true}, {from: c, to: a}",
        "{from: a, to: a}",
    ] {
        let finished = told(circle);
        assert_eq!(finished.code, Some(1), "{circle}: {}", finished.stdout);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert_eq!(said.matches("the mappings lead from this name back to it").count(), 1, "{said}");
        assert!(said.contains("ampcode.model-mappings["), "{said}");
    }
    for line in [
        "{from: a, to: b}, {from: b, to: c}",
        "{from: '^gpt', to: gpt-5, regex: true}",
        "{from: a, to: a(high)}",
        "{from: a, to: b}, {from: b, to: a}, {from: b, to: c}",
    ] {
        let finished = told(line);
        assert_eq!(finished.code, Some(0), "{line}: {}{}", finished.stdout, finished.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_is_for_clients_with_a_key_and_its_pages_for_browsers_here() {
    let control = control().await;
    let config = format!("{KEYS}{}", section(&control, "  upstream-api-key: amp-key-0001\n"));
    let gateway = support::start(&config, &[]);
    for path in
        ["/api/user", "/api/internal?x=1", "/api/threads/T-1/x", "/threads.rss", "/news.rss", "/api/ads"]
    {
        let refused = asked(&gateway, "GET", path, &[]).await;
        assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("Missing API key")), "{path}");
        let refused = asked(&gateway, "GET", path, &[("x-api-key", "wrong")]).await;
        assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("Invalid API key")), "{path}");
        let answer = asked(&gateway, "GET", path, &[("authorization", CLIENT)]).await;
        assert_eq!((answer.status, &answer.json()["path"]), (200, &json!(path)));
        assert_eq!(last(&control).header("x-api-key"), "amp-key-0001");
    }
    for path in ["/auth/cli-login?a=b", "/threads", "/threads/T-1", "/docs/x", "/settings"] {
        let answer = asked(&gateway, "GET", path, &[]).await;
        assert_eq!((answer.status, &answer.json()["path"]), (200, &json!(path)));
        assert_eq!(last(&control).header("authorization"), "Bearer amp-key-0001");
    }
    // Whoever is behind a proxy gets pages as a stranger.
    let answer = asked(&gateway, "GET", "/auth/cli-login", &[("x-forwarded-for", "203.0.113.7")]).await;
    assert_eq!((answer.status, last(&control).header("authorization")), (200, ""));
    // A page of another site makes the owner's browser act as a stranger, and reads nothing.
    let answer = asked(&gateway, "POST", "/auth/x", &[("origin", "https://evil.example")]).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));
    assert_eq!(last(&control).header("authorization"), "");
    assert_eq!(
        asked(&gateway, "OPTIONS", "/api/user", &[("origin", "https://evil.example")]).await.status,
        403
    );
    for path in ["/api/unknown", "/api", "/threadsx"] {
        assert_eq!(asked(&gateway, "GET", path, &[("authorization", CLIENT)]).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_has_the_key_that_is_meant_for_it_and_changes_apply_at_once() {
    let (first, second) = (control().await, control().await);
    let members = "  upstream-api-key: amp-key-0000\n  upstream-api-keys:\n    - {upstream-api-key: amp-key-0001, api-keys: [client-key-0001]}\n    - {upstream-api-key: amp-key-0009, api-keys: [client-key-0001]}\n";
    let gateway = support::start(KEYS, &[]);
    let user = async |key: &str| asked(&gateway, "GET", "/api/user", &[("x-api-key", key)]).await;
    let missing = user("client-key-0001").await;
    assert_eq!((missing.status, &missing.json()["error"]), (503, &json!("amp upstream proxy not available")));
    let applied = "server clients and configuration updated";
    gateway.reload(&format!("{KEYS}{}", section(&first, members)), applied).await;
    for (client, key) in [("client-key-0001", "amp-key-0001"), ("client-key-0002", "amp-key-0000")] {
        assert_eq!(user(client).await.status, 200);
        assert_eq!(last(&first).header("x-api-key"), key);
    }
    gateway.line_after(0, "listed twice").await;
    gateway.reload(&format!("{KEYS}{}", section(&second, "")), applied).await;
    assert_eq!(user("client-key-0001").await.status, 200);
    assert_eq!(last(&second).header("x-api-key"), "", "without a key it goes out as a stranger");
    gateway.reload(KEYS, applied).await;
    assert_eq!(user("client-key-0001").await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_amps_own_programs_is_found_for_the_server_that_it_belongs_to() {
    let (own, other) = (control().await, control().await);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".local/share/amp");
    std::fs::create_dir_all(&folder).unwrap();
    let secrets = json!({format!("apiKey@{}/", own.url()): "amp-key-0005"}).to_string();
    std::fs::File::create(folder.join("secrets.json")).unwrap().write_all(secrets.as_bytes()).unwrap();
    for (control, key) in [(&own, "amp-key-0005"), (&other, "")] {
        let gateway = support::launch().config(&section(control, "")).variable("HOME", home.path()).start();
        assert_eq!(asked(&gateway, "GET", "/api/user", &[]).await.status, 200);
        assert_eq!(last(control).header("x-api-key"), key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restricted_to_this_machine_headers_help_nobody_and_trusted_proxies_say_who_asks() {
    let control = control().await;
    let members = "  upstream-api-key: amp-key-0001\n  restrict-management-to-localhost: true\n";
    let config = format!("host: ''\n{KEYS}{}", section(&control, members));
    let gateway = support::start(&config, &[]);
    let port = gateway.url().rsplit(':').next().unwrap().to_owned();
    let local = format!("http://127.0.0.1:{port}");
    let forged = [("x-forwarded-for", "203.0.113.7"), ("x-real-ip", "203.0.113.7")];
    let ask = async |base: &str, path: &str, headers: &[(&str, &str)]| {
        let request = support::client().get(format!("{base}{path}")).header("authorization", CLIENT);
        support::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
            .await
    };
    assert_eq!(ask(&local, "/api/user", &[]).await.status, 200);
    assert_eq!(last(&control).header("x-forwarded-for"), "127.0.0.1");
    // Who comes through a proxy on this machine is from elsewhere.
    for header in forged {
        assert_eq!(ask(&local, "/api/user", &[header]).await.status, 403, "{header:?}");
    }
    let trusting = format!("{config}remote-management: {{trusted-proxies: ['127.0.0.1']}}\n");
    let trusting = support::start(&trusting, &[]);
    let behind = format!("http://127.0.0.1:{}", trusting.url().rsplit(':').next().unwrap());
    for (address, status) in [("203.0.113.7", 403), ("127.0.0.1", 200)] {
        let header = ("x-forwarded-for", address);
        assert_eq!(ask(&behind, "/api/user", &[header]).await.status, status, "{address}");
    }
    assert_eq!(last(&control).header("x-forwarded-for"), "127.0.0.1, 127.0.0.1");
    let Some(abroad) = Abroad::open() else { return };
    let remote = abroad.door(&gateway).await;
    for path in ["/api/user", "/threads", "//api//user"] {
        let refused = ask(&remote, path, &[("x-forwarded-for", "127.0.0.1")]).await;
        assert_eq!(refused.status, 403, "{path}");
        assert_eq!(refused.json()["error"], "Access denied: management routes restricted to localhost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_control_plane_pass_and_those_that_hide_their_compression_are_unpacked() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(br#"{"plain":"text"}"#).unwrap();
    let packed = encoder.finish().unwrap();
    let control = Upstream::start(move |received| match received.path.as_str() {
        "/api/user" => Script::json(200, packed.clone()).in_pieces(5),
        "/api/meta" => Script::json(200, packed.clone()).header("content-encoding", "gzip"),
        "/api/tab" => Script::json(302, "").header("location", "https://elsewhere.example/"),
        "/api/otel" => Script::json(200, b"\x1F\x8Bbroken".to_vec()),
        "/api/telemetry" => Script::hang_up(),
        _ => Script::json(418, r#"{"error":"own words"}"#)
            .header("access-control-allow-origin", "*")
            .header("x-amp", "yes"),
    })
    .await;
    let gateway = support::start(&section(&control, ""), &[]);
    let plain = asked(&gateway, "GET", "/api/user", &[]).await;
    assert_eq!((plain.body.as_str(), plain.header("content-length")), (r#"{"plain":"text"}"#, "16"));
    let marked = support::client().get(format!("{}/api/meta", gateway.url())).send().await.unwrap();
    assert_eq!(marked.headers()["content-encoding"], "gzip");
    assert_eq!(marked.bytes().await.unwrap()[..2], [0x1F, 0x8B]);
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let moved = client.get(format!("{}/api/tab", gateway.url())).send().await.unwrap();
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (302, &"https://elsewhere.example/".parse().unwrap())
    );
    let broken = support::client().get(format!("{}/api/otel", gateway.url())).send().await.unwrap();
    assert_eq!(broken.bytes().await.unwrap(), &b"\x1F\x8Bbroken"[..]);
    let lost = asked(&gateway, "GET", "/api/telemetry", &[]).await;
    assert_eq!((lost.status, &lost.json()["error"]), (502, &json!("amp_upstream_proxy_error")));
    let own = asked(&gateway, "DELETE", "/api/threads/x", &[]).await;
    assert_eq!(
        (own.status, own.body.as_str(), own.header("x-amp")),
        (418, r#"{"error":"own words"}"#, "yes")
    );
    assert_eq!(own.header("access-control-allow-origin"), "");
}

/// What a Claude service answers with thoughts and a call of a tool.
fn calling(received: &Received) -> Script {
    let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"cmd": "ls"}});
    if !support::asks_stream(received) {
        let mut body = support::body("claude");
        body["content"] = json!([thinking, call]);
        body["stop_reason"] = json!("tool_use");
        return Script::json(200, body.to_string());
    }
    let frame = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap());
    let mut events = support::events("claude");
    let start = events.find("event: content_block_start").unwrap();
    let end = events.find("event: message_delta").unwrap();
    let block = |index: u32, start: Value, delta: Value| {
        [
            frame(json!({"type": "content_block_start", "index": index, "content_block": start})),
            frame(json!({"type": "content_block_delta", "index": index, "delta": delta})),
            frame(json!({"type": "content_block_stop", "index": index})),
        ]
        .concat()
    };
    let blocks = [
        block(
            0,
            json!({"type": "thinking", "thinking": ""}),
            json!({"type": "thinking_delta", "thinking": "hm"}),
        ),
        block(
            1,
            json!({"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}),
            json!({"type": "input_json_delta", "partial_json": "{\"cmd\":\"ls\"}"}),
        ),
    ];
    events.replace_range(start..end, &blocks.concat());
    Script::events(vec![events.into()]).in_pieces(3)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_what_amp_reads_and_no_thoughts_beside_calls_of_a_mapped_model() {
    let upstream = Upstream::start(calling).await;
    let members = "ampcode:\n  model-mappings: [{from: mapped, to: up}]\n";
    let gateway = support::start(&format!("{}{members}", support::config("claude", &upstream)), &[]);
    let ask = async |model: &str, is_stream: bool, tools: Value| {
        let (path, mut body) = support::request("claude", model, is_stream);
        body["tools"] = tools;
        support::ask(&gateway, &alias(&path), &body).await
    };
    let tool = |name: &str| json!([{"name": name, "input_schema": {"type": "object"}}]);
    for (model, tools, name, blocks) in [
        ("up", tool("bash"), "bash", 2),
        ("up", tool("BASH"), "BASH", 2),
        ("up", json!([]), "Bash", 2),
        ("mapped", tool("Bash"), "Bash", 1),
    ] {
        let answer = ask(model, false, tools.clone()).await.json();
        let content = answer["content"].as_array().unwrap();
        assert_eq!(content.len(), blocks, "{model}: {answer}");
        let call = content.last().unwrap();
        assert_eq!((&call["name"], &call["signature"]), (&json!(name), &json!("")), "{answer}");
        assert_eq!(answer["model"], model);
        if blocks == 2 {
            assert_eq!(content[0]["signature"], "c2lnbmVk", "{answer}");
        }
        let stream = ask(model, true, tools).await.body;
        let starts: Vec<Value> = stream
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str::<Value>(data).unwrap())
            .filter(|event| event["type"] == "content_block_start")
            .collect();
        assert_eq!(starts.len(), 2, "thoughts stay in streams: {stream}");
        for start in &starts {
            assert_eq!(start["content_block"]["signature"], "", "{stream}");
        }
        assert_eq!(starts[1]["content_block"]["name"], name, "{stream}");
        assert!(stream.contains("partial_json") && support::is_complete("claude", &stream), "{stream}");
    }
    // The ordinary route stays as it is.
    let (path, body) = support::request("claude", "up", false);
    assert!(support::ask(&gateway, &path, &body).await.json()["content"][1].get("signature").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_amp_sends_and_claude_refuses_is_taken_out_of_the_request() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    let (path, mut body) = support::request("claude", "up", false);
    body["messages"] = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "a"},
            {"type": "thinking", "thinking": "b", "signature": " "},
            {"type": "thinking", "thinking": "c", "signature": "c2lnbmVk"},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}, "signature": ""},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]},
    ]);
    body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    for (sent, kept) in [("context-1m-2025-08-07", ""), ("a-1, context-1m-2025-08-07 ,b-2", "a-1,b-2")] {
        let request = support::posting(&gateway, &alias(&path), &body).header("anthropic-beta", sent);
        assert_eq!(support::send(request).await.status, 200);
        let received = last(&upstream);
        assert!(
            !received.header("anthropic-beta").contains("context-1m"),
            "{}",
            received.header("anthropic-beta")
        );
        assert!(received.header("anthropic-beta").contains(kept));
        assert_eq!(
            received.json()["messages"][1]["content"],
            json!([
                {"type": "thinking", "thinking": "c", "signature": "c2lnbmVk"},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}},
            ])
        );
        assert_eq!(received.json()["tools"], body["tools"], "a search of the service is the service's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_here_has_no_quota_for_goes_on_to_the_control_plane_only_where_that_is_wanted() {
    let upstream = Upstream::start(|_| {
        let error = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "Number of tokens exceeded"}});
        Script::json(429, error.to_string()).header("retry-after", "600")
    })
    .await;
    let control = control().await;
    let limits = "api-key-limits:\n  - {api-key: client-key-0002, limits: [{per: day, requests: 1}]}\n";
    let keys = support::config("claude", &upstream);
    let mapping = "  upstream-api-key: amp-key-0001\n  model-mappings: [{from: mapped, to: up}]\n";
    for is_wanted in [false, true] {
        let members = format!("{mapping}  upstream-when-exhausted: {is_wanted}\n");
        let config = format!("{KEYS}{limits}{keys}{}", section(&control, &members));
        let gateway = support::start(&config, &[]);
        let before = control.received().len();
        let ask = async |format: &str, model: &str, key: &str| {
            let (path, body) = support::request(format, model, true);
            let request = support::posting(&gateway, &alias(&path), &body).header("x-api-key", key);
            (support::send(request.header("anthropic-beta", "context-1m-2025-08-07")).await, body)
        };
        for (format, model) in
            [("claude", "up"), ("claude", "mapped"), ("chat", "up"), ("responses", "mapped")]
        {
            let (answer, body) = ask(format, model, "client-key-0001").await;
            if !is_wanted {
                assert_eq!(answer.status, 429, "{format} {model}: {}", answer.body);
                continue;
            }
            assert_eq!(answer.status, 200, "{format} {model}: {}", answer.body);
            let received = last(&control);
            assert_eq!(received.json(), body, "as the client wrote it");
            assert_eq!(received.header("anthropic-beta"), "context-1m-2025-08-07");
            assert_eq!(received.header("x-api-key"), "amp-key-0001");
        }
        // The ordinary routes spend no credits, and neither does a key that is over its own limit.
        let (path, body) = support::request("claude", "up", false);
        let request = support::posting(&gateway, &path, &body).header("x-api-key", "client-key-0001");
        assert_eq!(support::send(request).await.status, 429);
        let asked = control.received().len();
        assert_eq!(asked - before, if is_wanted { 4 } else { 0 });
        ask("claude", "up", "client-key-0002").await;
        let spent = control.received().len();
        let (answer, _) = ask("claude", "up", "client-key-0002").await;
        assert_eq!(answer.status, 429, "{}", answer.body);
        assert_eq!(control.received().len(), spent);
        if is_wanted {
            gateway.line_after(0, "goes to the control plane and uses credits; everybody here who serves this model has used its quota up").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mappings_and_what_is_restricted_change_while_the_gateway_runs() {
    let (upstream, control) = (Upstream::start(support::answering("claude")).await, control().await);
    let entry =
        support::entry("claude", "upstream-key-0001", &upstream.url(), "models: [{name: up}, {name: other}]");
    let base = format!("{KEYS}{}", support::list("claude", &[entry]));
    let gateway = support::start(&base, &[]);
    let applied = "server clients and configuration updated";
    let ask = async |model: &str| {
        let (path, body) = support::request("claude", model, false);
        let request = support::posting(&gateway, &alias(&path), &body).header("authorization", CLIENT);
        (
            support::send(request).await.status,
            upstream.received().pop().map(|received| received.json()["model"].clone()),
        )
    };
    assert_eq!(ask("mapped").await, (404, None));
    gateway
        .reload(
            &format!(
                "{base}ampcode:\n  model-mappings: [{{from: mapped, to: up}}, {{from: up, to: other}}]\n"
            ),
            applied,
        )
        .await;
    assert_eq!(ask("mapped").await, (200, Some(json!("up"))));
    assert_eq!(ask("up").await, (200, Some(json!("up"))), "what is here goes first");
    let members = "  force-model-mappings: true\n  model-mappings: [{from: up, to: other}]\n";
    gateway.reload(&format!("{base}{}", section(&control, members)), applied).await;
    assert_eq!(ask("up").await, (200, Some(json!("other"))));
    assert_eq!(ask("mapped").await.0, 200);
    assert_eq!(last(&control).json()["model"], "mapped", "nobody here has it any more");
    let user = async || {
        let headers = [("authorization", CLIENT), ("via", "1.1 proxy")];
        asked(&gateway, "GET", "/api/user", &headers).await.status
    };
    assert_eq!(user().await, 200);
    gateway
        .reload(
            &format!("{base}{}", section(&control, "  restrict-management-to-localhost: true\n")),
            applied,
        )
        .await;
    assert_eq!(user().await, 403);
}
