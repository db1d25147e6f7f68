//! Reasoning: what is read from names, what each family is asked for, and who sees it.

use cliproxy_wire::catalog::{Caps, caps};
use cliproxy_wire::codec::{Notes, Strictness, Target};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::{
    Block, Level, Mode, ReasoningWish, Request, Role, Show, Summary, Tool, ToolChoice, Turn, WishOrigin,
};
use cliproxy_wire::opaque::Repair;
use cliproxy_wire::profile::{Dialect, Profile, ReasoningRequest};
use cliproxy_wire::reasoning::{Members, Plan, Table, Thinking, plan, suffix, visibility, word};
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::{Error, Format};
use serde_json::{Value, json};

use Level::{High, Low, Max, Medium, Minimal, XHigh};
use Mode::{Auto, Budget, Off, On};

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

#[test]
fn j043_suffixes_parse_as_specified() {
    for (name, base, mode) in [
        ("m(8192)", "m", Some(Some(Budget(8192)))),
        ("m(high)", "m", Some(Some(level(High)))),
        ("m(HIGH)", "m", Some(Some(level(High)))),
        ("m( max )", "m", Some(Some(level(Max)))),
        ("m(none)", "m", Some(Some(Off))),
        ("m(0)", "m", Some(Some(Off))),
        ("m(auto)", "m", Some(Some(Auto))),
        ("m(-1)", "m", Some(Some(Auto))),
        ("m(007)", "m", Some(Some(Budget(7)))),
        ("m(99999999999999999999999)", "m", Some(Some(Budget(1 << 31)))),
        ("m()", "m", Some(None)),
        ("m(foo)", "m", Some(None)),
        ("m(-2)", "m", Some(None)),
        ("m", "m", None),
        ("m(high", "m(high", None),
        ("(high)", "(high)", None),
        ("a(b)(low)", "a(b)", Some(Some(level(Low)))),
        ("openrouter/x(high)", "openrouter/x", Some(Some(level(High)))),
    ] {
        assert_eq!(suffix::split(name), (base, mode), "{name}");
    }
}

#[test]
fn j243_claude_families_are_asked_as_their_row_says() {
    let model =
        |name: &str, mode: Mode| Door::new(Profile::claude(), name).members(&wishing(Format::Chat, mode));
    for old in ["claude-3-5-sonnet-20241022", "claude-3-haiku-20240307"] {
        for mode in [Off, level(High), Budget(5000), Auto, On] {
            assert_eq!(model(old, mode), json!({}), "{old} {mode:?}");
        }
    }
    for name in ["claude-sonnet-4-5", "claude-opus-4-1", "claude-haiku-4-5", "claude-sonnet-4-0"] {
        for (mode, expected) in [
            (Off, json!({})),
            (level(Minimal), claude(1024, None)),
            (level(Low), claude(1024, None)),
            (level(Medium), claude(8192, None)),
            (level(High), claude(24576, None)),
            (Budget(5000), claude(5000, None)),
            (Budget(100), claude(1024, None)),
            (Auto, claude(8192, None)),
            (On, claude(8192, None)),
        ] {
            assert_eq!(model(name, mode), expected, "{name} {mode:?}");
        }
    }
    for name in ["claude-opus-4-6", "claude-sonnet-4-6"] {
        for (mode, expected) in [
            (Off, json!({})),
            (level(Minimal), claude("adaptive", Some("low"))),
            (level(Medium), claude("adaptive", Some("medium"))),
            (level(XHigh), claude("adaptive", Some("max"))),
            (level(Max), claude("adaptive", Some("max"))),
            (Budget(5000), claude(5000, None)),
            (Auto, claude("adaptive", None)),
            (On, claude("adaptive", None)),
        ] {
            assert_eq!(model(name, mode), expected, "{name} {mode:?}");
        }
    }
    for name in ["claude-opus-4-7", "claude-opus-4-8", "claude-sonnet-5", "claude-opus-5"] {
        for (mode, expected) in [
            (Off, claude("disabled", None)),
            (level(Minimal), claude("adaptive, summarized", Some("low"))),
            (level(XHigh), claude("adaptive, summarized", Some("xhigh"))),
            (level(Max), claude("adaptive, summarized", Some("max"))),
            (Budget(5000), claude("adaptive, summarized", Some("medium"))),
            (Budget(900_000), claude("adaptive, summarized", Some("max"))),
            (Auto, claude("adaptive, summarized", None)),
        ] {
            assert_eq!(model(name, mode), expected, "{name} {mode:?}");
        }
    }
    for name in ["claude-fable-5", "claude-mythos-5"] {
        assert_eq!(model(name, Off), claude(Value::Null, Some("low")));
        assert_eq!(model(name, level(High)), claude("adaptive, summarized", Some("high")));
        assert_eq!(model(name, Budget(1000)), claude("adaptive, summarized", Some("low")));
    }
}

