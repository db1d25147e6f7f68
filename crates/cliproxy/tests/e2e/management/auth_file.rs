//! Accounts and their files.

use cliproxy_testkit::{Gateway, Script, Upstream};
use serde_json::{Value, json};

use super::{KEY, Panel, send};

const ACCOUNT: &str = "{\n  \"type\": \"claude\", \"email\": \"a@b.c\", \"access_token\": \"token-0001\", \"refresh_token\": \"r\",\n  \"expired\": \"2099-01-01T00:00:00Z\", \"unknown\": 1.50\n}\n";

/// A gateway with accounts.
fn panel(files: &[(&str, &str)]) -> Panel {
    panel_with("debug: false\n", files)
}

fn panel_with(config: &str, files: &[(&str, &str)]) -> Panel {
    let directory = tempfile::tempdir().unwrap();
    let accounts = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&accounts).unwrap();
    for (name, content) in files {
        write(&accounts.join(name), content);
    }
    let binary = crate::login::binary();
    Panel { gateway: Gateway::start_in(directory, binary, config, &["--password", KEY]) }
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(path: &std::path::Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

fn file(panel: &Panel, name: &str) -> String {
    std::fs::read_to_string(panel.gateway.accounts().join(name)).unwrap_or_default()
}

/// The account of this name in the list.
async fn listed(panel: &Panel, name: &str) -> Value {
    let list = panel.get("/auth-files").await;
    let found = list["files"].as_array().unwrap().iter().find(|file| file["name"] == name).cloned();
    found.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn why_an_account_needs_attention_is_told_by_words_that_interfaces_translate() {
    let refusal = json!({"error": "invalid_grant", "error_description": "gone"}).to_string();
    let provider = Upstream::start(move |_| Script::json(400, refusal.clone())).await;
    let config = format!("oauth-endpoints: {{claude: {{token-url: '{}/token'}}}}\n", provider.url());
    let panel = panel_with(&config, &[("a.json", &ACCOUNT.replace("2099", "2020"))]);
    panel.gateway.line("the account needs attention").await;
    let shown = listed(&panel, "a.json").await;
    let (cause, remedy) =
        ("Anthropic answered 400 `invalid_grant`: gone", "log in again: cli-proxy-api --claude-login");
    assert_eq!(shown["status_code"], "needs-attention");
    assert_eq!(shown["status_message"], format!("{cause}; {remedy}"));
    let reasons = json!([
        {"code": "answered", "message": cause,
            "values": {"who": "Anthropic", "status": "400", "said": " `invalid_grant`: gone"}},
        {"code": "log_in", "message": remedy, "values": {"command": "cli-proxy-api --claude-login"}},
    ]);
    assert_eq!(shown["status_reasons"], reasons);
    let everybody = panel.get("/credentials").await;
    assert_eq!(everybody["credentials"][0]["status_reasons"], reasons, "{everybody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_listed_with_what_panels_need_and_without_tokens() {
    let codex = r#"{"type":"codex","email":"x@y.z","access_token":"t","id_token":"e30.eyJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdGdwdF9hY2NvdW50X2lkIjoiYWNjLTEiLCJjaGF0Z3B0X3BsYW5fdHlwZSI6InBsdXMifX0.s","expired":"2099-01-01T00:00:00Z"}"#;
    let panel = panel(&[("claude-a.json", ACCOUNT), ("Codex-b.json", codex)]);
    let list = panel.get("/auth-files").await;
    let names: Vec<&str> =
        list["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["claude-a.json", "Codex-b.json"]);
    assert!(!list.to_string().contains("token-0001"));
    let claude = listed(&panel, "claude-a.json").await;
    for (member, value) in [
        ("id", json!("claude-a.json")),
        ("provider", json!("claude")),
        ("type", json!("claude")),
        ("label", json!("a@b.c")),
        ("email", json!("a@b.c")),
        ("status", json!("active")),
        ("status_message", json!("")),
        ("disabled", json!(false)),
        ("unavailable", json!(false)),
        ("runtime_only", json!(false)),
        ("source", json!("file")),
        ("account_type", json!("oauth")),
        ("success", json!(0)),
        ("failed", json!(0)),
        ("in_flight", json!(0)),
        ("size", json!(ACCOUNT.len())),
    ] {
        assert_eq!(claude[member], value, "{member}");
    }
    let recent = claude["recent_requests"].as_array().unwrap();
    assert_eq!((recent.len(), &recent[19]["success"]), (20, &json!(0)));
    assert_eq!(recent[19]["time"].as_str().unwrap().len(), "10:00-10:10".len());
    let index = claude["auth_index"].as_str().unwrap();
    assert!(index.len() == 16 && index.chars().all(|digit| digit.is_ascii_hexdigit()), "{index}");
    assert!(claude["modtime"].as_str().unwrap().ends_with('Z'));
    assert!(claude["path"].as_str().unwrap().ends_with("/claude-a.json"));
    let plan = json!({"chatgpt_account_id": "acc-1", "plan_type": "plus"});
    assert_eq!(listed(&panel, "Codex-b.json").await["id_token"], plan);
    let one = panel.get(&format!("/auth-files?auth_index={index}")).await;
    assert_eq!(one["files"].as_array().map(Vec::len), Some(1));
    let models = panel.get("/auth-files/models?name=claude-a.json").await;
    assert!(
        models["models"].as_array().unwrap().iter().any(|model| model["owned_by"] == "anthropic"),
        "{models}"
    );
    assert_eq!(panel.get("/auth-files/models?name=nobody.json").await, json!({"models": []}));
    panel.refused("GET", "/auth-files/models", Value::Null, (400, "name is required")).await;
    let forgiven = panel.send("POST", "/reset-quota", json!({"auth_index": index})).await;
    assert_eq!((forgiven.status, forgiven.json()["status"].clone()), (200, json!("ok")));
    panel.refused("POST", "/reset-quota", json!({"auth_index": "0"}), (404, "auth not found")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_uploaded_switched_changed_downloaded_and_removed() {
    let panel = panel(&[]);
    let upload = |name: &str, body: &str| {
        let body = body.to_owned();
        send(panel.request("POST", &format!("/auth-files?name={name}")).body(body))
    };
    assert_eq!(upload("claude-a.json", ACCOUNT).await.json(), json!({"status": "ok"}));
    assert_eq!(listed(&panel, "claude-a.json").await["status"], "active");

    let answer =
        panel.send("PATCH", "/auth-files/status", json!({"name": "claude-a.json", "disabled": true})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok", "disabled": true})));
    assert_eq!(listed(&panel, "claude-a.json").await["status"], "disabled");
    assert!(file(&panel, "claude-a.json").contains("\"unknown\": 1.50"), "{}", file(&panel, "claude-a.json"));
    let fields = json!({"name": "claude-a.json", "priority": 5, "weight": 3, "note": "mine", "headers": {"X-A": "1"}, "disabled": false});
    panel.done("PATCH", "/auth-files/fields", fields).await;
    let shown = listed(&panel, "claude-a.json").await;
    assert_eq!(
        (&shown["priority"], &shown["weight"], &shown["note"], &shown["status"]),
        (&json!(5), &json!(3), &json!("mine"), &json!("active"))
    );
    panel.done("PATCH", "/auth-files/fields", json!({"name": "claude-a.json", "note": null})).await;
    assert!(listed(&panel, "claude-a.json").await.get("note").is_none());

    let downloaded = send(panel.request("GET", "/auth-files/download?name=claude-a.json")).await;
    assert_eq!(downloaded.body, file(&panel, "claude-a.json"));
    assert_eq!(downloaded.header("content-disposition"), "attachment; filename=\"claude-a.json\"");
    panel.done("DELETE", "/auth-files?name=claude-a.json", Value::Null).await;
    assert_eq!(file(&panel, "claude-a.json"), "");
    assert_eq!(panel.get("/auth-files").await, json!({"files": []}));

    for (method, path, body, expected) in [
        ("DELETE", "/auth-files?name=claude-a.json", Value::Null, (404, "file not found")),
        ("DELETE", "/auth-files?name=..%2Fconfig.yaml", Value::Null, (400, "invalid name")),
        ("DELETE", "/auth-files", Value::Null, (400, "invalid name")),
        ("GET", "/auth-files/download?name=..%2Fx.json", Value::Null, (400, "invalid name")),
        ("GET", "/auth-files/download?name=%2Fetc%2Fpasswd", Value::Null, (400, "invalid name")),
        ("GET", "/auth-files/download?name=x.yaml", Value::Null, (400, "name must end with .json")),
        ("GET", "/auth-files/download?name=x.json", Value::Null, (404, "file not found")),
        ("PATCH", "/auth-files/status", json!({"disabled": true}), (400, "name is required")),
        ("PATCH", "/auth-files/status", json!({"name": "x"}), (400, "disabled is required")),
        ("PATCH", "/auth-files/status", json!({"name": "x", "disabled": 1}), (400, "invalid request body")),
        ("PATCH", "/auth-files/status", json!({"name": "x", "disabled": true}), (404, "auth file not found")),
        ("PATCH", "/auth-files/fields", json!({"name": "x", "a": 1}), (404, "auth file not found")),
    ] {
        panel.refused(method, path, body, expected).await;
    }
    for (name, body) in [("x.json", "{\"type\":"), ("x.json", "[1]"), ("x.json", "{}")] {
        let answer = upload(name, body).await;
        assert_eq!(answer.status, 500, "{body}");
        assert!(answer.json()["error"].as_str().unwrap().starts_with("invalid auth file"), "{}", answer.body);
    }
    let climbing = upload("..%2Fx.json", ACCOUNT).await;
    assert_eq!((climbing.status, climbing.json()), (400, json!({"error": "invalid name"})));
    assert!(!panel.gateway.config().with_file_name("x.json").exists());
}

/// A form as browsers send it.
fn form(files: &[(&str, &str)]) -> String {
    let part = |(name, content): &(&str, &str)| {
        format!(
            "--BOUND\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/json\r\n\r\n{content}\r\n"
        )
    };
    files.iter().map(part).collect::<String>() + "--BOUND--\r\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_carry_one_file_or_several() {
    let panel = panel(&[]);
    let upload = |files: &[(&str, &str)]| {
        let request = panel.request("POST", "/auth-files");
        send(request.header("content-type", "multipart/form-data; boundary=BOUND").body(form(files)))
    };
    assert_eq!(upload(&[("claude-a.json", ACCOUNT)]).await.json(), json!({"status": "ok"}));
    assert_eq!(file(&panel, "claude-a.json"), ACCOUNT);
    let answer = upload(&[("a.txt", ACCOUNT)]).await;
    assert_eq!((answer.status, answer.json()), (400, json!({"error": "file must be .json"})));
    let answer = upload(&[("b.json", ACCOUNT), ("c.json", ACCOUNT)]).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "ok", "uploaded": 2, "files": ["b.json", "c.json"]}))
    );
    let answer = upload(&[("d.json", ACCOUNT), ("../e.json", ACCOUNT)]).await;
    assert_eq!(answer.status, 207);
    assert_eq!(
        (&answer.json()["status"], &answer.json()["failed"][0]["name"]),
        (&json!("partial"), &json!("../e.json"))
    );
    assert_eq!(upload(&[]).await.status, 400);
    let answer = panel.send("DELETE", "/auth-files", json!({"names": ["b.json", "c.json"]})).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "ok", "deleted": 2, "files": ["b.json", "c.json"]}))
    );
    let answer = panel.send("DELETE", "/auth-files?all=true", Value::Null).await;
    assert_eq!(answer.json(), json!({"status": "ok", "deleted": 2}));
}
