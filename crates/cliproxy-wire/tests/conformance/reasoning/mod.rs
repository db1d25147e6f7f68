//! Reasoning: what is read from names, what each family is asked for, and who sees it.

mod family;
mod wish;

use cliproxy_wire::catalog::{Caps, caps};
use cliproxy_wire::codec::{Notes, Strictness, Target};
use cliproxy_wire::model::{
    Block, Level, Mode, ReasoningWish, Request, Role, Show, Summary, Turn, WishOrigin,
};
use cliproxy_wire::opaque::Repair;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::reasoning::{Members, Plan, Table, Thinking, plan, word};
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::{Error, Format};
use serde_json::{Value, json};

fn level(level: Level) -> Mode {
    Mode::Level(level)
}

fn user(origin: Format) -> Request {
    let mut request = Request::new(origin, "m");
    request.turns.push(Turn::new(Role::User, vec![Block::text("hi")]));
    request
}

/// A request of `origin` that wishes `mode` in its own words, and to see reasoning.
fn wishing(origin: Format, mode: Mode) -> Request {
    let mut request = user(origin);
    request.reasoning = Some(ReasoningWish {
        mode: Some(mode),
        show: Some(Show::Summary(Summary::Auto)),
        origin: Some(WishOrigin::Body(origin)),
        ..ReasoningWish::default()
    });
    request
}

struct Door {
    profile: Profile,
    caps: Caps,
    model: String,
    suffix: Option<Mode>,
    repair: Option<Repair>,
}

impl Door {
    fn new(profile: Profile, model: &str) -> Self {
        Self { profile, caps: caps(model), model: model.to_owned(), suffix: None, repair: None }
    }

    fn plan(&self, request: &Request) -> Result<Plan, Error> {
        self.noted(request).map(|(plan, _)| plan)
    }

    fn noted(&self, request: &Request) -> Result<(Plan, Notes), Error> {
        let mut notes = Notes::default();
        let target = Target {
            profile: &self.profile,
            caps: &self.caps,
            model: &self.model,
            suffix: self.suffix,
            stream: false,
            scope: None,
            strictness: Strictness::Default,
            table: &Table::default(),
            schemas: &Cleaned::default(),
            memory: None,
            repair: self.repair,
        };
        plan(request, &target, &mut notes).map(|plan| (plan, notes))
    }

    fn members(&self, request: &Request) -> Value {
        render(&self.plan(request).unwrap().members)
    }
}

fn render(members: &Members) -> Value {
    match members {
        Members::None => json!({}),
        Members::Claude { thinking, effort } => {
            let thinking = thinking.map(|thinking| match thinking {
                Thinking::Disabled => json!("disabled"),
                Thinking::Enabled { budget } => json!(budget),
                Thinking::Adaptive { is_summarized: false } => json!("adaptive"),
                Thinking::Adaptive { is_summarized: true } => json!("adaptive, summarized"),
            });
            json!({"thinking": thinking, "effort": effort.map(word)})
        }
        Members::Gemini { budget, level, include_thoughts } => {
            json!({"budget": budget, "level": level.map(word), "include": include_thoughts})
        }
        Members::Effort { effort, summary } => {
            json!({"effort": effort, "summary": summary.map(|_| "auto")})
        }
        Members::Chat(members) => {
            members.iter().map(|(name, value)| ((*name).to_owned(), value.to_value())).collect()
        }
    }
}

fn claude(thinking: impl Into<Value>, effort: Option<&str>) -> Value {
    json!({"thinking": thinking.into(), "effort": effort})
}

fn gemini(budget: Option<i64>, level: Option<&str>, include: bool) -> Value {
    json!({"budget": budget, "level": level, "include": include})
}
