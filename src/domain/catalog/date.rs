//! Dates as `2026-09-24`; written here, as jiff is built without serde.

use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    Date::from_str(&text)
        .map_err(|_| serde::de::Error::custom(format!("{text} is not a date, such as 2026-09-24")))
}

/// A date that may be missing.
pub(super) mod optional {
    use super::{Date, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        date: &Option<Date>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match date {
            Some(date) => super::serialize(date, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Option<Date>, D::Error> {
        super::deserialize(de).map(Some)
    }
}
