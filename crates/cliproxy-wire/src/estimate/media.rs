//! What pictures, documents and sound cost: by what their headers say, never by the length of their base64.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::model::{Document, Image, Media};

use super::Family;
use super::text::{Hundredths, runs};

/// What something of unknown size costs.
const UNKNOWN: u64 = 1000;

/// Base64 in which a picture's header is looked for. Some cameras put a preview before it.
const HEADER: usize = 1 << 18;

/// Base64 in which the pages of a document are counted.
const PAGES: usize = 1 << 24;

/// Bytes of a page, where pages cannot be counted.
const PAGE: u64 = 60_000;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes that the beginning of a payload holds.
fn bytes(base64: &str, most: usize) -> Vec<u8> {
    let end = base64.len().min(most) / 4 * 4;
    LENIENT.decode(base64.as_bytes().get(..end).unwrap_or_default()).unwrap_or_default()
}

fn byte_length(base64: &str) -> u64 {
    base64.trim_end_matches('=').len() as u64 * 3 / 4
}

pub(super) fn image(image: &Image, family: Family) -> u64 {
    let is_low = image.detail.as_deref() == Some("low");
    match family {
        Family::Gemini3 if is_low => return 280,
        Family::Gemini3 => return 1120,
        Family::Gpt | Family::Gpt5 if is_low => return 85,
        _ => {}
    }
    let Media::Inline { base64, .. } = &image.source else { return UNKNOWN };
    let Ok(size) = imagesize::blob_size(&bytes(base64, HEADER)) else { return UNKNOWN };
    let (width, height) = (size.width as u64, size.height as u64);
    let area = width.saturating_mul(height);
    match family {
        Family::Claude | Family::Claude45 => (area / 750).clamp(1, 1600),
        Family::NewClaude => (area / 750).clamp(1, 4800),
        Family::Gemini if width <= 384 && height <= 384 => 258,
        Family::Gemini => width.div_ceil(768).saturating_mul(height.div_ceil(768)).saturating_mul(258),
        _ => 85 + 170 * tiles(width, height),
    }
}

/// Tiles of 512 pixels after fitting into 2048 by 2048 and shrinking the short side to 768.
fn tiles(width: u64, height: u64) -> u64 {
    let (mut long, mut short) = (width.max(height).max(1), width.min(height).max(1));
    if long > 2048 {
        short = (short.saturating_mul(2048) / long).max(1);
        long = 2048;
    }
    if short > 768 {
        long = long * 768 / short;
        short = 768;
    }
    long.div_ceil(512) * short.div_ceil(512)
}

pub(super) fn document(document: &Document, family: Family, texts: &mut Hundredths) -> u64 {
    let page = match family {
        Family::Claude | Family::Claude45 | Family::NewClaude => 2000,
        Family::Gemini3 => 560,
        Family::Gemini => 258,
        Family::Gpt | Family::Gpt5 | Family::Other => 1000,
    };
    match &document.source {
        Media::Text { text, .. } => {
            *texts += runs(text);
            0
        }
        Media::Inline { base64, .. } => pages(base64).saturating_mul(page),
        _ => page,
    }
}

/// Pages of a PDF: its page objects, else its size.
fn pages(base64: &str) -> u64 {
    let content = bytes(base64, PAGES);
    let is_page = |at: &usize| content.get(at + 5).is_none_or(|next| !next.is_ascii_alphanumeric());
    let found = memchr::memmem::find_iter(&content, b"/Type")
        .filter_map(|at| {
            let rest = content.get(at + 5..)?;
            let gap = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            rest.get(gap..)?.starts_with(b"/Page").then_some(at + 5 + gap)
        })
        .filter(is_page)
        .count() as u64;
    if found > 0 { found } else { byte_length(base64).div_ceil(PAGE).max(1) }
}

/// Seconds of sound or film: by the rate that a WAV header says, else by a common one.
pub(super) fn seconds(source: &Media) -> u64 {
    let Media::Inline { base64, .. } = source else { return 60 };
    let head = bytes(base64, 64);
    let rate = head
        .get(28..32)
        .and_then(|rate| rate.try_into().ok())
        .filter(|_| head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE"))
        .map_or(16_000, |rate| u64::from(u32::from_le_bytes(rate)));
    byte_length(base64).div_ceil(rate.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(content: &[u8]) -> Media {
        let base64 = base64::engine::general_purpose::STANDARD.encode(content);
        Media::Inline { mime: "x/y".into(), base64: base64.into() }
    }

    fn picture(width: u32, height: u32) -> Image {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0DIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
        png.resize(2 << 20, 7);
        Image { source: inline(&png), detail: None, opaque: None }
    }

    #[test]
    fn pictures_cost_by_their_dimensions() {
        for (family, width, height, tokens) in [
            (Family::Claude, 1000, 750, 1000),
            (Family::Claude45, 4000, 3000, 1600),
            (Family::NewClaude, 4000, 3000, 4800),
            (Family::Gpt, 512, 512, 255),
            (Family::Gpt, 1024, 1024, 765),
            (Family::Gpt, 4096, 2048, 85 + 170 * 6),
            (Family::Gemini, 300, 300, 258),
            (Family::Gemini, 1600, 800, 258 * 6),
            (Family::Gemini3, 1600, 800, 1120),
        ] {
            assert_eq!(image(&picture(width, height), family), tokens, "{family:?} {width}x{height}");
        }
        let low = Image { detail: Some("low".into()), ..picture(4096, 4096) };
        assert_eq!((image(&low, Family::Gpt), image(&low, Family::Gemini3)), (85, 280));
        let unreadable = Image { source: inline(b"GIF"), detail: None, opaque: None };
        assert_eq!(image(&unreadable, Family::Claude), UNKNOWN);
    }

    #[test]
    fn documents_cost_by_the_page() {
        let mut texts = 0;
        let mut cost = |content: &[u8], family| {
            let source = inline(content);
            let document = Document { source, filename: None, title: None, context: None, citations: None };
            super::document(&document, family, &mut texts)
        };
        let three = b"%PDF-1.7 /Type /Pages /Type/Page /Type /Page\n/Type\n/Page>>".as_slice();
        assert_eq!(cost(three, Family::Claude), 6000);
        assert_eq!(cost(three, Family::Gemini), 774);
        assert_eq!(cost(&vec![0; 130_000], Family::Gpt), 3000);
        assert_eq!(texts, 0);
    }

    #[test]
    fn sound_costs_by_the_second() {
        let mut wav = b"RIFF....WAVEfmt ........".to_vec();
        wav.extend(48_000u32.to_le_bytes());
        wav.extend(96_000u32.to_le_bytes());
        wav.resize(96_000 * 3, 0);
        assert_eq!(seconds(&inline(&wav)), 3);
        assert_eq!(seconds(&inline(&vec![0; 32_000])), 2);
    }
}
