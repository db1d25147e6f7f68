//! Which request is which, and what it has to bring.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::ledger::{Code, proves, rotates};
use super::{CLIENT_SECRET, COOKIE, Consent, Plan, google, service_account};
use crate::{Received, Script};

type Members = HashMap<String, String>;

pub(super) fn answer(received: &Received, plan: &mut Plan) -> Script {
    let (path, query) = received.path.split_once('?').unwrap_or((&received.path, ""));
    let mut segments = path.trim_start_matches('/').splitn(2, '/');
    let (provider, rest) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    let query = pairs(query);
    match (provider, rest) {
        (_, "authorize") => authorize(provider, &query, plan),
        ("codex", "device") => codex_device(received, plan),
        ("codex", "token") if is_codex_poll(received) => codex_poll(received, plan),
        (_, "token") => token(provider, received, plan),
        (_, "device") => device(provider, received, plan),
        ("iflow", "user") => iflow_user(&query, plan),
        ("iflow", "setup") => iflow_key(received),
        (_, "user") => user(received, plan),
        ("xai", ".well-known/openid-configuration") => discovery(received),
        ("gemini-cli" | "antigravity", _) => google::answer(rest, received, plan),
        _ => Script::json(404, json!({"error": "not_found"}).to_string()),
    }
}

/// The pairs of a query or form.
pub(super) fn pairs(text: &str) -> Members {
    let decode = |part: &str| {
        let url = format!("http://h/?{part}");
        let url = reqwest::Url::parse(&url).expect("a query");
        url.query_pairs().next().map(|(name, value)| (name.into_owned(), value.into_owned()))
    };
    text.split('&').filter(|part| !part.is_empty()).filter_map(decode).collect()
}

/// The members of a body, form or JSON.
fn members(received: &Received) -> Members {
    let text = String::from_utf8_lossy(&received.body).into_owned();
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(object)) => {
            object.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
        }
        _ => pairs(&text),
    }
}

fn header<'r>(received: &'r Received, name: &str) -> &'r str {
    received.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn get<'m>(members: &'m Members, name: &str) -> &'m str {
    members.get(name).map(String::as_str).unwrap_or_default()
}

fn refuse(status: u16, error: &str, description: &str) -> Script {
    Script::json(status, json!({"error": error, "error_description": description}).to_string())
}

/// Whether a request carries a live access token.
pub(super) fn is_authorized(received: &Received, plan: &Plan) -> bool {
    header(received, "authorization").strip_prefix("Bearer ").is_some_and(|token| plan.ledger.accepts(token))
}

fn uses_proof(provider: &str) -> bool {
    matches!(provider, "claude" | "codex" | "qwen")
}

fn needs_secret(provider: &str) -> bool {
    matches!(provider, "gemini-cli" | "antigravity" | "iflow")
}

/// The consent page: redirects at once, as if somebody had pressed the button.
fn authorize(provider: &str, query: &Members, plan: &mut Plan) -> Script {
    let redirect = if provider == "iflow" { get(query, "redirect") } else { get(query, "redirect_uri") };
    let is_google = matches!(provider, "gemini-cli" | "antigravity");
    let complaint = if get(query, "client_id") != format!("client-of-{provider}") {
        "unknown client"
    } else if provider != "iflow" && get(query, "response_type") != "code" {
        "response_type"
    } else if get(query, "state").len() < 32 {
        "state"
    } else if uses_proof(provider) && get(query, "code_challenge_method") != "S256" {
        "code_challenge_method"
    } else if is_google && (get(query, "access_type") != "offline" || get(query, "prompt") != "consent") {
        "offline access"
    } else if !redirect.starts_with("http://localhost:") {
        "redirect address"
    } else {
        ""
    };
    if !complaint.is_empty() {
        return Script::json(400, format!("<p>{complaint}</p>")).header("content-type", "text/html");
    }
    let state = get(query, "state");
    let target = match plan.consent {
        Consent::Deny => format!("{redirect}?error=access_denied&error_description=no+thanks&state={state}"),
        consent => {
            let challenge = query.get("code_challenge").cloned();
            let code = plan.ledger.code(Code {
                provider: provider.to_owned(),
                redirect: redirect.to_owned(),
                challenge,
            });
            let state = if consent == Consent::WrongState { "0".repeat(32) } else { state.to_owned() };
            format!("{redirect}?code={code}&state={state}")
        }
    };
    Script::json(302, "").header("location", &target)
}

