//! The demo provider, as a newcomer meets it.

use serde_json::json;

use crate::support::{self, FORMATS};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_answers_in_every_format_without_an_account() {
    let gateway = support::start("", &["--demo"]);
    for format in FORMATS {
        for is_stream in [false, true] {
            let (path, body) = support::request(format, "demo-echo", is_stream);
            let answer = support::ask(&gateway, &path, &body).await;
            let (status, answer) = (answer.status, answer.body);
            assert_eq!(status, 200, "{format}: {answer}");
            assert_eq!(support::text_of(format, is_stream, &answer), "You said: hi", "{format}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_models_fail_in_the_clients_format() {
    let gateway = support::start("", &["--demo"]);
    let expected =
        [("demo-401", 502), ("demo-429", 429), ("demo-500", 500), ("demo-garbage", 502), ("demo-html", 502)];
    for (model, status) in expected {
        for format in FORMATS {
            let (path, body) = support::request(format, model, false);
            let answer = support::ask(&gateway, &path, &body).await;
            let (got, answer) = (answer.status, answer.body);
            assert_eq!(got, status, "{model} {format}: {answer}");
            assert!(
                serde_json::from_str::<serde_json::Value>(&answer).unwrap()["error"].is_object(),
                "{answer}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_answer_and_unknown_ones_say_so_in_their_format() {
    let gateway = support::start("", &["--demo"]);
    let client = reqwest::Client::new();
    for path in
        ["/", "/health", "/healthz", "/readyz", "/v1/models", "/v1beta/models", "/v1/models/demo-echo"]
    {
        assert_eq!(
            client.get(format!("{}{path}", gateway.url())).send().await.unwrap().status(),
            200,
            "{path}"
        );
    }
    assert_eq!(client.get(format!("{}/v1/responses", gateway.url())).send().await.unwrap().status(), 426);
    assert_eq!(client.get(format!("{}/v1/messages", gateway.url())).send().await.unwrap().status(), 405);
    let answer = support::ask(&gateway, "/v1/messages/nothing", &json!({})).await;
    let (status, answer) = (answer.status, answer.body);
    assert_eq!(status, 404);
    assert!(answer.contains("\"not_found_error\""), "{answer}");
}