#[test]
fn j062_adaptive_models_never_get_a_budget() {
    for name in ["claude-opus-4-7", "claude-sonnet-5", "claude-opus-5", "claude-fable-5"] {
        for mode in [level(Low), Budget(20_000), Auto, On] {
            for origin in [Format::Chat, Format::Claude] {
                let plan = Door::new(Profile::claude(), name).plan(&wishing(origin, mode)).unwrap();
                let Members::Claude { thinking: Some(Thinking::Adaptive { .. }), .. } = plan.members else {
                    panic!("{name} {mode:?}: {plan:?}");
                };
                assert!(plan.drops_sampling);
            }
        }
    }
}

#[test]
fn j063_off_is_said_where_thinking_is_the_default() {
    let door = Door::new(Profile::claude(), "claude-sonnet-5");
    assert_eq!(door.members(&wishing(Format::Chat, Off)), claude("disabled", None));
    // Without a wish the model's own habit stays; what it thinks is shown to those who see it.
    let mut chat = user(Format::Chat);
    assert_eq!(door.members(&chat), claude("adaptive, summarized", None));
    chat.origin = Format::Claude;
    assert_eq!(door.members(&chat), json!({}));
}

#[test]
fn j243_gemini_families_are_asked_as_their_row_says() {
    let model =
        |name: &str, mode: Mode| Door::new(Profile::gemini(), name).members(&wishing(Format::Chat, mode));
    for old in ["gemini-2.0-flash", "gemini-1.5-pro", "gemini-2.5-flash-image"] {
        for mode in [Off, level(High), Budget(5000), Auto] {
            assert_eq!(model(old, mode), json!({}), "{old} {mode:?}");
        }
    }
    let budget = |tokens: i64| gemini(Some(tokens), None, true);
    let named = |level: &str| gemini(None, Some(level), true);
    for (name, mode, expected) in [
        ("gemini-2.5-pro", Off, gemini(Some(128), None, false)),
        ("gemini-2.5-pro", level(Medium), budget(8192)),
        ("gemini-2.5-pro", level(Max), budget(32768)),
        ("gemini-2.5-pro", Budget(50), budget(128)),
        ("gemini-2.5-pro", Budget(99_999), budget(32768)),
        ("gemini-2.5-pro", Auto, budget(-1)),
        ("gemini-2.5-flash", Off, gemini(Some(0), None, false)),
        ("gemini-2.5-flash", level(Minimal), budget(512)),
        ("gemini-2.5-flash", Budget(99_999), budget(24576)),
        ("gemini-2.5-flash", On, budget(-1)),
        ("gemini-2.5-flash-lite", Off, gemini(Some(0), None, false)),
        ("gemini-2.5-flash-lite", Budget(100), budget(512)),
        ("gemini-3-pro-preview", Off, gemini(None, Some("low"), false)),
        ("gemini-3-pro-preview", level(Medium), named("low")),
        ("gemini-3-pro-preview", level(Max), named("high")),
        ("gemini-3-pro-preview", Budget(9000), named("high")),
        ("gemini-3-pro-preview", Auto, gemini(None, None, true)),
        ("gemini-3.1-pro-preview", Off, gemini(None, Some("low"), false)),
        ("gemini-3.1-pro-preview", level(Medium), named("medium")),
        ("gemini-3-flash-preview", Off, gemini(None, Some("minimal"), false)),
        ("gemini-3-flash-preview", level(XHigh), named("high")),
        ("gemini-3-flash-preview", Budget(8000), named("medium")),
        ("gemini-3.1-flash-lite-preview", level(Low), named("minimal")),
        ("gemini-3.1-flash-image-preview", level(High), named("high")),
        ("gemini-3.8-flash", Off, gemini(None, Some("low"), false)),
        ("models/gemini-3.5-flash", level(Medium), named("medium")),
    ] {
        assert_eq!(model(name, mode), expected, "{name} {mode:?}");
    }
}

