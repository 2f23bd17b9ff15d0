//! What usage is asked for: a span of time, cut into hours, days or months, by agent, tool, model or kind (contract §3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::field::FieldError;
use super::time::{DAY, HOUR, Time};

/// How a span is cut. All of it is UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Hours; at most 31 days of them.
    Hour,
    /// Days; at most two years of them.
    Day,
    /// Months; at most ten years of them.
    Month,
}

impl Interval {
    /// Every interval, as forms offer them.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// The name in JSON and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The first moment of the bucket that holds `time`.
    pub fn start(self, time: Time) -> Time {
        match self {
            Self::Hour => time.hour(),
            Self::Day => time.day_start(),
            Self::Month => time.month_start(),
        }
    }

    /// The first moment of the bucket after the one that holds `time`.
    pub fn next(self, time: Time) -> Time {
        match self {
            Self::Hour => time.hour().plus(HOUR),
            Self::Day => time.next_day(),
            Self::Month => time.next_month(),
        }
    }

    const fn longest(self) -> i64 {
        match self {
            Self::Hour => 31 * DAY,
            Self::Day => 732 * DAY,
            Self::Month => 3_660 * DAY,
        }
    }
}

impl FromStr for Interval {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let wrong = || FieldError::new("interval", "is not an interval; choose hour, day or month");
        Self::ALL.into_iter().find(|interval| interval.as_str() == text).ok_or_else(wrong)
    }
}

/// What calls are summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// Agent.
    User,
    /// Tool.
    Tool,
    /// Model.
    Model,
    /// Images, videos and other calls.
    Kind,
}

impl GroupBy {
    /// Every grouping, as forms offer them.
    pub const ALL: [Self; 4] = [Self::User, Self::Tool, Self::Model, Self::Kind];

    /// The name in JSON and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Tool => "tool",
            Self::Model => "model",
            Self::Kind => "kind",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::User => "Agent",
            Self::Tool => "Tool",
            Self::Model => "Model",
            Self::Kind => "Kind",
        }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GroupBy {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let wrong = || FieldError::new("group_by", "is not a grouping; choose user, tool, model or kind");
        Self::ALL.into_iter().find(|group| group.as_str() == text).ok_or_else(wrong)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageQuery {
    /// From this time on, rounded down to a bucket's start.
    pub from: Time,
    /// To before this time, rounded up to a bucket's end.
    pub to: Time,
    /// The buckets.
    pub interval: Interval,
    /// The groups.
    pub group_by: GroupBy,
}

impl UsageQuery {
    /// The last 30 days by day and agent, where nothing else is given.
    ///
    /// # Errors
    /// The field `from`, `to`, `interval` or `group_by`.
    pub fn read(
        (from, to): (Option<Time>, Option<Time>),
        interval: Option<&str>,
        group_by: Option<&str>,
        now: Time,
    ) -> Result<Self, FieldError> {
        let interval = interval.map_or(Ok(Interval::Day), str::parse)?;
        let group_by = group_by.map_or(Ok(GroupBy::User), str::parse)?;
        let to = to.unwrap_or(now);
        let from = from.unwrap_or_else(|| interval.start(to).plus(-29 * DAY));
        if from >= to {
            return Err(FieldError::new("from", "is not before to"));
        }
        if to.micros().saturating_sub(from.micros()) > interval.longest() {
            let days = interval.longest() / DAY;
            let message = format!("is more than {days} days before to; choose a longer interval");
            return Err(FieldError::new("from", message));
        }
        let end = interval.start(to);
        let to = if end == to { to } else { interval.next(to) };
        Ok(Self { from: interval.start(from), to, interval, group_by })
    }

    /// Each bucket's first moment.
    pub fn buckets(&self) -> Vec<Time> {
        let next = |start: &Time| Some(self.interval.next(*start)).filter(|next| *next < self.to);
        std::iter::successors(Some(self.from), next).collect()
    }

    /// The same span right before this one.
    #[must_use]
    pub fn before(&self) -> Self {
        let from = match self.interval {
            Interval::Month => self.from.months_back(self.buckets().len() as i32),
            _ => self.from.plus(self.from.micros() - self.to.micros()),
        };
        Self { from, to: self.from, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    fn read(from: &str, to: &str, interval: &str) -> Result<UsageQuery, FieldError> {
        UsageQuery::read((Some(at(from)), Some(at(to))), Some(interval), None, Time(0))
    }

    #[test]
    fn a_span_is_rounded_out_to_whole_buckets() {
        let days = read("2026-11-01T10:00:00Z", "2026-11-03T00:00:00Z", "day").unwrap();
        assert_eq!(
            (days.from, days.to, days.buckets().len()),
            (at("2026-11-01T00:00:00Z"), at("2026-11-03T00:00:00Z"), 2)
        );
        let months = read("2026-01-15T00:00:00Z", "2026-03-02T00:00:00Z", "month").unwrap();
        assert_eq!((months.buckets().len(), months.to), (3, at("2026-04-01T00:00:00Z")));
        assert_eq!(
            (months.before().from, months.before().to),
            (at("2025-10-01T00:00:00Z"), at("2026-01-01T00:00:00Z"))
        );
        assert_eq!(days.before().from, at("2026-10-30T00:00:00Z"));
    }

    #[test]
    fn nothing_given_is_thirty_days_by_agent() {
        let query = UsageQuery::read((None, None), None, None, at("2026-11-22T15:00:00Z")).unwrap();
        assert_eq!((query.buckets().len(), query.group_by), (30, GroupBy::User));
    }

    #[test]
    fn wrong_questions_name_their_field() {
        for (from, to, interval, field) in [
            ("2026-11-02T00:00:00Z", "2026-11-01T00:00:00Z", "day", "from"),
            ("2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z", "hour", "from"),
            ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "week", "interval"),
        ] {
            assert_eq!(read(from, to, interval).unwrap_err().field, field);
        }
    }
}
