//! Tool declarations in the target's terms: names, free-form tools, typed tools of other formats.

use crate::Error;
use crate::codec::ToolOrigin;
use crate::format::Format;
use crate::model::{Str, Tool};

use super::Work;
use super::name::{Names, is_legal};

/// Rewrites the declarations; what comes back knows the wire names for the history.
///
/// # Errors
/// A tool that the target can neither have nor imitate.
pub(super) fn apply(work: &mut Work<'_>) -> Result<Names, Error> {
    let mut names = Names::new(work.target.profile.tool_name);
    name(work, &mut names);
    Ok(names)
}

/// Gives every tool its wire name; names that are legal as they are come first and keep theirs.
fn name(work: &mut Work<'_>, names: &mut Names) {
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
    for tool in &mut work.request.tools {
        let (name, namespace): (&mut Str, Option<Str>) = match tool {
            Tool::Function { name, namespace, .. } => (name, namespace.take()),
            Tool::Custom { name, .. } => (name, None),
            Tool::Hosted { .. } => continue,
        };
        let wire = names.wire(namespace.as_ref(), name);
        if wants_all || *wire != **name || namespace.is_some() {
            work.bridge.tools.entry(wire.to_string()).or_insert_with(|| ToolOrigin {
                name: Str::clone(name),
                namespace,
                is_custom: false,
                native_type: None,
            });
        }
        *name = wire;
    }
}
