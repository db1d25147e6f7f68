//! Which Google project an account's requests are made for: chosen, set up for Code Assist, and checked.
//!
//! A free account has one project that Google manages; it is found without being asked for. An account with a license
//! names a project of its own, or several. The id that Google returns counts, even when another one was asked for.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use crate::oauth::message::shown;
use crate::oauth::{Answer, Flow, Identity, Input, Notice, Question, Refusal, RefusalKind, Request, Step};
use crate::reason::Code;
use crate::secret::Secret;

const WHO: &str = "Google";
const REMEDY: &str = "log in again: cli-proxy-api --login --project_id PROJECT";
/// The service that a project must have switched on.
const SERVICE: &str = "cloudaicompanion.googleapis.com";
/// Pause between looks at an onboarding, and how often to look.
const PAUSE: Duration = Duration::from_secs(5);
const MOST_LOOKS: u32 = 60;
/// Pages of projects that are read.
const MOST_PAGES: u32 = 20;

/// What the conversation yields.
#[derive(Debug)]
pub(super) struct Projects {
    /// Ids, at least one.
    pub(super) ids: Vec<String>,
    /// Found by Google, not chosen by a person.
    pub(super) is_automatic: bool,
    /// Every one has the service switched on.
    pub(super) is_checked: bool,
}

