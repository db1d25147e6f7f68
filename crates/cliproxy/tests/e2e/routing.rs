//! Which credential and which model a request reaches: turns, prefixes, aliases, pools, exclusions, own headers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cliproxy_testkit::{Gateway, Script, Upstream};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{self, FORMATS, TEXT, UP, key_of, keys_of};

/// A configuration of the Claude list: keys with members of their own, all at one upstream.
fn claude(upstream: &Upstream, entries: &[(&str, &str)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, members)| support::entry("claude", key, &upstream.url(), members))
        .collect();
    support::list("claude", &entries)
}

/// The models that are listed, in the order of the list.
async fn listed(gateway: &Gateway) -> Vec<String> {
    let answer = support::get(gateway, "/v1/models").await.json();
    let models = answer["data"].as_array().unwrap();
    models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// How often each key was shown.
fn counts(upstream: &Upstream) -> BTreeMap<String, usize> {
    keys_of(upstream).into_iter().fold(BTreeMap::new(), |mut counts, key| {
        *counts.entry(key).or_default() += 1;
        counts
    })
}

/// The upstream's model that a request asks for.
fn model_of(received: &cliproxy_testkit::Received) -> String {
    let in_path = received.path.split("/models/").nth(1).and_then(|rest| rest.split(':').next());
    in_path.map_or_else(|| received.json()["model"].as_str().unwrap().to_owned(), str::to_owned)
}

/// The name of the model that an answer or the events of a stream carry, each once.
fn models_said(format: &str, is_stream: bool, answer: &str) -> Vec<String> {
    let name = |value: &Value| {
        let name = match format {
            "gemini" => &value["modelVersion"],
            "claude" if value["type"] == "message_start" => &value["message"]["model"],
            "responses" if value["response"].is_object() => &value["response"]["model"],
            _ => &value["model"],
        };
        name.as_str().map(str::to_owned)
    };
    let pieces: Vec<Value> = if is_stream {
        let data = answer.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    } else {
        vec![serde_json::from_str(answer).unwrap()]
    };
    let mut names: Vec<String> = pieces.iter().filter_map(name).collect();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_before_every_message_leaves_the_turns_of_messages_alone() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let gateway = support::start(&claude(&upstream, &[("key-a-0001", UP), ("key-b-0001", UP)]), &[]);
    let body = json!({"model": "up", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for number in 0..4 {
        let counted = json!({"model": "up", "messages": [{"role": "user", "content": format!("{number}")}]});
        support::ask(&gateway, "/v1/messages/count_tokens", &counted).await;
        assert_eq!(support::ask(&gateway, "/v1/messages", &body).await.status, 200);
    }
    let (counts, messages): (Vec<_>, Vec<_>) =
        upstream.received().into_iter().partition(|received| received.path.contains("count_tokens"));
    assert_eq!(counts.len(), 4);
    let keys: Vec<String> = messages.iter().map(key_of).collect();
    let (first, second) = (keys.first().unwrap(), keys.get(1).unwrap());
    assert_ne!(first, second);
    assert_eq!(keys, [first, second, first, second].map(String::clone));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_take_turns_whoever_asks_and_however_many_at_once() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let keys = [("key-a-0001", UP), ("key-b-0001", UP), ("key-c-0001", UP)];
    let gateway = support::start(&claude(&upstream, &keys), &[]);
    for _ in 0..3 {
        for format in FORMATS {
            assert_eq!(support::ask_model(&gateway, format, "up", format == "chat").await.status, 200);
        }
    }
    let served = keys_of(&upstream);
    let (first, rest) = served.split_at(3);
    assert_eq!(counts(&upstream).len(), 3, "{served:?}");
    assert!(rest.chunks(3).all(|turn| turn == first), "{served:?}");

    let asking = (0..30).map(|_| support::ask_model(&gateway, "claude", "up", true));
    assert!(join_all(asking).await.iter().all(|answer| answer.status == 200));
    assert!(counts(&upstream).values().all(|count| *count == 14), "{:?}", counts(&upstream));
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_share_out_and_priorities_come_before_them() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let weighted = |weight: u32| format!("weight: {weight}, {UP}");
    let keys = [
        ("key-three-01", weighted(3)),
        ("key-one-0001", weighted(1)),
        ("key-none-001", weighted(0)),
        ("key-later-01", format!("priority: -1, {UP}")),
    ];
    let keys = keys.each_ref().map(|(key, members)| (*key, members.as_str()));
    let config = format!("routing: {{strategy: weighted-round-robin}}\n{}", claude(&upstream, &keys));
    let gateway = support::start(&config, &[]);
    for _ in 0..20 {
        assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 200);
    }
    let expected = [("key-one-0001".to_owned(), 5), ("key-three-01".to_owned(), 15)];
    assert_eq!(counts(&upstream), BTreeMap::from(expected));

    // Under the other strategies a weight says nothing, a weight of 0 neither.
    let gateway = support::start(&claude(&upstream, &keys), &[]);
    for _ in 0..3 {
        assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 200);
    }
    let expected =
        [("key-none-001".to_owned(), 1), ("key-one-0001".to_owned(), 6), ("key-three-01".to_owned(), 16)];
    assert_eq!(counts(&upstream), BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_a_share_is_not_waited_for() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let keys = claude(&upstream, &[("key-none-001", &format!("weight: 0, {UP}"))]);
    // The pauses of so many rounds are longer than the client waits.
    let config = format!("request-retry: 10\nrouting: {{strategy: weighted-round-robin}}\n{keys}");
    let gateway = support::start(&config, &[]);
    let answer = support::ask_model(&gateway, "claude", "up", false).await;
    assert_eq!(answer.status, 529, "{}", answer.body);
    assert!(answer.body.contains("its weight is 0"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_filled_until_it_is_used_up() {
    for strategy in ["fill-first", "FF", "fillfirst"] {
        let used_up = Arc::new(Mutex::new(String::new()));
        let (known, answering) = (Arc::clone(&used_up), support::answering("claude"));
        let upstream = Upstream::start(move |received| {
            if *known.lock().unwrap() == key_of(received) {
                return Script::json(429, "{}").header("retry-after", "600");
            }
            answering(received)
        })
        .await;
        let keys = [("key-a-0001", UP), ("key-b-0001", UP), ("key-c-0001", UP)];
        let config = format!("routing: {{strategy: {strategy}}}\n{}", claude(&upstream, &keys));
        let gateway = support::start(&config, &[]);
        let ask = async |times: usize| {
            for _ in 0..times {
                assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 200);
            }
        };
        ask(4).await;
        let served = keys_of(&upstream);
        let first = served[0].clone();
        assert!(served.iter().all(|key| *key == first), "{served:?}");

        first.clone_into(&mut used_up.lock().unwrap());
        ask(4).await;
        let served = keys_of(&upstream);
        assert_eq!(served[4], first, "it is found out by asking");
        assert!(served[5..].iter().all(|key| *key == served[5] && *key != first), "{served:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_chooses_the_key_and_never_reaches_the_upstream() {
    for upstream_format in FORMATS {
        let upstream = Upstream::start(support::answering(upstream_format)).await;
        let entry = |key: &str, prefix: &str| {
            support::entry(upstream_format, key, &upstream.url(), &format!("prefix: {prefix}, {UP}"))
        };
        let list = support::list(
            upstream_format,
            &[entry("key-home-0001", "home"), entry("key-wing-0001", "' /wing/ '")],
        );
        let gateway = support::start(&list, &[]);
        assert_eq!(listed(&gateway).await, ["home/up", "up", "wing/up"], "{upstream_format}");
        for client in FORMATS {
            for is_stream in [false, true] {
                for (model, key) in [("wing/up", "key-wing-0001"), ("home/up", "key-home-0001")] {
                    let answer = support::ask_model(&gateway, client, model, is_stream).await;
                    let what = format!("{client} over {upstream_format}: {}", answer.body);
                    assert_eq!(answer.status, 200, "{what}");
                    let received = upstream.received().pop().unwrap();
                    assert_eq!(
                        (key_of(&received).as_str(), model_of(&received)),
                        (key, "up".to_owned()),
                        "{what}"
                    );
                    assert_eq!(models_said(client, is_stream, &answer.body), [model], "{what}");
                }
            }
        }
        // The bare name is everybody's.
        let before = upstream.received().len();
        for _ in 0..2 {
            assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200);
        }
        assert_ne!(keys_of(&upstream)[before], keys_of(&upstream)[before + 1]);

        let gateway = support::start(&format!("force-model-prefix: true\n{list}"), &[]);
        assert_eq!(listed(&gateway).await, ["home/up", "wing/up"], "{upstream_format}");
        for client in FORMATS {
            assert_eq!(support::ask_model(&gateway, client, "wing/up", false).await.status, 200);
            let refused = support::ask_model(&gateway, client, "up", false).await;
            assert_eq!(refused.status, 404, "{}", refused.body);
            assert!(refused.error(client).2.contains("/up"), "the nearest names are told: {}", refused.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_prefix_that_is_the_models_own_name_leaves_the_bare_name() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = claude(&upstream, &[("key-0001", &format!("prefix: up, {UP}")), ("key-0002", UP)]);
    let gateway = support::start(&format!("force-model-prefix: true\n{config}"), &[]);
    assert_eq!(listed(&gateway).await, ["up", "up/up"]);
    for model in ["up", "up", "up/up"] {
        assert_eq!(support::ask_model(&gateway, "claude", model, false).await.status, 200);
    }
    assert_eq!(counts(&upstream).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_what_clients_say_and_hear_and_the_name_what_the_upstream_does() {
    let models =
        "models: [{name: vendor/model-x, alias: mine}, {name: vendor/model-x, alias: too}, {name: bare}]";
    for upstream_format in FORMATS {
        let upstream = Upstream::start(support::answering(upstream_format)).await;
        let entry = support::entry(upstream_format, "key-0001", &upstream.url(), models);
        let gateway = support::start(&support::list(upstream_format, &[entry]), &[]);
        assert_eq!(listed(&gateway).await, ["bare", "mine", "too"], "{upstream_format}");
        for client in FORMATS {
            for is_stream in [false, true] {
                for (asked, name) in [
                    ("mine", "vendor/model-x"),
                    ("too", "vendor/model-x"),
                    ("bare", "bare"),
                    ("MINE", "vendor/model-x"),
                ] {
                    let answer = support::ask_model(&gateway, client, asked, is_stream).await;
                    let what = format!("{client} over {upstream_format}, {asked}: {}", answer.body);
                    assert_eq!(answer.status, 200, "{what}");
                    assert_eq!(support::text_of(client, is_stream, &answer.body), TEXT, "{what}");
                    assert_eq!(model_of(&upstream.received().pop().unwrap()), name, "{what}");
                    if asked != "bare" {
                        assert_eq!(models_said(client, is_stream, &answer.body), [asked], "{what}");
                    }
                }
            }
        }
        let unknown = support::ask_model(&gateway, "chat", "vendor/model-x", false).await;
        assert_eq!(unknown.status, 404, "only aliases are offered: {}", unknown.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_models_behind_one_alias_are_a_pool_that_takes_turns_and_fails_over() {
    for failing in [None, Some("two")] {
        let answering = support::answering("chat");
        let upstream = Upstream::start(move |received| {
            if failing.is_some_and(|model| received.json()["model"] == model) {
                return Script::json(429, "{}").header("retry-after", "600");
            }
            answering(received)
        })
        .await;
        let models =
            "models: [{name: one, alias: pool}, {name: two, alias: pool}, {name: three, alias: pool}]";
        let entry = support::entry("chat", "key-0001", &upstream.url(), models);
        let gateway = support::start(&support::list("chat", &[entry]), &[]);
        assert_eq!(listed(&gateway).await, ["pool"]);
        for client in FORMATS.iter().cycle().take(12) {
            let answer = support::ask_model(&gateway, client, "pool", true).await;
            assert_eq!(answer.status, 200, "{client}: {}", answer.body);
            assert_eq!(models_said(client, true, &answer.body), ["pool"], "{client}");
        }
        let asked: Vec<String> = upstream.received().iter().map(model_of).collect();
        let times = |name: &str| asked.iter().filter(|model| *model == name).count();
        if failing.is_none() {
            assert_eq!(["one", "two", "three"].map(times), [4, 4, 4], "{asked:?}");
        } else {
            // It rests after one refusal, and the two others serve all requests.
            assert_eq!(times("two"), 1, "{asked:?}");
            assert_eq!(times("one") + times("three"), 12, "{asked:?}");
            assert!(times("one") >= 4 && times("three") >= 4, "{asked:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_models_are_neither_listed_nor_served_by_that_key() {
    let models =
        "models: [{name: big-1}, {name: big-2-Preview}, {name: small-1}, {name: x-image-y, alias: paint}]";
    for (patterns, left) in [
        ("[BIG-1]", vec!["big-2-Preview", "paint", "small-1"]),
        ("['big-*']", vec!["paint", "small-1"]),
        ("['*-preview']", vec!["big-1", "paint", "small-1"]),
        ("['*image*']", vec!["big-1", "big-2-Preview", "small-1"]),
        ("['b*-1', 's*']", vec!["big-2-Preview", "paint"]),
        ("['*']", vec![]),
        ("[big]", vec!["big-1", "big-2-Preview", "paint", "small-1"]),
    ] {
        let upstream = Upstream::start(support::answering("claude")).await;
        let config = claude(&upstream, &[("key-0001", &format!("excluded-models: {patterns}, {models}"))]);
        let gateway = support::start(&config, &[]);
        assert_eq!(listed(&gateway).await, left, "{patterns}");
        for model in ["big-1", "big-2-Preview", "small-1", "paint"] {
            let answer = support::ask_model(&gateway, "gemini", model, false).await;
            assert_eq!(answer.status, if left.contains(&model) { 200 } else { 404 }, "{patterns} {model}");
        }
    }
    // The other key still serves what one does not.
    let upstream = Upstream::start(support::answering("claude")).await;
    let keys = [("key-less-0001", format!("excluded-models: [up], {UP}")), ("key-more-0001", UP.to_owned())];
    let keys = keys.each_ref().map(|(key, members)| (*key, members.as_str()));
    let gateway = support::start(&claude(&upstream, &keys), &[]);
    for _ in 0..3 {
        assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 200);
    }
    assert_eq!(keys_of(&upstream), ["key-more-0001"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_an_entry_go_upstream_and_win_and_may_come_from_the_client() {
    let headers = "headers: {X-Fixed: ' fixed value ', user-agent: own/1, X-Copied: $X-Client, X-Same: $x-same, \
                   X-Empty: ''}";
    for upstream_format in FORMATS {
        let upstream = Upstream::start(support::answering(upstream_format)).await;
        let entry = support::entry(upstream_format, "key-0001", &upstream.url(), &format!("{headers}, {UP}"));
        let gateway = support::start(&support::list(upstream_format, &[entry]), &[]);
        for client in FORMATS {
            for (sent, copied) in [(Some("from the client"), "from the client"), (None, "")] {
                let (path, body) = support::request(client, "up", client == "chat");
                let mut request = support::posting(&gateway, &path, &body).header("x-unasked", "stays here");
                if let Some(sent) = sent {
                    request = request.header("x-client", sent).header("x-same", sent);
                }
                assert_eq!(support::send(request).await.status, 200);
                let received = upstream.received().pop().unwrap();
                let what = format!("{client} over {upstream_format}");
                assert_eq!(received.header("x-fixed"), "fixed value", "{what}");
                assert_eq!(received.header("user-agent"), "own/1", "{what}");
                assert_eq!(
                    (received.header("x-copied"), received.header("x-same")),
                    (copied, copied),
                    "{what}"
                );
                for absent in ["x-empty", "x-client", "x-unasked"] {
                    assert!(received.headers.get(absent).is_none(), "{what}: {absent}");
                }
                assert_eq!(key_of(&received), "key-0001", "{what}");
            }
        }
    }
}
