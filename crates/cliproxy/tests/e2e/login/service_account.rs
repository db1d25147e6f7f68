//! Importing service accounts.

use serde_json::{Value, json};

use super::{arranged, only_file, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_becomes_an_auth_file() {
    let (provider, home) = arranged().await;
    let key = provider.service_account("my-project");
    home.write("key.json", &key);
    let (code, text) =
        run(&home, &["-vertex-import", "key.json", "-vertex-import-prefix", "/team/"]).end().await;
    let path = home.auth_dir().join("vertex-my-project.json");
    assert!(
        code == 0 && text.contains(&format!("Vertex credentials imported: {}\n", path.display())),
        "{text}"
    );
    let (_, saved) = only_file(&home);
    let email = "robot@my-project.iam.gserviceaccount.com";
    assert_eq!(
        json!([saved["type"], saved["project_id"], saved["email"], saved["location"], saved["prefix"]]),
        json!(["vertex", "my-project", email, "us-central1", "team"])
    );
    assert_eq!(saved["service_account"], serde_json::from_str::<Value>(&key).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_again_keeps_what_was_edited_and_repairs_a_damaged_key() {
    let (provider, home) = arranged().await;
    let key = provider.service_account("my-project");
    let email = "robot@my-project.iam.gserviceaccount.com";
    let edited = json!({"type": "vertex", "project_id": "my-project", "email": email, "location": "global", "note": "mine"});
    home.write("auth/vertex-old.json", &edited.to_string());
    let mut damaged: Value = serde_json::from_str(&key).unwrap();
    let whole = damaged["private_key"].as_str().unwrap().to_owned();
    damaged["private_key"] = json!(whole.replace('\n', "\\r\\n"));
    home.write("key.json", &damaged.to_string());
    run(&home, &["--vertex-import=key.json"]).end().await;
    let (name, saved) = only_file(&home);
    assert_eq!(json!([name, saved["location"], saved["note"]]), json!(["vertex-old.json", "global", "mine"]));
    assert_eq!(saved["service_account"]["private_key"], whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_of_the_project_has_a_file_of_its_own() {
    let (provider, home) = arranged().await;
    home.write("key.json", &provider.service_account("my-project"));
    run(&home, &["--vertex-import", "key.json"]).end().await;
    home.write("key.json", &provider.service_account("my-project").replace("robot@", "other@"));
    run(&home, &["--vertex-import", "key.json"]).end().await;
    assert_eq!(home.auth_files(), ["vertex-my-project-2.json", "vertex-my-project.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_files_are_refused_without_showing_them() {
    let (_provider, home) = arranged().await;
    for (text, words) in [
        ("secret nonsense", "the file is not a JSON object"),
        (
            r#"{"project_id":"p","private_key":"secret nonsense"}"#,
            "the private_key is not an RSA private key",
        ),
    ] {
        home.write("key.json", text);
        let (code, text) = run(&home, &["--vertex-import", "key.json"]).end().await;
        assert!(code == 0 && text.contains(words) && !text.contains("secret"), "{text}");
        let (code, text) = run(&home, &["--vertex-import", "key.json", "--json"]).end().await;
        assert!(code == 1 && text.contains(words), "{text}");
    }
    assert_eq!(run(&home, &["--vertex-import", "missing.json"]).end().await.0, 1);
    assert!(home.auth_files().is_empty());
}
