//! The history's calls and results in the target's terms: id, name, kind and arguments.
//!
//! Runs on paired turns, so that a call and its result are changed together.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::codec::ToolOrigin;
use crate::model::{Arguments, CallKind, Content, Role, Str, ToolCall, ToolResult};

use super::name::Names;
use super::{Work, arguments, id};

/// Rewrites what does not fit. Ids that occur twice in the request become different ones.
pub(super) fn apply(work: &mut Work<'_>, names: &mut Names) {
    let profile = work.target.profile;
    let mut ids = Ids::default();
    let mut open: Vec<(Str, Str, CallKind)> = Vec::new();
    for turn in &mut work.request.turns {
        if turn.role == Role::User {
            let results = turn.blocks.iter_mut().filter_map(|block| match &mut block.content {
                Content::ToolResult(result) => Some(result),
                _ => None,
            });
            for (result, (id, name, kind)) in results.zip(open.drain(..)) {
                label(result, id, name, kind, profile.format);
            }
            continue;
        }
        for block in &mut turn.blocks {
            let Content::ToolCall(call) = &mut block.content else { continue };
            if !profile.has_custom_tools {
                to_function(call);
            }
            if let Arguments::Json(text) = &mut call.arguments {
                let object = arguments::object(text);
                if object.len() != text.len() || matches!(object, Cow::Owned(_)) {
                    *text = Cow::into_owned(object).into();
                }
            }
            let wire = names.wire(call.namespace.as_ref(), &call.name);
            if *wire != *call.name {
                work.bridge.tools.entry(wire.detached()).or_insert_with(|| ToolOrigin {
                    name: call.name.detached(),
                    namespace: call.namespace.as_ref().map(Str::detached),
                    is_custom: false,
                    native_type: None,
                    stand_in: None,
                });
                call.name = wire;
            }
            call.namespace = None;
            if call.native.as_ref().is_some_and(|native| native.format != profile.format) {
                call.native = None;
            }
            call.call_id = ids.unique(&call.call_id, profile.tool_id);
            open.push((Str::clone(&call.call_id), Str::clone(&call.name), call.kind));
        }
    }
}

/// The ids of a request.
#[derive(Default)]
struct Ids {
    seen: HashSet<Str, RandomState>,
    /// How often an id of the client had to be changed.
    rounds: HashMap<Str, usize, RandomState>,
}

impl Ids {
    fn unique(&mut self, source: &Str, rule: crate::profile::ToolIdRule) -> Str {
        let mut fitted = match id::fit(source, rule) {
            Cow::Borrowed(_) => Str::clone(source),
            Cow::Owned(fitted) => fitted.into(),
        };
        if self.seen.insert(Str::clone(&fitted)) {
            return fitted;
        }
        // Those of earlier rounds are taken, and nothing is ever given back.
        let round = self.rounds.entry(Str::clone(source)).or_insert(1);
        while !self.seen.insert(Str::clone(&fitted)) {
            *round += 1;
            fitted = id::fit(&format!("{source}_{round}"), rule).into_owned().into();
        }
        fitted
    }
}

/// A free-form call as a function call with the member `input`.
fn to_function(call: &mut ToolCall) {
    if call.kind == CallKind::Custom {
        call.kind = CallKind::Function;
    }
    if let Arguments::Text(text) = &call.arguments {
        call.arguments = Arguments::Json(arguments::wrap(text).as_str().into());
    }
}

fn label(result: &mut ToolResult, id: Str, name: Str, kind: CallKind, format: crate::Format) {
    result.call_id = id;
    result.name = Some(name);
    result.kind = kind;
    if result.native.as_ref().is_some_and(|native| native.format != format) {
        result.native = None;
    }
}
