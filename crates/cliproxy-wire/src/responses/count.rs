//! The token counting endpoint: `POST /v1/responses/input_tokens`.

use crate::fault::{Fault, Kind};
use crate::json::{self, Reader};

/// Reads an upstream's count.
pub(super) fn decode(body: &[u8]) -> Result<u64, Fault> {
    let mut count = None;
    let read = Reader::from_bytes(body).and_then(|mut reader| {
        reader.object(|key, value| {
            if key == "input_tokens" {
                count = value.opt(Reader::u64)?;
            }
            Ok(())
        })
    });
    match (read, count) {
        (Ok(()), Some(count)) => Ok(count),
        _ => Err(Fault::new(Kind::BadUpstream, "the upstream's token count cannot be read")),
    }
}

/// Writes a count for a client.
pub(super) fn encode(count: u64) -> Vec<u8> {
    let mut body = Vec::new();
    json::object(&mut body, |object| {
        object.str("object", "response.input_tokens");
        object.u64("input_tokens", count);
    });
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_reads_back_as_written() {
        assert_eq!(encode(7), br#"{"object":"response.input_tokens","input_tokens":7}"#);
        assert_eq!(decode(&encode(7)).unwrap(), 7);
        assert_eq!(decode(b"{}").unwrap_err().kind, Kind::BadUpstream);
    }
}
