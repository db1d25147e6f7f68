//! Everything that follows from one version of the configuration, immutable and swapped as one.
//!
//! A request loads the snapshot once and keeps it to its end, so it never sees half of a new configuration. What
//! happens at run time lives in the [pool](crate::credential::Pool), keyed by credential id.

mod account;
mod page;

pub(crate) use account::account_proxy;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cliproxy_wire::catalog::{self, Caps, ReasoningCaps};
use cliproxy_wire::model::Level;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::reasoning;

use crate::access::Access;
use crate::access::allowance::Allowance;
use crate::config::Settings;
use crate::config::settings::{self, Compatible, Entry, ErrorRule, HeaderSource, KeyEntry};
use crate::credential::{Account, Cooling, Credential, CredentialId, Header, Kind, Pool};
use crate::provider::demo;
use crate::proxy::Proxy;
use crate::route::{Builder, Listed, Offer, Strategy, Table};
use crate::secret::Secret;
use crate::upstream::Limits;

/// One version of everything.
#[derive(Debug)]
pub struct Snapshot {
    /// The settings it follows from.
    pub settings: Settings,
    /// Who may call.
    pub access: Access,
    /// Who offers which model.
    pub routes: Table,
    /// How to choose.
    pub strategy: Strategy,
    /// How long to rest.
    pub cooling: Cooling,
    /// Upstream time limits.
    pub limits: Limits,
    /// Levels and budgets of reasoning.
    pub reasoning: reasoning::Table,
    /// Keys of entries that are switched off, which serve nothing.
    pub disabled: Vec<Arc<Credential>>,
    /// Error rules of single entries, by credential.
    pub error_rules: HashMap<CredentialId, Vec<ErrorRule>>,
}

/// What is added to the configuration from outside.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// The built-in demo provider.
    pub has_demo: bool,
    /// The web pages of AI Studio that are connected.
    pub pages: Vec<CredentialId>,
}

impl Snapshot {
    /// Whether a client key may use a model, and somebody who offers it may serve the key.
    pub fn allows(&self, allowance: Option<&Allowance>, model: &str) -> bool {
        let Some(allowance) = allowance else { return true };
        let may_serve = |offer: &Offer| allowance.allows_credential(&offer.credential);
        allowance.allows_model(model)
            && self.routes.offers(model).is_some_and(|offers| offers.members().iter().any(may_serve))
    }

    /// Derives a snapshot from settings. Credentials that are new take a seat in `pool`, others find theirs.
    pub fn build(
        settings: Settings,
        accounts: &BTreeMap<CredentialId, Arc<Account>>,
        extras: &Extras,
        pool: &Pool,
    ) -> Self {
        let mut assembly = Assembly {
            settings: &settings,
            builder: Builder::new(pool),
            catalog: HashMap::new(),
            seen: HashMap::new(),
            error_rules: HashMap::new(),
            disabled: Vec::new(),
        };
        for entry in &settings.keys.gemini {
            assembly.key(Kind::Gemini, entry, Profile::gemini());
        }
        for entry in &settings.keys.claude {
            assembly.key(Kind::Claude, entry, Profile::claude());
        }
        for entry in &settings.keys.codex {
            assembly.key(Kind::Codex, entry, Profile::openai_responses());
        }
        for entry in &settings.keys.xai {
            assembly.key(Kind::Xai, entry, Profile::xai());
        }
        for entry in &settings.keys.vertex {
            assembly.key(Kind::Vertex, entry, Profile::vertex());
        }
        for entry in &settings.keys.compatible {
            assembly.compatible(entry);
        }
        for account in accounts.values() {
            assembly.account(account);
        }
        for page in &extras.pages {
            assembly.page(page);
        }
        if extras.has_demo {
            let credential = Arc::new(demo::credential());
            let models = demo::MODELS
                .iter()
                .map(|model| {
                    let (listed, caps) = demo::listed(model);
                    (listed, Arc::from(model.name), caps, false)
                })
                .collect();
            assembly.builder.add(&credential, models, false);
        }
        let Assembly { builder, error_rules, disabled, .. } = assembly;
        Self {
            access: Access::new(&settings.access.client_keys, &settings.access.allowances),
            routes: builder.finish(),
            strategy: match settings.routing.strategy {
                settings::Strategy::RoundRobin => Strategy::RoundRobin,
                settings::Strategy::FillFirst => Strategy::FillFirst,
                settings::Strategy::WeightedRoundRobin => Strategy::WeightedRoundRobin,
            },
            cooling: Cooling {
                is_disabled: settings.retry.disable_cooling,
                transient: settings.retry.transient_cooldown,
            },
            limits: settings.timeouts.limits(),
            reasoning: settings.translation.thinking.table(),
            error_rules,
            disabled,
            settings,
        }
    }
}

/// What is listed, name at the upstream, what it can do, whether answers carry the client's name.
type Offered = (Listed, Arc<str>, Arc<Caps>, bool);

