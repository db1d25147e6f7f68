//! What stands around a request besides the model: members that the codec cannot know.

use bytes::Bytes;

/// An object with further text members in front. The rest keeps its bytes; what is no object is left as it is.
pub(crate) fn with_members(body: &Bytes, members: &[(&str, &str)]) -> Bytes {
    let Some(open) = body.iter().position(|byte| !byte.is_ascii_whitespace()) else { return body.clone() };
    let (head, tail) = body.split_at(open);
    let Some(tail) = tail.strip_prefix(b"{") else { return body.clone() };
    let mut whole = Vec::with_capacity(body.len() + members.len() * 64);
    whole.extend_from_slice(head);
    whole.push(b'{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            whole.push(b',');
        }
        let member = format!("{}:{}", serde_json::Value::from(*name), serde_json::Value::from(*value));
        whole.extend_from_slice(member.as_bytes());
    }
    let is_empty = tail.trim_ascii_start().starts_with(b"}");
    if !members.is_empty() && !is_empty {
        whole.push(b',');
    }
    whole.extend_from_slice(tail);
    whole.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_first_and_every_other_byte_stays() {
        for (body, expected) in [
            (r#"{"model":"m" , "n":1.0}"#, r#"{"project":"p \"q\"","id":"x","model":"m" , "n":1.0}"#),
            (" {}", r#" {"project":"p \"q\"","id":"x"}"#),
            ("[1]", "[1]"),
            ("", ""),
        ] {
            let body = Bytes::copy_from_slice(body.as_bytes());
            assert_eq!(with_members(&body, &[("project", "p \"q\""), ("id", "x")]), expected);
        }
    }
}
