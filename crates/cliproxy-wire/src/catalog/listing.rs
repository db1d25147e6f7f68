//! The built-in catalogue: what each provider offers when a key entry lists no models of its own.

use super::{Caps, caps};

/// A model that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Name at the upstream, and the default name towards clients.
    pub id: &'static str,
    /// Kinds of provider that offer it: `gemini`, `gemini-cli`, `vertex`, `aistudio`, `antigravity`, `claude`, `codex`,
    /// `qwen`, `iflow`, `kimi`, `xai`.
    pub providers: &'static [&'static str],
    /// Name for people.
    pub display_name: &'static str,
    /// When it was published, in Unix seconds.
    pub created: u64,
    /// Who made it.
    pub owned_by: &'static str,
}

impl Model {
    /// What it can do; limits stand there.
    pub fn caps(&self) -> Caps {
        caps(self.id)
    }

    /// Tokens that it can read, beside what it writes, where the limits are known.
    pub fn input_limit(&self) -> Option<u64> {
        self.caps().context_window
    }

    /// Tokens that it can write, where the limit is known.
    pub fn output_limit(&self) -> Option<u64> {
        self.caps().max_output
    }
}

/// The built-in catalogue.
pub fn models() -> &'static [Model] {
    MODELS
}

/// What one kind of provider offers.
pub fn models_of(provider: &str) -> impl Iterator<Item = &'static Model> + use<'_> {
    MODELS.iter().filter(move |model| model.providers.contains(&provider))
}

const fn model(
    id: &'static str,
    display_name: &'static str,
    owned_by: &'static str,
    created: u64,
    providers: &'static [&'static str],
) -> Model {
    Model { id, providers, display_name, created, owned_by }
}

const CLAUDE: &[&str] = &["claude"];
const CODEX: &[&str] = &["codex"];
const VERTEX: &[&str] = &["vertex"];
const QWEN: &[&str] = &["qwen"];
const IFLOW: &[&str] = &["iflow"];
const KIMI: &[&str] = &["kimi"];
const XAI: &[&str] = &["xai"];
/// Google models that all four of its doors have.
const GOOGLE: &[&str] = &["gemini", "gemini-cli", "vertex", "aistudio"];
const KEY_AND_VERTEX: &[&str] = &["gemini", "vertex"];
const GEMINI_KEY: &[&str] = &["gemini", "aistudio"];

const ANTHROPIC: &str = "anthropic";
const OPENAI: &str = "openai";
const DEEPMIND: &str = "google";

