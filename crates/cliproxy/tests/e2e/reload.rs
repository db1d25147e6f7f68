//! Edits of the configuration while the gateway serves: invalid ones change nothing, valid ones apply, and no running
//! request notices either.

use std::time::Duration;

use bytes::Bytes;
use cliproxy_testkit::{Gate, Script, Upstream};
use futures_util::future::join_all;
use serde_json::json;

use crate::support::{self, TEXT};

const APPLIED: &str = "server clients and configuration updated";
const REFUSED: &str = "is not valid and was not applied";

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_edit_changes_nothing_and_a_valid_one_applies() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    for broken in ["port: [", "port: nine\nprot: 9", "api-keys: [your-api-key-1]", "proxy-url: ftp://x"] {
        gateway.reload(broken, REFUSED).await;
        let ready = support::get(&gateway, "/readyz").await;
        assert_eq!(ready.status, 503, "{broken}");
        assert!(ready.body.contains("config.yaml:1:"), "{}", ready.body);
        assert!(!ready.body.contains("your-api-key-1"), "{}", ready.body);
        assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 200, "{broken}");
    }
    gateway.reload(&config.replace("alias: up", "alias: renamed"), APPLIED).await;
    assert_eq!(support::get(&gateway, "/readyz").await.status, 200);
    assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 404);
    assert_eq!(support::ask_model(&gateway, "claude", "renamed", false).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_broken_file_lies_is_told_to_its_owner_alone() {
    const KEY: &str = "management-key-0123456789";
    // With client keys pages of every site may call.
    let config = "api-keys: [client-key-0123456789]";
    let launch = support::launch().config(config).arguments(&["--demo"]);
    let gateway = launch.variable("MANAGEMENT_PASSWORD", KEY).start();
    gateway.reload("port: nine", REFUSED).await;
    let path = gateway.config().display().to_string();
    let what = "1:7: port: expected";
    // Whoever speaks for another is not on this machine, and what a site elsewhere asks for is not for it.
    let far = ("x-forwarded-for", "127.0.0.1");
    for (headers, is_owner) in [
        (&[][..], true),
        (&[far], false),
        (&[("via", "1.1 proxy")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("host", "evil.example")], false),
        (&[("origin", "http://localhost:5173")], true),
        (&[far, ("x-management-key", KEY)], true),
        (&[far, ("x-management-key", "another-key-0123456789")], false),
        (&[far, ("authorization", "Bearer management-key-0123456789")], false),
    ] {
        let mut request = support::client().get(format!("{}/readyz", gateway.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = support::send(request).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["status"]), (503, &json!("degraded")), "{headers:?}");
        let told = json["problems"][0].as_str().unwrap();
        assert!(told.contains(REFUSED) && told.contains(what), "{headers:?}: {told}");
        assert_eq!(told.contains(&path), is_owner, "{headers:?}: {told}");
        assert_eq!(told.contains("config.yaml"), is_owner, "{headers:?}: {told}");
    }
    // Asking for readiness with a client's key is no guess at the other one.
    for _ in 0..10 {
        let asked = support::client().get(format!("{}/readyz", gateway.url()));
        support::send(asked.header(far.0, far.1).header("authorization", "Bearer client-key")).await;
    }
    let known = support::client().get(format!("{}/v0/management/debug", gateway.url()));
    let known = known.header(far.0, far.1).header("authorization", format!("Bearer {KEY}"));
    assert_eq!(support::send(known).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_place_and_one_by_renaming_both_apply() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    let lines = gateway.lines().len();
    gateway.rewrite_in_place(&config.replace("alias: up", "alias: in-place"));
    gateway.line_after(lines, APPLIED).await;
    assert_eq!(support::ask_model(&gateway, "chat", "in-place", false).await.status, 200);
    gateway.reload(&config.replace("alias: up", "alias: by-renaming"), APPLIED).await;
    assert_eq!(support::ask_model(&gateway, "chat", "by-renaming", false).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_streams_run_through_edits_without_noticing() {
    const STREAMS: usize = 200;
    const EDITS: usize = 5;
    let gate = Gate::default();
    let passing = gate.clone();
    let upstream = Upstream::start(move |_| {
        let events = support::events("claude");
        let (head, tail) = events.split_at(events.find("event: content_block_delta").unwrap());
        Script::events(vec![Bytes::from(head.to_owned())]).wait(&passing).send(tail.to_owned())
    })
    .await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    let client = support::client();
    let asking = (0..STREAMS).map(async |index| {
        let format = support::FORMATS[index % support::FORMATS.len()];
        let (path, body) = support::request(format, "up", true);
        let request = client.post(format!("{}{path}", gateway.url())).body(body.to_string());
        (format, support::send(request).await)
    });
    let editing = async {
        support::within(upstream.arrived(STREAMS)).await;
        for edit in 0..EDITS {
            // Keys, models, limits and strategy change; the credential that serves even disappears in between.
            let text = match edit % 3 {
                0 => format!(
                    "{config}routing: {{strategy: fill-first}}\nupstream-timeouts: {{idle: {}}}\n",
                    edit + 1
                ),
                1 => "debug: true\n".to_owned(),
                _ => config.replace("upstream-key-0001", &format!("upstream-key-{edit}")),
            };
            gateway.reload(&text, APPLIED).await;
        }
        gateway.reload("port: [", REFUSED).await;
        gate.open();
    };
    let (answers, ()) = futures_util::future::join(join_all(asking), editing).await;
    for (format, answer) in answers {
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        assert_eq!(support::text_of(format, true, &answer.body), TEXT, "{format}");
        assert!(support::is_complete(format, &answer.body), "{format}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_the_middle_of_edits_are_all_served() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    let client = support::client();
    let asking = (0..20).map(async |lane| {
        for turn in 0..15 {
            let (path, body) = support::request("chat", "up", (lane + turn) % 2 == 0);
            let request = client.post(format!("{}{path}", gateway.url())).body(body.to_string());
            let answer = support::send(request).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    });
    let editing = async {
        for edit in 0..3 {
            let text = format!("{config}request-retry: {edit}\n");
            gateway.reload(&text, APPLIED).await;
        }
    };
    futures_util::future::join(join_all(asking), editing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_keys_and_rests_follow_the_file() {
    let upstream = Upstream::start(|received| {
        if received.header("authorization").contains("first") {
            return Script::json(429, "{}").header("retry-after", "600");
        }
        Script::json(200, support::body("claude").to_string())
    })
    .await;
    let first = support::entry("claude", "first-key-0001", &upstream.url(), support::UP);
    let second = support::entry("claude", "second-key-0001", &upstream.url(), support::UP);
    let gateway = support::start(&support::list("claude", std::slice::from_ref(&first)), &[]);
    assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 429);
    gateway.reload(&support::list("claude", &[first.clone(), second]), APPLIED).await;
    assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200);
    assert_eq!(upstream.received().len(), 2, "the rest of the first key outlived the edit");
    let guarded = format!("api-keys: [client-key-0123456789]\n{}", support::list("claude", &[first]));
    gateway.reload(&guarded, APPLIED).await;
    assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_is_named_and_the_rest_applies() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    let lines = gateway.lines().len();
    let line = gateway
        .reload(
            &format!(
                "host: 127.0.0.1\ntls: {{enable: true, cert: /a, key: /b}}\n{}",
                config.replace("alias: up", "alias: new")
            ),
            "only read at start",
        )
        .await;
    assert!(line.contains("tls"), "{line}");
    gateway.line_after(lines, APPLIED).await;
    let ready = support::get(&gateway, "/readyz").await;
    assert!(ready.status == 503 && ready.body.contains("restart to apply"), "{}", ready.body);
    assert_eq!(support::ask_model(&gateway, "chat", "new", false).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_key_cannot_be_taken_from_a_gateway_that_others_reach() {
    let gateway = support::start("host: 0.0.0.0\napi-keys: [client-key-0123456789]\n", &["--demo"]);
    let line = gateway.reload("host: 0.0.0.0\nallow-unauthenticated-remote: false\n", REFUSED).await;
    assert!(line.contains(REFUSED), "{line}");
    let url = gateway.url().replace("0.0.0.0", "127.0.0.1");
    let body = json!({"model": "demo-echo", "messages": [{"role": "user", "content": "hi"}]});
    let request = support::client().post(format!("{url}/v1/chat/completions")).body(body.to_string());
    assert_eq!(support::send(request).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_or_missing_file_is_a_moment_of_an_edit() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    gateway.rewrite("");
    std::fs::remove_file(gateway.config()).unwrap();
    // A change that is noticed proves that those before it were looked at.
    gateway.reload(&format!("{config}debug: true\n"), APPLIED).await;
    assert!(!gateway.lines().iter().any(|line| line.contains(REFUSED)), "{:?}", gateway.lines());
    assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200);
    tokio::time::timeout(Duration::from_secs(5), upstream.arrived(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_edit_is_told_with_its_warnings_and_forgotten_with_its_file() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    let ready = async || support::get(&gateway, "/readyz").await.status;
    gateway.reload(&format!("{config}prot: 1\nrequest-retry: many\n"), REFUSED).await;
    assert!(gateway.log().contains("prot: unknown key, ignored; did you mean `port`?"), "{}", gateway.log());
    assert_eq!(ready().await, 503);
    let told = support::get(&gateway, "/readyz").await.json()["problems"][0].as_str().unwrap().to_owned();
    assert!(told.starts_with("the changed configuration is not valid"), "the dashboard knows it: {told}");
    let lines = gateway.lines().len();
    std::fs::remove_file(gateway.config()).unwrap();
    gateway.line_after(lines, "is missing or empty").await;
    support::within(async {
        while ready().await != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_stays_away_is_mentioned_and_what_it_said_stays_in_use() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let gateway = support::start(&config, &[]);
    for empties in [false, true] {
        let lines = gateway.lines().len();
        if empties {
            gateway.rewrite_in_place("");
        } else {
            std::fs::remove_file(gateway.config()).unwrap();
        }
        gateway.line_after(lines, "is missing or empty").await;
        assert_eq!(support::get(&gateway, "/readyz").await.status, 200);
        assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200);
        gateway.reload(&format!("{config}request-retry: {}\n", u8::from(empties)), APPLIED).await;
    }
}
