//! Request bodies: read within limits of size and silence, unpacked within the same size.

mod zstd;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cliproxy_core::upstream::within;
use cliproxy_wire::fault::{Fault, Kind};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;

/// Longest silence in the middle of a body.
const SILENCE: Duration = Duration::from_mins(1);
/// Longest time for what is left of a body that is not wanted.
const DRAINING: Duration = Duration::from_secs(10);

/// Reads a body.
///
/// # Errors
/// Too large, too slow, cut off, or in an encoding that cannot be unpacked.
pub(crate) async fn read<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
{
    let packed = read_packed(headers, body, limit).await?;
    unpacked(headers, packed, limit).await
}

/// Reads a body as it came.
///
/// # Errors
/// Too large, too slow, or cut off.
pub(crate) async fn read_packed<B>(headers: &HeaderMap, mut body: B, limit: usize) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
{
    let result = gather(headers, &mut body, limit).await;
    if result.is_err() {
        drain(headers, body).await;
    }
    result
}

/// Unpacks a body.
///
/// # Errors
/// Too large, damaged, or in an encoding that cannot be unpacked.
pub(crate) async fn unpacked(headers: &HeaderMap, packed: Bytes, limit: usize) -> Result<Bytes, Fault> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Ok(packed);
    }
    let encodings = encodings(headers)?;
    if encodings.is_empty() {
        return Ok(packed);
    }
    // Unpacking may take its time, and other requests' streams must not wait for it.
    let unpacking = tokio::task::spawn_blocking(move || unpack(&encodings, packed, limit));
    unpacking.await.unwrap_or_else(|_panic| Err(Fault::new(Kind::Api, "internal error of the gateway")))
}

/// A body on disk, packed as it came.
#[derive(Debug)]
pub(crate) struct Spooled {
    file: File,
    encodings: Vec<Encoding>,
    limit: u64,
}

/// Why a body is not on disk.
#[derive(Debug)]
pub(crate) enum NotSpooled {
    /// It cannot be read.
    Fault(Fault),
    /// It cannot be kept.
    Storage(io::Error),
}

/// Writes a body into a file as it comes.
///
/// # Errors
/// Too large, too slow, cut off, in an encoding that cannot be unpacked, or the storage fails.
pub(crate) async fn spool<B>(
    headers: &HeaderMap,
    mut body: B,
    limit: u64,
    file: File,
) -> Result<Spooled, NotSpooled>
where
    B: Body<Data = Bytes> + Unpin,
{
    let result = write(headers, &mut body, limit, file).await;
    if result.is_err() {
        drain(headers, body).await;
    }
    result
}

async fn write<B>(headers: &HeaderMap, body: &mut B, limit: u64, file: File) -> Result<Spooled, NotSpooled>
where
    B: Body<Data = Bytes> + Unpin,
{
    let encodings = encodings(headers).map_err(NotSpooled::Fault)?;
    let too_large = || NotSpooled::Fault(too_large(usize::try_from(limit).unwrap_or(usize::MAX)));
    if announced(headers).is_some_and(|length| length as u64 > limit) {
        return Err(too_large());
    }
    let (mut file, mut length) = (tokio::fs::File::from_std(file), 0);
    while let Some(frame) =
        within(SILENCE, body.frame()).await.map_err(|_elapsed| NotSpooled::Fault(too_slow()))?
    {
        let frame = frame.map_err(|_cut| NotSpooled::Fault(cut()))?;
        let Ok(bytes) = frame.into_data() else { continue };
        length += bytes.len() as u64;
        if length > limit {
            return Err(too_large());
        }
        file.write_all(&bytes).await.map_err(NotSpooled::Storage)?;
    }
    file.flush().await.map_err(NotSpooled::Storage)?;
    Ok(Spooled { file: file.into_std().await, encodings, limit })
}

impl Spooled {
    /// Reads it from its beginning, unpacked. One reader at a time. Blocks.
    ///
    /// # Errors
    /// When the storage fails. What is unpacked may turn out to be damaged or too large later.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        let mut reader: Box<dyn Read + Send> = Box::new(BufReader::new(file));
        for encoding in self.encodings.iter().rev() {
            reader = Box::new(Bounded { reader: encoding.reader(reader)?, left: self.limit });
        }
        Ok(reader)
    }
}

/// Gives no more than a bomb should.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}

/// Reads on and throws away, within limits: a connection that is closed while its client still sends takes the answer
/// with it. Clients that wait for a `100 Continue` do not send.
pub(crate) async fn drain<B>(headers: &HeaderMap, mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    if tokio::time::timeout(DRAINING, reading).await.is_err() {
        tracing::debug!("a client is still sending what is not wanted");
    }
}

async fn gather<B>(headers: &HeaderMap, body: &mut B, limit: usize) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut gathered = BytesMut::new();
    loop {
        let frame = within(SILENCE, body.frame()).await.map_err(|_elapsed| too_slow())?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_cut| cut())?;
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
    Ok(first.unwrap_or_else(|| gathered.freeze()))
}

/// The length that the head says.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// What can be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    fn of(word: &str) -> Result<Self, Fault> {
        match word.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "br" => Ok(Self::Brotli),
            "zstd" => Ok(Self::Zstd),
            _ => Err(unsupported(word)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Reads what is packed in `packed`.
    fn reader<'p>(self, packed: impl Read + Send + 'p) -> io::Result<Box<dyn Read + Send + 'p>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Self::Deflate => {
                let (head, packed) = begun::<2>(packed)?;
                if is_zlib(&head) {
                    Box::new(flate2::read::ZlibDecoder::new(packed))
                } else {
                    Box::new(flate2::read::DeflateDecoder::new(packed))
                }
            }
            Self::Brotli => {
                let (head, packed) = begun::<1>(packed)?;
                if is_large_brotli(&head) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Box::new(brotli::Decompressor::new(packed, 4096))
            }
            Self::Zstd => Box::new(zstd::reader(packed)?),
        })
    }
}

