//! Google's projects: listed, set up for Code Assist, checked.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Plan;
use super::route::is_authorized;
use crate::{Received, Script};

/// How an account stands with Google.
#[derive(Clone, Debug)]
pub struct Google {
    /// Projects that it may list, in order.
    pub projects: Vec<String>,
    /// Projects with the service switched on.
    pub enabled: HashSet<String>,
    /// Projects for which the service cannot be switched on.
    pub forbidden: HashSet<String>,
    /// Projects that Code Assist refuses.
    pub broken: HashSet<String>,
    /// It was set up before.
    pub is_onboarded: bool,
    /// The project that Google manages for it.
    pub managed: Option<String>,
    /// The project is answered as an object instead of a text.
    pub answers_object: bool,
    /// How many looks an onboarding takes.
    pub looks: u32,
    /// Why no tier is open to it.
    pub ineligible: Option<String>,
    pub(crate) onboarded: Vec<Value>,
}

impl Default for Google {
    fn default() -> Self {
        Self {
            projects: vec!["first-project".to_owned(), "second-project".to_owned()],
            enabled: HashSet::new(),
            forbidden: HashSet::new(),
            broken: HashSet::new(),
            is_onboarded: true,
            managed: None,
            answers_object: false,
            looks: 0,
            ineligible: None,
            onboarded: Vec::new(),
        }
    }
}

impl Google {
    fn project(&self, id: &str) -> Value {
        if self.answers_object { json!({ "id": id }) } else { json!(id) }
    }

    /// The bodies of all onboardings.
    pub fn onboarded(&self) -> &[Value] {
        &self.onboarded
    }
}

pub(super) fn answer(path: &str, received: &Received, plan: &mut Plan) -> Script {
    if !is_authorized(received, plan) {
        return error(401, "UNAUTHENTICATED", "no token");
    }
    let google = &mut plan.google;
    let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
    match path.split_once('/').unwrap_or_default() {
        ("setup", "v1/projects") => {
            let project = |(at, id): (usize, &String)| json!({"projectNumber": format!("{}", 1000 + at), "projectId": id, "lifecycleState": "ACTIVE", "name": format!("Name of {id}")});
            let mut projects: Vec<Value> = google.projects.iter().enumerate().map(project).collect();
            projects.push(json!({"projectId": "deleted-project", "lifecycleState": "DELETE_REQUESTED"}));
            Script::json(200, json!({"projects": projects}).to_string())
        }
        ("setup" | "base", "v1internal:loadCodeAssist") => load(google, &body),
        ("base", "v1internal:onboardUser") => onboard(google, body),
        ("check", service) => check(google, service),
        _ => error(404, "NOT_FOUND", "no such method"),
    }
}

fn load(google: &Google, body: &Value) -> Script {
    // Antigravity's accounts have a project that Google manages.
    let own = (body["metadata"]["ideType"] == "ANTIGRAVITY").then_some("antigravity-project");
    let wanted = body["cloudaicompanionProject"].as_str().or(own);
    if wanted.is_some_and(|project| google.broken.contains(project)) {
        return error(403, "PERMISSION_DENIED", "no license");
    }
    if let Some(reason) = &google.ineligible {
        let tier = json!({"reasonCode": "INELIGIBLE_ACCOUNT", "reasonMessage": reason});
        return Script::json(200, json!({"allowedTiers": [], "ineligibleTiers": [tier]}).to_string());
    }
    let tiers = json!([{"id": "other-tier"}, {"id": if wanted.is_some() { "standard-tier" } else { "free-tier" }, "isDefault": true}]);
    let mut answer = json!({ "allowedTiers": tiers });
    if google.is_onboarded {
        answer["currentTier"] = json!({"id": "standard-tier"});
        if let Some(project) = google.managed.as_deref().or(wanted) {
            answer["cloudaicompanionProject"] = google.project(project);
        }
    }
    Script::json(200, answer.to_string())
}

fn onboard(google: &mut Google, body: Value) -> Script {
    if body["tierId"] == "free-tier" && body.get("cloudaicompanionProject").is_some() {
        return error(412, "FAILED_PRECONDITION", "Precondition Failed");
    }
    let wanted = body["cloudaicompanionProject"].as_str().map(str::to_owned);
    google.onboarded.push(body);
    if google.looks > 0 {
        google.looks -= 1;
        return Script::json(200, json!({"name": "operations/1", "done": false}).to_string());
    }
    let project = google.managed.clone().or(wanted);
    let response = match project {
        Some(id) => json!({"cloudaicompanionProject": google.project(&id)}),
        None => json!({}),
    };
    Script::json(200, json!({"name": "operations/1", "done": true, "response": response}).to_string())
}

fn check(google: &mut Google, service: &str) -> Script {
    let project = service.split('/').nth(2).unwrap_or_default().to_owned();
    if !service.ends_with(":enable") {
        let state = if google.enabled.contains(&project) { "ENABLED" } else { "DISABLED" };
        return Script::json(200, json!({ "state": state }).to_string());
    }
    if google.forbidden.contains(&project) {
        return error(403, "PERMISSION_DENIED", "you may not enable this");
    }
    if !google.enabled.insert(project) {
        return error(400, "FAILED_PRECONDITION", "the service is already enabled");
    }
    Script::json(200, json!({"name": "operations/2"}).to_string())
}

fn error(code: u16, status: &str, message: &str) -> Script {
    let error = json!({"code": code, "message": message, "status": status});
    Script::json(code, json!({ "error": error }).to_string())
}
