//! Spans of time: presets, free ranges, and the period before, which is what a span is compared with.

use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Interval, months_before};
use crate::domain::field::FieldError;
use crate::domain::time::{DAY, HOUR, Time, start_of};

/// The longest span: the log is kept ten years.
const LONGEST: i64 = 3_660 * DAY;
/// The most intervals that a chart and a table still show.
const MOST_INTERVALS: usize = 1_000;

/// From a whole hour until before another, for the roll-ups count hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its first moment.
    pub from: Time,
    /// The moment after its last.
    pub to: Time,
}

impl Span {
    /// The span of the whole hours that hold `from` and what lies before `to`.
    ///
    /// # Errors
    /// The field `to` where it is not after `from`, `from` where it lies too far back.
    pub fn new(from: Time, to: Time) -> Result<Self, FieldError> {
        let (from, to) = (from.hour(), whole_hour_after(to));
        if from >= to {
            return Err(FieldError::new("to", "is not after the beginning"));
        }
        if to.micros() - from.micros() > LONGEST {
            return Err(FieldError::new("from", "is more than ten years before the end"));
        }
        Ok(Self { from, to })
    }

    /// Reads moments (RFC 3339, the end exclusive) or dates (UTC, the last day inclusive). Without a beginning the span is
    /// the month to date; without an end it ends now.
    ///
    /// # Errors
    /// The field `from` or `to`.
    pub fn parse(from: Option<&str>, to: Option<&str>, now: Time) -> Result<Self, FieldError> {
        let to = to.map_or(Ok(now), |text| moment("to", text, true))?;
        let from = from.map_or(Ok(now.month_start()), |text| moment("from", text, false))?;
        Self::new(from, to)
    }

    /// As [`Self::parse`], but open where an end is not given: nothing is too old then, and nothing too new.
    ///
    /// # Errors
    /// The field `from` or `to`.
    pub fn parse_open(from: Option<&str>, to: Option<&str>) -> Result<Self, FieldError> {
        let from = from.map(|text| moment("from", text, false)).transpose()?;
        let to = to.map(|text| moment("to", text, true)).transpose()?;
        match (from, to) {
            (Some(from), Some(to)) => Self::new(from, to),
            (Some(from), None) => Ok(Self { from: from.hour(), to: Time(i64::MAX) }),
            (None, to) => Ok(Self { from: Time(i64::MIN), to: to.map_or(Time(i64::MAX), whole_hour_after) }),
        }
    }

    /// The intervals of the span, each by its first moment.
    ///
    /// # Errors
    /// The field `interval` where they are too many to be shown.
    pub fn intervals(self, interval: Interval) -> Result<Vec<Time>, FieldError> {
        let next = |at: &Time| Some(interval.next(*at));
        let starts = std::iter::successors(Some(interval.start(self.from)), next);
        let starts: Vec<Time> = starts.take_while(|at| *at < self.to).take(MOST_INTERVALS + 1).collect();
        if starts.len() > MOST_INTERVALS {
            let message = format!(
                "is too short for this span: more than {MOST_INTERVALS} of them; choose a longer one"
            );
            return Err(FieldError::new("interval", message));
        }
        Ok(starts)
    }

    /// What a span without a name is compared with: as many months before where it is whole ones, otherwise as many hours
    /// right before it.
    #[must_use]
    pub fn previous(self) -> Self {
        let is_months = self.from.month_start() == self.from && self.to.month_start() == self.to;
        if is_months { self.same_days_before() } else { self.earlier(self.to.micros() - self.from.micros()) }
    }

    /// The same days of the months before, as many as it touches from the first of one on; never beyond its own beginning.
    #[must_use]
    pub fn same_days_before(self) -> Self {
        let (first, last) = (self.from.date(), self.to.plus(-1).date());
        let years = i32::from(last.year()) - i32::from(first.year());
        let months = 12 * years + i32::from(last.month()) - i32::from(first.month()) + 1;
        Self { from: self.from.months_back(months), to: months_before(self.to, months).min(self.from) }
    }

    fn earlier(self, micros: i64) -> Self {
        Self { from: self.from.plus(-micros), to: self.to.plus(-micros) }
    }

    /// Its whole days, between what is left at either end.
    pub fn days(self) -> Option<Self> {
        let first = if self.from.day_start() == self.from { self.from } else { self.from.next_day() };
        let last = self.to.day_start();
        (first < last).then_some(Self { from: first, to: last })
    }

    /// Whether it holds `time`.
    pub fn holds(self, time: Time) -> bool {
        self.from <= time && time < self.to
    }
}

fn whole_hour_after(time: Time) -> Time {
    if time.hour() == time { time } else { time.hour().plus(HOUR) }
}

