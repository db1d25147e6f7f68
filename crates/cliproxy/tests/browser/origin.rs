//! What pages of others may read, as a browser enforces it.

use cliproxy_testkit::browser::Browser;
use cliproxy_testkit::{Gateway, Script, Upstream};

/// A page that shows what it may read of the address behind its hash, by itself and from a frame that any site could be.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><p id="page"></p><p id="frame"></p>
<script>
const address = location.hash.slice(1);
const read = `fetch("${address}/v1/models").then(answer => answer.json())
    .then(list => "reads " + list.data.length, () => "reads nothing")`;
eval(read).then(text => document.getElementById("page").textContent = text);
onmessage = message => document.getElementById("frame").textContent = message.data;
const frame = document.createElement("iframe");
frame.sandbox = "allow-scripts";
frame.srcdoc = `<script>${read}.then(text => parent.postMessage(text, "*"))<\/script>`;
document.body.append(frame);
</script>"#;

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_this_machine_read_a_gateway_without_keys_and_frames_of_anybody_do_not() {
    let Some(browser) = Browser::open().await else { return };
    let gateway = Gateway::start(crate::binary(), "{}\n", &["--demo"]);
    let site = Upstream::start(|_| Script::json(200, PAGE).header("content-type", "text/html")).await;
    browser.go(&format!("{}/#{}", site.url(), gateway.url())).await;
    browser.shows("#page", "reads").await;
    browser.shows("#frame", "reads nothing").await;
    assert_ne!(browser.text("#page").await, "reads nothing");
}
