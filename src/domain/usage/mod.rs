//! Usage as charts, tables and statements show it: spans, intervals, groups and their sums. Pure; the roll-ups feed it.

mod outlook;
mod span;

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;
use std::str::FromStr;

use jiff::ToSpan;
use serde::{Deserialize, Serialize};

pub use self::outlook::{Runway, Standout, forecast, median, standouts};
pub use self::span::{Preset, Span};
use super::field::FieldError;
use super::money::Usd;
use super::time::{DAY, HOUR, Time, start_of};

/// How long a bar of a chart is, in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Hours.
    Hour,
    /// Days.
    #[default]
    Day,
    /// Calendar months.
    Month,
}

impl Interval {
    /// All, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// The name in URLs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The first moment of the interval that holds `time`.
    pub fn start(self, time: Time) -> Time {
        match self {
            Self::Hour => time.hour(),
            Self::Day => time.day_start(),
            Self::Month => time.month_start(),
        }
    }

    /// The first moment of the interval after the one that holds `time`.
    pub fn next(self, time: Time) -> Time {
        match self {
            Self::Hour => time.hour().plus(HOUR),
            Self::Day => time.next_day(),
            Self::Month => time.next_month(),
        }
    }
}

impl FromStr for Interval {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let named = Self::ALL.into_iter().find(|interval| interval.as_str() == text);
        named.ok_or_else(|| FieldError::new("interval", "is not hour, day or month"))
    }
}

/// By what usage is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grouping {
    /// The agent: `agent.NAME`.
    User,
    /// The tool.
    Tool,
    /// The model; empty for tools without one.
    Model,
    /// What is made: `image`, `video` or `other`.
    Kind,
    /// Each workspace that the reader belongs to, by name.
    Workspace,
}

impl Grouping {
    /// All, as pages offer them.
    pub const ALL: [Self; 5] = [Self::User, Self::Tool, Self::Model, Self::Kind, Self::Workspace];

    /// The name in URLs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Tool => "tool",
            Self::Model => "model",
            Self::Kind => "kind",
            Self::Workspace => "workspace",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::User => "Agent",
            Self::Tool => "Tool",
            Self::Model => "Model",
            Self::Kind => "Kind",
            Self::Workspace => "Workspace",
        }
    }
}

impl FromStr for Grouping {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let named = Self::ALL.into_iter().find(|grouping| grouping.as_str() == text);
        named.ok_or_else(|| FieldError::new("group_by", "is not user, tool, model, kind or workspace"))
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Successful calls.
    pub calls: i64,
    /// What was charged.
    pub cost: Usd,
    /// Images made.
    pub images: i64,
    /// Milliseconds of video made.
    pub video_ms: i64,
    /// Calls that the rules refused; not charged.
    pub refused: i64,
    /// Calls that failed; not charged.
    pub failed: i64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.cost = self.cost.saturating_add(other.cost);
        self.images += other.images;
        self.video_ms += other.video_ms;
        self.refused += other.refused;
        self.failed += other.failed;
    }
}

impl Sum for Sums {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut total, sums| {
            total += sums;
            total
        })
    }
}

impl Sums {
    /// Seconds of video, in thousandths: `1.5`, `60`.
    pub fn video_seconds(&self) -> VideoSeconds {
        VideoSeconds(self.video_ms)
    }
}

/// Milliseconds shown as seconds without a needless zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoSeconds(i64);

impl fmt::Display for VideoSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A thousandth of a thousand: the same decimals as a thousandth of a dollar.
        Usd::from_micros(self.0 * 1_000).fmt(f)
    }
}

/// The sums of one group in one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The interval's first moment, or the span's where that is later.
    pub start: Time,
    /// The interval's end, or the span's where that is earlier.
    pub end: Time,
    /// The group; empty where usage is not taken apart, or a tool has no model.
    pub group: String,
    /// What was counted.
    pub sums: Sums,
}