struct Assembly<'s> {
    settings: &'s Settings,
    builder: Builder<'s>,
    /// What the channels offer, read once and shared by all credentials of a channel.
    catalog: HashMap<&'static str, Arc<[Offered]>>,
    seen: HashMap<CredentialId, u32>,
    error_rules: HashMap<CredentialId, Vec<ErrorRule>>,
    disabled: Vec<Arc<Credential>>,
}

impl Assembly<'_> {
    fn key(&mut self, kind: Kind, entry: &KeyEntry, profile: Profile) {
        let credential = self.credential(Identity {
            kind,
            provider: kind.name(),
            key: Some(&entry.key),
            proxy: &entry.proxy,
            weight: entry.weight.map_or(0, std::num::NonZeroU32::get),
            websockets: entry.websockets,
            common: &entry.common,
            profile,
        });
        let models = if entry.common.models.is_empty() {
            self.catalog(kind.name()).to_vec()
        } else {
            entry.common.models.iter().map(|model| configured(model, kind.name())).collect()
        };
        self.add(&credential, models, &entry.common);
    }

    fn compatible(&mut self, entry: &Compatible) {
        let provider = entry.provider();
        let profile = profile_of(entry);
        for key in &entry.keys {
            let credential = self.credential(Identity {
                kind: Kind::OpenAi,
                provider: &provider,
                key: key.key.as_ref(),
                proxy: &key.proxy,
                weight: key.weight.map_or(0, std::num::NonZeroU32::get),
                websockets: false,
                common: &entry.common,
                profile: profile.clone(),
            });
            if entry.is_disabled {
                self.disabled.push(credential);
                continue;
            }
            let marks_images = entry.common.models.iter().any(|model| model.makes_images);
            let offered = |model: &settings::Model| {
                let (listed, upstream, caps, forces_name) = configured(model, &entry.name);
                let caps = Caps {
                    makes_images: makes_images(model, marks_images),
                    converses: converses(model),
                    ..(*caps).clone()
                };
                (listed, upstream, Arc::new(caps), forces_name)
            };
            let models = entry.common.models.iter().map(offered).collect();
            self.add(&credential, models, &entry.common);
        }
    }

    fn add(&mut self, credential: &Arc<Credential>, mut models: Vec<Offered>, common: &Entry) {
        models.retain(|(listed, upstream, _, _)| {
            !common
                .excluded_models
                .iter()
                .any(|pattern| pattern.matches(&listed.id) || pattern.matches(upstream))
        });
        if !common.error_rules.is_empty() {
            self.error_rules.insert(credential.id.clone(), common.error_rules.clone());
        }
        self.builder.add(credential, models, self.settings.routing.force_model_prefix);
    }

    /// What a credential of a channel offers that lists no models of its own.
    fn catalog(&mut self, channel: &'static str) -> Arc<[Offered]> {
        Arc::clone(self.catalog.entry(channel).or_insert_with(|| catalog_models(channel).collect()))
    }

    fn credential(&mut self, identity: Identity<'_>) -> Arc<Credential> {
        let Identity { kind, provider, key, proxy, weight, websockets, common, profile } = identity;
        let proxy = proxy.or(&self.settings.proxy);
        let base_url = common.base_url.as_str().trim_end_matches('/');
        let secret = key.map_or("", Secret::expose);
        let via = if let Proxy::Url(url) = &proxy { url.expose() } else { "" };
        let name =
            if kind == Kind::OpenAi { format!("{}:{provider}", kind.name()) } else { kind.name().to_owned() };
        let mut id = CredentialId::of_key(&name, &[&name, secret, base_url, via]);
        let count = self.seen.entry(id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            id = CredentialId::new(format!("{id}-{}", *count - 1));
        }
        let headers = common
            .headers
            .iter()
            .map(|header| {
                let value = match &header.value {
                    HeaderSource::Fixed(value) => Header::Fixed(value.clone()),
                    HeaderSource::Client(name) => Header::FromClient(name.clone()),
                };
                (header.name.clone(), value)
            })
            .collect();
        Arc::new(Credential {
            scope: cliproxy_wire::id::hex("", 16, &["scope", provider, secret, base_url]).into(),
            id,
            kind,
            provider: provider.into(),
            key: key.cloned(),
            account: None,
            project: None,
            base_url: base_url.into(),
            proxy,
            headers,
            prefix: common.prefix.as_deref().map(Into::into),
            priority: common.priority,
            weight,
            concurrency: self.settings.routing.concurrency.map(std::num::NonZeroU32::get),
            never_rests: common.disable_cooling.unwrap_or(false),
            request_retry: common.retry_rounds,
            profile: Arc::new(profile),
            other_base_url: None,
            native: None,
            of_models: Arc::default(),
            websockets,
        })
    }
}

struct Identity<'a> {
    kind: Kind,
    provider: &'a str,
    key: Option<&'a Secret>,
    proxy: &'a Proxy,
    weight: u32,
    websockets: bool,
    common: &'a Entry,
    profile: Profile,
}

fn profile_of(entry: &Compatible) -> Profile {
    let mut profile = Profile::for_chat_base_url(entry.common.base_url.as_str(), &entry.name);
    let text_only = entry.common.models.iter().any(|model| {
        !model.input_modalities.is_empty() && model.input_modalities.iter().all(|modality| modality == "text")
    });
    if text_only {
        profile.has_media_in_tool_results = false;
    }
    profile
}

