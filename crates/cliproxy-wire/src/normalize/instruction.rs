//! Instructions where the target takes them.
//!
//! Leading instructions have a place in every format; those in the middle of a conversation do not. What is converted
//! into user text is marked, so that the model can tell the operator's voice from the user's.

use crate::catalog::ReasoningCaps;
use crate::codec::Target;
use crate::format::Format;
use crate::model::{Block, CacheMark, Content, Instruction, InstructionRole, Request, Role, Turn};
use crate::profile::{Dialect, Profile};

/// Puts instructions where the target takes them. Calls and results are paired already, so a user turn made here
/// never stands between them.
pub(super) fn apply(request: &mut Request, target: &Target<'_>) {
    request.instructions.retain(|instruction| !instruction.text.is_empty());
    match target.profile.format {
        Format::Chat => chat(request, target),
        Format::Responses => {
            if target.profile.dialect == Dialect::Codex {
                set_roles(request, InstructionRole::Developer);
            }
        }
        Format::Claude => {
            request.instructions.retain(|instruction| !instruction.text.is_blank());
            claude(request, target);
        }
        Format::Gemini => middle_to_user(request, reminder),
    }
}

fn chat(request: &mut Request, target: &Target<'_>) {
    let profile = target.profile;
    if !target.caps.has_instructions {
        middle_to_user(request, labelled);
        leading_to_user(request);
        return;
    }
    if !profile.has_developer_role {
        set_roles(request, InstructionRole::System);
    } else if matches!(request.origin, Format::Claude | Format::Gemini)
        && matches!(target.caps.reasoning, ReasoningCaps::Effort { .. })
    {
        set_roles(request, InstructionRole::Developer);
    }
    if profile.merges_system {
        middle_to_user(request, labelled);
        merge_leading(request, profile);
    }
}

/// One system message out of all leading blocks. Cache marks need blocks of their own, so they keep them apart where
/// the upstream reads marks; the encoder then writes one message with several parts.
fn merge_leading(request: &mut Request, profile: &Profile) {
    let has_marks = request.instructions.iter().any(|block| block.cache.is_some());
    if request.instructions.len() < 2 || (has_marks && profile.has_cache_marks) {
        return;
    }
    let mut blocks = std::mem::take(&mut request.instructions).into_iter();
    let Some(mut first) = blocks.next() else { return };
    let mut text = String::from(&*first.text);
    for block in blocks {
        text.push_str("\n\n");
        text.push_str(&block.text);
    }
    first.text = text.into();
    request.instructions.push(first);
}

/// For models that know no instruction role: the text opens the first user turn.
fn leading_to_user(request: &mut Request) {
    let mut blocks: Vec<Block> =
        std::mem::take(&mut request.instructions).into_iter().map(|block| Block::text(block.text)).collect();
    if blocks.is_empty() {
        return;
    }
    match request.turns.first_mut().filter(|turn| turn.role == Role::User) {
        Some(first) => {
            blocks.append(&mut first.blocks);
            first.blocks = blocks;
        }
        None => request.turns.insert(0, Turn::new(Role::User, blocks)),
    }
}

fn set_roles(request: &mut Request, role: InstructionRole) {
    for instruction in &mut request.instructions {
        instruction.role = role;
    }
    for turn in &mut request.turns {
        if let Role::Instruction(own) = &mut turn.role {
            *own = role;
        }
    }
}

/// Claude: `role:"system"` inside the messages where the model takes it, directly behind a user turn and before an
/// assistant turn or the end; user text elsewhere.
fn claude(request: &mut Request, target: &Target<'_>) {
    if !request.turns.iter().any(is_instruction) {
        return;
    }
    if !target.caps.has_mid_system {
        middle_to_user(request, reminder);
        return;
    }
    // Neighbours become one, so that a run is judged as a whole.
    let mut turns: Vec<Turn> = Vec::with_capacity(request.turns.len());
    for mut turn in std::mem::take(&mut request.turns) {
        match turns.last_mut() {
            Some(last) if is_instruction(last) && is_instruction(&turn) => {
                last.blocks.append(&mut turn.blocks);
            }
            _ => turns.push(turn),
        }
    }
    let roles: Vec<Role> = turns.iter().map(|turn| turn.role).collect();
    for (at, turn) in turns.iter_mut().enumerate() {
        if !is_instruction(turn) {
            continue;
        }
        let follows_user = at.checked_sub(1).and_then(|before| roles.get(before)) == Some(&Role::User);
        let precedes_answer = matches!(roles.get(at + 1), None | Some(Role::Assistant));
        if !(follows_user && precedes_answer) {
            to_user(turn, reminder);
        }
    }
    request.turns = turns;
}

fn is_instruction(turn: &Turn) -> bool {
    matches!(turn.role, Role::Instruction(_))
}

fn middle_to_user(request: &mut Request, wrap: fn(&str) -> String) {
    for turn in request.turns.iter_mut().filter(|turn| is_instruction(turn)) {
        to_user(turn, wrap);
    }
}

fn to_user(turn: &mut Turn, wrap: fn(&str) -> String) {
    turn.role = Role::User;
    turn.name = None;
    turn.ext = crate::model::Ext::new();
    for block in &mut turn.blocks {
        if let Content::Text(text) = &mut block.content {
            text.text = wrap(&text.text).into();
        }
    }
}

fn reminder(text: &str) -> String {
    format!("<system-reminder>\n{text}\n</system-reminder>")
}

fn labelled(text: &str) -> String {
    format!("[System instruction]\n{text}")
}

/// Adds one more leading instruction that the gateway itself needs.
pub(super) fn add(request: &mut Request, text: impl Into<crate::model::Str>) {
    let cache: Option<CacheMark> = None;
    request.instructions.push(Instruction {
        role: InstructionRole::System,
        text: text.into(),
        cache,
        is_top_level: false,
        ext: crate::model::Ext::new(),
    });
}
