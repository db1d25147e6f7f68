//! Accounts of the Gemini CLI: Code Assist behind every client format.

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use super::{OVER, VALID, asked, bearer, code_assist, refusal, start, used_up};
use crate::support;

const MODEL: &str = "gemini-2.5-pro";

/// An auth file as other programs write it.
fn account(name: &str, project: &str, expiry: &str) -> Value {
    json!({
        "type": "gemini", "email": format!("{name}@b.c"), "project_id": project, "auto": false, "checked": true,
        "token": {
            "access_token": format!("access-{name}"), "token_type": "Bearer", "refresh_token": format!("refresh-{name}"),
            "expiry": expiry, "client_id": "client", "client_secret": "shared", "x_unknown": 1.5,
        },
    })
}

fn file(gateway: &Gateway, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(gateway.accounts().join(format!("{name}.json"))).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_format_is_served_whole_and_as_a_stream() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start("gemini-cli", &upstream, &[("a", account("a", "project-1", VALID))], "");
    for format in support::FORMATS {
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, format, MODEL, is_stream).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of(format, is_stream, &answer.body), support::TEXT, "{format}");
            assert!(!is_stream || support::is_complete(format, &answer.body), "{format}: {}", answer.body);
            assert!(!answer.body.contains("traceId"), "{format}: {}", answer.body);
        }
    }
    for received in upstream.received() {
        let method =
            if support::asks_stream(&received) { "streamGenerateContent?alt=sse" } else { "generateContent" };
        assert_eq!(received.path, format!("/v1internal:{method}"));
        assert_eq!(bearer(&received), "access-a");
        assert!(received.header("user-agent").starts_with("cli-proxy-api/"));
        assert!(!received.headers.contains_key("x-goog-api-key"));
        let body = received.json();
        assert_eq!((&body["model"], &body["project"]), (&json!(MODEL), &json!("project-1")), "{body}");
        assert_eq!(body["request"]["contents"][0]["parts"][0]["text"], "hi", "{body}");
        assert!(body.get("contents").is_none(), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conversation_is_counted_there_and_the_rest_estimated() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start("gemini-cli", &upstream, &[("a", account("a", "project-1", VALID))], "");
    let body =
        json!({"model": MODEL, "system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]});
    let answer = support::ask(&gateway, "/v1/messages/count_tokens", &body).await;
    assert_eq!((answer.status, answer.header("x-gateway-estimated")), (200, "true"), "{}", answer.body);
    assert!(answer.json()["input_tokens"].as_u64().unwrap() > 7, "{}", answer.body);
    let received = upstream.received().remove(0);
    assert_eq!(received.path, "/v1internal:countTokens");
    let sent = received.json();
    assert_eq!(sent.as_object().unwrap().keys().collect::<Vec<_>>(), ["request"]);
    assert_eq!(sent["request"]["model"], format!("models/{MODEL}"));
    assert!(sent["request"].get("systemInstruction").is_none(), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_when_a_request_needs_it_and_not_before() {
    let upstream = Upstream::start(|received| {
        if received.path == "/token" {
            let form = String::from_utf8(received.body.to_vec()).unwrap();
            let wanted =
                "grant_type=refresh_token&refresh_token=refresh-a&client_id=client&client_secret=shared";
            assert_eq!(form, wanted);
            return Script::json(200, json!({"access_token": "access-new", "expires_in": 3599}).to_string());
        }
        if bearer(received) != "access-new" {
            return refusal(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
                &json!([]),
            );
        }
        code_assist(received)
    })
    .await;
    // One token has ended, the other one is refused.
    for expiry in [OVER, VALID] {
        let before = upstream.received().len();
        let gateway =
            start("gemini-cli", &upstream, &[("a", account("a", "project-1,project-2", expiry))], "");
        assert_eq!(upstream.received().len(), before, "nobody needs a token yet");
        let asked = (0..6).map(|_| support::ask_model(&gateway, "chat", MODEL, true));
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        let all = upstream.received();
        assert_eq!(all[before..].iter().filter(|received| received.path == "/token").count(), 1);
        let file = file(&gateway, "a");
        let token = &file["token"];
        assert_eq!(
            (&token["access_token"], &token["refresh_token"]),
            (&json!("access-new"), &json!("refresh-a"))
        );
        assert_eq!((&token["x_unknown"], file.get("access_token")), (&json!(1.5), None), "{file}");
        assert!(token["expiry"].as_str().unwrap() > "2026", "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_login_and_an_account_that_is_shut_out_need_a_person() {
    const LINK: &str = "https://accounts.google.com/signin/continue?plt=AKgnsbu1x9Qz7mN4pL2vT8yR3wE6kJ5h";
    let upstream = Upstream::start(|received| match bearer(received) {
        _ if received.path == "/token" => {
            let error = json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."});
            Script::json(400, error.to_string())
        }
        "access-b" => {
            let message = "This service has been disabled in this account for violation of Terms of Service.";
            refusal(403, "PERMISSION_DENIED", message, &json!([]))
        }
        "access-c" => {
            let details = json!([{"reason": "VALIDATION_REQUIRED"}, {"links": [{"description": "Verify", "url": LINK}]}]);
            refusal(403, "PERMISSION_DENIED", "Verify your account to continue.", &details)
        }
        _ => code_assist(received),
    })
    .await;
    let mut files = vec![("d", account("d", "project", VALID))];
    for (name, expiry) in [("a", OVER), ("b", VALID), ("c", VALID)] {
        let mut file = account(name, "project", expiry);
        file["priority"] = json!(1);
        files.push((name, file));
    }
    let gateway = start("gemini-cli", &upstream, &files, "");
    for format in support::FORMATS {
        let answer = support::ask_model(&gateway, format, MODEL, false).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        assert!(!answer.body.contains("plt="));
    }
    assert!(gateway.said("invalid_grant", 1).contains("log in again: cli-proxy-api --login"));
    gateway.said("has shut this account out", 1);
    assert!(gateway.said("after verifying the account", 1).contains(LINK));
    let asked = asked(&upstream);
    for name in ["access-b", "access-c"] {
        assert_eq!(asked.iter().filter(|received| bearer(received) == name).count(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_rests_one_model_of_one_project_and_another_account_serves() {
    let upstream = Upstream::start(|received| {
        let is_refused = bearer(received) == "access-a" && received.json()["model"] == MODEL;
        if is_refused { used_up() } else { code_assist(received) }
    })
    .await;
    let mut first = account("a", "project-1", VALID);
    first["priority"] = json!(1);
    let files = [("a", first), ("b", account("b", "project-2", VALID))];
    let gateway = start("gemini-cli", &upstream, &files, "");
    for model in [MODEL, MODEL, "gemini-2.5-flash"] {
        let answer = support::ask_model(&gateway, "claude", model, false).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let asked: Vec<String> = asked(&upstream).iter().map(|received| bearer(received).to_owned()).collect();
    assert_eq!(asked, ["access-a", "access-b", "access-b", "access-a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_project_of_a_file_has_its_turn() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start("gemini-cli", &upstream, &[("a", account("a", "one,two", VALID))], "");
    for _ in 0..4 {
        assert_eq!(support::ask_model(&gateway, "chat", MODEL, false).await.status, 200);
    }
    let projects: Vec<Value> =
        asked(&upstream).iter().map(|received| received.json()["project"].clone()).collect();
    assert_eq!(projects, ["one", "two", "one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_is_a_failure_and_another_account_serves() {
    for empty in ["{\"response\":{}}", "{}", ""] {
        let upstream = Upstream::start(move |received| {
            if bearer(received) == "access-b" {
                return code_assist(received);
            }
            if support::asks_stream(received) { Script::events(Vec::new()) } else { Script::json(200, empty) }
        })
        .await;
        for (at, format) in support::FORMATS.into_iter().enumerate() {
            let mut first = account("a", "project-1", VALID);
            first["priority"] = json!(1);
            let files = [("a", first), ("b", account("b", "project-2", VALID))];
            let gateway = start("gemini-cli", &upstream, &files, "");
            let answer = support::ask_model(&gateway, format, MODEL, at % 2 == 0).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of(format, at % 2 == 0, &answer.body), support::TEXT, "{format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_the_configuration_say_which_models_there_are() {
    let upstream = Upstream::start(code_assist).await;
    let config = "oauth-excluded-models:\n  gemini-cli: ['gemini-3*']\noauth-model-alias:\n  gemini-cli: [{name: gemini-2.5-pro, alias: best}]\n";
    let gateway = start("gemini-cli", &upstream, &[("a", account("a", "project-1", VALID))], config);
    let listed = support::get(&gateway, "/v1/models").await.json();
    let has = |id: &str| listed["data"].as_array().unwrap().iter().any(|model| model["id"] == id);
    assert!(has("gemini-2.5-flash") && has("best"), "{listed}");
    assert!(!has("gemini-3-pro-preview") && !has(MODEL), "{listed}");
    assert_eq!(support::ask_model(&gateway, "gemini", "best", true).await.status, 200);
    assert_eq!(upstream.received().remove(0).json()["model"], MODEL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gemini_client_keeps_its_bytes_inside_the_envelope() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start("gemini-cli", &upstream, &[("a", account("a", "project-1", VALID))], "");
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"\u00e9"}]}], "generationConfig":{"temperature":1.0e0,"future":[]}}"#;
    let answers = support::body("gemini").to_string();
    let events = support::events("gemini");
    let frames: Vec<&str> = events.split_terminator("\n\n").map(|frame| &frame["data: ".len()..]).collect();
    for (method, expected) in [
        ("generateContent", answers),
        ("streamGenerateContent?alt=sse", events.clone()),
        ("streamGenerateContent", format!("[{}]", frames.join(",\n"))),
    ] {
        let path = format!("/v1beta/models/{MODEL}:{method}");
        let answer = support::send(support::posting(&gateway, &path, &Value::Null).body(body)).await;
        assert_eq!((answer.status, answer.body), (200, expected), "{method}");
        let received = upstream.received().pop().unwrap();
        let sent = std::str::from_utf8(&received.body).unwrap();
        assert_eq!(sent, format!(r#"{{"project":"project-1","model":"{MODEL}","request":{body}}}"#));
        let is_stream = method.starts_with("stream");
        assert_eq!(received.path.ends_with(":streamGenerateContent?alt=sse"), is_stream, "{}", received.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_by_address_are_read_here_for_code_assist_and_others_refused_with_their_place() {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n rest";
    let gallery = Upstream::start(|received: &Received| match received.path.as_str() {
        "/a.png" => Script::json(200, PNG),
        "/a.pdf" => Script::json(200, &b"%PDF-1.4 \xff"[..]),
        "/to/inside" => Script::json(302, "").header("location", "http://127.0.0.1:9/x.png"),
        _ => Script::json(404, ""),
    })
    .await;
    let upstream = Upstream::start(code_assist).await;
    let host = gallery.url().replace("http://", "");
    let config = format!("image-urls: {{private-hosts: ['{host}']}}\n");
    let gateway = start("gemini-cli", &upstream, &[("a", account("a", "project-1", VALID))], &config);
    let ask = async |is_enveloped: bool, method: &str, parts: Value| {
        let contents = json!([{"role": "user", "parts": parts}]);
        let (path, body) = if is_enveloped {
            let body = json!({"model": MODEL, "project": "theirs", "request": {"contents": contents}});
            (format!("/v1internal:{method}"), body)
        } else {
            (format!("/v1beta/models/{MODEL}:{method}"), json!({"contents": contents}))
        };
        support::ask(&gateway, &path, &body).await
    };
    let text = json!({"text": "hi"});
    let at = |path: &str| format!("{}{path}", gallery.url());
    for is_enveloped in [false, true] {
        for member in ["fileUri", "file_uri"] {
            let image = json!({"fileData": {"mimeType": "image/png", member: at("/a.png")}});
            let paper = json!({"fileData": {"mimeType": "application/pdf", member: at("/a.pdf")}});
            let answer = ask(is_enveloped, "generateContent", json!([text, image, paper])).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let sent = upstream.received().pop().unwrap().json();
            let parts = &sent["request"]["contents"][0]["parts"];
            let inline = |mime: &str, data: &str| json!({"inlineData": {"mimeType": mime, "data": data}});
            let expected = [
                text.clone(),
                inline("image/png", "iVBORw0KGgogcmVzdA=="),
                inline("application/pdf", "JVBERi0xLjQg/w=="),
            ];
            assert_eq!(parts.as_array().unwrap()[..], expected, "{sent}");
            assert_eq!(sent["project"], "project-1");
        }
        // An address that no body of this format names as a file is none.
        let answer = ask(is_enveloped, "generateContent", json!([{"text": at("/a.png")}])).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let asked = upstream.received().len();
        for (mime, uri, told) in [
            ("image/png", at("/to/inside"), "is not on the open web"),
            ("image/png", "http://169.254.169.254/x.png".to_owned(), "is not on the open web"),
            ("image/png", at("/gone.png"), "answers with status 404"),
            ("image/png", at("/a.pdf"), "is no jpeg, png, gif or webp image"),
            ("video/mp4", at("/film.mp4"), "does not fetch addresses; send the content"),
            ("audio/mpeg", at("/song.mp3"), "does not fetch addresses; send the content"),
            (
                "application/pdf",
                "https://generativelanguage.googleapis.com/v1beta/files/abc".to_owned(),
                "has no Files API",
            ),
        ] {
            let part = json!({"fileData": {"mimeType": mime, "fileUri": uri}});
            let answer = ask(is_enveloped, "generateContent", json!([text, part])).await;
            assert_eq!(answer.status, 400, "{uri}: {}", answer.body);
            let message = answer.error("gemini").2;
            assert!(message.contains(told), "{uri}: {message}");
        }
        assert_eq!(upstream.received().len(), asked, "nobody was asked");
        // Who counts reads nothing; what it cannot say is estimated.
        let image = json!({"fileData": {"mimeType": "image/png", "fileUri": at("/a.png")}});
        let read = gallery.received().len();
        let answer = ask(is_enveloped, "countTokens", json!([text, image])).await;
        assert_eq!((answer.status, answer.header("x-gateway-estimated")), (200, "true"), "{}", answer.body);
        assert_eq!(gallery.received().len(), read);
    }
}
