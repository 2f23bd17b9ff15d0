//! Times: UTC microseconds inside, RFC 3339 with milliseconds outside (design §2).

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment as microseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// One second in microseconds.
pub const SECOND: i64 = 1_000_000;
/// One minute in microseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in microseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in microseconds, as UTC has no leap seconds here.
pub const DAY: i64 = 24 * HOUR;

impl Time {
    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, for ids.
    pub const fn millis(self) -> u64 {
        (self.0 / 1_000).unsigned_abs()
    }

    /// `micros` later (earlier, where negative).
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Cut to whole milliseconds, so that what is stored is what is shown and hashed.
    #[must_use]
    pub const fn to_millis(self) -> Self {
        Self(self.0 - self.0.rem_euclid(1_000))
    }

    /// The start of its hour in UTC.
    pub const fn hour(self) -> Self {
        Self(self.0 - self.0.rem_euclid(HOUR))
    }

    /// The start of its minute in UTC.
    pub const fn minute(self) -> Self {
        Self(self.0 - self.0.rem_euclid(MINUTE))
    }

    /// Its date in UTC.
    pub fn date(self) -> Date {
        self.timestamp().to_zoned(TimeZone::UTC).date()
    }

    /// The day as caps count it: `2026-11-22`.
    pub fn day_key(self) -> String {
        self.date().to_string()
    }

    /// The month as caps count it: `2026-11`.
    pub fn month_key(self) -> String {
        let date = self.date();
        format!("{:04}-{:02}", date.year(), date.month())
    }

    /// The first moment of its month in UTC.
    pub fn month_start(self) -> Self {
        start_of(self.date().first_of_month())
    }

    /// The first moment of the next month in UTC: when monthly caps begin anew.
    pub fn next_month(self) -> Self {
        start_of(self.date().first_of_month().saturating_add(1.month()))
    }

    /// The first moment of the month `months` before its own.
    pub fn months_back(self, months: i32) -> Self {
        start_of(self.date().first_of_month().saturating_sub(months.months()))
    }

    /// The first moment of its day in UTC.
    pub const fn day_start(self) -> Self {
        Self(self.0 - self.0.rem_euclid(DAY))
    }

    /// The first moment of the next day in UTC: when daily caps begin anew.
    pub const fn next_day(self) -> Self {
        Self(self.day_start().0 + DAY)
    }

    /// As jiff's timestamp, for zones and arithmetic.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or_default()
    }

    /// Reads a month, such as `2026-11`, as its first moment in UTC.
    pub fn parse_month(text: &str) -> Option<Self> {
        let is_month = text.len() == 7;
        is_month.then(|| format!("{text}-01").parse().ok().map(start_of)).flatten()
    }

    /// Reads RFC 3339; `None` where the text is not a moment.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|moment| Self(moment.as_microsecond()))
    }
}

/// The first moment of a date in UTC.
pub(super) fn start_of(date: Date) -> Time {
    date.to_zoned(TimeZone::UTC).map(|zoned| Time(zoned.timestamp().as_microsecond())).unwrap_or_default()
}

/// RFC 3339 in UTC with milliseconds: `2026-04-29T14:22:08.413Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_millis().timestamp())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("is not a time, such as 2026-04-29T14:22:08.413Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_print_as_the_brief_writes_them() {
        let time = Time::parse("2026-04-29T14:22:08.413Z").unwrap();
        assert_eq!(time.to_string(), "2026-04-29T14:22:08.413Z");
        assert_eq!((time.day_key().as_str(), time.month_key().as_str()), ("2026-04-29", "2026-04"));
        assert_eq!(time.next_month().to_string(), "2026-05-01T00:00:00.000Z");
        assert_eq!(time.months_back(4).to_string(), "2025-12-01T00:00:00.000Z");
        assert_eq!(Time::parse_month("2026-04"), Some(time.month_start()));
        assert_eq!(["2026-13", "2026-4", "soon"].map(Time::parse_month), [None; 3]);
        assert_eq!(time.next_day().to_string(), "2026-04-30T00:00:00.000Z");
    }
}