/// Usage of a span, complete: every row of it, in order of time and group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Which span.
    pub span: Span,
    /// How long a row's interval is.
    pub interval: Interval,
    /// By what it is taken apart.
    pub grouping: Option<Grouping>,
    /// The rows in which anything happened.
    pub rows: Vec<Row>,
}

impl Usage {
    /// Adds what the roll-ups hold, each with its time and group, up to rows.
    pub fn collect(
        span: Span,
        interval: Interval,
        grouping: Option<Grouping>,
        parts: impl IntoIterator<Item = (Time, String, Sums)>,
    ) -> Self {
        let mut sums: BTreeMap<(Time, String), Sums> = BTreeMap::new();
        for (at, group, part) in parts {
            *sums.entry((interval.start(at), group)).or_default() += part;
        }
        let row = |((at, group), sums)| Row {
            start: span.from.max(at),
            end: span.to.min(interval.next(at)),
            group,
            sums,
        };
        Self { span, interval, grouping, rows: sums.into_iter().map(row).collect() }
    }

    /// Everything.
    pub fn total(&self) -> Sums {
        self.rows.iter().map(|row| row.sums).sum()
    }

    /// The rows by their interval's first moment.
    pub fn by_interval(&self) -> BTreeMap<Time, Vec<&Row>> {
        let mut rows: BTreeMap<Time, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            rows.entry(self.interval.start(row.start)).or_default().push(row);
        }
        rows
    }

    /// Each group's sums, what cost the most first.
    pub fn groups(&self) -> Vec<(String, Sums)> {
        let mut groups: BTreeMap<&str, Sums> = BTreeMap::new();
        for row in &self.rows {
            *groups.entry(&row.group).or_default() += row.sums;
        }
        let mut groups: Vec<(String, Sums)> =
            groups.into_iter().map(|(group, sums)| (group.to_owned(), sums)).collect();
        groups.sort_by(|a, b| (b.1.cost, b.1.calls).cmp(&(a.1.cost, a.1.calls)).then(a.0.cmp(&b.0)));
        groups
    }
}

/// The first moment of the same day `months` before; the month's end where it has no such day.
fn months_before(time: Time, months: i32) -> Time {
    let date = time.date();
    let earlier = date.saturating_sub(months.months());
    let of_day = time.micros().rem_euclid(DAY);
    if earlier.day() == date.day() { start_of(earlier).plus(of_day) } else { start_of(earlier).next_month() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn parts_of_an_interval_become_one_row_and_rows_end_with_the_span() {
        let span = Span::new(time("2026-04-01T06:00:00Z"), time("2026-04-02T12:00:00Z")).unwrap();
        let part = |at: &str, group: &str, cost| {
            (time(at), group.to_owned(), Sums { calls: 1, cost: Usd::dollars(cost), ..Sums::default() })
        };
        let parts = [
            part("2026-04-01T06:00:00Z", "b", 1),
            part("2026-04-01T07:00:00Z", "b", 2),
            part("2026-04-01T07:00:00Z", "a", 4),
            part("2026-04-02T00:00:00Z", "a", 8),
        ];
        let usage = Usage::collect(span, Interval::Day, Some(Grouping::User), parts);
        let costs: Vec<_> = usage.rows.iter().map(|row| (row.group.as_str(), row.sums.cost)).collect();
        assert_eq!(costs, [("a", Usd::dollars(4)), ("b", Usd::dollars(3)), ("a", Usd::dollars(8))]);
        assert_eq!((usage.rows[0].start, usage.rows[2].end), (span.from, span.to));
        assert_eq!(usage.total().cost, Usd::dollars(15));
        assert_eq!(
            usage.groups()[0],
            ("a".to_owned(), Sums { calls: 2, cost: Usd::dollars(12), ..Sums::default() })
        );
    }

    #[test]
    fn seconds_have_no_needless_zeros() {
        let seconds = |video_ms| Sums { video_ms, ..Sums::default() }.video_seconds().to_string();
        assert_eq!([seconds(1_500), seconds(60_000), seconds(0)], ["1.5", "60", "0"]);
    }
}