#[test]
fn j092_level_and_budget_never_go_together() {
    for name in
        ["gemini-2.5-pro", "gemini-2.5-flash-lite", "gemini-3-pro-preview", "gemini-3.6-flash", "gemini-x"]
    {
        for mode in [Off, level(High), Budget(5000), Auto, On] {
            let plan = Door::new(Profile::gemini(), name).plan(&wishing(Format::Claude, mode)).unwrap();
            if let Members::Gemini { budget, level, .. } = plan.members {
                assert!(budget.is_none() || level.is_none(), "{name} {mode:?}");
            }
        }
    }
}

#[test]
fn j093_none_is_the_least_each_gemini_family_can() {
    let members = |name: &str| Door::new(Profile::gemini(), name).members(&wishing(Format::Chat, Off));
    assert_eq!(members("gemini-2.5-flash"), gemini(Some(0), None, false));
    assert_eq!(members("gemini-2.5-pro"), gemini(Some(128), None, false));
    assert_eq!(members("gemini-3-pro-preview"), gemini(None, Some("low"), false));
    let (_, notes) =
        Door::new(Profile::gemini(), "gemini-3-pro-preview").noted(&wishing(Format::Chat, Off)).unwrap();
    assert_eq!(notes.paths(), ["reasoning_effort"]);
}

#[test]
fn j095_thoughts_are_asked_for_iff_the_client_sees_them() {
    let door = Door::new(Profile::gemini(), "gemini-2.5-flash");
    for (origin, show, expected) in [
        (Format::Chat, None, true),
        (Format::Chat, Some(Show::Hidden), false),
        (Format::Responses, None, false),
        (Format::Responses, Some(Show::Summary(Summary::Concise)), true),
        (Format::Claude, None, false),
        (Format::Gemini, None, false),
    ] {
        let mut request = wishing(origin, level(High));
        request.reasoning.as_mut().unwrap().show = show;
        assert_eq!(door.members(&request)["include"], json!(expected), "{origin:?} {show:?}");
        assert_eq!(visibility(&request) != Show::Hidden, expected);
    }
    assert_eq!(door.members(&user(Format::Chat)), gemini(None, None, true));
    assert_eq!(door.members(&user(Format::Claude)), json!({}));
    assert_eq!(Door::new(Profile::gemini(), "gemini-2.0-flash").members(&user(Format::Chat)), json!({}));
}

#[test]
fn j243_openai_families_are_asked_as_their_row_says() {
    let word = |effort: Option<&str>| json!({"effort": effort, "summary": null});
    for (name, mode, expected) in [
        ("o3", Off, Some("low")),
        ("o3", level(Minimal), Some("low")),
        ("o4-mini", level(Max), Some("high")),
        ("gpt-5", Off, Some("minimal")),
        ("gpt-5-mini", level(Minimal), Some("minimal")),
        ("gpt-5-codex", Off, Some("low")),
        ("gpt-5-pro", level(Low), Some("high")),
        ("gpt-5.1", Off, Some("none")),
        ("gpt-5.1", level(XHigh), Some("high")),
        ("gpt-5.1", level(Minimal), Some("low")),
        ("gpt-5.1-codex", Off, Some("low")),
        ("gpt-5.2", Off, Some("none")),
        ("gpt-5.2", level(Max), Some("xhigh")),
        ("gpt-5.4", Budget(9000), Some("high")),
        ("gpt-5.5", Off, Some("none")),
        ("gpt-5.6-sol", level(Max), Some("max")),
        ("gpt-5.6-sol", level(Minimal), Some("low")),
        ("gpt-5.3-codex", Off, Some("low")),
        ("gpt-5.3-codex", level(Max), Some("xhigh")),
    ] {
        let members = Door::new(Profile::openai_chat(), name).members(&wishing(Format::Claude, mode));
        assert_eq!(members, word(expected), "{name} {mode:?}");
    }
    for mode in [Auto, On] {
        assert_eq!(
            Door::new(Profile::openai_chat(), "gpt-5").members(&wishing(Format::Claude, mode)),
            json!({})
        );
    }
    let responses = Door::new(Profile::openai_responses(), "gpt-5.2");
    assert_eq!(
        responses.members(&wishing(Format::Claude, level(High))),
        json!({"effort":"high","summary":"auto"})
    );
    assert_eq!(responses.members(&wishing(Format::Claude, Off)), word(Some("none")));
    let mut hidden = wishing(Format::Claude, level(High));
    hidden.reasoning.as_mut().unwrap().show = Some(Show::Hidden);
    assert_eq!(responses.members(&hidden), word(Some("high")));
    let unverified = Door { repair: Some(Repair::DropSummary), ..Door::new(Profile::codex(), "gpt-5.5") };
    assert_eq!(unverified.members(&wishing(Format::Claude, level(High))), word(Some("high")));
}

