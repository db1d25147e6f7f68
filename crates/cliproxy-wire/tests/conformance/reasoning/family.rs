//! What each family of models is asked for.

use cliproxy_wire::Format;
use cliproxy_wire::model::Level::{High, Low, Max, Medium, Minimal, XHigh};
use cliproxy_wire::model::Mode::{Auto, Budget, Off, On};
use cliproxy_wire::model::{Mode, Show, Summary};
use cliproxy_wire::opaque::Repair;
use cliproxy_wire::profile::{Dialect, Profile, ReasoningRequest};
use cliproxy_wire::reasoning::{Members, Thinking, visibility};
use serde_json::{Value, json};

use super::{Door, claude, gemini, level, user, wishing};

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
