//! The sizes, counts and durations that a model takes.

use serde::{Deserialize, Serialize};

use crate::domain::field::FieldError;

/// The sizes, counts and durations that a model takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The only sizes it takes, in pixels; empty where the ranges below decide.
    pub sizes: Vec<(u32, u32)>,
    /// Smallest width in pixels.
    pub min_width: u32,
    /// Largest width in pixels.
    pub max_width: u32,
    /// Smallest height in pixels.
    pub min_height: u32,
    /// Largest height in pixels.
    pub max_height: u32,
    /// Width and height are multiples of this many pixels.
    pub multiple_of: u32,
    /// Largest width × height.
    pub max_pixels: Option<u32>,
    /// Most results of one call.
    pub max_count: u32,
    /// Shortest video in seconds.
    pub min_duration_s: u32,
    /// Longest video in seconds.
    pub max_duration_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sizes: Vec::new(),
            min_width: 64,
            max_width: 4096,
            min_height: 64,
            max_height: 4096,
            multiple_of: 1,
            max_pixels: None,
            max_count: 1,
            min_duration_s: 1,
            max_duration_s: 60,
        }
    }
}

impl Limits {
    pub(super) fn check_size(&self, width: u32, height: u32) -> Result<(), FieldError> {
        if !self.sizes.is_empty() {
            return self.check_listed(width, height);
        }
        within("width", width, self.min_width, self.max_width)?;
        within("height", height, self.min_height, self.max_height)?;
        for (name, value) in [("width", width), ("height", height)] {
            if !value.is_multiple_of(self.multiple_of) {
                let message = format!("is {value}; it needs to be a multiple of {}", self.multiple_of);
                return Err(FieldError::new(name, message));
            }
        }
        match self.max_pixels {
            Some(most) if u64::from(width) * u64::from(height) > u64::from(most) => {
                let message =
                    format!("makes {width} by {height}, more than the {most} pixels that the model takes");
                Err(FieldError::new("height", message))
            }
            _ => Ok(()),
        }
    }

    fn check_listed(&self, width: u32, height: u32) -> Result<(), FieldError> {
        if self.sizes.contains(&(width, height)) {
            return Ok(());
        }
        let field = if self.sizes.iter().any(|(listed, _)| *listed == width) { "height" } else { "width" };
        let sizes: Vec<_> = self.sizes.iter().map(|(width, height)| format!("{width}x{height}")).collect();
        Err(FieldError::new(field, format!("makes {width}x{height}; the model takes {}", sizes.join(", "))))
    }

    pub(super) fn check_duration(&self, seconds: u32) -> Result<(), FieldError> {
        within("duration_s", seconds, self.min_duration_s, self.max_duration_s)
    }
}

/// Whether `value` is from `least` to `most`.
pub(super) fn within(field: &str, value: u32, least: u32, most: u32) -> Result<(), FieldError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(FieldError::new(field, format!("is {value}; the model takes {least} to {most}")))
}
