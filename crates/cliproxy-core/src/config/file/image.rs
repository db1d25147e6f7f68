//! The one switch that is a boolean or a word.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::decode::{Cursor, Decode};
use super::scalar::boolean;
use super::tree::Node;
use crate::config::diagnostic::Code;

/// `disable-image-generation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageGeneration {
    /// Image tools and image routes work.
    #[default]
    Enabled,
    /// Neither works.
    Disabled,
    /// The tool is withheld from chat requests, the image routes work.
    DisabledInChat,
    /// The tool is left in requests as the client sent it.
    Passthrough,
}

impl Decode for ImageGeneration {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let text = String::decode(node, cursor)?;
        let word = text.trim().to_ascii_lowercase();
        let value = match word.as_str() {
            "chat" => Some(Self::DisabledInChat),
            "passthrough" => Some(Self::Passthrough),
            "1" => Some(Self::Disabled),
            "0" | "" => Some(Self::Enabled),
            other => boolean(other).map(|is_set| if is_set { Self::Disabled } else { Self::Enabled }),
        };
        if value.is_none() {
            cursor.refuse(node, Code::ImageSwitch);
        }
        value
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "boolean"}, {"enum": ["chat", "passthrough"]}]})
    }
}
