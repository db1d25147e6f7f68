//! What was used.

use cliproxy_testkit::Upstream;
use serde_json::{Value, json};

use super::{Panel, support};

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_shown_in_the_shape_of_panels() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = format!("usage-statistics-enabled: true\n{}", support::config("claude", &upstream));
    let panel = Panel::start(&config);
    for _ in 0..3 {
        assert_eq!(support::ask_model(&panel.gateway, "chat", "up", false).await.status, 200);
    }
    let answer = panel.get("/usage").await;
    let usage = &answer["usage"];
    assert_eq!((&answer["failed_requests"], &usage["total_requests"]), (&json!(0), &json!(3)), "{answer}");
    assert_eq!((&usage["success_count"], &usage["failure_count"]), (&json!(3), &json!(0)));
    let model = &usage["apis"]["POST /v1/chat/completions"]["models"]["up"];
    let details = model["details"].as_array().unwrap();
    assert_eq!((&model["total_requests"], details.len()), (&json!(3), 3));
    let of_details: u64 =
        details.iter().map(|detail| detail["tokens"]["total_tokens"].as_u64().unwrap()).sum();
    assert!(of_details > 0, "{answer}");
    assert_eq!((&usage["total_tokens"], &model["total_tokens"]), (&json!(of_details), &json!(of_details)));
    // Panels find the key that served by its short id, wherever they read it.
    let index = &panel.get("/credentials").await["credentials"][0]["auth_index"];
    assert_eq!((&details[0]["failed"], &details[0]["auth_index"]), (&json!(false), index));
    assert_eq!(&panel.get("/usage-queue").await[0]["auth_index"], index);
    let export = panel.get("/usage/export").await.to_string();
    assert!(export.contains(&format!("\"auth_index\":{index}")), "{export}");
    for sums in ["requests_by_day", "requests_by_hour"] {
        let sum: u64 = usage[sums].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sum, 3, "{sums}");
    }
    let export = panel.get("/usage/export").await;
    assert_eq!((&export["version"], &export["usage"]["total_requests"]), (&json!(1), &json!(3)));
    // What goes out comes in elsewhere, and nothing comes in twice.
    let skipped = json!({"added": 0, "skipped": 3, "total_requests": 3, "failed_requests": 0});
    assert_eq!(panel.send("POST", "/usage/import", export.clone()).await.json(), skipped);
    let other = Panel::start("debug: false\n");
    let added = json!({"added": 3, "skipped": 0, "total_requests": 3, "failed_requests": 0});
    assert_eq!(other.send("POST", "/usage/import", export.clone()).await.json(), added);
    assert_eq!(other.get("/usage").await["usage"]["total_tokens"], usage["total_tokens"]);
    other
        .refused("POST", "/usage/import", json!({"version": 7, "usage": {}}), (400, "unsupported version"))
        .await;
    other.refused("POST", "/usage/import", json!([]), (400, "invalid json")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_collected_the_shapes_are_empty() {
    let panel = Panel::start("debug: false\n");
    let answer = panel.get("/usage").await;
    assert_eq!((&answer["usage"]["total_requests"], &answer["usage"]["apis"]), (&json!(0), &json!({})));
    assert_eq!(panel.get("/api-key-usage").await, json!({}));
    assert_eq!(panel.get("/usage-queue?count=5").await, json!([]));
    let text = "count must be a positive integer";
    panel.refused("GET", "/usage-queue?count=0", Value::Null, (400, text)).await;
}

/// An export of so many requests, with much that nobody reads, in pieces.
fn export(count: usize) -> impl Iterator<Item = String> {
    let head = r#"{"version":1,"usage":{"apis":{"client-key-0001":{"models":{"m":{"details":["#;
    let detail = |number: usize| {
        let comma = if number == 0 { "" } else { "," };
        let (second, note) = (number % 60, "x".repeat(40_000));
        format!(
            r#"{comma}{{"timestamp":"2026-01-02T03:04:{second:02}Z","note":"{note}","failed":false,"tokens":{{"input_tokens":7,"output_tokens":5}}}}"#
        )
    };
    std::iter::once(head.to_owned()).chain((0..count).map(detail)).chain(["]}}}}}}".to_owned()])
}

/// The most memory that a process has had, in KiB.
fn peak(panel: &Panel) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", panel.gateway.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_any_size_is_taken_in_by_way_of_the_disk() {
    let panel = Panel::start("debug: false\n");
    panel.get("/usage").await;
    let before = peak(&panel);
    // Eighty megabytes that come as they are made.
    let pieces = futures_util::stream::iter(export(2000).map(Ok::<_, std::io::Error>));
    let request = panel.request("POST", "/usage/import").body(reqwest::Body::wrap_stream(pieces));
    let answer = support::send(request).await;
    let added = json!({"added": 2000, "skipped": 0, "total_requests": 2000, "failed_requests": 0});
    assert_eq!((answer.status, answer.json()), (200, added), "{}", answer.body);
    if let (Some(before), Some(after)) = (before, peak(&panel)) {
        assert!(after < before + (32 << 10), "{before} KiB became {after} KiB");
    }
    // Packed it comes as well, and once more it says nothing new.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for piece in export(50) {
        std::io::Write::write_all(&mut packer, piece.as_bytes()).unwrap();
    }
    let packed = packer.finish().unwrap();
    let import = |encoding: &str, body: Vec<u8>| {
        support::send(panel.request("POST", "/usage/import").header("content-encoding", encoding).body(body))
    };
    let skipped = json!({"added": 0, "skipped": 50, "total_requests": 2000, "failed_requests": 0});
    assert_eq!(import("gzip", packed.clone()).await.json(), skipped);
    let text: String = export(50).collect();
    let (begin, end) = text.as_bytes().split_at(text.len() / 3);
    let frames = [begin, end]
        .map(|part| ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest));
    assert_eq!(import("zstd", frames.concat()).await.json(), skipped);
    for (encoding, body, text) in [
        ("gzip", packed[..packed.len() / 2].to_vec(), "failed to read request body: "),
        ("gzip", b"no gzip".to_vec(), "failed to read request body: "),
        ("zstd", [&frames.concat()[..], b"no zstd"].concat(), "failed to read request body: "),
        ("snappy", b"{}".to_vec(), "the content encoding `snappy` is not supported"),
    ] {
        let answer = import(encoding, body).await;
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && error.starts_with(text), "{encoding}: {}", answer.body);
    }
    assert_eq!(panel.get("/usage").await["usage"]["total_requests"], 2000);
    let left = std::fs::read_dir(panel.gateway.accounts()).unwrap().count();
    assert!(left < 4, "nothing of it stays on disk");
    // The command line has no limit.
    let home = panel.gateway.config().parent().unwrap().to_owned();
    support::write(
        &home.join("usage.json"),
        &export(60).collect::<String>().replace("client-key-0001", "client-key-0002"),
    );
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cli-proxy-api"))
        .args(["usage", "--import", "usage.json", "--config"])
        .arg(panel.gateway.config())
        .env("HOME", &home)
        .current_dir(&home)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.starts_with("60 requests added, 0 left out"), "{said}");
    assert_eq!(panel.get("/usage").await["usage"]["total_requests"], 2060);
}
