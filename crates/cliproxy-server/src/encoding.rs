//! Request bodies: read within a limit, unpacked within the same limit.

use std::io::Read;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use cliproxy_wire::fault::{Fault, Kind};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt as _;

/// Reads a body.
///
/// # Errors
/// Too large, cut off, or in an encoding that cannot be unpacked.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Fault> {
    let announced = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut gathered = BytesMut::new();
    let mut body = body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_cut| {
            Fault::new(Kind::InvalidRequest, "the request body ended early; send it again")
        })?;
        let Ok(bytes) = frame.into_data() else { continue };
        if first.as_ref().map_or(gathered.len(), Bytes::len) + bytes.len() > limit {
            return Err(too_large(limit));
        }
        // A body that arrives in one piece is not copied.
        if first.is_none() && gathered.is_empty() {
            first = Some(bytes);
            continue;
        }
        if let Some(start) = first.take() {
            gathered.reserve(announced.unwrap_or(0).max(start.len() + bytes.len()));
            gathered.extend_from_slice(&start);
        }
        gathered.extend_from_slice(&bytes);
    }
    let packed = first.unwrap_or_else(|| gathered.freeze());
    unpack(headers, packed, limit)
}

fn unpack(headers: &HeaderMap, packed: Bytes, limit: usize) -> Result<Bytes, Fault> {
    let mut plain = packed;
    let encodings: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|word| word.trim().to_ascii_lowercase())
        .filter(|word| !word.is_empty() && word != "identity")
        .collect();
    if encodings.len() > 3 {
        return Err(Fault::new(Kind::InvalidRequest, "the request body is packed more than three times"));
    }
    for encoding in encodings.iter().rev() {
        plain = match encoding.as_str() {
            "gzip" | "x-gzip" => inflate(flate2::read::MultiGzDecoder::new(&*plain), limit, encoding)?,
            "deflate" => inflate(flate2::read::ZlibDecoder::new(&*plain), limit, encoding)
                // Some senders leave the zlib frame out.
                .or_else(|fault| {
                    if fault.kind == Kind::TooLarge {
                        Err(fault)
                    } else {
                        inflate(flate2::read::DeflateDecoder::new(&*plain), limit, encoding)
                    }
                })?,
            "br" => inflate(brotli::Decompressor::new(&*plain, 4096), limit, encoding)?,
            "zstd" => {
                let decoder =
                    ruzstd::decoding::StreamingDecoder::new(&*plain).map_err(|_error| damaged(encoding))?;
                inflate(decoder, limit, encoding)?
            }
            other => {
                let shown: String = other.chars().take(40).collect();
                return Err(Fault::new(
                    Kind::InvalidRequest,
                    format!(
                        "the content encoding `{shown}` is not supported; use gzip, deflate, br, zstd or none"
                    ),
                )
                .with_code("unsupported_content_encoding"));
            }
        };
    }
    Ok(plain)
}

fn inflate(reader: impl Read, limit: usize, encoding: &str) -> Result<Bytes, Fault> {
    let mut plain = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(bound).read_to_end(&mut plain).map_err(|_error| damaged(encoding))?;
    if plain.len() > limit {
        return Err(too_large(limit));
    }
    Ok(plain.into())
}

fn damaged(encoding: &str) -> Fault {
    Fault::new(Kind::InvalidRequest, format!("the request body is not valid {encoding}"))
}

fn too_large(limit: usize) -> Fault {
    let megabytes = limit >> 20;
    Fault::new(
        Kind::TooLarge,
        format!(
            "the request body is larger than {megabytes} MiB; shorten it, or raise max-request-body-mb in config.yaml"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http::HeaderValue;

    use super::*;

    fn headers(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))])
    }

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn every_encoding_is_unpacked() {
        let text = br#"{"model":"m"}"#;
        let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        deflate.write_all(text).unwrap();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        raw.write_all(text).unwrap();
        let mut br = Vec::new();
        brotli::CompressorWriter::new(&mut br, 4096, 5, 22).write_all(text).unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
        for (encoding, packed) in [
            ("gzip", gzip(text)),
            ("deflate", deflate.finish().unwrap().into()),
            ("deflate", raw.finish().unwrap().into()),
            ("br", br.into()),
            ("zstd", zstd.into()),
            ("identity", Bytes::from_static(text)),
            ("gzip, identity", gzip(text)),
        ] {
            assert_eq!(unpack(&headers(encoding), packed, 1000).unwrap(), &text[..], "{encoding}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < 4096);
        assert_eq!(unpack(&headers("gzip"), bomb, 4096).unwrap_err().kind, Kind::TooLarge);
    }

    #[test]
    fn damage_and_unknown_encodings_are_named() {
        let fault = unpack(&headers("gzip"), Bytes::from_static(b"no gzip"), 100).unwrap_err();
        assert!(fault.message.contains("gzip"), "{}", fault.message);
        let fault = unpack(&headers("snappy"), Bytes::from_static(b"x"), 100).unwrap_err();
        assert!(fault.message.contains("`snappy`"), "{}", fault.message);
    }
}