fn relative(reasoning_request: ReasoningRequest, model: &str, mode: Mode) -> Value {
    let profile = Profile { reasoning_request, dialect: Dialect::Compatible, ..Profile::compatible() };
    Door::new(profile, model).members(&wishing(Format::Chat, mode))
}

#[test]
fn j243_chat_relatives_are_asked_in_their_own_members() {
    use ReasoningRequest as To;
    let on = json!({"type":"enabled"});
    let off = json!({"type":"disabled"});
    for (to, model, mode, expected) in [
        (To::Effort, "llama", level(High), json!({"effort":"high","summary":null})),
        (To::Effort, "llama", Budget(1000), json!({"effort":"low","summary":null})),
        (To::Effort, "grok-4.3", Off, json!({"effort":"none","summary":null})),
        (To::Effort, "grok-4.5", Off, json!({"effort":"low","summary":null})),
        (To::Effort, "grok-4.6", level(XHigh), json!({"effort":"xhigh","summary":null})),
        (To::RouterObject, "x/y", Off, json!({"reasoning":{"enabled":false}})),
        (To::RouterObject, "x/y", level(High), json!({"reasoning":{"effort":"high"}})),
        (To::RouterObject, "x/y", Budget(3000), json!({"reasoning":{"max_tokens":3000}})),
        (To::RouterObject, "x/y", On, json!({"reasoning":{"enabled":true}})),
        (To::Qwen, "qwen3-max", Off, json!({"enable_thinking":false})),
        (To::Qwen, "qwen3-max", level(High), json!({"enable_thinking":true,"thinking_budget":24576})),
        (To::Qwen, "qwen3-max", Budget(700), json!({"enable_thinking":true,"thinking_budget":700})),
        (To::Qwen, "qwen3-max", Auto, json!({"enable_thinking":true})),
        (To::IFlow, "glm-4.7", Off, json!({"chat_template_kwargs":{"enable_thinking":false}})),
        (
            To::IFlow,
            "glm-4.7",
            level(Low),
            json!({"chat_template_kwargs":{"enable_thinking":true,"clear_thinking":false}}),
        ),
        (To::IFlow, "deepseek-v3.2", On, json!({"chat_template_kwargs":{"enable_thinking":true}})),
        (To::IFlow, "minimax-m2.1", Off, json!({"reasoning_split":false})),
        (To::IFlow, "minimax-m2.1", Budget(5), json!({"reasoning_split":true})),
        (To::IFlow, "deepseek-r1", On, json!({})),
        (To::DeepSeek, "deepseek-chat", Off, json!({"thinking":off})),
        (To::DeepSeek, "deepseek-chat", level(Low), json!({"thinking":on,"reasoning_effort":"high"})),
        (To::DeepSeek, "deepseek-chat", level(XHigh), json!({"thinking":on,"reasoning_effort":"max"})),
        (To::DeepSeek, "deepseek-chat", Auto, json!({"thinking":on})),
        (To::Kimi, "kimi-k2.6", Off, json!({"thinking":off})),
        (To::Kimi, "kimi-k2.7-code", Off, json!({"thinking":on,"reasoning_effort":"low"})),
        (To::Kimi, "kimi-k2.6", level(Max), json!({"thinking":on,"reasoning_effort":"high"})),
        (To::Kimi, "kimi-k3", level(Max), json!({"thinking":on,"reasoning_effort":"max"})),
        (To::Kimi, "kimi-k2", level(High), json!({})),
        (To::Glm, "glm-5.2", Off, json!({"thinking":off})),
        (To::Glm, "glm-5.2", level(High), json!({"thinking":on})),
        (To::Template, "any", Off, json!({"chat_template_kwargs":{"enable_thinking":false}})),
        (To::Template, "any", level(High), json!({"chat_template_kwargs":{"enable_thinking":true}})),
        (To::GoogleChat, "gemini-2.5-flash", Off, json!({"reasoning_effort":"none"})),
        (To::GoogleChat, "gemini-2.5-pro", Off, json!({"reasoning_effort":"low"})),
        (To::GoogleChat, "gemini-3-flash-preview", Off, json!({"reasoning_effort":"minimal"})),
        (
            To::GoogleChat,
            "gemini-2.5-pro",
            Budget(9),
            json!({"extra_body":{"google":{"thinking_config":{"thinking_budget":128,"include_thoughts":true}}}}),
        ),
        (
            To::GoogleChat,
            "gemini-3-pro-preview",
            level(Max),
            json!({"extra_body":{"google":{"thinking_config":{"thinking_level":"high","include_thoughts":true}}}}),
        ),
    ] {
        assert_eq!(relative(to, model, mode), expected, "{to:?} {model} {mode:?}");
    }
    let hidden = |to| {
        let profile = Profile { reasoning_request: to, ..Profile::compatible() };
        let mut request = wishing(Format::Chat, level(High));
        request.reasoning.as_mut().unwrap().show = Some(Show::Hidden);
        Door::new(profile, "gemini-3-pro-preview").members(&request)
    };
    assert_eq!(hidden(To::RouterObject), json!({"reasoning":{"effort":"high","exclude":true}}));
    assert_eq!(hidden(To::GoogleChat), json!({"reasoning_effort":"high"}));
}