fn moment(field: &str, text: &str, is_end: bool) -> Result<Time, FieldError> {
    if let Ok(date) = text.parse::<Date>().map(start_of) {
        return Ok(if is_end { date.next_day() } else { date });
    }
    let wrong = || {
        FieldError::new(field, "is not a time, such as 2026-04-29T14:22:08Z, or a date, such as 2026-04-29")
    };
    Time::parse(text).ok_or_else(wrong)
}

/// The spans that pages offer by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Since midnight UTC.
    Today,
    /// Seven days with today.
    Week,
    /// Thirty days with today.
    ThirtyDays,
    /// Since the first of the month.
    Month,
    /// The whole month before.
    LastMonth,
    /// Since the first of the quarter.
    Quarter,
}

impl Preset {
    /// All, as pages offer them.
    pub const ALL: [Self; 6] =
        [Self::Today, Self::Week, Self::ThirtyDays, Self::Month, Self::LastMonth, Self::Quarter];

    /// The name in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Week => "7d",
            Self::ThirtyDays => "30d",
            Self::Month => "month",
            Self::LastMonth => "last_month",
            Self::Quarter => "quarter",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Today => "Today",
            Self::Week => "7 days",
            Self::ThirtyDays => "30 days",
            Self::Month => "This month",
            Self::LastMonth => "Last month",
            Self::Quarter => "Quarter",
        }
    }

    /// The interval that suits it.
    pub const fn interval(self) -> Interval {
        match self {
            Self::Today => Interval::Hour,
            _ => Interval::Day,
        }
    }

    /// The span as of `now`.
    pub fn span(self, now: Time) -> Span {
        let today = now.day_start();
        // The hour that runs is part of it.
        let end = now.hour().plus(HOUR);
        let (from, to) = match self {
            Self::Today => (today, end),
            Self::Week => (today.plus(-6 * DAY), end),
            Self::ThirtyDays => (today.plus(-29 * DAY), end),
            Self::Month => (now.month_start(), end),
            Self::LastMonth => (now.months_back(1), now.month_start()),
            Self::Quarter => (now.months_back(i32::from((now.date().month() - 1) % 3)), end),
        };
        Span { from, to }
    }

    /// What its span is compared with: days with the same hours as many days ago, months with their same days.
    #[must_use]
    pub fn previous(self, span: Span) -> Span {
        match self {
            Self::Today => span.earlier(DAY),
            Self::Week => span.earlier(7 * DAY),
            Self::ThirtyDays => span.earlier(30 * DAY),
            Self::Month | Self::LastMonth | Self::Quarter => span.same_days_before(),
        }
    }
}

