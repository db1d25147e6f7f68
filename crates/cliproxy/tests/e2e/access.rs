//! Client keys: every place in which one may stand, what a wrong one gets, and that none is passed on or written down.

use cliproxy_testkit::{Gateway, Upstream};
use reqwest::RequestBuilder;

use crate::support::{self, Answer, FORMATS, TEXT, UP, key_of};

const KEY: &str = "client-key-0123456789";
const OTHER: &str = "another-key-987654321";
const WRONG: &str = "wrong-key-5566778899";

/// Where a key stands in a request.
#[derive(Clone, Copy, Debug)]
enum Place {
    Header(&'static str, &'static str),
    Query(&'static str),
}

const PLACES: [Place; 8] = [
    Place::Header("authorization", "Bearer "),
    Place::Header("authorization", "bearer   "),
    Place::Header("Authorization", ""),
    Place::Header("x-api-key", ""),
    Place::Header("X-Api-Key", " "),
    Place::Header("x-goog-api-key", ""),
    Place::Query("key"),
    Place::Query("auth_token"),
];

impl Place {
    /// A post of `path` with `key` in this place.
    fn post(self, gateway: &Gateway, path: &str, body: &serde_json::Value, key: &str) -> RequestBuilder {
        self.with(support::posting(gateway, &self.path(path, key), body), key)
    }

    async fn get(self, gateway: &Gateway, path: &str, key: &str) -> Answer {
        let address = format!("{}{}", gateway.url(), self.path(path, key));
        support::send(self.with(support::client().get(address), key)).await
    }

    fn with(self, request: RequestBuilder, key: &str) -> RequestBuilder {
        match self {
            Self::Header(name, before) => request.header(name, format!("{before}{key}")),
            Self::Query(_) => request,
        }
    }

