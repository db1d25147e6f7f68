//! Zstandard. The head of a frame is read here, too: the decoder does not say how large a window it is about to hold.

use std::io::{self, Read};

use ruzstd::decoding::StreamingDecoder;

use super::begun;

/// Longest head of a frame that tells its window (RFC 8878, 3.1.1).
const LONGEST_HEAD: usize = 18;
/// Largest window of zstd in HTTP (RFC 9659).
const LARGEST_WINDOW: u64 = 8 << 20;

/// Reads what is packed in `packed`.
///
/// # Errors
/// No frame, or `Unsupported` for one whose window is larger than HTTP allows.
pub(super) fn reader<'p>(packed: impl Read + Send + 'p) -> io::Result<impl Read + Send + 'p> {
    let (head, packed) = begun::<LONGEST_HEAD>(packed)?;
    // What is within the window is held until there is more.
    if window(&head).is_some_and(|window| window > LARGEST_WINDOW) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    StreamingDecoder::new(packed).map_err(io::Error::other)
}

/// The window of a frame, in bytes; `None` for what is no such frame. Source: RFC 8878, 3.1.1.1.
fn window(head: &[u8]) -> Option<u64> {
    let (&descriptor, rest) = head.strip_prefix(&[0x28, 0xB5, 0x2F, 0xFD])?.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let window = u64::from(*rest.first()?);
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * (window & 7));
    }
    // The window is the content.
    let dictionary = *[0, 1, 2, 4].get(usize::from(descriptor & 3))?;
    let length = 1 << (descriptor >> 6);
    let written = rest.get(dictionary..dictionary + length)?;
    let size = written.iter().rev().fold(0, |size, &byte| size << 8 | u64::from(byte));
    Some(if length == 2 { size + 256 } else { size })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cliproxy_wire::fault::Fault;

    use super::super::{Encoding, inflate};

    fn unpacked(packed: &[u8], limit: usize) -> Result<Bytes, Fault> {
        inflate(Encoding::Zstd, packed, limit)
    }

    /// A frame of so many blocks of 128 KiB, each of one repeated byte; `head` is what follows the magic number.
    fn frame(head: &[u8], n_blocks: usize) -> Vec<u8> {
        let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD];
        frame.extend_from_slice(head);
        for number in 1..=n_blocks {
            let block = u32::from(number == n_blocks) | 1 << 1 | (128 << 10) << 3;
            frame.extend_from_slice(&block.to_le_bytes()[..3]);
            frame.push(b' ');
        }
        frame
    }

    #[test]
    fn windows_are_within_what_http_allows() {
        const CONTENT: usize = 128 << 10;
        let whole = |head: &[u8]| unpacked(&frame(head, 1), CONTENT).map(|plain| plain.len());
        // 8 MiB; the size of the content in 4 bytes, and in 8 behind a dictionary of the number 0.
        for head in [&[0, 13 << 3][..], &[0xA0, 0, 0, 2, 0], &[0xE1, 0, 0, 0, 2, 0, 0, 0, 0, 0]] {
            assert_eq!(whole(head), Ok(CONTENT), "{head:?}");
        }
        // The next larger one; the largest of all; a content of 8 MiB and one byte.
        for head in [&[0, 13 << 3 | 1][..], &[0, 0xFF], &[0xA0, 1, 0, 0x80, 0]] {
            // All that such a bomb holds would be held at once.
            let fault = unpacked(&frame(head, 100), 4096).unwrap_err();
            assert!(fault.message.contains("8 MiB"), "{head:?}: {}", fault.message);
        }
        for head in [&[][..], &[0x20], &[0xA0, 1, 0]] {
            let frame = [&[0x28, 0xB5, 0x2F, 0xFD], head].concat();
            let fault = unpacked(&frame, 4096).unwrap_err();
            assert!(fault.message.contains("not valid zstd"), "{head:?}: {}", fault.message);
        }
    }
}
