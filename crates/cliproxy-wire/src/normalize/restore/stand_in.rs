//! Members that stood in for ones that must be given, out of the arguments of a call.

use std::borrow::Cow;

use crate::json::{self, Kind, Reader};

/// `text` without the members called `name`, wherever they are. What is no JSON stays as it is.
pub(super) fn without<'t>(text: &'t str, name: &str) -> Cow<'t, str> {
    if !text.contains(&format!("\"{name}\"")) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let copied = copy(&mut Reader::new(text), name, &mut out);
    match (copied, String::from_utf8(out)) {
        (Ok(()), Ok(copied)) => Cow::Owned(copied),
        _ => Cow::Borrowed(text),
    }
}

fn copy(reader: &mut Reader<'_>, name: &str, out: &mut Vec<u8>) -> Result<(), crate::Error> {
    match reader.kind() {
        Kind::Object => {
            let mut read = Ok(());
            json::object(out, |object| {
                read = reader.object(|key, value| {
                    if key == name {
                        return value.skip();
                    }
                    object.key(key);
                    copy(value, name, object.buffer())
                });
            });
            read
        }
        Kind::Array => {
            let mut read = Ok(());
            json::array(out, |array| {
                read = reader.array(|_, value| {
                    let mut element = Vec::new();
                    copy(value, name, &mut element)?;
                    array.raw(std::str::from_utf8(&element).unwrap_or_default());
                    Ok(())
                });
            });
            read
        }
        _ => {
            out.extend_from_slice(reader.raw()?.as_bytes());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_go_wherever_they_are_and_all_else_keeps_its_bytes() {
        for (text, expected) in [
            (r#"{"_":true}"#, "{}"),
            (r#"{"a":[{"_":true,"b":1e3},"_"],"_":{"_":1}}"#, r#"{"a":[{"b":1e3},"_"]}"#),
            (r#"{"a": 1 }"#, r#"{"a": 1 }"#),
            (r#"{"_":tru"#, r#"{"_":tru"#),
        ] {
            assert_eq!(without(text, "_"), expected);
        }
    }
}
