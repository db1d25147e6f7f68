//! Client-executed tools that have item types of their own: local shell, shell, patches.
//!
//! Everywhere else they are functions with reserved names whose arguments are the typed item's payload. Here is the
//! correspondence: item type, tool name, payload member, schema of the function form.

use crate::json::{Object, Raw, Reader};

/// A typed tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    /// Tool type, which is also the name of the function form.
    pub(super) name: &'static str,
    /// Type of the call item.
    pub(super) call: &'static str,
    /// Type of the result item.
    pub(super) output: &'static str,
    /// Prefix of item ids.
    pub(super) prefix: &'static str,
    /// Member of the call item that holds the payload.
    payload: &'static str,
    /// Parameters of the function form.
    pub(super) schema: &'static str,
}

const ALL: [Typed; 3] = [
    Typed {
        name: "local_shell",
        call: "local_shell_call",
        output: "local_shell_call_output",
        prefix: "lsh_",
        payload: "action",
        schema: r#"{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"}},"env":{"type":"object","additionalProperties":{"type":"string"}},"working_directory":{"type":"string"},"timeout_ms":{"type":"integer"},"user":{"type":"string"}},"required":["command"]}"#,
    },
    Typed {
        name: "shell",
        call: "shell_call",
        output: "shell_call_output",
        prefix: "sh_",
        payload: "action",
        schema: r#"{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"}},"timeout_ms":{"type":"integer"},"max_output_length":{"type":"integer"}},"required":["commands"]}"#,
    },
    Typed {
        name: "apply_patch",
        call: "apply_patch_call",
        output: "apply_patch_call_output",
        prefix: "apc_",
        payload: "operation",
        schema: r#"{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},"path":{"type":"string"},"diff":{"type":"string"}},"required":["type","path"]}"#,
    },
];

/// The typed tool of a tool type, call item type or result item type.
pub(super) fn of(name: &str) -> Option<Typed> {
    ALL.into_iter().find(|typed| [typed.name, typed.call, typed.output].contains(&name))
}

/// The typed tool whose result items have this type.
pub(super) fn of_output(name: &str) -> Option<Typed> {
    ALL.into_iter().find(|typed| typed.output == name)
}

impl Typed {
    /// The arguments of the function form: the payload without what only marks its type.
    pub(super) fn arguments(&self, payload: Option<&str>) -> String {
        let Some(payload) = payload else { return "{}".to_owned() };
        if self.payload != "action" {
            return payload.to_owned();
        }
        Raw::object(|object| {
            let _complete = Reader::new(payload).object(|key, value| {
                if key != "type" {
                    let span = value.raw()?;
                    if span != "null" {
                        object.raw(key, span);
                    }
                }
                Ok(())
            });
        })
        .as_str()
        .to_owned()
    }

    /// Writes the payload member of a call item out of the arguments of the function form.
    pub(super) fn write_payload(&self, object: &mut Object<'_>, arguments: &str) {
        let payload = Raw::parse(arguments).ok().filter(|raw| raw.kind() == crate::json::Kind::Object);
        object.object(self.payload, |member| {
            if self.name == "local_shell" {
                member.str("type", "exec");
            }
            let mut has_env = false;
            if let Some(payload) = &payload {
                let _complete = payload.reader().object(|key, value| {
                    if self.name != "local_shell" || key != "type" {
                        has_env |= key == "env";
                        member.raw(key, value.raw()?);
                    }
                    Ok(())
                });
            }
            if self.name == "local_shell" && !has_env {
                member.raw("env", "{}");
            }
        });
    }

    /// Writes a whole call item.
    pub(super) fn write(
        &self,
        object: &mut Object<'_>,
        id: &str,
        status: &str,
        call_id: &str,
        arguments: &str,
    ) {
        object.str("id", id);
        object.str("type", self.call);
        object.str("status", status);
        object.str("call_id", call_id);
        self.write_payload(object, arguments);
    }
}

/// The text of a result item's `output`, which for `shell` lists what each command printed.
pub(super) fn output_text(output: &str) -> String {
    let mut reader = Reader::new(output);
    let mut text = String::new();
    let is_list = reader
        .array(|_, entry| {
            let mut code = None;
            entry.object(|key, value| {
                match key {
                    "stdout" | "stderr" => {
                        if let Some(piece) = super::lenient_text(value)? {
                            if !text.is_empty() && !text.ends_with('\n') && !piece.is_empty() {
                                text.push('\n');
                            }
                            text.push_str(&piece);
                        }
                    }
                    "outcome" => code = Some(value.to_raw()?),
                    _ => {}
                }
                Ok(())
            })?;
            if let Some(outcome) = code {
                let line = match outcome.get("exit_code") {
                    Some(code) if code.as_str() != "0" => Some(format!("[exit code {}]", code.as_str())),
                    Some(_) => None,
                    None => {
                        outcome.get("type").and_then(|word| word.to_text()).map(|word| format!("[{word}]"))
                    }
                };
                if let Some(line) = line {
                    if !text.is_empty() && !text.ends_with('\n') {
                        text.push('\n');
                    }
                    text.push_str(&line);
                }
            }
            Ok(())
        })
        .is_ok();
    if is_list { text } else { output.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_and_arguments_are_led_over_both_ways() {
        let shell = of("local_shell_call").unwrap();
        let arguments =
            shell.arguments(Some(r#"{"type":"exec","command":["ls"],"env":{},"timeout_ms":null}"#));
        assert_eq!(arguments, r#"{"command":["ls"],"env":{}}"#);
        let item =
            Raw::object(|object| shell.write(object, "lsh_1", "completed", "c", r#"{"command":["ls"]}"#));
        assert_eq!(
            item.as_str(),
            r#"{"id":"lsh_1","type":"local_shell_call","status":"completed","call_id":"c","action":{"type":"exec","command":["ls"],"env":{}}}"#
        );
        let patch = of("apply_patch").unwrap();
        let operation = r#"{"type":"create_file","path":"a","diff":"+x"}"#;
        assert_eq!(patch.arguments(Some(operation)), operation);
        let item = Raw::object(|object| patch.write(object, "apc_1", "completed", "c", operation));
        assert!(item.as_str().ends_with(&format!("\"operation\":{operation}}}")));
    }

    #[test]
    fn broken_arguments_give_an_empty_payload() {
        let shell = of("local_shell").unwrap();
        let item = Raw::object(|object| shell.write(object, "lsh_1", "incomplete", "c", r#"{"comm"#));
        assert!(item.as_str().ends_with(r#""action":{"type":"exec","env":{}}}"#));
    }

    #[test]
    fn shell_output_lists_read_as_text() {
        let output = r#"[{"stdout":"a","stderr":"b","outcome":{"type":"exit","exit_code":2}},{"stdout":"c\n","stderr":"","outcome":{"type":"timeout"}}]"#;
        assert_eq!(output_text(output), "a\nb\n[exit code 2]\nc\n[timeout]");
        assert_eq!(output_text("\"x\""), "\"x\"");
    }
}
