//! Who is let in.

use serde_json::json;

use super::{KEY, Panel, support};
use crate::support::{client, get, launch, send};

/// Asks with a key in a header.
async fn ask(url: &str, headers: &[(&str, &str)]) -> support::Answer {
    let mut request = client().get(format!("{url}/v0/management/debug"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

#[tokio::test]
async fn without_a_configured_key_there_is_no_interface() {
    let gateway = support::start("api-keys: [client-key-0001]\n", &[]);
    for path in ["/v0/management/config", "/v0/management/debug", "/v0/management/openapi.json"] {
        let answer = get(&gateway, path).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{path}");
        assert_eq!(answer.header("x-cpa-version"), "", "{path}");
    }
}

#[tokio::test]
async fn a_key_that_is_added_opens_the_interface_and_is_hashed_in_the_file() {
    let gateway = support::start("debug: false\n", &[]);
    let config = "# mine\nremote-management:\n  secret-key: \"the-plain-key\" # change me\ndebug: false\n";
    gateway.reload(config, "was replaced by its hash").await;
    let text = std::fs::read_to_string(gateway.config()).unwrap();
    assert!(!text.contains("the-plain-key"), "{text}");
    assert!(text.starts_with("# mine\nremote-management:\n  secret-key: \"$2b$10$"), "{text}");
    assert!(text.ends_with("\" # change me\ndebug: false\n"), "{text}");
    assert!(!gateway.log().contains("the-plain-key"));
    for headers in [
        [("authorization", "Bearer the-plain-key")],
        [("authorization", "the-plain-key")],
        [("x-management-key", "the-plain-key")],
    ] {
        let answer = ask(gateway.url(), &headers).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"debug": false})));
    }
    let answer = ask(gateway.url(), &[("authorization", "Bearer other")]).await;
    assert_eq!((answer.status, answer.json()), (401, json!({"error": "invalid management key"})));
    let answer = ask(gateway.url(), &[]).await;
    assert_eq!((answer.status, answer.json()), (401, json!({"error": "missing management key"})));
    for name in ["x-cpa-version", "x-cpa-commit", "x-cpa-build-date", "x-cpa-support-plugin"] {
        assert_ne!(answer.header(name), "", "{name}");
    }
}

#[tokio::test]
async fn whoever_speaks_for_others_is_not_local() {
    let panel = Panel::start("debug: false\n");
    let url = panel.gateway.url();
    for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        let answer = ask(url, &[("authorization", KEY), (name, "127.0.0.1")]).await;
        assert_eq!(
            (answer.status, answer.json()),
            (403, json!({"error": "remote management disabled"})),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_who_asks_and_others_only_take_rights_away() {
    let config = "remote-management:\n  trusted-proxies: [127.0.0.1]\n";
    let panel = Panel::start(config);
    let told = |value: &'static str| {
        let url = panel.gateway.url().to_owned();
        async move { ask(&url, &[("authorization", KEY), ("x-forwarded-for", value)]).await.status }
    };
    assert_eq!(told("127.0.0.1").await, 200);
    assert_eq!(told("192.0.2.7").await, 403);
    // What a client writes in front of the proxy's word is not believed.
    assert_eq!(told("127.0.0.1, 192.0.2.7").await, 403);
    assert_eq!(told("nonsense").await, 403);
}

#[tokio::test]
async fn behind_a_trusted_proxy_guessers_are_kept_out_one_by_one() {
    let config = "remote-management:\n  trusted-proxies: [127.0.0.0/8]\n";
    let gateway = launch().config(config).variable("MANAGEMENT_PASSWORD", "env-key-0001").start();
    let key = ("authorization", "Bearer env-key-0001");
    for _ in 0..5 {
        let guess = [("x-forwarded-for", "192.0.2.7"), ("authorization", "Bearer guess")];
        assert_eq!(ask(gateway.url(), &guess).await.status, 401);
    }
    assert_eq!(ask(gateway.url(), &[("x-forwarded-for", "192.0.2.7"), key]).await.status, 403);
    assert_eq!(ask(gateway.url(), &[("x-forwarded-for", "192.0.2.8"), key]).await.status, 200);
}

#[tokio::test]
async fn another_machine_needs_leave_and_forged_headers_do_not_help() {
    let Some(address) = own_address() else {
        return cliproxy_testkit::skip("this machine has no address but loopback");
    };
    let config = "api-keys: [client-key-0001]\n";
    let arguments = ["--password", KEY, "--host", "0.0.0.0"];
    let gateway = launch().config(config).arguments(&arguments).start();
    let port = gateway.address().rsplit(':').next().unwrap();
    let url = format!("http://{address}:{port}");
    let forged = [("authorization", KEY), ("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1")];
    let answer = ask(&url, &forged).await;
    assert_eq!((answer.status, answer.json()), (403, json!({"error": "remote management disabled"})));
    let here = ask(&format!("http://127.0.0.1:{port}"), &[("authorization", KEY)]).await;
    assert_eq!(here.status, 200);
}

/// An address of this machine that is not loopback.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses the way.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    Some(address)
}

#[tokio::test]
async fn a_password_of_the_environment_opens_for_other_machines_and_guessers_are_banned() {
    let gateway = launch().config("debug: false\n").variable("MANAGEMENT_PASSWORD", "env-key-0001").start();
    let remote = ("x-forwarded-for", "192.0.2.7");
    let answer = ask(gateway.url(), &[remote, ("authorization", "Bearer env-key-0001")]).await;
    assert_eq!(answer.status, 200);
    for _ in 0..5 {
        let answer = ask(gateway.url(), &[remote, ("authorization", "Bearer guess")]).await;
        assert_eq!(answer.status, 401);
    }
    let answer = ask(gateway.url(), &[remote, ("authorization", "Bearer env-key-0001")]).await;
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert_eq!(answer.status, 403);
    assert!(error.starts_with("IP banned due to too many failed attempts. Try again in 29m"), "{error}");
    let local = ask(gateway.url(), &[("authorization", "Bearer env-key-0001")]).await;
    assert_eq!(local.status, 200, "this machine is never banned");
}

#[tokio::test]
async fn pages_of_other_origins_may_read_the_version() {
    let panel = Panel::start("api-keys: [client-key-0001]\n");
    let answer = send(panel.request("GET", "/config").header("origin", "http://localhost:5173")).await;
    assert_eq!(answer.status, 200);
    let exposed = answer.header("access-control-expose-headers");
    for name in [
        "X-CPA-VERSION",
        "X-CPA-BUILD-DATE",
        "X-CPA-SUPPORT-PLUGIN",
        "ETag",
        "X-Gateway-Dropped",
        "X-Gateway-Model",
        "X-Upstream-Request-Id",
        "X-Should-Retry",
        "Retry-After-Ms",
    ] {
        assert!(exposed.contains(name), "{exposed}");
    }
}
