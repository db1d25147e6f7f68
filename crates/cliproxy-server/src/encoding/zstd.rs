//! Zstandard: frames one after the other, of which the decoder knows one. What stands between their contents is read here,
//! and the head of each as well: the decoder does not say how large a window it is about to hold.

use std::io::{self, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Longest head of a frame (RFC 8878, 3.1.1).
const LONGEST_HEAD: usize = 18;
/// Largest window of zstd in HTTP (RFC 9659).
const LARGEST_WINDOW: u64 = 8 << 20;

/// Reads what is packed in `packed`: what all its frames hold.
///
/// # Errors
/// No frame, or `Unsupported` for one whose window is larger than HTTP allows. Reading has the same errors for the frames
/// that follow.
pub(super) fn reader<R: Read>(packed: R) -> io::Result<impl Read + use<R>> {
    let mut frames = Frames { packed, decoder: FrameDecoder::new() };
    if frames.begin()? { Ok(frames) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// A body, and the frame in it that is being read.
struct Frames<R> {
    packed: R,
    decoder: FrameDecoder,
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.decode(buffer.len())?;
            let count = self.decoder.read(buffer)?;
            // A frame may be empty.
            if count > 0 || buffer.is_empty() || !self.begin()? {
                return Ok(count);
            }
        }
    }
}

impl<R: Read> Frames<R> {
    /// Goes to the next frame that has contents; false where the body ends.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            let mut head = Vec::with_capacity(LONGEST_HEAD);
            if self.append(4, &mut head)? == 0 {
                return Ok(false);
            }
            // What senders write for themselves (RFC 8878, 3.1.2).
            if let [0x50..=0x5F, 0x2A, 0x4D, 0x18] = *head {
                let mut length = [0; 4];
                self.packed.read_exact(&mut length)?;
                let length = u32::from_le_bytes(length).into();
                if io::copy(&mut self.packed.by_ref().take(length), &mut io::sink())? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            self.append(1, &mut head)?;
            let descriptor = head.last().copied().unwrap_or_default();
            self.append(rest_of_head(descriptor), &mut head)?;
            // What is within the window is held until there is more.
            if window(&head).is_some_and(|window| window > LARGEST_WINDOW) {
                return Err(io::ErrorKind::Unsupported.into());
            }
            self.decoder.reset(&*head).map_err(io::Error::other)?;
            return Ok(true);
        }
    }

    /// Reads `length` bytes, or as many as there are, to the end of `head`.
    fn append(&mut self, length: u64, head: &mut Vec<u8>) -> io::Result<usize> {
        self.packed.by_ref().take(length).read_to_end(head)
    }

    /// Unpacks until there are `count` bytes to be given out, or the frame ends.
    fn decode(&mut self, count: usize) -> io::Result<()> {
        while !self.decoder.is_finished() && self.decoder.can_collect() < count {
            let missing = BlockDecodingStrategy::UptoBytes(count - self.decoder.can_collect());
            self.decoder.decode_blocks(&mut self.packed, missing).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// How much of a frame's head follows its descriptor, in bytes. Source: RFC 8878, 3.1.1.1.1.
fn rest_of_head(descriptor: u8) -> u64 {
    let is_single_segment = descriptor & 0x20 != 0;
    let dictionary = (1 << (descriptor & 3)) >> 1;
    let size = match descriptor >> 6 {
        0 => u64::from(is_single_segment),
        flag => 1 << flag,
    };
    u64::from(!is_single_segment) + dictionary + size
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
    use cliproxy_wire::fault::{Fault, Kind};

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

    /// A frame to be skipped that says how long it is and is followed by `content`.
    fn skippable(length: u32, content: &[u8]) -> Vec<u8> {
        [&[0x53, 0x2A, 0x4D, 0x18], &length.to_le_bytes(), content].concat()
    }

    fn packed(text: &str) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn all_frames_are_read_and_those_to_be_skipped_are_skipped() {
        let (note, none) = (skippable(5, b"hello"), skippable(0, b""));
        for frames in [
            vec![packed("{\"a\":"), packed("1}")],
            vec![packed("{\"a\""), packed(""), packed(""), packed(":1}")],
            vec![note.clone(), packed("{\"a\":1}"), none.clone()],
            vec![none.clone(), note.clone(), packed("{"), note, packed("\"a\":1}"), none],
        ] {
            assert_eq!(unpacked(&frames.concat(), 100).unwrap(), &b"{\"a\":1}"[..]);
        }
    }

    #[test]
    fn what_follows_a_frame_and_is_none_is_damage() {
        let whole = packed("{}");
        for rest in [
            &b"{}"[..],
            b"\0",
            &whole[..3],
            &whole[..6],
            &whole[..whole.len() - 1],
            &skippable(1, b""),
            &skippable(0, b"")[..7],
            &skippable(u32::MAX, b"short"),
        ] {
            let fault = unpacked(&[&whole, rest].concat(), 100).unwrap_err();
            assert!(fault.message.contains("not valid zstd"), "{rest:?}: {}", fault.message);
        }
        for empty in [vec![], skippable(5, b"hello")] {
            assert!(unpacked(&empty, 100).is_err(), "{empty:?}");
        }
    }

    #[test]
    fn limits_hold_across_frames() {
        const CONTENT: usize = 128 << 10;
        let three = frame(&[0, 13 << 3], 1).repeat(3);
        assert_eq!(unpacked(&three, 3 * CONTENT).unwrap().len(), 3 * CONTENT);
        assert_eq!(unpacked(&three, 3 * CONTENT - 1).unwrap_err().kind, Kind::TooLarge);
        let late = [frame(&[0, 13 << 3], 1), frame(&[0, 0xFF], 1)].concat();
        assert!(unpacked(&late, 3 * CONTENT).unwrap_err().message.contains("8 MiB"));
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
