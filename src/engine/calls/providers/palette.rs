//! The colours and land of a sketch, chosen by the prompt's words.

use crate::engine::calls::providers::canvas::Rgb;

/// The shape of the land's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terrain {
    Hills,
    Peaks,
    Waves,
    Skyline,
}

/// One mood: a light, its colours and its land.
#[derive(Debug)]
pub(super) struct Mood {
    /// Words that call for it, by how they begin.
    words: &'static [&'static str],
    pub(super) terrain: Terrain,
    /// Top, middle and horizon.
    pub(super) sky: [Rgb; 3],
    pub(super) sun: Rgb,
    /// The farthest and the nearest land.
    pub(super) land: [Rgb; 2],
    pub(super) accents: [Rgb; 4],
    /// Whether stars are out.
    pub(super) dark: bool,
}

const fn rgb(hex: u32) -> Rgb {
    [(hex >> 16) as u8, (hex >> 8) as u8, hex as u8]
}

const fn all<const N: usize>(hex: [u32; N]) -> [Rgb; N] {
    let mut colors = [[0; 3]; N];
    let mut at = 0;
    while at < N {
        colors[at] = rgb(hex[at]);
        at += 1;
    }
    colors
}

/// Every mood; the first whose word stands in the prompt is taken, else one by chance.
pub(super) const MOODS: &[Mood] = &[
    Mood {
        words: &[
            "neon", "cyber", "city", "street", "skyline", "tokyo", "york", "robot", "tech", "urban", "office",
        ],
        terrain: Terrain::Skyline,
        sky: all([0x17_0b3b, 0x6b_2d8c, 0xff_7a90]),
        sun: rgb(0xff_d99a),
        land: all([0x7a_4a94, 0x12_0a26]),
        accents: all([0xff_d36e, 0x4d_e1ff, 0xff_5fa2, 0xb9_fbc0]),
        dark: true,
    },
    Mood {
        words: &["night", "moon", "star", "space", "galaxy", "midnight", "dark", "cosm", "planet", "aurora"],
        terrain: Terrain::Peaks,
        sky: all([0x07_0c28, 0x1e_2a5e, 0x5b_6aa8]),
        sun: rgb(0xf6_f1dc),
        land: all([0x3a_477f, 0x06_0a1c]),
        accents: all([0xf6_f1dc, 0x9a_b8ff, 0xc7_9bff, 0x7f_f0d0]),
        dark: true,
    },
    Mood {
        words: &[
            "sea",
            "ocean",
            "water",
            "beach",
            "boat",
            "ship",
            "sail",
            "lighthouse",
            "harbo",
            "wave",
            "island",
            "fish",
            "lake",
        ],
        terrain: Terrain::Waves,
        sky: all([0x2d_6f9f, 0x8c_c6d8, 0xfb_ead0]),
        sun: rgb(0xff_f3d0),
        land: all([0x6f_b3bf, 0x0b_3350]),
        accents: all([0xe8_5d4a, 0xff_f7e6, 0xf4_b942, 0x1c_5d78]),
        dark: false,
    },
    Mood {
        words: &["snow", "winter", "ice", "cold", "arctic", "mountain", "alp", "glacier", "peak", "summit"],
        terrain: Terrain::Peaks,
        sky: all([0x5f_8bbb, 0xb4_d0e6, 0xf6_f2ee]),
        sun: rgb(0xff_ffff),
        land: all([0xa9_c0d8, 0x24_3f5c]),
        accents: all([0xd9_5d5d, 0xff_ffff, 0x2f_6690, 0xf2_c14e]),
        dark: false,
    },
    Mood {
        words: &[
            "forest", "green", "tree", "jungle", "garden", "leaf", "plant", "nature", "wood", "spring",
            "field", "meadow",
        ],
        terrain: Terrain::Hills,
        sky: all([0x7f_b7a8, 0xcf_e3c0, 0xfb_f4d6]),
        sun: rgb(0xff_fbe0),
        land: all([0x9c_c1a0, 0x14_3a2a]),
        accents: all([0xf0_7167, 0xfe_d766, 0x00_8c72, 0xfd_fcdc]),
        dark: false,
    },
    Mood {
        words: &[
            "desert", "sand", "dune", "autumn", "fire", "warm", "africa", "savanna", "gold", "coffee",
            "summer",
        ],
        terrain: Terrain::Hills,
        sky: all([0xd9_6a4f, 0xf4_b27c, 0xfd_e8c8]),
        sun: rgb(0xff_f6df),
        land: all([0xe0_a06a, 0x52_2518]),
        accents: all([0x2a_6f77, 0xff_f1d6, 0xb2_3a48, 0xf9_c74f]),
        dark: false,
    },
    Mood {
        words: &[
            "sunset", "sunrise", "dawn", "dusk", "evening", "romantic", "dream", "pink", "blossom", "love",
            "balloon",
        ],
        terrain: Terrain::Peaks,
        sky: all([0x3b_3a72, 0xc8_6b85, 0xfd_c19a]),
        sun: rgb(0xff_ebb8),
        land: all([0xa0_6f98, 0x22_1c3f]),
        accents: all([0xff_d5a5, 0xf6_72a0, 0x6c_5b9e, 0xff_f0e0]),
        dark: false,
    },
    Mood {
        words: &[
            "sky", "day", "morning", "blue", "bird", "farm", "village", "house", "home", "cloud", "park",
            "sun",
        ],
        terrain: Terrain::Hills,
        sky: all([0x3a_7fc1, 0x96_c9ea, 0xf1_f6ea]),
        sun: rgb(0xff_f6d2),
        land: all([0x9d_bfa4, 0x1f_4f48]),
        accents: all([0xe7_6f51, 0xf4_d35e, 0xff_ffff, 0x27_4c77]),
        dark: false,
    },
];

impl Mood {
    /// The mood that the first fitting word calls for, else number `chance` of all.
    pub(super) fn of(words: &[String], chance: u64) -> &'static Self {
        let called =
            |word: &String| MOODS.iter().find(|mood| mood.words.iter().any(|start| word.starts_with(start)));
        words.iter().find_map(called).unwrap_or(&MOODS[(chance % MOODS.len() as u64) as usize])
    }
}