impl FromStr for Preset {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let named = Self::ALL.into_iter().find(|preset| preset.as_str() == text);
        named.ok_or_else(|| FieldError::new("period", "is not one of the periods offered"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    fn span(from: &str, to: &str) -> Span {
        Span::parse(Some(from), Some(to), Time::default()).unwrap()
    }

    #[test]
    fn a_date_as_end_is_its_whole_day_and_hours_are_whole() {
        let april = span("2026-04-01", "2026-04-30");
        assert_eq!((april.from, april.to), (time("2026-04-01T00:00:00Z"), time("2026-05-01T00:00:00Z")));
        let hours = span("2026-04-01T10:59:00Z", "2026-04-01T12:00:01Z");
        assert_eq!((hours.from, hours.to), (time("2026-04-01T10:00:00Z"), time("2026-04-01T13:00:00Z")));
        assert_eq!(
            Span::parse(Some("2026-04-02"), Some("2026-04-01"), Time::default()).unwrap_err().field,
            "to"
        );
        assert_eq!(Span::parse(Some("soon"), None, Time::default()).unwrap_err().field, "from");
    }

    /// From which hour to which.
    fn hours(Span { from, to }: Span) -> (String, String) {
        (from.to_string()[..13].to_owned(), to.to_string()[..13].to_owned())
    }

    fn is(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn an_end_that_is_not_given_is_open() {
        let open = |from, to| Span::parse_open(from, to).unwrap();
        let (early, late) = (time("1970-01-01T00:00:00Z"), time("9000-01-01T00:00:00Z"));
        let since = open(Some("2026-04-01T10:59:00Z"), None);
        assert!(since.holds(time("2026-04-01T10:00:00Z")) && since.holds(late) && !since.holds(early));
        let until = open(None, Some("2050-01-01"));
        assert!(until.holds(early) && until.holds(time("2050-01-01T23:00:00Z")) && !until.holds(late));
        assert!(open(None, None).holds(early) && open(None, None).holds(late));
        assert_eq!(open(Some("2026-04-01"), Some("2026-04-30")), span("2026-04-01", "2026-04-30"));
        let wrong = |from, to| Span::parse_open(from, to).unwrap_err().field;
        assert_eq!([wrong(Some("soon"), None), wrong(None, Some("soon"))], ["from", "to"]);
        assert_eq!(wrong(Some("2026-04-02"), Some("2026-04-01")), "to");
    }

    #[test]
    fn a_preset_is_compared_with_what_its_name_says() {
        let before = |preset: Preset, now: &str| hours(preset.previous(preset.span(time(now))));
        let afternoon = "2026-05-17T14:20:00Z";
        assert_eq!(before(Preset::Today, afternoon), is("2026-05-16T00", "2026-05-16T15"));
        assert_eq!(before(Preset::Today, "2026-05-01T14:20:00Z"), is("2026-04-30T00", "2026-04-30T15"));
        assert_eq!(before(Preset::Week, "2026-05-07T14:20:00Z"), is("2026-04-24T00", "2026-04-30T15"));
        assert_eq!(before(Preset::ThirtyDays, "2026-05-30T14:20:00Z"), is("2026-04-01T00", "2026-04-30T15"));
        assert_eq!(before(Preset::Month, afternoon), is("2026-04-01T00", "2026-04-17T15"));
        assert_eq!(before(Preset::LastMonth, afternoon), is("2026-03-01T00", "2026-04-01T00"));
        assert_eq!(before(Preset::Quarter, "2026-06-17T14:20:00Z"), is("2026-01-01T00", "2026-03-17T15"));
    }

    #[test]
    fn a_free_range_is_compared_with_the_hours_before_it_and_whole_months_with_months() {
        let before = |from: &str, to: &str| hours(span(from, to).previous());
        assert_eq!(before("2026-04-10", "2026-04-16"), is("2026-04-03T00", "2026-04-10T00"));
        assert_eq!(before("2026-04-01", "2026-04-07"), is("2026-03-25T00", "2026-04-01T00"));
        assert_eq!(before("2026-03-01", "2026-03-31"), is("2026-02-01T00", "2026-03-01T00"));
        assert_eq!(before("2026-04-01", "2026-06-30"), is("2026-01-01T00", "2026-04-01T00"));
        assert_eq!(
            before("2026-04-01T00:00:00Z", "2026-04-01T05:00:00Z"),
            is("2026-03-31T19", "2026-04-01T00")
        );
    }

    #[test]
    fn months_are_compared_with_their_same_days() {
        let before = |from: &str, to: &str| hours(span(from, to).same_days_before());
        assert_eq!(before("2026-04-01", "2026-04-22"), is("2026-03-01T00", "2026-03-23T00"));
        assert_eq!(before("2026-03-01", "2026-03-31"), is("2026-02-01T00", "2026-03-01T00"));
        assert_eq!(before("2026-03-01", "2026-03-29"), is("2026-02-01T00", "2026-03-01T00"));
        assert_eq!(before("2026-02-01", "2026-02-28"), is("2026-01-01T00", "2026-02-01T00"));
        assert_eq!(before("2026-04-01", "2026-06-30"), is("2026-01-01T00", "2026-04-01T00"));
        assert_eq!(before("2026-04-01", "2026-05-10"), is("2026-02-01T00", "2026-03-11T00"));
        assert_eq!(
            before("2026-04-01T00:00:00Z", "2026-04-01T05:00:00Z"),
            is("2026-03-01T00", "2026-03-01T05")
        );
    }

    #[test]
    fn presets_end_with_the_hour_that_runs() {
        let now = time("2026-05-17T14:22:00Z");
        let of = |preset: Preset| {
            let Span { from, to } = preset.span(now);
            format!("{} {}", &from.to_string()[..13], &to.to_string()[..13])
        };
        assert_eq!(of(Preset::Today), "2026-05-17T00 2026-05-17T15");
        assert_eq!(of(Preset::Week), "2026-05-11T00 2026-05-17T15");
        assert_eq!(of(Preset::LastMonth), "2026-04-01T00 2026-05-01T00");
        assert_eq!(of(Preset::Quarter), "2026-04-01T00 2026-05-17T15");
    }

    #[test]
    fn too_many_intervals_are_refused_and_days_leave_the_edges() {
        assert_eq!(span("2026-01-01", "2026-12-31").intervals(Interval::Hour).unwrap_err().field, "interval");
        assert_eq!(span("2026-01-15", "2026-12-31").intervals(Interval::Month).unwrap().len(), 12);
        let odd = span("2026-04-01T10:00:00Z", "2026-04-04T12:00:00Z");
        assert_eq!(odd.days(), Some(span("2026-04-02", "2026-04-03")));
        assert_eq!(span("2026-04-01T10:00:00Z", "2026-04-01T12:00:00Z").days(), None);
    }
}