fn token(provider: &str, received: &Received, plan: &mut Plan) -> Script {
    let form = members(received);
    if provider != "vertex" && get(&form, "client_id") != format!("client-of-{provider}") {
        return refuse(401, "invalid_client", "unknown client");
    }
    if needs_secret(provider) && get(&form, "client_secret") != CLIENT_SECRET {
        return refuse(401, "invalid_client", "wrong secret");
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("client-of-{provider}:{CLIENT_SECRET}")));
    if provider == "iflow" && header(received, "authorization") != basic {
        return refuse(401, "invalid_client", "no basic authorization");
    }
    if provider == "kimi" && header(received, "x-msh-device-id").is_empty() {
        return refuse(400, "invalid_request", "no device id");
    }
    match get(&form, "grant_type") {
        "authorization_code" => code_grant(provider, &form, received, plan),
        "refresh_token" => refresh_grant(provider, get(&form, "refresh_token"), plan),
        "urn:ietf:params:oauth:grant-type:device_code" => device_grant(provider, &form, plan),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            match service_account::check(get(&form, "assertion"), &plan.ledger.keys) {
                Ok(()) => {
                    let access = plan.ledger.issue_access(provider);
                    let body = json!({"access_token": access, "expires_in": 3599, "token_type": "Bearer"});
                    Script::json(200, body.to_string())
                }
                Err(why) => refuse(400, "invalid_grant", why),
            }
        }
        _ => refuse(400, "unsupported_grant_type", "unsupported"),
    }
}

fn code_grant(provider: &str, form: &Members, received: &Received, plan: &mut Plan) -> Script {
    if provider == "claude" && header(received, "content-type") != "application/json" {
        return refuse(400, "invalid_request", "not JSON");
    }
    let Some(code) = plan.ledger.take_code(get(form, "code")) else {
        return refuse(400, "invalid_grant", "the code is not known or was used before");
    };
    // OpenAI's device codes come with their own redirect address.
    let is_same = code.redirect == get(form, "redirect_uri");
    let is_proven = code.challenge.is_none_or(|challenge| proves(get(form, "code_verifier"), &challenge));
    if code.provider != provider || !is_same || !is_proven {
        return refuse(400, "invalid_grant", "the code was given to somebody else");
    }
    granted(provider, plan)
}

fn refresh_grant(provider: &str, refresh: &str, plan: &mut Plan) -> Script {
    if plan.ledger.redeem(provider, refresh) {
        return granted_again(provider, plan);
    }
    if provider == "codex" {
        let error =
            json!({"code": "refresh_token_reused", "message": "Your refresh token has already been used."});
        return Script::json(401, json!({"error": error}).to_string());
    }
    refuse(400, "invalid_grant", "the refresh token is not known or was used before")
}

fn granted(provider: &str, plan: &mut Plan) -> Script {
    let tokens = plan.ledger.issue(provider);
    Script::json(200, body(provider, &tokens.access, Some(&tokens.refresh), plan).to_string())
}

fn granted_again(provider: &str, plan: &mut Plan) -> Script {
    if rotates(provider) {
        return granted(provider, plan);
    }
    let access = plan.ledger.issue_access(provider);
    Script::json(200, body(provider, &access, None, plan).to_string())
}

fn body(provider: &str, access: &str, refresh: Option<&str>, plan: &Plan) -> Value {
    let mut body = json!({
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": plan.ledger.lifetime,
        "scope": "everything",
    });
    if let Some(refresh) = refresh {
        body["refresh_token"] = json!(refresh);
    }
    match provider {
        "codex" | "xai" => body["id_token"] = json!(plan.ledger.id_token()),
        "claude" => {
            body["account"] = json!({"uuid": "uuid-1", "email_address": plan.ledger.email});
            body["organization"] = json!({"uuid": plan.ledger.account, "name": "Example"});
        }
        "qwen" => body["resource_url"] = json!("portal.example"),
        _ => {}
    }
    body
}

fn device(provider: &str, received: &Received, plan: &mut Plan) -> Script {
    let form = members(received);
    if get(&form, "client_id") != format!("client-of-{provider}") {
        return refuse(401, "invalid_client", "unknown client");
    }
    if provider == "kimi" && header(received, "x-msh-platform").is_empty() {
        return refuse(400, "invalid_request", "no platform");
    }
    let challenge = form.get("code_challenge").cloned();
    if uses_proof(provider) && (challenge.is_none() || get(&form, "code_challenge_method") != "S256") {
        return refuse(400, "invalid_request", "no proof");
    }
    let (device, user_code) = plan.ledger.device(provider, challenge);
    let page = "https://scripted.example/device";
    let body = json!({
        "device_code": device,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": 900,
        "interval": 1,
    });
    Script::json(200, body.to_string())
}

