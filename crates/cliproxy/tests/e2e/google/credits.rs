//! Paid credits of Antigravity accounts: the last resort, where the owner allows it and there are enough.

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use super::{VALID, asked, bearer, code_assist, start_at, used_up};
use crate::support;

const MODEL: &str = "claude-sonnet-4-6";

/// Free quota is used up but for `free`; accounts whose name begins with `rich` have credits.
fn service(received: &Received) -> Script {
    if received.path.ends_with(":loadCodeAssist") {
        let amount = if bearer(received).starts_with("rich") { "120" } else { "3" };
        let credit = json!({"creditType": "GOOGLE_ONE_AI", "creditAmount": amount, "minimumCreditAmountForUsage": "50"});
        return Script::json(
            200,
            json!({"paidTier": {"id": "g1", "availableCredits": [credit]}}).to_string(),
        );
    }
    let pays = received.json().get("enabledCreditTypes") == Some(&json!(["GOOGLE_ONE_AI"]));
    if bearer(received) == "free" || (pays && bearer(received).starts_with("rich")) {
        return code_assist(received);
    }
    used_up()
}

async fn start(names: &[&str], is_allowed: bool) -> (Upstream, Gateway) {
    let upstream = Upstream::start(service).await;
    let url = upstream.url();
    let config = format!(
        "oauth-endpoints:\n  antigravity: {{base-url: '{url}', setup-url: '{url}'}}\nrequest-retry: 0\nquota-exceeded: {{antigravity-credits: {is_allowed}}}\n"
    );
    let file = |name: &str| json!({"type": "antigravity", "access_token": name, "refresh_token": "r", "expired": VALID, "project_id": "p"});
    let files: Vec<(&str, Value)> = names.iter().map(|name| (*name, file(name))).collect();
    let gateway = start_at(&config, &files);
    (upstream, gateway)
}

fn paid(upstream: &Upstream) -> Vec<String> {
    let asked =
        asked(upstream).into_iter().filter(|received| received.json().get("enabledCreditTypes").is_some());
    asked.map(|received| bearer(&received).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_pay_when_every_quota_is_used_up() {
    let (upstream, gateway) = start(&["poor", "rich"], true).await;
    for format in support::FORMATS {
        let answer = support::ask_model(&gateway, format, MODEL, false).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
    }
    assert_eq!(paid(&upstream), ["rich"; 4], "who has too little is not asked");
    gateway.said("quotas are used up; asking with paid credits", 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_paid_while_somebody_is_free_or_the_owner_does_not_allow_it() {
    let (upstream, gateway) = start(&["free", "rich"], true).await;
    for _ in 0..3 {
        assert_eq!(support::ask_model(&gateway, "chat", MODEL, true).await.status, 200);
    }
    assert!(paid(&upstream).is_empty());
    for (names, is_allowed) in [(&["rich"][..], false), (&["poor"][..], true)] {
        let (upstream, gateway) = start(names, is_allowed).await;
        let answer = support::ask_model(&gateway, "chat", MODEL, false).await;
        assert_eq!(answer.status, 429, "{}", answer.body);
        assert!(paid(&upstream).is_empty());
    }
}
