//! Tool declarations in the target's terms: names, free-form tools, typed tools of other formats, schemas.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::Error;
use crate::codec::ToolOrigin;
use crate::format::Format;
use crate::json::Raw;
use crate::model::{CustomFormat, Ext, Native, Str, Tool};
use crate::profile::SchemaDialect;
use crate::schema::{self, Dialect, Purpose};

use super::name::{Names, is_legal};
use super::{Work, hosted, typed};

/// The schema of a function that stands in for a free-form tool.
const FREE_FORM: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;
/// The schema of a function that declares none.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;
/// The schema of a tool that only the history knows.
const ANY_ARGUMENTS: &str = r#"{"type":"object","properties":{},"additionalProperties":true}"#;

/// Rewrites the declarations; what comes back knows the wire names for the choice and the history.
///
/// # Errors
/// A tool that the target can neither have nor imitate, and a schema that cannot be made acceptable.
pub(super) fn apply(work: &mut Work<'_>) -> Result<Names, Error> {
    let mut names = Names::new(work.target.profile.tool_name, work.request.tools.len());
    if work.request.tools.is_empty() {
        return Ok(names);
    }
    hosted::apply(work)?;
    drop_duplicates(work);
    let origins = emulate(work);
    for tool in &work.request.tools {
        if let Tool::Hosted { native, .. } = tool
            && let Some(name) = native.value.get("name").and_then(|name| name.to_text())
        {
            names.reserve(&name);
        }
    }
    name(work, &mut names, &origins);
    for at in 0..work.request.tools.len() {
        schema(work, at)?;
    }
    Ok(names)
}

/// All formats refuse two tools of one name; the first stays.
fn drop_duplicates(work: &mut Work<'_>) {
    let tools = &mut work.request.tools;
    let mut seen: HashSet<(Option<&str>, &str), RandomState> =
        HashSet::with_capacity_and_hasher(tools.len(), RandomState::default());
    let mut known = Vec::new();
    for (at, tool) in tools.iter().enumerate() {
        let is_new = match tool {
            Tool::Function { name, namespace, .. } => seen.insert((namespace.as_deref(), name)),
            Tool::Custom { name, .. } => seen.insert((None, name)),
            Tool::Hosted { .. } => true,
        };
        if !is_new {
            known.push(at);
        }
    }
    if known.is_empty() {
        return;
    }
    let mut at = 0..;
    let mut rest = known.iter().peekable();
    tools.retain(|_| {
        let at = at.next();
        rest.next_if(|known| at == Some(**known)).is_none()
    });
    for at in known {
        work.notes.add(format!("tools[{at}]"));
    }
}

/// What a tool was before it became a function.
#[derive(Default)]
struct Before {
    is_custom: bool,
    native_type: Option<Str>,
}

/// Turns free-form tools and typed tools of other formats into functions where the target lacks them.
fn emulate(work: &mut Work<'_>) -> Vec<Before> {
    let profile = work.target.profile;
    let mut befores = Vec::with_capacity(work.request.tools.len());
    for tool in &mut work.request.tools {
        let mut before = Before::default();
        match tool {
            Tool::Custom { name, description, format, .. } if !profile.has_custom_tools => {
                before.is_custom = true;
                *tool = Tool::Function {
                    name: Str::clone(name),
                    namespace: None,
                    description: with_grammar(description.as_ref(), format),
                    schema: Some(Raw::new(FREE_FORM)),
                    strict: None,
                    cache: None,
                    native: None,
                    ext: Ext::new(),
                };
            }
            Tool::Function { description, schema, native, .. } => {
                if let Some(own) = native.take_if(|native| native.format != profile.format) {
                    before.native_type = typed_item(&own);
                    let form = typed::form(&own);
                    if schema.is_none() {
                        *schema = form.map(|form| Raw::new(form.schema));
                    }
                    if description.is_none() {
                        *description = form.map(|form| form.description.into());
                    }
                }
            }
            Tool::Custom { .. } | Tool::Hosted { .. } => {}
        }
        befores.push(before);
    }
    befores
}

/// The item type under which a Responses client wants the calls of its typed tool.
fn typed_item(native: &Native) -> Option<Str> {
    if native.format != Format::Responses {
        return None;
    }
    let kind = native.value.get("type")?.to_text()?;
    Some(format!("{kind}_call").into())
}

fn with_grammar(description: Option<&Str>, format: &CustomFormat) -> Option<Str> {
    let CustomFormat::Grammar { syntax, definition } = format else { return description.cloned() };
    let mut text = description.map(|text| format!("{text}\n\n")).unwrap_or_default();
    text.extend(["The input follows this ", syntax, " grammar:\n", definition]);
    Some(text.into())
}

/// Gives every tool its wire name; names that are legal as they are come first and keep theirs.
fn name(work: &mut Work<'_>, names: &mut Names, befores: &[Before]) {
    let rule = work.target.profile.tool_name;
    for tool in &work.request.tools {
        if let Tool::Function { name, namespace: None, .. } | Tool::Custom { name, .. } = tool
            && is_legal(name, rule)
        {
            names.wire(None, name);
        }
    }
    // A Gemini answer may change the case of a name or prefix it, so all names must be known on the way back.
    let wants_all = work.target.profile.format == Format::Gemini;
    for (tool, before) in work.request.tools.iter_mut().zip(befores) {
        let (name, namespace) = match tool {
            Tool::Function { name, namespace, .. } => (name, namespace.take()),
            Tool::Custom { name, .. } => (name, None),
            Tool::Hosted { .. } => continue,
        };
        let wire = names.wire(namespace.as_ref(), name);
        let is_changed =
            *wire != **name || namespace.is_some() || before.is_custom || before.native_type.is_some();
        if wants_all || is_changed {
            work.bridge.tools.insert(
                wire.detached(),
                ToolOrigin {
                    name: name.detached(),
                    namespace: namespace.as_ref().map(Str::detached),
                    is_custom: before.is_custom,
                    native_type: before.native_type.clone(),
                    stand_in: None,
                },
            );
        }
        *name = wire;
    }
}