fn device_grant(provider: &str, form: &Members, plan: &mut Plan) -> Script {
    if std::mem::take(&mut plan.ledger.slows_down) {
        return refuse(400, "slow_down", "slow down");
    }
    let name = get(form, "device_code");
    let Some(device) = plan.ledger.find_device(name).filter(|device| device.provider == provider) else {
        return refuse(400, "expired_token", "the code is not known or was used before");
    };
    if device.challenge.as_ref().is_some_and(|challenge| !proves(get(form, "code_verifier"), challenge)) {
        return refuse(400, "invalid_grant", "the proof is wrong");
    }
    match device.decision {
        None => refuse(400, "authorization_pending", "not yet"),
        Some(false) => refuse(400, "access_denied", "the person declined"),
        Some(true) => {
            plan.ledger.take_device(name);
            granted(provider, plan)
        }
    }
}

/// OpenAI's device login is its own: the poll yields an authorization code and its proof.
fn codex_device(received: &Received, plan: &mut Plan) -> Script {
    if get(&members(received), "client_id") != "client-of-codex" {
        return refuse(401, "invalid_client", "unknown client");
    }
    let (device, user_code) = plan.ledger.device("codex", None);
    let body = json!({"device_auth_id": device, "user_code": user_code, "interval": "1"});
    Script::json(200, body.to_string())
}

/// Poll and token endpoint have the same address here, because one is looked for beside the device endpoint.
fn is_codex_poll(received: &Received) -> bool {
    members(received).contains_key("device_auth_id")
}

fn codex_poll(received: &Received, plan: &mut Plan) -> Script {
    let form = members(received);
    let name = get(&form, "device_auth_id");
    let device = plan.ledger.find_device(name);
    if !device
        .is_some_and(|device| device.user_code == get(&form, "user_code") && device.decision == Some(true))
    {
        return refuse(403, "pending", "not yet");
    }
    plan.ledger.take_device(name);
    let verifier = "v".repeat(64);
    let origin = format!("http://{}", header(received, "host"));
    let code = plan.ledger.code(Code {
        provider: "codex".to_owned(),
        redirect: format!("{origin}/deviceauth/callback"),
        challenge: None,
    });
    let body = json!({"authorization_code": code, "code_challenge": "c", "code_verifier": verifier});
    Script::json(200, body.to_string())
}

fn user(received: &Received, plan: &Plan) -> Script {
    if !is_authorized(received, plan) {
        return refuse(401, "unauthorized", "no token");
    }
    Script::json(
        200,
        json!({"email": plan.ledger.email, "account": {"email": plan.ledger.email}}).to_string(),
    )
}

fn discovery(received: &Received) -> Script {
    let base = format!("http://{}/xai", header(received, "host"));
    let body = json!({
        "device_authorization_endpoint": format!("{base}/device"),
        "token_endpoint": format!("{base}/token"),
    });
    Script::json(200, body.to_string())
}

fn iflow_user(query: &Members, plan: &Plan) -> Script {
    if !plan.ledger.accepts(get(query, "accessToken")) {
        return Script::json(200, json!({"success": false, "message": "no token"}).to_string());
    }
    let data = json!({"apiKey": "sk-iflow-scripted", "email": plan.ledger.email, "phone": ""});
    Script::json(200, json!({"success": true, "data": data}).to_string())
}

/// Reading shows a masked key, renewing the whole one.
fn iflow_key(received: &Received) -> Script {
    if !header(received, "cookie").contains(COOKIE) {
        return Script::json(200, json!({"success": false, "message": "not logged in"}).to_string());
    }
    if !header(received, "user-agent").starts_with("Mozilla/5.0") {
        return Script::json(403, "<p>browsers only</p>").header("content-type", "text/html");
    }
    let key = match (received.method.as_str(), get(&members(received), "name")) {
        ("GET", _) => "",
        ("POST", "key of a person") => "sk-iflow-renewed",
        _ => return refuse(400, "bad_request", "no such key"),
    };
    let data = json!({
        "hasExpired": false,
        "expireTime": "2026-12-31 12:00",
        "name": "key of a person",
        "apiKey": key,
        "apiKeyMask": "sk-***",
    });
    Script::json(
        200,
        json!({"success": true, "code": "", "message": "", "data": data, "extra": null}).to_string(),
    )
}
