//! Small previews of pictures.

use std::io::Cursor;

use image_webp::WebPDecoder;
use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Limits, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

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
/// `None` for GIFs and videos, and for files that are broken or beyond 40 million pixels.
pub fn thumbnail(bytes: &[u8], media_type: MediaType, max_px: u32) -> Option<Vec<u8>> {
    if media_type == MediaType::Png && longer_side(bytes)? <= max_px {
        return Some(bytes.to_vec());
    }
    let full = match media_type {
        _ if max_px == 0 => None,
        MediaType::Png | MediaType::Apng => decode_png(bytes),
        MediaType::Jpeg => decode_jpeg(bytes),
        MediaType::Webp => decode_webp(bytes),
        MediaType::Gif | MediaType::Mp4 | MediaType::Webm => None,
    }?;
    encode(&shrink(&full, max_px as usize))
}

/// By a PNG's head: signature, then the chunk that every PNG begins with (PNG §5.6, §11.2.1).
fn longer_side(bytes: &[u8]) -> Option<u32> {
    let side = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some(side(16)?.max(side(20)?))
}

fn is_too_large(width: usize, height: usize) -> bool {
    width as u64 * height as u64 > MOST_PIXELS
}

fn decode_jpeg(bytes: &[u8]) -> Option<Pixels> {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    decoder.decode_headers().ok()?;
    let (width, height) = decoder.dimensions().filter(|(width, height)| !is_too_large(*width, *height))?;
    Some(Pixels { width, height, color: ColorType::Rgb, bytes: decoder.decode().ok()? })
}

fn decode_webp(bytes: &[u8]) -> Option<Pixels> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).ok()?;
    decoder.set_memory_limit(MOST_BYTES);
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    if is_too_large(width, height) {
        return None;
    }
    let mut pixels = vec![0; decoder.output_buffer_size()?];
    decoder.read_image(&mut pixels).ok()?;
    let color = if decoder.has_alpha() { ColorType::Rgba } else { ColorType::Rgb };
    Some(Pixels { width, height, color, bytes: pixels })
}

fn decode_png(bytes: &[u8]) -> Option<Pixels> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MOST_BYTES });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = reader.info().size();
    if is_too_large(width as usize, height as usize) {
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
        let small = decode_png(&thumbnail(&checked(400, 200), MediaType::Png, 100).unwrap()).unwrap();
        assert_eq!((small.width, small.height), (100, 50));
        assert!(small.bytes.iter().all(|value| *value == 127));
    }

    /// A grey JPEG, by hand (ITU-T T.81, annex B): each block is two bits, “no difference” and “no more”.
    fn grey_jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8, 0xff, 0xdb, 0, 67, 0];
        file.extend([1; 64]);
        file.extend([0xff, 0xc0, 0, 11, 8]);
        file.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
        file.extend([1, 1, 0x11, 0]);
        for table in [0x00, 0x10] {
            file.extend([0xff, 0xc4, 0, 20, table, 1]);
            file.extend([0; 16]);
        }
        file.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
        let blocks = usize::from(width.div_ceil(8)) * usize::from(height.div_ceil(8));
        file.extend(vec![0; blocks.div_ceil(4)]);
        file.extend([0xff, 0xd9]);
        file
    }

    #[test]
    fn a_jpeg_has_one() {
        let small = decode_png(&thumbnail(&grey_jpeg(400, 200), MediaType::Jpeg, 100).unwrap()).unwrap();
        assert_eq!((small.width, small.height, small.color), (100, 50, ColorType::Rgb));
        assert!(small.bytes.iter().all(|value| *value == 128));
    }

    #[test]
    fn a_webp_has_one() {
        for (color, channels) in [(image_webp::ColorType::Rgb8, 3), (image_webp::ColorType::Rgba8, 4)] {
            let (mut file, pixels) = (Vec::new(), [9, 99, 199, 255][..channels].repeat(400 * 200));
            image_webp::WebPEncoder::new(&mut file).encode(&pixels, 400, 200, color).unwrap();
            let small = decode_png(&thumbnail(&file, MediaType::Webp, 100).unwrap()).unwrap();
            assert_eq!((small.width, small.height), (100, 50));
            assert!(small.bytes.chunks(channels).all(|pixel| pixel == &pixels[..channels]));
        }
    }

    #[test]
    fn nothing_is_made_larger() {
        let small = checked(40, 20);
        assert_eq!(thumbnail(&small, MediaType::Png, 100).unwrap(), small);
        let frame = decode_png(&thumbnail(&small, MediaType::Apng, 100).unwrap()).unwrap();
        assert_eq!((frame.width, frame.height), (40, 20));
    }

    #[test]
    fn other_types_and_broken_files_have_none() {
        let file = checked(40, 20);
        for other in [MediaType::Jpeg, MediaType::Webp, MediaType::Gif, MediaType::Mp4] {
            assert_eq!(thumbnail(&file, other, 10), None);
        }
        assert_eq!(thumbnail(&file[..60], MediaType::Png, 10), None);
        assert_eq!(thumbnail(&file, MediaType::Png, 0), None);
    }

    #[test]
    fn a_file_that_claims_huge_sides_is_refused() {
        let mut file = checked(40, 20);
        file[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        assert_eq!(thumbnail(&file, MediaType::Png, 10), None);
        assert_eq!(thumbnail(&grey_jpeg(8_000, 8_000), MediaType::Jpeg, 10), None);
    }
}