#[test]
fn j117_qwen_is_switched_by_its_own_members() {
    assert_eq!(relative(ReasoningRequest::Qwen, "qwen-plus", Off), json!({"enable_thinking":false}));
    let on = relative(ReasoningRequest::Qwen, "qwen-plus", level(High));
    assert_eq!(on, json!({"enable_thinking":true,"thinking_budget":24576}));
}

#[test]
fn j118_iflow_is_switched_by_model() {
    let glm = relative(ReasoningRequest::IFlow, "glm-4.6", level(High));
    assert_eq!(glm["chat_template_kwargs"]["enable_thinking"], true);
    assert_eq!(relative(ReasoningRequest::IFlow, "minimax-m2", Off), json!({"reasoning_split":false}));
}

#[test]
fn j244_level_to_budget_to_level_is_the_identity() {
    for (name, model) in [("default", "m"), ("gemini", "gemini-2.5-pro")] {
        let table = Table::named(name, model).unwrap();
        for level in [Minimal, Low, Medium, High] {
            assert_eq!(table.level(table.budget(level)), level, "{name}");
        }
    }
    let table = Table::default();
    assert_eq!(table.level(table.budget(XHigh)), XHigh);
    for (budget, level) in
        [(1, Minimal), (513, Low), (1025, Medium), (8193, High), (24577, XHigh), (40_000, Max)]
    {
        assert_eq!(table.level(budget), level);
    }
    assert_eq!(Table::named("nobody", "m"), None);
}

#[test]
fn j245_the_suffix_wins_over_the_body() {
    let mut door = Door::new(Profile::claude(), "claude-sonnet-4-5");
    door.suffix = Some(Off);
    assert_eq!(door.members(&wishing(Format::Claude, Budget(5000))), json!({}));
    door.suffix = Some(Budget(2048));
    assert_eq!(door.members(&wishing(Format::Claude, Off)), claude(2048, None));
    door.suffix = None;
    assert_eq!(door.members(&wishing(Format::Claude, Budget(5000))), claude(5000, None));
}

