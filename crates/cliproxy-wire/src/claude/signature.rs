//! The signature slot of a thinking block: the provider's own text, or an envelope with anybody else's state.
//!
//! A thinking block without a signature breaks clients and is refused when it comes back, so there is always one;
//! thinking that has no state gets an envelope around nothing.

use crate::codec::ClientContext;
use crate::model::{Anchor, Opaque, OpaqueKind, Owner, Show};

/// What a client of this format sees of thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    /// No block at all: it never asked and may not expect one.
    Absent,
    /// Signed blocks without text.
    Omitted,
    /// The text.
    Shown,
}

impl Visibility {
    pub(super) fn of(context: &ClientContext) -> Self {
        match context.show {
            Show::Summary(_) | Show::Raw => Self::Shown,
            Show::Hidden if context.is_thinking_omitted => Self::Omitted,
            Show::Hidden => Self::Absent,
        }
    }
}

/// The slot's text for `opaque`. `text` is the reasoning text where the block itself does not show it.
pub(super) fn render(opaque: Option<&Opaque>, text: Option<&str>) -> String {
    let text = text.filter(|text| !text.is_empty());
    match opaque {
        Some(opaque) if is_native(opaque) => opaque.data.to_string(),
        Some(opaque) => crate::opaque::wrap(opaque, text).unwrap_or_else(|| stand_in(None)),
        None => stand_in(text),
    }
}

/// True for state that this format's slots were made for.
pub(super) fn is_native(opaque: &Opaque) -> bool {
    opaque.owner == Owner::Anthropic
        && matches!(opaque.kind, OpaqueKind::ClaudeSignature | OpaqueKind::ClaudeRedacted)
        && !opaque.data.is_empty()
}

/// The state of a call, bound to the call's place in the answer.
pub(super) fn of_call(opaque: &Opaque, ordinal: u32) -> Opaque {
    Opaque { anchor: Anchor::ToolCall(ordinal), ..opaque.clone() }
}

fn stand_in(text: Option<&str>) -> String {
    let nothing = Opaque {
        owner: Owner::Other,
        kind: OpaqueKind::Other,
        scope: None,
        model: None,
        data: "".into(),
        anchor: Anchor::This,
    };
    crate::opaque::wrap(&nothing, text).or_else(|| crate::opaque::wrap(&nothing, None)).unwrap_or_default()
}