/// The project that an answer names: a text, or an object with an `id`.
pub(crate) fn project_of(body: &Value) -> Option<String> {
    let named = ["cloudaicompanionProject", "projectId", "project"].iter().find_map(|name| body.get(name))?;
    let id = named.as_str().or_else(|| named.get("id")?.as_str())?.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// The tier that an account is onboarded to.
pub(crate) fn default_tier(body: &Value) -> Option<String> {
    let tiers = body.get("allowedTiers")?.as_array()?;
    let tier = tiers.iter().find(|tier| tier.get("isDefault") == Some(&Value::Bool(true)))?;
    Some(tier.get("id")?.as_str()?.to_owned())
}

/// The conversation.
#[derive(Debug)]
pub(super) struct Choosing {
    identity: Identity,
    access: Secret,
    /// Chosen beforehand.
    wish: Option<String>,
    known: Vec<Known>,
    /// Still to be set up; `None` is whichever Google names.
    left: VecDeque<Option<String>>,
    current: Option<String>,
    /// A project that cannot be set up is left out instead of ending the login.
    is_lenient: bool,
    found: Projects,
    at: At,
}

#[derive(Debug)]
struct Known {
    id: String,
    number: String,
    name: String,
}

#[derive(Debug)]
enum At {
    Beginning,
    Listing {
        pages: u32,
    },
    Telling,
    Asking,
    Loading,
    Onboarding {
        tier: String,
        looks: u32,
    },
    Checking {
        id: String,
    },
    Enabling {
        id: String,
    },
    /// A notice is on its way; the next project follows.
    Moving,
}

impl Choosing {
    pub(super) fn new(identity: Identity, access: Secret, wish: Option<String>) -> Self {
        Self {
            identity,
            access,
            wish: wish.map(|wish| wish.trim().to_owned()).filter(|wish| !wish.is_empty()),
            known: Vec::new(),
            left: VecDeque::new(),
            current: None,
            is_lenient: false,
            found: Projects { ids: Vec::new(), is_automatic: false, is_checked: true },
            at: At::Beginning,
        }
    }
}

impl Flow for Choosing {
    type Output = Projects;

    fn step(&mut self, input: Input) -> Step<Projects> {
        match self.advance(input) {
            Ok(step) => step,
            Err(refusal) => match &self.current {
                Some(project) if self.is_lenient && refusal.kind != RefusalKind::Forbidden => {
                    let text = format!("Project {project} is left out: {}", refusal.message);
                    self.at = At::Moving;
                    Step::Show(Notice::Progress(text))
                }
                _ => Step::Refused(refusal),
            },
        }
    }
}

impl Choosing {
    fn advance(&mut self, input: Input) -> Result<Step<Projects>, Refusal> {
        match &self.at {
            At::Beginning => self.list("", 1),
            At::Listing { pages } => {
                let pages = *pages;
                self.listed(&input, pages)
            }
            At::Telling => Ok(self.ask()),
            At::Asking => match input {
                Input::Said(answer) => match self.choose(&answer) {
                    Ok(()) => self.next(),
                    Err(why) => {
                        self.at = At::Telling;
                        Ok(Step::Show(Notice::Progress(why)))
                    }
                },
                _ => Err(Refusal::out_of_turn()),
            },
            At::Moving => self.next(),
            At::Loading => self.loaded(&input.answer(WHO)?),
            At::Onboarding { tier, looks } => {
                let (tier, looks) = (tier.clone(), *looks);
                match input {
                    Input::Elapsed => self.onboard(&tier, looks),
                    input => self.onboarded(&input.answer(WHO)?, &tier, looks),
                }
            }
            At::Checking { id } => {
                let id = id.clone();
                self.checked(&input.answer(WHO)?, &id)
            }
            At::Enabling { id } => {
                let id = id.clone();
                self.enabled(&input.answer(WHO)?, &id)
            }
        }
    }

    fn list(&mut self, page: &str, pages: u32) -> Result<Step<Projects>, Refusal> {
        let mut url = url::Url::parse(&format!("{}/v1/projects", self.identity.setup_url))
            .map_err(|_not_an_address| Refusal::unusable_address())?;
        if !page.is_empty() {
            url.query_pairs_mut().append_pair("pageToken", page);
        }
        self.at = At::Listing { pages };
        Ok(Step::Send(Request::get(url.as_str())?.bearer(&self.access)))
    }

    /// An account that may not list projects can still have one, so a failed list is an empty one.
    fn listed(&mut self, input: &Input, pages: u32) -> Result<Step<Projects>, Refusal> {
        let body: Value = match input {
            Input::Answer(answer) if answer.status.is_success() => {
                serde_json::from_slice(&answer.body).unwrap_or_default()
            }
            _ => Value::Null,
        };
        let text = |project: &Value, name: &str| {
            project.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        for project in body.get("projects").and_then(Value::as_array).into_iter().flatten() {
            let id = text(project, "projectId");
            if !id.is_empty() && matches!(text(project, "lifecycleState").as_str(), "" | "ACTIVE") {
                self.known.push(Known {
                    id,
                    number: text(project, "projectNumber"),
                    name: text(project, "name"),
                });
            }
        }
        let more = text(&body, "nextPageToken");
        if !more.is_empty() && pages < MOST_PAGES {
            return self.list(&more, pages + 1);
        }
        match self.wish.take() {
            Some(wish) => match self.choose(&wish) {
                Ok(()) => self.next(),
                Err(message) => {
                    Err(Refusal { kind: RefusalKind::Dead, message: message.into(), remedy: REMEDY.into() })
                }
            },
            None if self.known.is_empty() => {
                self.found.is_automatic = true;
                self.left.push_back(None);
                self.next()
            }
            None => {
                let lines: Vec<String> = self
                    .known
                    .iter()
                    .enumerate()
                    .map(|(at, project)| format!("  [{}] {} ({})", at + 1, project.id, shown(&project.name)))
                    .collect();
                self.at = At::Telling;
                Ok(Step::Show(Notice::Progress(format!(
                    "Available Google Cloud projects:\n{}",
                    lines.join("\n")
                ))))
            }
        }
    }

    fn ask(&mut self) -> Step<Projects> {
        let default = self.known.first().map(|project| project.id.clone()).unwrap_or_default();
        self.at = At::Asking;
        Step::Ask(Question {
            name: "project",
            prompt: format!("Enter project ID [{default}] or ALL: "),
            default: Some(default),
        })
    }

    /// Reads a choice: numbers of the list, ids, several with commas between, `ALL`, or `GOOGLE_ONE` for the project
    /// that Google manages.
    fn choose(&mut self, answer: &str) -> Result<(), String> {
        let answer = answer.trim();
        if answer.eq_ignore_ascii_case("GOOGLE_ONE") || answer.eq_ignore_ascii_case("AUTO") {
            self.found.is_automatic = true;
            self.left.push_back(None);
            return Ok(());
        }
        if answer.eq_ignore_ascii_case("ALL") {
            if self.known.is_empty() {
                return Err("this account has no project that can be listed".to_owned());
            }
            self.is_lenient = true;
            self.left = self.known.iter().map(|project| Some(project.id.clone())).collect();
            return Ok(());
        }
        let mut chosen: Vec<String> = Vec::new();
        for part in answer.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let id = self.id_of(part)?;
            if !chosen.contains(&id) {
                chosen.push(id);
            }
        }
        if chosen.is_empty() {
            return Err("no project is named".to_owned());
        }
        self.left = chosen.into_iter().map(Some).collect();
        Ok(())
    }

    fn id_of(&self, part: &str) -> Result<String, String> {
        let by_place = part.parse::<usize>().ok().and_then(|place| self.known.get(place.checked_sub(1)?));
        let by_name = || self.known.iter().find(|known| known.id == part || known.number == part);
        match by_place.or_else(by_name) {
            Some(known) => Ok(known.id.clone()),
            None if self.known.is_empty() && part.parse::<u64>().is_err() => Ok(part.to_owned()),
            None => Err(format!("{} is not a project of this account", shown(part))),
        }
    }

    /// Begins with the next project, or ends.
    fn next(&mut self) -> Result<Step<Projects>, Refusal> {
        let Some(project) = self.left.pop_front() else {
            if self.found.ids.is_empty() {
                return Err(Refusal {
                    kind: RefusalKind::Dead,
                    message: "none of the projects can be used".into(),
                    remedy: REMEDY.into(),
                });
            }
            let none = Projects { ids: Vec::new(), is_automatic: false, is_checked: false };
            return Ok(Step::Done(std::mem::replace(&mut self.found, none)));
        };
        self.current = project;
        self.at = At::Loading;
        let mut body = json!({ "metadata": metadata() });
        if let (Some(project), Some(body)) = (&self.current, body.as_object_mut()) {
            body.insert("cloudaicompanionProject".to_owned(), json!(project));
            if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("duetProject".to_owned(), json!(project));
            }
        }
        Ok(Step::Send(self.code_assist("loadCodeAssist", &body)?))
    }

    fn code_assist(&self, method: &str, body: &Value) -> Result<Request, Refusal> {
        let address = format!("{}/v1internal:{method}", self.identity.base_url);
        Ok(Request::json(&address, body)?.bearer(&self.access))
    }

    fn loaded(&mut self, answer: &Answer) -> Result<Step<Projects>, Refusal> {
        if !answer.status.is_success() && is_behind_service_controls(answer) {
            // Only organizations with a license have these, and they bring their own project.
            return self.settle(self.current.clone());
        }
        let body = answer.success(WHO, REMEDY)?;
        if body.get("currentTier").is_some_and(Value::is_object) {
            return self.settle(project_of(&body).or_else(|| self.current.clone()));
        }
        if let Some(refusal) = ineligible(&body) {
            return Err(refusal);
        }
        let tier = default_tier(&body).unwrap_or_else(|| "legacy-tier".to_owned());
        self.onboard(&tier, 0)
    }

    fn onboard(&mut self, tier: &str, looks: u32) -> Result<Step<Projects>, Refusal> {
        if looks >= MOST_LOOKS {
            return Err(Refusal {
                kind: RefusalKind::Passing(None),
                message: "Google has not finished setting the account up".into(),
                remedy: "log in again in a few minutes".into(),
            });
        }
        let mut body = json!({ "tierId": tier, "metadata": metadata() });
        // A named project is a failed precondition for the free tier, which has one of its own.
        if let (Some(project), false, Some(body)) = (&self.current, tier == "free-tier", body.as_object_mut())
        {
            body.insert("cloudaicompanionProject".to_owned(), json!(project));
        }
        self.at = At::Onboarding { tier: tier.to_owned(), looks };
        Ok(Step::Send(self.code_assist("onboardUser", &body)?))
    }

    fn onboarded(&mut self, answer: &Answer, tier: &str, looks: u32) -> Result<Step<Projects>, Refusal> {
        let body = answer.success(WHO, REMEDY)?;
        if body.get("done") != Some(&Value::Bool(true)) {
            self.at = At::Onboarding { tier: tier.to_owned(), looks: looks + 1 };
            return Ok(Step::Wait(PAUSE));
        }
        let returned = body.get("response").and_then(project_of);
        self.settle(returned.or_else(|| self.current.clone()))
    }

    /// The project is known; what it needs is checked when a person chose it.
    fn settle(&mut self, project: Option<String>) -> Result<Step<Projects>, Refusal> {
        let Some(id) = project else {
            return Err(Refusal {
                kind: RefusalKind::Dead,
                message: "this account needs a Google Cloud project".into(),
                remedy: REMEDY.into(),
            });
        };
        if !self.found.ids.contains(&id) {
            self.found.ids.push(id.clone());
        }
        if self.found.is_automatic {
            self.found.is_checked = false;
            return self.next();
        }
        let request = Request::get(&self.service(&id))?.bearer(&self.access);
        self.at = At::Checking { id };
        Ok(Step::Send(request))
    }

    fn service(&self, project: &str) -> String {
        format!("{}/v1/projects/{project}/services/{SERVICE}", self.identity.check_url)
    }

    fn checked(&mut self, answer: &Answer, id: &str) -> Result<Step<Projects>, Refusal> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if body.get("state").and_then(Value::as_str) == Some("ENABLED") {
            return self.next();
        }
        let address = format!("{}:enable", self.service(id));
        self.at = At::Enabling { id: id.to_owned() };
        Ok(Step::Send(Request::json(&address, &json!({}))?.bearer(&self.access)))
    }

    /// A service that cannot be switched on is no reason to lose the login: somebody else may have the right to.
    fn enabled(&mut self, answer: &Answer, id: &str) -> Result<Step<Projects>, Refusal> {
        let is_on = String::from_utf8_lossy(&answer.body).to_ascii_lowercase().contains("already enabled");
        if answer.status.is_success() || is_on {
            return self.next();
        }
        self.found.is_checked = false;
        self.at = At::Moving;
        let why = answer.refusal(WHO, REMEDY).message;
        Ok(Step::Show(Notice::Progress(format!(
            "The service {SERVICE} could not be switched on for {id}; switch it on in the Google Cloud console. {why}"
        ))))
    }
}

fn metadata() -> Value {
    json!({ "ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI" })
}

fn is_behind_service_controls(answer: &Answer) -> bool {
    String::from_utf8_lossy(&answer.body).contains("SECURITY_POLICY_VIOLATED")
}

/// Why no tier is open to this account, in Google's words.
fn ineligible(body: &Value) -> Option<Refusal> {
    if body.get("allowedTiers").and_then(Value::as_array).is_some_and(|tiers| !tiers.is_empty()) {
        return None;
    }
    let reason = body.get("ineligibleTiers")?.as_array()?.first()?;
    let text = |name: &str| shown(reason.get(name).and_then(Value::as_str).unwrap_or_default());
    let (code, url) = (text("reasonCode"), text("validationUrl"));
    let remedy = if url.is_empty() { Code::UseGeminiKey.into() } else { Code::VerifyAt.with("address", url) };
    let message = Code::NotOffered.with("said", format!("{} ({code})", text("reasonMessage")));
    Some(Refusal { kind: RefusalKind::Dead, message, remedy })
}