#[test]
fn j094_and_j245_a_number_wins_over_a_level_and_off_over_both() {
    let sent = |wishes: Value| {
        let mut body = wishes;
        body["model"] = json!("m");
        body["messages"] = json!([{"role": "user", "content": "a"}]);
        let body =
            crate::support::Upstream::new(Profile::gemini(), "gemini-2.5-flash").encode(Format::Chat, &body);
        body["generationConfig"]["thinkingConfig"].clone()
    };
    let off = json!({"thinkingBudget": 0, "includeThoughts": false});
    let is_off = |config: &Value| config["thinkingBudget"] == 0 && config["includeThoughts"] != true;
    for wishes in [
        json!({"thinking_budget": 16384, "reasoning_effort": "medium"}),
        json!({"reasoning_effort": "high", "thinking_budget": 16384}),
        json!({"extra_body": {"thinking_budget": 16384}, "reasoning_effort": "low"}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 16384}, "reasoning_effort": "low"}),
        json!({"reasoning": {"max_tokens": 16384, "effort": "low"}}),
    ] {
        assert_eq!(
            sent(wishes.clone()),
            json!({"thinkingBudget": 16384, "includeThoughts": true}),
            "{wishes}"
        );
    }
    for wishes in [
        json!({"thinking_budget": 16384, "reasoning_effort": "none"}),
        json!({"thinking_budget": 0, "reasoning_effort": "high"}),
        json!({"thinking": {"type": "disabled"}, "thinking_budget": 16384}),
        json!({"reasoning": {"enabled": false, "max_tokens": 16384}}),
        json!({"enable_thinking": false, "thinking_budget": 16384}),
    ] {
        let config = sent(wishes.clone());
        assert!(is_off(&config), "{wishes}: {config}, not {off}");
    }
}

#[test]
fn j246_unknown_models_are_not_clamped() {
    for (profile, mode, expected) in [
        (Profile::claude(), Budget(900_000), claude(900_000, None)),
        (Profile::claude(), level(Medium), claude(8192, None)),
        (Profile::claude(), Off, claude("disabled", None)),
        (Profile::gemini(), Budget(900_000), gemini(Some(900_000), None, true)),
        (Profile::gemini(), level(Medium), gemini(None, Some("medium"), true)),
        (Profile::gemini(), level(Max), gemini(None, Some("max"), true)),
        (Profile::gemini(), Auto, gemini(Some(-1), None, true)),
        (Profile::compatible(), level(Max), json!({"effort":"max","summary":null})),
        (Profile::openai_responses(), level(Max), json!({"effort":"max","summary":"auto"})),
    ] {
        assert_eq!(Door::new(profile, "my-model").members(&wishing(Format::Chat, mode)), expected);
    }
    let own = Door::new(Profile::claude(), "my-model");
    assert_eq!(own.members(&wishing(Format::Claude, level(Max))), claude("adaptive", Some("max")));
    assert_eq!(own.members(&wishing(Format::Claude, Budget(7))), claude(7, None));
    for profile in [Profile::claude(), Profile::gemini(), Profile::openai_responses(), Profile::compatible()]
    {
        assert_eq!(Door::new(profile, "my-model").members(&user(Format::Chat)), json!({}));
    }
}

#[test]
fn j247_models_without_reasoning_get_no_member() {
    for (profile, name) in [
        (Profile::claude(), "claude-3-5-haiku-20241022"),
        (Profile::gemini(), "gemini-2.0-flash"),
        (Profile::openai_chat(), "gpt-4o"),
        (Profile::openai_responses(), "gpt-4.1"),
        (Profile { reasoning_request: ReasoningRequest::Qwen, ..Profile::compatible() }, "qwen3-coder-plus"),
        (Profile { reasoning_request: ReasoningRequest::Kimi, ..Profile::compatible() }, "kimi-k2"),
    ] {
        for mode in [Off, level(High), Budget(10), Auto, On] {
            let (plan, notes) = Door::new(profile.clone(), name).noted(&wishing(Format::Chat, mode)).unwrap();
            assert_eq!(plan.members, Members::None, "{name} {mode:?}");
            assert_eq!(notes.is_empty(), mode == Off);
        }
    }
}

