//! What `--demo` prints: lines to paste, for all four formats.

use std::net::{Ipv4Addr, SocketAddr};

use cliproxy_core::provider::demo::MODELS;

pub(super) fn invitation(mut address: SocketAddr, is_tls: bool, is_open: bool) -> String {
    // "Every interface" is no address to call.
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let base = format!("{}://{address}", if is_tls { "https" } else { "http" });
    let key = if is_open { "demo" } else { "YOUR-CLIENT-KEY" };
    let models: Vec<String> =
        MODELS.iter().map(|model| format!("  {:<13} {}", model.name, model.about)).collect();
    let models = models.join("\n");
    format!(
        r#"
The demo provider is on. Its models:
{models}

OpenAI Chat:
  curl -N '{base}/v1/chat/completions' -H 'authorization: Bearer {key}' -H 'content-type: application/json' \
    -d '{{"model":"demo-echo","stream":true,"messages":[{{"role":"user","content":"Hello!"}}]}}'
OpenAI Responses:
  curl -N '{base}/v1/responses' -H 'authorization: Bearer {key}' -H 'content-type: application/json' \
    -d '{{"model":"demo-think","stream":true,"reasoning":{{"summary":"auto"}},"input":"Hello!"}}'
Claude Messages:
  curl -N '{base}/v1/messages' -H 'x-api-key: {key}' -H 'content-type: application/json' \
    -d '{{"model":"demo-echo","max_tokens":100,"stream":true,"messages":[{{"role":"user","content":"Hello!"}}]}}'
Gemini:
  curl -N '{base}/v1beta/models/demo-echo:streamGenerateContent?alt=sse' -H 'x-goog-api-key: {key}' -H 'content-type: application/json' \
    -d '{{"contents":[{{"parts":[{{"text":"Hello!"}}]}}]}}'

Python SDKs:
  OpenAI(base_url="{base}/v1", api_key="{key}")
  Anthropic(base_url="{base}", api_key="{key}")
  genai.Client(api_key="{key}", http_options={{"base_url": "{base}"}})
Agents:
  ANTHROPIC_BASE_URL={base} ANTHROPIC_AUTH_TOKEN={key} claude --model demo-tools
"#
    )
}
