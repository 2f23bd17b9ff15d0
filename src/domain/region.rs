//! Where a workspace lives.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::field::FieldError;

/// A region in which data stays. Chosen when a workspace is created; never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Region {
    /// The European Union (Ireland).
    #[serde(rename = "eu-west-1")]
    EuWest1,
    /// The United States (Virginia).
    #[serde(rename = "us-east-1")]
    UsEast1,
}

impl Region {
    /// Every region, in the order in which forms offer them.
    pub const ALL: [Self; 2] = [Self::EuWest1, Self::UsEast1];

    /// The name in JSON, settings and URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EuWest1 => "eu-west-1",
            Self::UsEast1 => "us-east-1",
        }
    }

    /// The place, for people.
    pub const fn place(self) -> &'static str {
        match self {
            Self::EuWest1 => "European Union",
            Self::UsEast1 => "United States",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Region {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::ALL
            .into_iter()
            .find(|region| region.as_str() == text)
            .ok_or_else(|| FieldError::new("region", "does not exist; choose eu-west-1 or us-east-1"))
    }
}