#[test]
fn j248_out_of_range_is_refused_in_the_own_format_and_clamped_from_others() {
    let refused = |profile: Profile, name: &str, mode: Mode| {
        let origin = profile.format;
        Door::new(profile, name).plan(&wishing(origin, mode)).unwrap_err()
    };
    for (error, path, message) in [
        (
            refused(Profile::claude(), "claude-sonnet-4-5", Budget(200_000)),
            "thinking.budget_tokens",
            "budget 200000 out of range [1024,128000]",
        ),
        (
            refused(Profile::gemini(), "gemini-2.5-pro", Budget(50)),
            "generationConfig.thinkingConfig.thinkingBudget",
            "budget 50 out of range [128,32768]",
        ),
        (
            refused(Profile::gemini(), "gemini-3-pro-preview", level(Medium)),
            "generationConfig.thinkingConfig.thinkingLevel",
            "level \"medium\" not supported, valid levels: low, high",
        ),
        (
            refused(Profile::claude(), "claude-opus-4-6", level(XHigh)),
            "output_config.effort",
            "level \"xhigh\" not supported, valid levels: low, medium, high, max",
        ),
        (
            refused(Profile::openai_responses(), "gpt-5.1", level(XHigh)),
            "reasoning.effort",
            "level \"xhigh\" not supported, valid levels: low, medium, high",
        ),
        (
            refused(Profile::openai_chat(), "gpt-5.1", level(Minimal)),
            "reasoning_effort",
            "level \"minimal\" not supported, valid levels: low, medium, high",
        ),
    ] {
        assert_eq!((error.path().as_deref(), error.message()), (Some(path), message));
    }
    let mut door = Door::new(Profile::claude(), "claude-sonnet-4-5");
    assert_eq!(door.members(&wishing(Format::Gemini, Budget(200_000))), claude(64_000 - 1024, None));
    door.suffix = Some(Budget(200_000));
    assert!(door.plan(&wishing(Format::Claude, Off)).is_ok());
    let mut door = Door::new(Profile::gemini(), "gemini-3-pro-preview");
    assert_eq!(door.members(&wishing(Format::Chat, level(Medium))), gemini(None, Some("low"), true));
    door.suffix = Some(level(Medium));
    assert_eq!(door.members(&wishing(Format::Gemini, Auto)), gemini(None, Some("low"), true));
}

#[test]
fn j060_manual_thinking_gives_way_to_a_forced_call() {
    let door = Door::new(Profile::claude(), "claude-sonnet-4-5");
    let mut request = wishing(Format::Chat, level(High));
    request.max_output_tokens = Some(100);
    for choice in [
        ToolChoice::Required,
        ToolChoice::Named { name: "f".into(), kind: cliproxy_wire::model::CallKind::Function },
    ] {
        request.tool_choice = Some(choice);
        let (plan, notes) = door.noted(&request).unwrap();
        assert_eq!((plan.members, plan.max_output_tokens, plan.is_on), (Members::None, Some(100), false));
        assert_eq!(notes.paths(), ["reasoning_effort"]);
    }
    request.tool_choice = Some(ToolChoice::Auto);
    assert_eq!(door.members(&request), claude(24576, None));
}

#[test]
fn a_prefilled_answer_switches_thinking_off() {
    let door = Door::new(Profile::claude(), "claude-sonnet-4-5");
    let mut request = wishing(Format::Chat, level(High));
    request.turns.push(Turn::new(Role::Assistant, vec![Block::text("So:")]));
    assert_eq!(door.members(&request), json!({}));
}

