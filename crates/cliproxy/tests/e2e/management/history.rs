//! Sums over time, and single requests.

use cliproxy_testkit::Upstream;
use serde_json::{Value, json};

use super::{Panel, support};

async fn arranged() -> (Upstream, Panel) {
    let upstream = Upstream::start(support::answering("claude")).await;
    let prices = "usage-ledger: {prices: [{model: up, input: 1, output: 10}]}\n";
    let config = format!("usage-statistics-enabled: true\n{prices}{}", support::config("claude", &upstream));
    let panel = Panel::start(&config);
    for format in support::FORMATS {
        assert_eq!(support::ask_model(&panel.gateway, format, "up", false).await.status, 200);
    }
    (upstream, panel)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_summed_up_by_name_and_over_time() {
    let (_upstream, panel) = arranged().await;
    let totals = panel.get("/usage/totals?by=format").await;
    let mut names: Vec<&str> =
        totals["by"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 4, "{totals}");
    let total = &totals["total"];
    assert_eq!(
        (&total["requests"], &total["complete"], &total["input"], &total["output"]),
        (&json!(4), &json!(4), &json!(40), &json!(20))
    );
    assert!((total["cost"].as_f64().unwrap() - 0.000_240).abs() < 1e-12, "{total}");

    let until = panel.get("/usage/requests").await["requests"][0]["at"].as_u64().unwrap() + 1;
    let series =
        panel.get(&format!("/usage/series?by=model&from={}&until={until}&step=60", until - 3600)).await;
    assert_eq!(series["times"].as_array().map(Vec::len), Some(60));
    assert_eq!((&series["series"][0]["name"], &series["step"]), (&json!("up"), &json!(60)));
    let sum = |member: &str| -> u64 {
        series["series"][0][member].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).sum()
    };
    assert_eq!((sum("requests"), sum("input"), sum("output"), sum("failed")), (4, 40, 20, 0));
    assert_eq!(series["total"]["requests"], 4);

    for (path, text) in [
        (
            "/usage/totals?by=mood",
            "by must be none, model, credential, provider, client, format, outcome or lane",
        ),
        ("/usage/series?from=x", "from must be a number"),
        ("/usage/series?from=5&until=5", "from must be before until"),
        ("/usage/series?step=0", "step must be a number of seconds"),
        ("/usage/series?step=1", "more than 2000 steps; make them longer or the time shorter"),
        ("/usage/requests?before=x", "before is no cursor"),
    ] {
        panel.refused("GET", path, Value::Null, (400, text)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_requests_come_in_pages_and_as_values_for_a_spreadsheet() {
    let (_upstream, panel) = arranged().await;
    let (mut ids, mut before) = (Vec::new(), String::new());
    loop {
        let page = panel.get(&format!("/usage/requests?limit=3{before}")).await;
        for row in page["requests"].as_array().unwrap() {
            assert_eq!((&row["upstream_model"], &row["outcome"]), (&json!("up"), &json!("complete")));
            assert!(row["total_ms"].is_u64() && row.get("key").is_none(), "{row}");
            ids.push(row["request_id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(ids.len(), 4);
    let answer = support::send(panel.request("GET", "/usage/export?format=csv")).await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<&str> = answer.body.lines().collect();
    assert!(lines[0].starts_with("time,request_id,client,format"), "{}", lines[0]);
    assert_eq!(lines.len(), 5);
    assert!(lines[1..].iter().all(|line| line.contains(",up,up,claude,")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_taken_from_the_queue_once() {
    let (_upstream, panel) = arranged().await;
    let first = panel.get("/usage-queue?count=3").await;
    assert_eq!(first.as_array().map(Vec::len), Some(3));
    let record = &first[0];
    for member in ["timestamp", "source", "auth_index", "request_id", "endpoint", "latency_ms"] {
        assert!(!record[member].is_null() && record[member] != "", "{member}: {record}");
    }
    assert_eq!((&record["model"], &record["provider"]), (&json!("up"), &json!("claude")));
    assert_eq!((&record["tokens"]["total_tokens"], &record["failed"]), (&json!(15), &json!(false)));
    assert_eq!(record["auth_type"], "api_key");
    assert_eq!(panel.get("/usage-queue?count=3").await.as_array().map(Vec::len), Some(1));
    assert_eq!(panel.get("/usage-queue").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_records_charts_are_empty_and_nothing_is_made_on_disk() {
    let panel = Panel::start("debug: false\n");
    let series = panel.get("/usage/series?from=0&until=7200").await;
    assert_eq!((&series["times"], &series["series"]), (&json!([0, 3600]), &json!([])));
    assert_eq!(panel.get("/usage/totals").await["total"]["requests"], 0);
    assert_eq!(panel.get("/usage/requests").await, json!({"requests": [], "next": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_records_nothing_opens_no_database() {
    let panel = Panel::start("debug: false\n");
    assert_eq!(panel.get("/debug").await, json!({"debug": false}));
    panel.gateway.end();
    let found = std::process::Command::new("find").arg(panel.gateway.accounts()).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(!found.contains("usage"), "{found}");
}
