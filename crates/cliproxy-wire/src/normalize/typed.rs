//! Typed tools that the client executes (shells, editors, memories) as functions for targets that do not know them.

use crate::format::Format;
use crate::model::Native;

/// The function form of a typed tool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Form {
    pub(super) description: &'static str,
    pub(super) schema: &'static str,
}

const BASH: Form = Form {
    description: "Runs a command in a persistent bash session.",
    schema: r#"{"type":"object","properties":{"command":{"type":"string","description":"The command to run."},"restart":{"type":"boolean","description":"Restart the session instead of running a command."}}}"#,
};

const EDITOR: Form = Form {
    description: "Views, creates and edits text files.",
    schema: r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string"},"file_text":{"type":"string","description":"Content for create."},"old_str":{"type":"string","description":"Text that str_replace replaces; it occurs exactly once."},"new_str":{"type":"string","description":"The replacement."},"insert_line":{"type":"integer","description":"Line after which insert puts its text."},"insert_text":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"},"description":"First and last line to view."}},"required":["command","path"]}"#,
};

const MEMORY: Form = Form {
    description: "Reads and writes files of the memory directory, which lasts between conversations.",
    schema: r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string"},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},"old_path":{"type":"string"},"new_path":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}}},"required":["command"]}"#,
};

const LOCAL_SHELL: Form = Form {
    description: "Runs a command on the user's machine.",
    schema: r#"{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},"description":"Program and arguments."},"env":{"type":"object","additionalProperties":{"type":"string"}},"working_directory":{"type":"string"},"timeout_ms":{"type":"integer"},"user":{"type":"string"}},"required":["command"]}"#,
};

const SHELL: Form = Form {
    description: "Runs shell commands on the user's machine.",
    schema: r#"{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"}},"timeout_ms":{"type":"integer"},"max_output_length":{"type":"integer"}},"required":["commands"]}"#,
};

const APPLY_PATCH: Form = Form {
    description: "Creates, updates or deletes one file by a diff.",
    schema: r#"{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},"path":{"type":"string"},"diff":{"type":"string"}},"required":["type","path"]}"#,
};

/// The function form of a typed tool, by its own declaration.
pub(super) fn form(native: &Native) -> Option<Form> {
    let kind = native.value.get("type")?.to_text()?;
    match native.format {
        Format::Claude => [("bash_", BASH), ("text_editor_", EDITOR), ("memory_", MEMORY)]
            .into_iter()
            .find(|(prefix, _)| kind.starts_with(prefix))
            .map(|(_, form)| form),
        Format::Responses => match &*kind {
            "local_shell" => Some(LOCAL_SHELL),
            "shell" => Some(SHELL),
            "apply_patch" => Some(APPLY_PATCH),
            _ => None,
        },
        Format::Chat | Format::Gemini => None,
    }
}