#[test]
fn j061_the_token_limit_leaves_room_for_budget_and_answer() {
    for (name, client, mode, budget, max) in [
        ("claude-sonnet-4-5", Some(4096), level(Medium), 8192, 12288),
        ("claude-sonnet-4-5", Some(20_000), level(Medium), 8192, 20_000),
        ("claude-sonnet-4-5", None, level(Medium), 8192, 64_000),
        ("claude-3-7-sonnet-20250219", None, level(High), 7168, 8192),
        ("my-model", Some(4096), level(Medium), 8192, 12288),
    ] {
        let mut request = wishing(Format::Chat, mode);
        request.max_output_tokens = client;
        let plan = Door::new(Profile::claude(), name).plan(&request).unwrap();
        assert_eq!(render(&plan.members), claude(budget, None), "{name}");
        assert_eq!(plan.max_output_tokens, Some(max), "{name}");
    }
    // A Claude client's own pair of numbers is its own business.
    let mut own = wishing(Format::Claude, Budget(5000));
    own.max_output_tokens = Some(4000);
    let plan = Door::new(Profile::claude(), "claude-sonnet-4-5").plan(&own).unwrap();
    assert_eq!(plan.max_output_tokens, Some(4000));
}

#[test]
fn gemini_budgets_leave_a_token_for_the_answer() {
    let door = Door::new(Profile::gemini(), "gemini-2.5-pro");
    for (limit, mode, expected) in
        [(4000, Budget(8000), 3999), (100, Budget(8000), 8000), (129, Budget(8000), 128), (4000, Auto, -1)]
    {
        let mut request = wishing(Format::Chat, mode);
        request.max_output_tokens = Some(limit);
        assert_eq!(door.members(&request), gemini(Some(expected), None, true), "{limit}");
    }
}

#[test]
fn interleaving_needs_tools_and_a_wish() {
    let door = Door::new(Profile::claude(), "claude-sonnet-4-5");
    let mut request = wishing(Format::Claude, Budget(4096));
    request.reasoning.as_mut().unwrap().is_interleaved = Some(true);
    assert!(!door.plan(&request).unwrap().needs_interleaved_beta);
    request.tools.push(Tool::Function {
        name: "f".into(),
        namespace: None,
        description: None,
        schema: None,
        strict: None,
        cache: None,
        native: None,
        ext: cliproxy_wire::model::Ext::new(),
    });
    assert!(door.plan(&request).unwrap().needs_interleaved_beta);
    request.reasoning.as_mut().unwrap().is_interleaved = None;
    assert!(!door.plan(&request).unwrap().needs_interleaved_beta);
}

#[test]
fn sampling_goes_while_openai_models_reason() {
    let drops = |name: &str, mode: Option<Mode>| {
        let request = mode.map_or_else(|| user(Format::Chat), |mode| wishing(Format::Chat, mode));
        Door::new(Profile::openai_chat(), name).plan(&request).unwrap().drops_sampling
    };
    assert!(drops("gpt-5", None) && drops("o3", None) && drops("gpt-5.5", None) && drops("o1-mini", None));
    assert!(!drops("gpt-5.1", None) && drops("gpt-5.1", Some(level(Low))));
    assert!(!drops("gpt-5.5", Some(Off)) && drops("gpt-5", Some(Off)));
    assert!(!drops("gpt-4o", None) && !drops("my-model", Some(level(High))));
}

#[test]
fn an_effort_without_thinking_stays_one_for_claude_and_asks_others_to_think() {
    let mut request = wishing(Format::Claude, level(High));
    request.reasoning.as_mut().unwrap().show = Some(Show::Hidden);
    let claude_door = Door::new(Profile::claude(), "claude-opus-4-6");
    assert_eq!(claude_door.members(&request), claude(Value::Null, Some("high")));
    assert_eq!(
        Door::new(Profile::gemini(), "gemini-2.5-pro").members(&request),
        gemini(Some(24576), None, false)
    );
    request.reasoning.as_mut().unwrap().ext.set("display", Raw::string("omitted"));
    assert_eq!(claude_door.members(&request), claude("adaptive", Some("high")));
}

#[test]
fn a_rejected_history_switches_thinking_off() {
    for repair in [Repair::ThinkingOff, Repair::DropLatestThinking] {
        let door = Door { repair: Some(repair), ..Door::new(Profile::claude(), "claude-sonnet-4-5") };
        assert_eq!(door.members(&wishing(Format::Claude, Budget(5000))), json!({}));
    }
}