/// Whether a model of a compatible service makes images to order. An entry that marks some has images from those only;
/// one that says nothing may have them from any.
fn makes_images(model: &settings::Model, marks_images: bool) -> Option<bool> {
    let writes = |kind: &str| model.output_modalities.iter().any(|modality| modality == kind);
    if model.makes_images {
        return Some(true);
    }
    if marks_images {
        return Some(false);
    }
    (!model.output_modalities.is_empty()).then(|| writes("image"))
}

/// Whether it answers in conversations: with texts, or with images besides.
fn converses(model: &settings::Model) -> Option<bool> {
    let writes = |kind: &str| model.output_modalities.iter().any(|modality| modality == kind);
    (!model.output_modalities.is_empty()).then(|| writes("text"))
}

fn configured(model: &settings::Model, owner: &str) -> Offered {
    let mut caps = catalog::caps(&model.name);
    if let Some(thinking) = &model.thinking {
        caps.reasoning = configured_reasoning(caps.reasoning, thinking);
    }
    if let Some(context) = model.max_context_length {
        caps.context_window = Some(u64::from(context));
    }
    let listed = Listed {
        id: model.alias.as_str().into(),
        owned_by: owner.into(),
        created: catalog::models().iter().find(|known| known.id == model.name).map(|known| known.created),
        display_name: model.display_name.as_deref().map(Into::into),
        input_limit: caps.context_window,
        output_limit: caps.max_output,
    };
    (listed, model.name.as_str().into(), Arc::new(caps), model.force_mapping)
}

fn catalog_models(channel: &'static str) -> impl Iterator<Item = Offered> {
    catalog::models_of(channel).map(|model| {
        let caps = model.caps();
        let listed = Listed {
            id: model.id.into(),
            owned_by: model.owned_by.into(),
            created: Some(model.created),
            display_name: Some(model.display_name.into()),
            input_limit: caps.context_window,
            output_limit: caps.max_output,
        };
        (listed, model.id.into(), Arc::new(caps), false)
    })
}

/// Reasoning as an entry configures it, in the manner of the model's family.
fn configured_reasoning(known: ReasoningCaps, thinking: &settings::Thinking) -> ReasoningCaps {
    let levels = static_levels(&thinking.levels);
    let has_off = thinking.zero_allowed || thinking.levels.iter().any(|word| word == "none");
    match known {
        ReasoningCaps::ClaudeBudget { .. } | ReasoningCaps::ClaudeBoth { .. } if thinking.max > 0 => {
            ReasoningCaps::ClaudeBudget { max: u64::from(thinking.max) }
        }
        ReasoningCaps::ClaudeBudget { .. }
        | ReasoningCaps::ClaudeBoth { .. }
        | ReasoningCaps::ClaudeAdaptive { .. } => known,
        ReasoningCaps::GeminiLevel { .. } if !levels.is_empty() => ReasoningCaps::GeminiLevel { levels },
        ReasoningCaps::GeminiBudget { .. } | ReasoningCaps::GeminiLevel { .. } if thinking.max > 0 => {
            ReasoningCaps::GeminiBudget {
                min: u64::from(thinking.min),
                max: u64::from(thinking.max),
                has_off,
            }
        }
        _ if !levels.is_empty() => {
            ReasoningCaps::Effort { levels, has_none: has_off, is_on: true, excludes_sampling: false }
        }
        other => other,
    }
}

const ALL_LEVELS: &[Level] =
    &[Level::Minimal, Level::Low, Level::Medium, Level::High, Level::XHigh, Level::Max];

/// The set of levels that an entry names, as the static data that the catalog is made of. Sets with gaps other than
/// those that models have are widened to the range they span: a level too many is refused by the upstream by name.
fn static_levels(words: &[String]) -> &'static [Level] {
    const GAPS: &[&[Level]] =
        &[&[Level::Low, Level::High], &[Level::Minimal, Level::High], &[Level::High, Level::Max]];
    let mut named: Vec<Level> = words.iter().filter_map(|word| level(word)).collect();
    named.sort_unstable();
    named.dedup();
    if let Some(known) = GAPS.iter().find(|known| **known == named.as_slice()) {
        return known;
    }
    let (Some(first), Some(last)) = (named.first(), named.last()) else { return &[] };
    let start = ALL_LEVELS.iter().position(|level| level == first).unwrap_or(0);
    let end = ALL_LEVELS.iter().position(|level| level == last).map_or(ALL_LEVELS.len(), |at| at + 1);
    ALL_LEVELS.get(start..end).unwrap_or(ALL_LEVELS)
}

fn level(word: &str) -> Option<Level> {
    Some(match word {
        "minimal" => Level::Minimal,
        "low" => Level::Low,
        "medium" => Level::Medium,
        "high" => Level::High,
        "xhigh" => Level::XHigh,
        "max" => Level::Max,
        _ => return None,
    })
}
