//! What a provider delivers: bytes, and what they are by their own first bytes.

use bytes::Bytes;

use crate::engine::calls::providers::ProviderError;

/// The largest single result that is taken: 64 MiB, over the largest twenty-second video that a vendor makes.
pub const LARGEST_OUTPUT: usize = 64 * 1024 * 1024;

/// The kinds of media that are stored and served. SVG and HTML are not among them: they can carry scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// A still PNG.
    Png,
    /// A moving PNG.
    Apng,
    /// JPEG.
    Jpeg,
    /// WebP, still or moving.
    Webp,
    /// GIF, still or moving.
    Gif,
    /// MP4 and its relatives.
    Mp4,
    /// WebM.
    Webm,
}

impl MediaType {
    /// Tells the type by the bytes alone; whatever a header claims is not asked.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Self::png_kind(bytes)),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Self::Mp4),
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Self::Webm),
            _ => None,
        }
    }

    /// A PNG moves where `acTL` stands before the first `IDAT` (PNG, third edition, §11.3.2.1).
    fn png_kind(bytes: &[u8]) -> Self {
        let mut rest = bytes.get(8..).unwrap_or_default();
        while let [a, b, c, d, name @ ..] = rest {
            match name.get(..4) {
                Some(b"acTL") => return Self::Apng,
                None | Some(b"IDAT") => return Self::Png,
                Some(_) => {}
            }
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            rest = rest.get(length.saturating_add(12)..).unwrap_or_default();
        }
        Self::Png
    }

    /// The value of `Content-Type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Apng => "image/apng",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Mp4 => "video/mp4",
            Self::Webm => "video/webm",
        }
    }

    /// The ending of a file's name, without the dot; it tells the type again when the file is served.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Apng => "apng",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Mp4 => "mp4",
            Self::Webm => "webm",
        }
    }
}

/// One finished picture or video.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// The file.
    pub bytes: Bytes,
    /// What it is.
    pub media_type: MediaType,
}

impl Output {
    /// Takes a file whose bytes tell its type.
    ///
    /// # Errors
    /// [`ProviderError::Failed`] where it is none of the types that are served.
    pub fn new(bytes: Bytes) -> Result<Self, ProviderError> {
        let media_type = MediaType::sniff(&bytes).ok_or_else(|| {
            ProviderError::Failed("the result is not an image or video of a known type".into())
        })?;
        Ok(Self { bytes, media_type })
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Output({}, {} bytes)", self.media_type.as_str(), self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_told_by_the_bytes() {
        let cases: [(&[u8], Option<MediaType>); 9] = [
            (b"\x89PNG\r\n\x1a\n", Some(MediaType::Png)),
            (b"\xff\xd8\xff\xe0", Some(MediaType::Jpeg)),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some(MediaType::Webp)),
            (b"GIF89a", Some(MediaType::Gif)),
            (b"\0\0\0\x20ftypisom", Some(MediaType::Mp4)),
            (b"\x1a\x45\xdf\xa3", Some(MediaType::Webm)),
            (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
            (b"<!doctype html>", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(MediaType::sniff(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_broken_png_is_walked_without_harm() {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.extend([0xff, 0xff, 0xff, 0xff]);
        bytes.extend(b"IHDRxx");
        assert_eq!(MediaType::sniff(&bytes), Some(MediaType::Png));
    }
}