/// The first `N` bytes, as far as there are so many, and all of them to be read.
fn begun<const N: usize>(mut packed: impl Read) -> io::Result<(Vec<u8>, impl Read)> {
    let mut head = Vec::with_capacity(N);
    packed.by_ref().take(N as u64).read_to_end(&mut head)?;
    Ok((head.clone(), io::Cursor::new(head).chain(packed)))
}

/// Whether a body begins as zlib says (RFC 1950, 2.2); some senders leave its frame out.
fn is_zlib(head: &[u8]) -> bool {
    let &[method, flags] = head else { return false };
    method & 0x0F == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

/// Whether a body begins as brotli with windows of up to 1 GiB does, which is another format than the one that HTTP has:
/// there this is invalid (RFC 7932, 9.1).
fn is_large_brotli(head: &[u8]) -> bool {
    head.first().is_some_and(|first| first & 0x7F == 0x11)
}

/// What a body is packed with, in the order of packing.
fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, Fault> {
    let encodings: Vec<Encoding> = headers
        .get_all(CONTENT_ENCODING)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("identity"))
        .map(Encoding::of)
        .collect::<Result<_, _>>()?;
    if encodings.len() > 3 {
        return Err(Fault::new(Kind::InvalidRequest, "the request body is packed more than three times"));
    }
    Ok(encodings)
}

fn unpack(encodings: &[Encoding], packed: Bytes, limit: usize) -> Result<Bytes, Fault> {
    encodings.iter().rev().try_fold(packed, |packed, encoding| inflate(*encoding, &packed, limit))
}

/// Unpacks gzip.
///
/// # Errors
/// Damaged, or larger than `limit`.
pub(crate) fn gunzip(packed: &[u8], limit: usize) -> Result<Bytes, Fault> {
    inflate(Encoding::Gzip, packed, limit)
}

fn inflate(encoding: Encoding, packed: &[u8], limit: usize) -> Result<Bytes, Fault> {
    let mut plain = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    encoding.reader(packed).and_then(|reader| reader.take(bound).read_to_end(&mut plain)).map_err(
        |error| match error.kind() {
            io::ErrorKind::Unsupported => too_far_back(),
            _ => damaged(encoding),
        },
    )?;
    if plain.len() > limit {
        return Err(too_large(limit));
    }
    Ok(plain.into())
}

fn too_far_back() -> Fault {
    let message = "the window of the zstd request body is larger than the 8 MiB that HTTP allows (RFC 9659); compress it with a lower level";
    Fault::new(Kind::InvalidRequest, message)
        .with_code("unsupported_content_encoding")
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16())
}

fn unsupported(encoding: &str) -> Fault {
    let shown: String = encoding.chars().take(40).collect();
    let message =
        format!("the content encoding `{shown}` is not supported; use gzip, deflate, br, zstd or none");
    Fault::new(Kind::InvalidRequest, message)
        .with_code("unsupported_content_encoding")
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16())
}

fn cut() -> Fault {
    Fault::new(Kind::InvalidRequest, "the request body ended early; send it again")
}

fn too_slow() -> Fault {
    let message = format!("nothing of the request body came for {} s; send it again", SILENCE.as_secs());
    Fault::new(Kind::Timeout, message).with_status(StatusCode::REQUEST_TIMEOUT.as_u16())
}

fn damaged(encoding: Encoding) -> Fault {
    Fault::new(Kind::InvalidRequest, format!("the request body is not valid {}", encoding.name()))
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

    fn unpacked(encoding: &'static str, packed: Bytes, limit: usize) -> Result<Bytes, Fault> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
        unpack(&encodings(&headers)?, packed, limit)
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
            assert_eq!(unpacked(encoding, packed, 1000).unwrap(), &text[..], "{encoding}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < 4096);
        assert_eq!(unpacked("gzip", bomb, 4096).unwrap_err().kind, Kind::TooLarge);
    }

    #[test]
    fn brotli_with_the_windows_of_another_format_is_refused() {
        let pack = |is_large| {
            let mut packed = Vec::new();
            let parameters = brotli::enc::BrotliEncoderParams {
                lgwin: if is_large { 30 } else { 22 },
                large_window: is_large,
                ..Default::default()
            };
            brotli::BrotliCompress(&mut &b"{}"[..], &mut packed, &parameters).unwrap();
            Bytes::from(packed)
        };
        assert_eq!(unpacked("br", pack(false), 100).unwrap(), &b"{}"[..]);
        let fault = unpacked("br", pack(true), 100).unwrap_err();
        assert!(fault.message.contains("not valid br"), "{}", fault.message);
    }

    #[test]
    fn damage_and_unknown_encodings_are_named() {
        let fault = unpacked("gzip", Bytes::from_static(b"no gzip"), 100).unwrap_err();
        assert!(fault.message.contains("gzip"), "{}", fault.message);
        let fault = unpacked("snappy", Bytes::from_static(b"x"), 100).unwrap_err();
        assert!(fault.message.contains("`snappy`"), "{}", fault.message);
    }
}
