//! What is read of suffixes and bodies, which wish counts, and what it leaves room for.

use cliproxy_wire::Format;
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::Level::{High, Low, Max, Medium, Minimal, XHigh};
use cliproxy_wire::model::Mode::{Auto, Budget, Off, On};
use cliproxy_wire::model::{Block, Mode, Role, Show, Tool, ToolChoice, Turn};
use cliproxy_wire::opaque::Repair;
use cliproxy_wire::profile::{Profile, ReasoningRequest};
use cliproxy_wire::reasoning::{Members, Table, suffix};
use serde_json::{Value, json};

use super::{Door, claude, gemini, level, render, user, wishing};

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
