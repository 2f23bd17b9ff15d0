//! What is asked for, and what it becomes once a model's defaults are filled in.

use serde::{Deserialize, Serialize};

/// What a model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Still pictures.
    Image,
    /// Moving pictures.
    Video,
}

impl MediaKind {
    /// The name in JSON and in sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
        }
    }
}

/// One thing to be generated, complete: every default is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What is to be made.
    pub kind: MediaKind,
    /// What it is to show. Never logged.
    pub prompt: String,
    /// The [`Model::id`] in the catalogue.
    pub model: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// How many pictures or videos.
    pub count: u32,
    /// The same seed gives the same picture, where the model keeps that promise.
    pub seed: Option<u64>,
    /// Seconds of video; `None` for pictures.
    pub duration_s: Option<u32>,
}

impl Job {
    /// Width to height in smallest whole numbers: `16:9`.
    pub fn aspect_ratio(&self) -> String {
        let divisor = greatest_common_divisor(self.width, self.height).max(1);
        format!("{}:{}", self.width / divisor, self.height / divisor)
    }

    /// The seed within the 31 bits that every vendor takes.
    pub fn small_seed(&self) -> Option<u32> {
        self.seed.map(|seed| (seed & 0x7fff_ffff) as u32)
    }
}

const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// What a caller asked for, before the model's defaults are filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// What it is to show.
    pub prompt: String,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// How many; one, where not said.
    pub count: Option<u32>,
    /// For the same picture again.
    pub seed: Option<u64>,
    /// Seconds of video.
    pub duration_s: Option<u32>,
}
