//! Model lists: four shapes by header and query, what is listed, and single models.

use cliproxy_testkit::{Gateway, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, Answer};

const MODELS: &str = "models: [{name: gemini-2.5-pro, alias: pro}, {name: unknown-model, alias: ally}]";

async fn listed(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = support::client().get(format!("{}{path}", gateway.url()));
    support::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn names(list: &Value, member: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|model| model[member].as_str().unwrap().to_owned()).collect()
}

async fn gateway() -> Gateway {
    let upstream = Upstream::start(|_| Script::json(200, "{}")).await;
    support::start(
        &support::list("gemini", &[support::entry("gemini", "key-1-0001", &upstream.url(), MODELS)]),
        &[],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_clients_read_a_list() {
    let gateway = gateway().await;
    let answer = listed(&gateway, "/v1/models", &[("authorization", "Bearer x")]).await.json();
    assert_eq!(answer["object"], "list");
    assert_eq!(names(&answer["data"], "id"), ["ally", "pro"], "sorted, under their aliases");
    for model in answer["data"].as_array().unwrap() {
        let members: Vec<_> = model.as_object().unwrap().keys().collect();
        assert_eq!(members, ["id", "object", "created", "owned_by"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropic_clients_read_pages() {
    let gateway = gateway().await;
    for headers in
        [&[("anthropic-version", "2026-10-21")][..], &[("user-agent", "claude-cli/2.1.330 (external, cli)")]]
    {
        let answer = listed(&gateway, "/v1/models?limit=1000", headers).await.json();
        assert_eq!(names(&answer["data"], "id"), ["ally", "pro"], "{headers:?}");
        assert_eq!(
            (&answer["first_id"], &answer["last_id"], &answer["has_more"]),
            (&json!("ally"), &json!("pro"), &json!(false))
        );
        for model in answer["data"].as_array().unwrap() {
            assert_eq!(model["type"], "model");
            assert!(model["display_name"].is_string() && model["created_at"].is_string(), "{model}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn google_clients_read_resources() {
    let gateway = gateway().await;
    for (path, headers) in [
        ("/v1/models", &[("x-goog-api-key", "x")][..]),
        ("/v1beta/models", &[]),
        ("/v1beta/models?pageSize=50", &[("x-goog-api-key", "x")]),
    ] {
        let answer = listed(&gateway, path, headers).await.json();
        assert_eq!(names(&answer["models"], "name"), ["models/ally", "models/pro"], "{path}");
        let pro = &answer["models"][1];
        assert_eq!(
            (&pro["inputTokenLimit"], &pro["outputTokenLimit"]),
            (&json!(1_048_576), &json!(65_536)),
            "{pro}"
        );
        assert!(
            pro["supportedGenerationMethods"].as_array().unwrap().contains(&json!("generateContent")),
            "{pro}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_reads_its_catalogue() {
    let gateway = gateway().await;
    for path in ["/v1/models?client_version=0.169.0", "/v1/models?x=1&client_version="] {
        let answer = listed(&gateway, path, &[("authorization", "Bearer x")]).await.json();
        assert_eq!(names(&answer["models"], "slug"), ["ally", "pro"], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_model_is_found_by_its_name_in_every_shape() {
    let gateway = gateway().await;
    let found = listed(&gateway, "/v1/models/pro", &[]).await.json();
    assert_eq!((&found["id"], &found["object"]), (&json!("pro"), &json!("model")));
    let found = listed(&gateway, "/v1/models/pro", &[("anthropic-version", "2023-06-01")]).await.json();
    assert_eq!((&found["id"], &found["type"]), (&json!("pro"), &json!("model")));
    for (path, headers) in [
        ("/v1beta/models/pro", &[][..]),
        ("/v1beta/models/models/pro", &[]),
        ("/v1/models/pro", &[("x-goog-api-key", "x")]),
    ] {
        assert_eq!(listed(&gateway, path, headers).await.json()["name"], "models/pro", "{path}");
    }
    for (format, path, headers) in [
        ("chat", "/v1/models/none", &[][..]),
        ("claude", "/v1/models/none", &[("anthropic-version", "2023-06-01")]),
        ("gemini", "/v1beta/models/none", &[]),
    ] {
        let missing = listed(&gateway, path, headers).await;
        assert_eq!(missing.status, 404, "{path}");
        assert!(missing.error(format).2.contains("`none`"), "{}", missing.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_lists_no_models_offers_the_catalogue_of_its_provider() {
    let config = "gemini-api-key:\n  - {api-key: key-1-0001}\nclaude-api-key:\n  - {api-key: key-2-0001}\n\
        codex-api-key:\n  - {api-key: key-3-0001}\nvertex-api-key:\n  - {api-key: key-4-0001}\n";
    let gateway = support::start(config, &[]);
    let answer = listed(&gateway, "/v1/models", &[]).await.json();
    let ids = names(&answer["data"], "id");
    for wanted in ["gemini-2.5-pro", "gemini-2.5-flash", "imagen-4.0-generate-001"] {
        assert!(ids.iter().any(|id| id == wanted), "{wanted} in {ids:?}");
    }
    for family in ["claude-", "gpt-"] {
        assert!(ids.iter().any(|id| id.starts_with(family)), "{family} in {ids:?}");
    }
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(ids, sorted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_no_account_may_use_is_not_listed_and_one_that_is_used_up_is() {
    for (status, is_listed) in
        [(401, false), (402, false), (403, false), (404, false), (429, true), (503, true)]
    {
        let upstream =
            Upstream::start(move |_| Script::json(status, "{}").header("retry-after", "600")).await;
        let config = format!("request-retry: 0\n{}", support::config("gemini", &upstream));
        let gateway = support::start(&config, &[]);
        let ids = |answer: Answer| names(&answer.json()["data"], "id");
        assert_eq!(ids(listed(&gateway, "/v1/models", &[]).await), ["up"]);
        support::ask_model(&gateway, "chat", "up", false).await;
        let expected: &[&str] = if is_listed { &["up"] } else { &[] };
        assert_eq!(ids(listed(&gateway, "/v1/models", &[]).await), expected, "{status}");
    }
}