    fn path(self, path: &str, key: &str) -> String {
        let Self::Query(name) = self else { return path.to_owned() };
        let sign = if path.contains('?') { '&' } else { '?' };
        format!("{path}{sign}{name}={}", key.replace('-', "%2D"))
    }
}

fn config(format: &str, upstream: &Upstream) -> String {
    format!("debug: true\napi-keys: [{OTHER}, {KEY}]\n{}", support::config(format, upstream))
}

/// Nothing of a key in `text`, however it is written.
fn is_free_of_keys(text: &str, what: &str) {
    for key in [KEY, OTHER, WRONG] {
        let part = &key[..key.len() - 4];
        assert!(!text.contains(part) && !text.contains(&part.replace('-', "%2D")), "{what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_from_every_place_in_every_format_and_goes_nowhere() {
    for upstream_format in FORMATS {
        let upstream = Upstream::start(support::answering(upstream_format)).await;
        let gateway = support::start(&config(upstream_format, &upstream), &[]);
        for client in FORMATS {
            for place in PLACES {
                let is_stream = matches!(place, Place::Query(_));
                let (path, body) = support::request(client, "up", is_stream);
                let answer = support::send(place.post(&gateway, &path, &body, KEY)).await;
                let what = format!("{place:?} of {client} over {upstream_format}");
                assert_eq!(answer.status, 200, "{what}: {}", answer.body);
                assert_eq!(support::text_of(client, is_stream, &answer.body), TEXT, "{what}");
                let received = upstream.received().pop().unwrap();
                assert_eq!(key_of(&received), "upstream-key-0001", "{what}");
                is_free_of_keys(
                    &format!("{} {:?} {:?}", received.path, received.headers, received.body),
                    &what,
                );
                is_free_of_keys(&format!("{:?} {}", answer.headers, answer.body), &what);
            }
        }
        is_free_of_keys(&gateway.log(), upstream_format);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_counts_want_a_key_in_the_same_places() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&config("chat", &upstream), &[]);
    let (_, body) = support::request("claude", "up", false);
    for place in PLACES {
        for path in [
            "/v1/models",
            "/v1/models/up",
            "/v1beta/models",
            "/v1beta/models/up",
            "/v1/models?client_version=1",
        ] {
            assert_eq!(place.get(&gateway, path, OTHER).await.status, 200, "{place:?} {path}");
            assert_eq!(place.get(&gateway, path, WRONG).await.status, 401, "{place:?} {path}");
        }
        let path = "/v1/messages/count_tokens?beta=true";
        assert_eq!(support::send(place.post(&gateway, path, &body, KEY)).await.status, 200, "{place:?}");
        assert_eq!(support::send(place.post(&gateway, path, &body, WRONG)).await.status, 401, "{place:?}");
    }
    for path in ["/v1/models", "/v1beta/models", "/v1/models/up"] {
        assert_eq!(support::get(&gateway, path).await.status, 401, "{path}");
    }
    is_free_of_keys(&gateway.log(), "the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_missing_key_is_refused_in_the_clients_format_and_reaches_nobody() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&config("chat", &upstream), &[]);
    let (shorter, longer, upper) = (&KEY[..KEY.len() - 1], format!("{KEY}x"), KEY.to_uppercase());
    for client in FORMATS {
        let (path, body) = support::request(client, "up", true);
        let mut refusals = vec![("nothing", support::send(support::posting(&gateway, &path, &body)).await)];
        for place in PLACES {
            for key in [WRONG, shorter, &longer, &upper] {
                refusals.push(("wrong", support::send(place.post(&gateway, &path, &body, key)).await));
            }
        }
        let basic = support::posting(&gateway, &path, &body).basic_auth("user", Some(KEY));
        refusals.push(("wrong", support::send(basic).await));
        for (kind, answer) in refusals {
            assert_eq!(answer.status, 401, "{client}: {}", answer.body);
            let (word, code, message) = answer.error(client);
            let expected = match client {
                "claude" => "authentication_error",
                "gemini" => "UNAUTHENTICATED",
                _ => "authentication_error",
            };
            assert_eq!(word, expected, "{client}: {}", answer.body);
            if matches!(client, "chat" | "responses") {
                let codes: &[&str] = match kind {
                    "nothing" => &["missing_authorization"],
                    _ => &["invalid_api_key", "invalid_authorization_format"],
                };
                assert!(codes.iter().any(|known| code == *known), "{}", answer.body);
            }
            let told = if kind == "nothing" { "missing API key" } else { "invalid API key" };
            assert!(message.contains(told), "{client}: {message}");
            assert_eq!(answer.header("content-type"), "application/json");
            is_free_of_keys(&format!("{:?} {}", answer.headers, answer.body), client);
        }
    }
    assert_eq!(upstream.received().len(), 0);
    is_free_of_keys(&gateway.log(), "the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_right_key_is_enough_beside_wrong_ones() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&config("chat", &upstream), &[]);
    let (path, body) = support::request("chat", "up", false);
    for right in PLACES {
        for wrong in PLACES {
            let path = wrong.path(&path, WRONG);
            let request = wrong.with(right.post(&gateway, &path, &body, KEY), WRONG);
            let answer = support::send(request).await;
            assert_eq!(answer.status, 200, "{right:?} beside {wrong:?}: {}", answer.body);
        }
    }
    for received in upstream.received() {
        is_free_of_keys(&format!("{} {:?}", received.path, received.headers), "upstream");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_odd_characters_work_where_the_place_can_hold_them() {
    let key = "k+y/with=odd&chars%and~more";
    let encoded = "k%2By%2Fwith%3Dodd%26chars%25and~more";
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway =
        support::start(&format!("api-keys: ['{key}']\n{}", support::config("chat", &upstream)), &[]);
    let (path, body) = support::request("chat", "up", false);
    for place in PLACES {
        let request = match place {
            Place::Header(..) => place.post(&gateway, &path, &body, key),
            Place::Query(name) => {
                support::posting(&gateway, &format!("{path}?a=b&{name}={encoded}&c"), &body)
            }
        };
        assert_eq!(support::send(request).await.status, 200, "{place:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_copied_from_clients_carries_no_client_key() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let headers = "headers: {X-One: $Authorization, X-Two: $x-api-key, X-Three: $x-goog-api-key}";
    let entry = support::entry("chat", "upstream-key-0001", &upstream.url(), &format!("{headers}, {UP}"));
    let list = support::list("chat", &[entry]);
    let gateway = support::start(&format!("api-keys: [{KEY}]\n{list}"), &[]);
    let (path, body) = support::request("chat", "up", false);
    for (place, name) in
        [(PLACES[0], "x-one"), (PLACES[2], "x-one"), (PLACES[3], "x-two"), (PLACES[5], "x-three")]
    {
        // What the client says in the other places is its own, and passes.
        let own = if name == "x-two" { "x-goog-api-key" } else { "x-api-key" };
        let request = place.post(&gateway, &path, &body, KEY).header(own, "the clients own");
        assert_eq!(support::send(request).await.status, 200, "{place:?}");
        let received = upstream.received().pop().unwrap();
        assert_eq!(received.header(name), "", "{place:?}");
        let copied = if own == "x-api-key" { "x-two" } else { "x-three" };
        assert_eq!(received.header(copied), "the clients own", "{place:?}");
        is_free_of_keys(&format!("{:?}", received.headers), "upstream");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_client_keys_everybody_on_this_machine_is_served_and_keys_are_not_passed_on() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    let (path, body) = support::request("gemini", "up", false);
    assert_eq!(support::ask(&gateway, &path, &body).await.status, 200);
    for place in PLACES {
        assert_eq!(support::send(place.post(&gateway, &path, &body, WRONG)).await.status, 200, "{place:?}");
    }
    for received in upstream.received() {
        assert_eq!(key_of(&received), "upstream-key-0001");
        is_free_of_keys(&format!("{} {:?}", received.path, received.headers), "upstream");
    }
    is_free_of_keys(&gateway.log(), "the log");
}
