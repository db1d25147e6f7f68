//! The demo provider and the first pages, as a newcomer meets them.

use std::process::Command;

use cliproxy_testkit::Gateway;
use serde_json::json;

use crate::support::{self, FORMATS};

const README: &str = include_str!("../../../../README.md");

/// The commands that a start with `--demo` prints, in the order of [`FORMATS`], each as its lines stand there.
fn printed(gateway: &Gateway) -> Vec<String> {
    let lines = gateway.lines();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with("curl "));
    let command = |start: usize| {
        let following = lines.iter().skip(start);
        let open = following.clone().take_while(|line| line.ends_with('\\')).count();
        following.take(open + 1).cloned().collect::<Vec<_>>().join("\n")
    };
    starts.map(|(start, _)| command(start)).collect()
}

/// What a shell answers to the commands; `None` where the machine has no program for them.
async fn pasted(commands: Vec<String>) -> Option<Vec<String>> {
    if Command::new("curl").arg("--version").output().is_err() {
        cliproxy_testkit::skip("the printed commands: this machine has no curl");
        return None;
    }
    let running = tokio::task::spawn_blocking(move || {
        let run = |command: String| {
            let mut shell = Command::new("sh");
            let output = shell.arg("-c").arg(&command).env("NO_PROXY", "*").output().unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        commands.into_iter().map(run).collect()
    });
    Some(support::within(running).await.unwrap())
}

/// The words behind `--` of every command of the README that runs the program.
fn commands() -> Vec<Vec<&'static str>> {
    let lines = README.lines().filter(|line| line.starts_with("cargo run "));
    let command = |line: &'static str| line.split('#').next().unwrap().trim();
    lines
        .map(|line| match command(line).split_once(" -- ") {
            Some((_, words)) => words.split(' ').collect(),
            None => Vec::new(),
        })
        .collect()
}

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

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_commands_answer_when_pasted() {
    let key = "client-key-0123456789";
    for (config, written) in [(String::new(), "demo"), (format!("host: ''\napi-keys: [{key}]\n"), key)] {
        let gateway = support::start(&config, &["--demo"]);
        gateway.line("ANTHROPIC_BASE_URL").await;
        let commands: Vec<String> =
            printed(&gateway).iter().map(|command| command.replace("YOUR-CLIENT-KEY", written)).collect();
        assert_eq!(commands.len(), FORMATS.len(), "{}", gateway.log());
        let Some(answers) = pasted(commands).await else { return };
        for (answer, format) in answers.iter().zip(FORMATS) {
            assert!(support::is_complete(format, answer), "{format}: {answer}");
            assert!(support::text_of(format, true, answer).contains("Hello!"), "{format}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_work_in_an_empty_directory_and_with_its_configuration() {
    let commands = commands();
    assert_eq!(commands.first().map(Vec::as_slice), Some(["--demo"].as_slice()), "{commands:?}");
    // The line says where it serves; that address may be taken on this machine, so another is asked for.
    assert!(README.contains("-- --demo     # a gateway on http://127.0.0.1:8317"), "the line has changed");
    let gateway = support::launch().arguments(&["--demo"]).start();
    assert!(gateway.address().starts_with("127.0.0.1:"), "{}", gateway.address());
    assert_eq!(support::ask_model(&gateway, "chat", "demo-echo", true).await.status, 200);
    let (_, yaml) = README.split_once("```yaml\n").unwrap();
    let (yaml, _) = yaml.split_once("```").unwrap();
    let yaml = yaml.replace("...", "0123456789");
    for words in commands.iter().skip(1) {
        let launch = support::launch().beside("config.yaml", &yaml).arguments(words);
        match words.first() {
            None => {
                let gateway = launch.start();
                let models = support::get(&gateway, "/v1/models").await;
                assert!(models.status == 200 && models.body.contains("\"kimi\""), "{}", models.body);
            }
            Some(word) if word.ends_with("-login") => {
                let help = support::launch().arguments(&["--help"]).run();
                assert!(help.stdout.contains(word.trim_start_matches('-')), "{word}: {}", help.stdout);
            }
            Some(_) => {
                let ended = launch.run();
                assert_eq!(ended.code, Some(0), "{words:?}: {}{}", ended.stdout, ended.stderr);
            }
        }
    }
}
