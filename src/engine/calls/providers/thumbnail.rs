//! Small previews of PNG results.

use std::io::Cursor;

use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Limits, Transformations};

use crate::engine::calls::providers::MediaType;

/// The most pixels that are decoded, against files that unpack to far more than they weigh.
const MOST_PIXELS: u64 = 40_000_000;
/// The most memory that the decoder may take.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Pixels in rows from the top, `channels` bytes each.
struct Pixels {
    width: usize,
    height: usize,
    color: ColorType,
    bytes: Vec<u8>,
}

/// A PNG of the first frame whose longer side is at most `max_px` pixels, never larger than the original: a still picture
/// that is small enough is its own.
///
/// `None` for other types than PNG and moving PNG, and for files that are broken or beyond 40 million pixels.
pub fn thumbnail(bytes: &[u8], media_type: MediaType, max_px: u32) -> Option<Vec<u8>> {
    if !matches!(media_type, MediaType::Png | MediaType::Apng) || max_px == 0 {
        return None;
    }
    if media_type == MediaType::Png && longer_side(bytes)? <= max_px {
        return Some(bytes.to_vec());
    }
    let full = decode(bytes)?;
    encode(&shrink(&full, max_px as usize))
}

/// By the file's head: signature, then the chunk that every PNG begins with (PNG §5.6, §11.2.1).
fn longer_side(bytes: &[u8]) -> Option<u32> {
    let side = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some(side(16)?.max(side(20)?))
}

fn decode(bytes: &[u8]) -> Option<Pixels> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MOST_BYTES });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = reader.info().size();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return None;
    }
    let mut pixels = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut pixels).ok()?;
    pixels.truncate(frame.buffer_size());
    Some(Pixels {
        width: frame.width as usize,
        height: frame.height as usize,
        color: frame.color_type,
        bytes: pixels,
    })
}

/// Each new pixel is the mean of the box of old pixels that it covers.
fn shrink(full: &Pixels, max_px: usize) -> Pixels {
    let longer = full.width.max(full.height).max(1);
    let scaled = |side: usize| if longer <= max_px { side } else { (side * max_px / longer).max(1) };
    let (width, height, channels) = (scaled(full.width), scaled(full.height), full.color.samples());
    let mut bytes = Vec::with_capacity(width * height * channels);
    for y in 0..height {
        let rows =
            y * full.height / height..((y + 1) * full.height / height).max(y * full.height / height + 1);
        for x in 0..width {
            let columns =
                x * full.width / width..((x + 1) * full.width / width).max(x * full.width / width + 1);
            for channel in 0..channels {
                bytes.push(mean(full, rows.clone(), columns.clone(), channel, channels));
            }
        }
    }
    Pixels { width, height, color: full.color, bytes }
}

fn mean(
    full: &Pixels,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    channel: usize,
    channels: usize,
) -> u8 {
    let count = (rows.len() * columns.len()).max(1);
    let mut sum = 0;
    for y in rows {
        for x in columns.clone() {
            sum += usize::from(
                full.bytes.get((y * full.width + x) * channels + channel).copied().unwrap_or_default(),
            );
        }
    }
    u8::try_from(sum / count).unwrap_or(u8::MAX)
}

fn encode(pixels: &Pixels) -> Option<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder =
        Encoder::new(&mut file, u32::try_from(pixels.width).ok()?, u32::try_from(pixels.height).ok()?);
    encoder.set_color(pixels.color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels.bytes).ok()?;
    writer.finish().ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(width: usize, height: usize) -> Vec<u8> {
        let bytes = (0..width * height)
            .flat_map(|at| if at % 2 == 0 { [0, 0, 0] } else { [255, 255, 255] })
            .collect();
        encode(&Pixels { width, height, color: ColorType::Rgb, bytes }).unwrap()
    }

    #[test]
    fn the_longer_side_fits_and_pixels_are_averaged() {
        let small = decode(&thumbnail(&checked(400, 200), MediaType::Png, 100).unwrap()).unwrap();
        assert_eq!((small.width, small.height), (100, 50));
        assert!(small.bytes.iter().all(|value| *value == 127));
    }

    #[test]
    fn nothing_is_made_larger() {
        let small = checked(40, 20);
        assert_eq!(thumbnail(&small, MediaType::Png, 100).unwrap(), small);
        let frame = decode(&thumbnail(&small, MediaType::Apng, 100).unwrap()).unwrap();
        assert_eq!((frame.width, frame.height), (40, 20));
    }

    #[test]
    fn other_types_and_broken_files_have_none() {
        let file = checked(40, 20);
        assert_eq!(thumbnail(&file, MediaType::Jpeg, 10), None);
        assert_eq!(thumbnail(&file[..60], MediaType::Png, 10), None);
        assert_eq!(thumbnail(&file, MediaType::Png, 0), None);
    }

    #[test]
    fn a_file_that_claims_huge_sides_is_refused() {
        let mut file = checked(40, 20);
        file[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        assert_eq!(thumbnail(&file, MediaType::Png, 10), None);
    }
}
