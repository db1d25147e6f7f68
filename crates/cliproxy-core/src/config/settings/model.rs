//! Models of upstream keys, and what is withheld.

use super::value::{clamp, is_on, text};
use crate::config::diagnostic::{Code, Origin, Report};
use crate::config::file::{self, List, Placed};
use crate::pattern::Pattern;

/// A model that an entry offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Name at the upstream.
    pub name: String,
    /// Name for clients. The same one on several models makes a pool.
    pub alias: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// Context length in tokens.
    pub max_context_length: Option<u32>,
    /// Write the alias into answers.
    pub force_mapping: bool,
    /// Keep thinking of other formats as `reasoning_content`.
    pub is_compat: bool,
    /// The model makes images.
    pub makes_images: bool,
    /// What it reads; empty when not said.
    pub input_modalities: Vec<String>,
    /// What it writes; empty when not said.
    pub output_modalities: Vec<String>,
    /// What it accepts as thinking control.
    pub thinking: Option<Thinking>,
}

/// What a model accepts as thinking control.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// Smallest budget.
    pub min: u32,
    /// Largest budget; 0 when there are no budgets.
    pub max: u32,
    /// It can be switched off.
    pub zero_allowed: bool,
    /// The model can decide by itself.
    pub dynamic_allowed: bool,
    /// Levels by name, lower case.
    pub levels: Vec<String>,
}

/// The names that every kind of model entry has.
struct Names<'entry> {
    name: Option<&'entry Placed<String>>,
    alias: Option<&'entry Placed<String>>,
}

impl Names<'_> {
    /// Name and alias; the one that is missing is the other.
    fn complete(&self, needs_alias: bool, origin: &Origin, report: &mut Report) -> Option<(String, String)> {
        match (text(self.name), text(self.alias)) {
            (Some(name), Some(alias)) => Some((name.to_owned(), alias.to_owned())),
            (Some(name), None) if !needs_alias => Some((name.to_owned(), name.to_owned())),
            (None, Some(alias)) if !needs_alias => Some((alias.to_owned(), alias.to_owned())),
            (None, None) => {
                report.warning(origin, Code::ModelWithoutName);
                None
            }
            _ => {
                report.warning(origin, Code::ModelWithoutAlias);
                None
            }
        }
    }
}

pub(super) fn models(
    list: Option<&Placed<List<file::Model>>>,
    needs_alias: bool,
    report: &mut Report,
) -> Vec<Model> {
    let mut models = Vec::new();
    for entry in list.into_iter().flat_map(|list| &list.value) {
        let names = Names { name: entry.name.as_ref(), alias: entry.alias.as_ref() };
        let thinking = thinking(entry.thinking.as_ref(), report);
        let Some((name, alias)) = names.complete(needs_alias, &entry.origin, report) else {
            continue;
        };
        models.push(Model {
            name,
            alias,
            display_name: text(entry.display_name.as_ref()).map(str::to_owned),
            max_context_length: length(entry.max_context_length.as_ref()),
            force_mapping: is_on(entry.force_mapping.as_ref()),
            is_compat: is_on(entry.is_compat.as_ref()),
            makes_images: false,
            input_modalities: Vec::new(),
            output_modalities: Vec::new(),
            thinking,
        });
    }
    models
}

pub(super) fn compatible_models(
    list: Option<&Placed<List<file::CompatibleModel>>>,
    report: &mut Report,
) -> Vec<Model> {
    let mut models = Vec::new();
    for entry in list.into_iter().flat_map(|list| &list.value) {
        let names = Names { name: entry.name.as_ref(), alias: entry.alias.as_ref() };
        let thinking = thinking(entry.thinking.as_ref(), report);
        let Some((name, alias)) = names.complete(false, &entry.origin, report) else {
            continue;
        };
        models.push(Model {
            name,
            alias,
            display_name: text(entry.display_name.as_ref()).map(str::to_owned),
            max_context_length: length(entry.max_context_length.as_ref()),
            force_mapping: is_on(entry.force_mapping.as_ref()),
            is_compat: is_on(entry.is_compat.as_ref()),
            makes_images: is_on(entry.image.as_ref()),
            input_modalities: words(entry.input_modalities.as_ref()),
            output_modalities: words(entry.output_modalities.as_ref()),
            thinking,
        });
    }
    models
}

fn length(member: Option<&Placed<i64>>) -> Option<u32> {
    member.map(|member| clamp(member.value)).filter(|length| *length > 0)
}

fn thinking(section: Option<&Placed<file::Thinking>>, report: &mut Report) -> Option<Thinking> {
    let section = section?;
    let budget = |member: Option<&Placed<i64>>| member.map_or(0, |member| clamp(member.value));
    let thinking = Thinking {
        min: budget(section.min.as_ref()),
        max: budget(section.max.as_ref()),
        zero_allowed: is_on(section.zero_allowed.as_ref()),
        dynamic_allowed: is_on(section.dynamic_allowed.as_ref()),
        levels: words(section.levels.as_ref()),
    };
    if thinking.max < thinking.min {
        report.problem(&section.origin, Code::ThinkingBudgets);
    }
    let known = ["none", "minimal", "low", "medium", "high", "xhigh", "max", "auto"];
    for level in section.levels.iter().flat_map(|list| &list.value) {
        let word = level.trim().to_lowercase();
        if !word.is_empty() && !known.contains(&word.as_str()) {
            report.warning(&level.origin, Code::ThinkingLevel);
        }
    }
    Some(thinking)
}

/// Trimmed, lower case, without repetitions.
fn words(list: Option<&Placed<List<String>>>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for item in list.into_iter().flat_map(|list| &list.value) {
        let word = item.trim().to_lowercase();
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// Patterns of models withheld.
pub(super) fn excluded(list: Option<&Placed<List<String>>>) -> Vec<Pattern> {
    words(list).iter().map(|word| Pattern::any_case(word)).collect()
}