#[rustfmt::skip]
const MODELS: &[Model] = &[
    model("claude-3-5-haiku-20241022", "Claude 3.5 Haiku", ANTHROPIC, 1_729_555_200, CLAUDE),
    model("claude-3-7-sonnet-20250219", "Claude 3.7 Sonnet", ANTHROPIC, 1_739_923_200, CLAUDE),
    model("claude-sonnet-4-20250514", "Claude Sonnet 4", ANTHROPIC, 1_747_180_800, CLAUDE),
    model("claude-opus-4-20250514", "Claude Opus 4", ANTHROPIC, 1_747_180_800, CLAUDE),
    model("claude-opus-4-1-20250805", "Claude Opus 4.1", ANTHROPIC, 1_754_352_000, CLAUDE),
    model("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", ANTHROPIC, 1_759_104_000, CLAUDE),
    model("claude-haiku-4-5-20251001", "Claude Haiku 4.5", ANTHROPIC, 1_759_276_800, CLAUDE),
    model("claude-opus-4-5-20251101", "Claude Opus 4.5", ANTHROPIC, 1_761_955_200, CLAUDE),
    model("claude-opus-4-6", "Claude Opus 4.6", ANTHROPIC, 1_770_249_600, CLAUDE),
    model("claude-sonnet-4-6", "Claude Sonnet 4.6", ANTHROPIC, 1_771_286_400, &["claude", "antigravity"]),
    model("claude-opus-4-7", "Claude Opus 4.7", ANTHROPIC, 1_776_297_600, CLAUDE),
    model("claude-opus-4-8", "Claude Opus 4.8", ANTHROPIC, 1_779_321_600, CLAUDE),
    model("claude-fable-5", "Claude Fable 5", ANTHROPIC, 1_781_136_000, CLAUDE),
    model("claude-sonnet-5", "Claude Sonnet 5", ANTHROPIC, 1_783_036_800, CLAUDE),
    model("claude-opus-5", "Claude Opus 5", ANTHROPIC, 1_784_246_400, CLAUDE),

    model("gemini-2.5-pro", "Gemini 2.5 Pro", DEEPMIND, 1_750_118_400, GOOGLE),
    model("gemini-2.5-flash", "Gemini 2.5 Flash", DEEPMIND, 1_750_118_400, GOOGLE),
    model("gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite", DEEPMIND, 1_753_142_400, GOOGLE),
    model("gemini-2.5-flash-image", "Gemini 2.5 Flash Image", DEEPMIND, 1_759_363_200, &["vertex", "aistudio"]),
    model("gemini-3-pro-preview", "Gemini 3 Pro Preview", DEEPMIND, 1_763_424_000, GOOGLE),
    model("gemini-3-pro-image-preview", "Gemini 3 Pro Image Preview", DEEPMIND, 1_763_596_800, &["gemini", "vertex"]),
    model("gemini-3-flash-preview", "Gemini 3 Flash Preview", DEEPMIND, 1_765_929_600, GOOGLE),
    model("gemini-3-pro", "Gemini 3 Pro", DEEPMIND, 1_763_424_000, VERTEX),
    model("gemini-3-pro-image", "Gemini 3 Pro Image", DEEPMIND, 1_763_596_800, VERTEX),
    model("gemini-3-flash", "Gemini 3 Flash", DEEPMIND, 1_765_929_600, &["vertex", "antigravity"]),
    model("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", DEEPMIND, 1_771_459_200, GOOGLE),
    model("gemini-3.1-pro", "Gemini 3.1 Pro", DEEPMIND, 1_771_459_200, VERTEX),
    model("gemini-3.1-flash-image-preview", "Gemini 3.1 Flash Image Preview", DEEPMIND, 1_772_064_000, &["gemini"]),
    model("gemini-3.1-flash-image", "Gemini 3.1 Flash Image", DEEPMIND, 1_772_064_000, &["vertex", "antigravity"]),
    model("gemini-3.1-flash-lite-preview", "Gemini 3.1 Flash-Lite Preview", DEEPMIND, 1_772_496_000, &["gemini", "gemini-cli", "aistudio"]),
    model("gemini-3.1-flash-lite", "Gemini 3.1 Flash-Lite", DEEPMIND, 1_772_496_000, &["gemini-cli", "vertex", "antigravity"]),
    model("gemini-3.5-flash", "Gemini 3.5 Flash", DEEPMIND, 1_779_235_200, GOOGLE),
    model("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", DEEPMIND, 1_781_568_000, &["gemini", "vertex", "aistudio"]),
    model("gemini-3.6-flash", "Gemini 3.6 Flash", DEEPMIND, 1_783_468_800, &["gemini", "vertex", "aistudio"]),
    model("gemini-3.7-flash", "Gemini 3.7 Flash", DEEPMIND, 1_785_283_200, &["gemini", "vertex", "aistudio"]),
    model("gemini-pro-latest", "Gemini Pro Latest", DEEPMIND, 1_750_118_400, &["aistudio"]),
    model("gemini-flash-latest", "Gemini Flash Latest", DEEPMIND, 1_758_758_400, GEMINI_KEY),
    model("gemini-flash-lite-latest", "Gemini Flash-Lite Latest", DEEPMIND, 1_758_758_400, GEMINI_KEY),
    model("gemini-embedding-001", "Gemini Embedding", DEEPMIND, 1_752_451_200, KEY_AND_VERTEX),
    model("imagen-4.0-generate-001", "Imagen 4", DEEPMIND, 1_755_129_600, KEY_AND_VERTEX),
    model("imagen-4.0-ultra-generate-001", "Imagen 4 Ultra", DEEPMIND, 1_755_129_600, KEY_AND_VERTEX),
    model("imagen-4.0-fast-generate-001", "Imagen 4 Fast", DEEPMIND, 1_755_129_600, KEY_AND_VERTEX),
    model("imagen-3.0-generate-002", "Imagen 3", DEEPMIND, 1_738_195_200, VERTEX),
    model("imagen-3.0-fast-generate-001", "Imagen 3 Fast", DEEPMIND, 1_725_148_800, VERTEX),

    model("gemini-3.6-flash-high", "Gemini 3.6 Flash (high)", DEEPMIND, 1_783_468_800, &["antigravity"]),
    model("gemini-3.7-flash-high", "Gemini 3.7 Flash (high)", DEEPMIND, 1_785_283_200, &["antigravity"]),
    model("gemini-3-flash-agent", "Gemini 3 Flash Agent", DEEPMIND, 1_765_929_600, &["antigravity"]),
    model("gemini-pro-agent", "Gemini Pro Agent", DEEPMIND, 1_771_459_200, &["antigravity"]),
    model("gemini-3.1-pro-low", "Gemini 3.1 Pro (low)", DEEPMIND, 1_771_459_200, &["antigravity"]),
    model("gemini-3.5-flash-low", "Gemini 3.5 Flash (low)", DEEPMIND, 1_779_235_200, &["antigravity"]),
    model("gemini-3.5-flash-extra-low", "Gemini 3.5 Flash (extra low)", DEEPMIND, 1_779_235_200, &["antigravity"]),
    model("claude-opus-4-6-thinking", "Claude Opus 4.6 (thinking)", ANTHROPIC, 1_770_249_600, &["antigravity"]),
    model("gpt-oss-120b-medium", "GPT-OSS 120B (medium)", OPENAI, 1_754_352_000, &["antigravity"]),

    model("gpt-5", "GPT-5", OPENAI, 1_754_524_800, CODEX),
    model("gpt-5-codex", "GPT-5 Codex", OPENAI, 1_757_894_400, CODEX),
    model("gpt-5-codex-mini", "GPT-5 Codex Mini", OPENAI, 1_762_473_600, CODEX),
    model("gpt-5.1", "GPT-5.1", OPENAI, 1_762_905_600, CODEX),
    model("gpt-5.1-codex", "GPT-5.1 Codex", OPENAI, 1_762_905_600, CODEX),
    model("gpt-5.1-codex-mini", "GPT-5.1 Codex Mini", OPENAI, 1_762_905_600, CODEX),
    model("gpt-5.1-codex-max", "GPT-5.1 Codex Max", OPENAI, 1_763_510_400, CODEX),
    model("gpt-5.2", "GPT-5.2", OPENAI, 1_765_411_200, CODEX),
    model("gpt-5.2-codex", "GPT-5.2 Codex", OPENAI, 1_765_929_600, CODEX),
    model("gpt-5.3-codex", "GPT-5.3 Codex", OPENAI, 1_770_249_600, CODEX),
    model("gpt-5.3-codex-spark", "GPT-5.3 Codex Spark", OPENAI, 1_770_854_400, CODEX),
    model("gpt-5.4", "GPT-5.4", OPENAI, 1_772_668_800, CODEX),
    model("gpt-5.4-mini", "GPT-5.4 Mini", OPENAI, 1_773_705_600, CODEX),
    model("gpt-5.5", "GPT-5.5", OPENAI, 1_776_902_400, CODEX),
    model("gpt-5.6-sol", "GPT-5.6 Sol", OPENAI, 1_783_555_200, CODEX),
    model("gpt-5.6-terra", "GPT-5.6 Terra", OPENAI, 1_783_555_200, CODEX),
    model("gpt-5.6-luna", "GPT-5.6 Luna", OPENAI, 1_783_555_200, CODEX),
    model("gpt-image-2", "GPT Image 2", OPENAI, 1_776_643_200, CODEX),
    model("codex-auto-review", "Codex Auto Review", OPENAI, 1_776_902_400, CODEX),

    model("coder-model", "Qwen Coder Model", "qwen", 1_771_200_000, QWEN),
    model("qwen3-coder-plus", "Qwen3 Coder Plus", "qwen", 1_753_228_800, &["qwen", "iflow"]),
    model("qwen3-coder-flash", "Qwen3 Coder Flash", "qwen", 1_753_228_800, QWEN),
    model("vision-model", "Qwen Vision Model", "qwen", 1_758_672_000, QWEN),

    model("tstars2.0", "TStars 2.0", "iflow", 1_746_489_600, IFLOW),
    model("qwen3-max", "Qwen3 Max", "iflow", 1_758_672_000, IFLOW),
    model("qwen3-max-preview", "Qwen3 Max Preview", "iflow", 1_757_030_400, IFLOW),
    model("qwen3-vl-plus", "Qwen3 VL Plus", "iflow", 1_758_672_000, IFLOW),
    model("qwen3-32b", "Qwen3 32B", "iflow", 1_747_094_400, IFLOW),
    model("qwen3-235b", "Qwen3 235B", "iflow", 1_747_094_400, IFLOW),
    model("qwen3-235b-a22b-instruct", "Qwen3 235B Instruct", "iflow", 1_753_401_600, IFLOW),
    model("qwen3-235b-a22b-thinking-2507", "Qwen3 235B Thinking", "iflow", 1_753_401_600, IFLOW),
    model("kimi-k2", "Kimi K2", "moonshot", 1_752_192_000, &["iflow", "kimi"]),
    model("kimi-k2-0905", "Kimi K2 0905", "iflow", 1_757_030_400, IFLOW),
    model("kimi-k2-thinking", "Kimi K2 Thinking", "moonshot", 1_762_387_200, &["iflow", "kimi"]),
    model("kimi-k2.5", "Kimi K2.5", "moonshot", 1_769_472_000, &["iflow", "kimi"]),
    model("glm-4.6", "GLM 4.6", "iflow", 1_759_190_400, IFLOW),
    model("glm-4.7", "GLM 4.7", "iflow", 1_766_448_000, IFLOW),
    model("deepseek-v3", "DeepSeek V3", "iflow", 1_735_171_200, IFLOW),
    model("deepseek-v3.1", "DeepSeek V3.1", "iflow", 1_755_734_400, IFLOW),
    model("deepseek-v3.2", "DeepSeek V3.2", "iflow", 1_759_104_000, IFLOW),
    model("deepseek-v3.2-chat", "DeepSeek V3.2 Chat", "iflow", 1_764_547_200, IFLOW),
    model("deepseek-v3.2-reasoner", "DeepSeek V3.2 Reasoner", "iflow", 1_764_547_200, IFLOW),
    model("deepseek-r1", "DeepSeek R1", "iflow", 1_737_331_200, IFLOW),
    model("minimax-m2", "MiniMax M2", "iflow", 1_761_523_200, IFLOW),
    model("minimax-m2.1", "MiniMax M2.1", "iflow", 1_766_448_000, IFLOW),
    model("iflow-rome-30ba3b", "iFlow Rome 30B", "iflow", 1_736_899_200, IFLOW),

    model("kimi-k2.6", "Kimi K2.6", "moonshot", 1_776_643_200, KIMI),
    model("kimi-k2.7-code", "Kimi K2.7 Code", "moonshot", 1_781_049_600, KIMI),
    model("kimi-k2.7-code-highspeed", "Kimi K2.7 Code Highspeed", "moonshot", 1_781_049_600, KIMI),
    model("kimi-k3", "Kimi K3", "moonshot", 1_784_160_000, KIMI),
    model("kimi-k3-256k", "Kimi K3 256K", "moonshot", 1_784_160_000, KIMI),

    model("grok-3-mini", "Grok 3 Mini", "xai", 1_744_243_200, XAI),
    model("grok-3-mini-fast", "Grok 3 Mini Fast", "xai", 1_744_243_200, XAI),
    model("grok-4.20-0309-reasoning", "Grok 4.20 Reasoning", "xai", 1_773_014_400, XAI),
    model("grok-4.20-0309-non-reasoning", "Grok 4.20", "xai", 1_773_014_400, XAI),
    model("grok-4.20-multi-agent-0309", "Grok 4.20 Multi-Agent", "xai", 1_773_014_400, XAI),
    model("grok-4.3", "Grok 4.3", "xai", 1_777_507_200, XAI),
    model("grok-4.5", "Grok 4.5", "xai", 1_783_036_800, XAI),
    model("grok-4.6", "Grok 4.6", "xai", 1_785_283_200, XAI),
    model("grok-imagine-image", "Grok Imagine Image", "xai", 1_769_472_000, XAI),
    model("grok-build-0.1", "Grok Build 0.1", "xai", 1_779_235_200, XAI),
    model("grok-composer-2.5-fast", "Grok Composer 2.5 Fast", "xai", 1_781_568_000, XAI),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_every_provider_has_models() {
        for (at, model) in MODELS.iter().enumerate() {
            assert!(!MODELS[..at].iter().any(|other| other.id == model.id), "{}", model.id);
            assert!(model.created > 1_700_000_000 && !model.providers.is_empty());
        }
        for provider in [
            "gemini",
            "gemini-cli",
            "vertex",
            "aistudio",
            "antigravity",
            "claude",
            "codex",
            "qwen",
            "iflow",
            "kimi",
            "xai",
        ] {
            assert!(models_of(provider).count() >= 4, "{provider}");
        }
        assert_eq!(models_of("nobody").count(), 0);
    }

    #[test]
    fn limits_of_listed_models_are_those_of_their_family() {
        let find = |id: &str| MODELS.iter().find(|model| model.id == id).unwrap();
        assert_eq!(find("claude-opus-4-5-20251101").output_limit(), Some(64_000));
        assert_eq!(find("gemini-2.5-pro").input_limit(), Some(1_048_576));
        assert_eq!(find("gpt-5.4").input_limit(), Some(1_050_000));
        for provider in ["claude", "codex", "gemini", "xai"] {
            for model in models_of(provider) {
                assert!(model.caps().is_known, "{}", model.id);
            }
        }
    }
}