/// Brings the schema of one tool, and its strict mode, into the target's dialect.
fn schema(work: &mut Work<'_>, at: usize) -> Result<(), Error> {
    let target = work.target;
    let origin = work.request.origin;
    let Some(Tool::Function { name, description, schema, strict, native: None, .. }) =
        work.request.tools.get_mut(at)
    else {
        return Ok(());
    };
    let was_strict = *strict == Some(true);
    let dialect = dialect(work.target.profile.format, target.profile.schema);
    if dialect == Dialect::Narrow {
        schema.get_or_insert_with(|| Raw::new(NO_ARGUMENTS));
    }
    // A client of the target's own format wrote its schemas for it.
    let is_own = origin == target.profile.format && !matches!(dialect, Dialect::OpenApi | Dialect::Narrow);
    let cleaned = match schema.as_ref() {
        Some(raw) if is_own => Some(raw.clone()),
        Some(raw) => {
            let fitted = schema::fit(raw, dialect, Purpose::Tool, target.schemas).map_err(|problem| {
                Error::invalid(
                    format!("tools[{at}].parameters"),
                    format!("the schema of {name} does not suit {}: {problem}", target.profile.name),
                )
            })?;
            if dialect == Dialect::Narrow
                && let Some(origin) = work.bridge.tools.get_mut(&**name)
            {
                let stand_in = schema::stand_in(raw);
                origin.stand_in =
                    fitted.schema.as_str().contains(&format!("\"{stand_in}\"")).then_some(stand_in);
            }
            let is_void = target.profile.format == Format::Gemini && fitted.takes_nothing;
            (!is_void).then_some(fitted.schema)
        }
        None if target.profile.format == Format::Gemini => None,
        None => Some(Raw::new(NO_ARGUMENTS)),
    };
    match target.profile.format {
        Format::Responses if origin != Format::Responses => {
            let holds = *strict == Some(true)
                && (origin == Format::Chat || schema.as_ref().is_some_and(schema::holds_strict));
            *strict = Some(holds);
        }
        Format::Chat if matches!(origin, Format::Claude | Format::Gemini) && *strict == Some(true) => {
            *strict = Some(schema.as_ref().is_some_and(schema::holds_strict));
        }
        Format::Claude if origin != Format::Claude && *strict == Some(true) => {
            let own = cleaned.as_ref().and_then(|raw| {
                schema::clean(raw, Dialect::ClaudeStrict, Purpose::Tool, target.schemas)
                    .ok()
                    .filter(|strict| strict == raw)
            });
            *strict = own.map(|_| true);
        }
        Format::Gemini => {
            // Some backends insist on a description.
            if description.as_ref().is_none_or(Str::is_empty) && target.profile.is_enveloped {
                *description = Some(Str::clone(name));
            }
        }
        Format::Chat | Format::Responses | Format::Claude => {}
    }
    *schema = cleaned;
    // One format has no word for it, and another takes fewer schemas that way.
    let is_strict = *strict == Some(true) && target.profile.format != Format::Gemini;
    if was_strict && !is_strict {
        work.hint("tools[].strict")?;
    }
    Ok(())
}

/// The dialect of tool schemas.
fn dialect(format: Format, gemini: SchemaDialect) -> Dialect {
    match (format, gemini) {
        (Format::Chat | Format::Responses, _) => Dialect::OpenAi,
        (Format::Claude, _) => Dialect::ClaudeTool,
        (Format::Gemini, SchemaDialect::JsonLenient) => Dialect::GeminiLenient,
        (Format::Gemini, SchemaDialect::JsonStrict) => Dialect::GeminiStrict,
        (Format::Gemini, SchemaDialect::OpenApi) => Dialect::OpenApi,
        (Format::Gemini, SchemaDialect::Narrow) => Dialect::Narrow,
    }
}

/// Declares the tools that only the history knows, for targets that refuse calls without declarations. Nothing may be
/// called: the client offered nothing.
pub(super) fn declare_history(work: &mut Work<'_>) {
    if !work.target.profile.needs_tools_for_history || !work.request.tools.is_empty() {
        return;
    }
    let mut known: HashSet<&Str, RandomState> = HashSet::default();
    let mut declared: Vec<Str> = Vec::new();
    for call in work.request.turns.iter().flat_map(super::pair::calls) {
        if known.insert(&call.name) {
            declared.push(Str::clone(&call.name));
        }
    }
    if declared.is_empty() {
        return;
    }
    work.request.tools = declared
        .into_iter()
        .map(|name| Tool::Function {
            name,
            namespace: None,
            description: None,
            schema: Some(Raw::new(ANY_ARGUMENTS)),
            strict: None,
            cache: None,
            native: None,
            ext: Ext::new(),
        })
        .collect();
    work.request.tool_choice = Some(crate::model::ToolChoice::None);
}
