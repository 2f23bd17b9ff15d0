//! What will be, and what stands out.

use std::collections::BTreeMap;

use super::{Interval, Span};
use crate::domain::money::Usd;
use crate::domain::time::{DAY, Time};

/// Days that an hour or a day is compared with.
const LOOK_BACK: i64 = 28;
/// Fewer of them say nothing.
const LEAST_COMPARED: usize = 7;
/// Days that are told of a balance; more is no guide.
const LONGEST_RUNWAY: i64 = 365;
/// How far above the usual it must be …
const TIMES_USUAL: i64 = 3;
/// … and by how much: small change is not news.
const LEAST_ABOVE: Usd = Usd::dollars(1);

/// What the month will have cost: what was spent, and `per_day` for the rest of it.
pub fn forecast(spent: Usd, per_day: Usd, now: Time) -> Usd {
    let left = i128::from(now.next_month().micros() - now.micros());
    let rest = i128::from(per_day.micros()) * left / i128::from(DAY);
    spent.saturating_add(Usd::from_micros(i64::try_from(rest).unwrap_or(i64::MAX)))
}

/// How long a balance lasts at the present pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runway {
    /// Nothing is left: paid calls are refused.
    UsedUp,
    /// Until about then.
    Until(Time),
    /// For more than a year, or for ever where nothing is spent.
    Long,
}

impl Runway {
    /// That of what is available, at `per_day`.
    pub fn of(available: Usd, per_day: Usd, now: Time) -> Self {
        if !available.is_positive() {
            return Self::UsedUp;
        }
        let days = available.micros().checked_div(per_day.micros()).filter(|days| *days <= LONGEST_RUNWAY);
        days.map_or(Self::Long, |days| Self::Until(now.plus(days * DAY)))
    }

    /// When it ends, where it does within a year.
    pub const fn end(self, now: Time) -> Option<Time> {
        match self {
            Self::UsedUp => Some(now),
            Self::Until(end) => Some(end),
            Self::Long => None,
        }
    }
}

/// An hour or day far above the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standout {
    /// Its first moment.
    pub at: Time,
    /// What it cost.
    pub cost: Usd,
    /// The median that it is far above.
    pub usual: Usd,
}

impl Interval {
    /// The rule of [`standouts`] in words; months have none.
    pub const fn rule(self) -> Option<&'static str> {
        match self {
            Self::Hour => Some(
                "Marked: an hour that cost more than three times the median of the same hour on the 28 days before it, and at least $1 more.",
            ),
            Self::Day => Some(
                "Marked: a day that cost more than three times the median of the 28 days before it, and at least $1 more.",
            ),
            Self::Month => None,
        }
    }
}

/// The intervals of `span` that cost far more than the usual (see [`Interval::rule`]). `spend` reaches 28 days further back;
/// nothing is known before `since`.
pub fn standouts(spend: &BTreeMap<Time, Usd>, interval: Interval, span: Span, since: Time) -> Vec<Standout> {
    if interval == Interval::Month {
        return Vec::new();
    }
    let inside = spend.range(interval.start(span.from)..span.to);
    inside.filter_map(|(at, cost)| standout(spend, *at, *cost, since)).collect()
}

fn standout(spend: &BTreeMap<Time, Usd>, at: Time, cost: Usd, since: Time) -> Option<Standout> {
    let earlier = (1..=LOOK_BACK).map(|days| at.plus(-days * DAY)).take_while(|day| *day >= since);
    let compared: Vec<Usd> = earlier.map(|day| spend.get(&day).copied().unwrap_or_default()).collect();
    if compared.len() < LEAST_COMPARED {
        return None;
    }
    let usual = median(compared);
    let is_far = cost.micros() > usual.micros().saturating_mul(TIMES_USUAL);
    (is_far && cost >= usual.saturating_add(LEAST_ABOVE)).then_some(Standout { at, cost, usual })
}

/// The middle one; of an even number the mean of the two in the middle. Nothing has the median nothing.
pub fn median(mut amounts: Vec<Usd>) -> Usd {
    amounts.sort_unstable();
    let middle = amounts.len() / 2;
    match (amounts.get(middle), amounts.len() % 2) {
        (None, _) => Usd::ZERO,
        (Some(upper), 0) => Usd::from_micros((amounts[middle - 1].saturating_add(*upper)).micros() / 2),
        (Some(only), _) => *only,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn the_rest_of_the_month_costs_its_part_of_a_day() {
        let now = time("2026-04-29T12:00:00Z");
        assert_eq!(forecast(Usd::dollars(100), Usd::dollars(10), now), Usd::dollars(115));
    }

    #[test]
    fn a_balance_lasts_as_its_pace_allows() {
        let now = time("2026-10-14T12:00:00Z");
        let of = |available, per_day| Runway::of(Usd::dollars(available), Usd::dollars(per_day), now);
        assert_eq!([of(0, 0), of(0, 5)], [Runway::UsedUp; 2]);
        assert_eq!(of(4, 5), Runway::Until(now));
        assert_eq!(of(365, 1), Runway::Until(time("2027-10-14T12:00:00Z")));
        assert_eq!([of(366, 1), of(100, 0)], [Runway::Long; 2]);
        let ends = [Runway::UsedUp, of(10, 5), Runway::Long].map(|runway| runway.end(now));
        assert_eq!(ends, [Some(now), Some(now.plus(2 * DAY)), None]);
    }

    #[test]
    fn the_middle_is_found() {
        let of = |dollars: &[i32]| median(dollars.iter().map(|amount| Usd::dollars(*amount)).collect());
        assert_eq!(
            [of(&[]), of(&[5]), of(&[9, 1]), of(&[3, 100, 1])].map(|usd| usd.micros() / 1_000_000),
            [0, 5, 5, 3]
        );
    }

    #[test]
    fn only_what_is_far_above_its_own_past_stands_out() {
        let (from, mut spend) = (time("2026-04-01T00:00:00Z"), BTreeMap::new());
        for day in 0..40 {
            spend.insert(from.plus(day * DAY), Usd::dollars(10));
        }
        let runaway = from.plus(35 * DAY);
        spend.insert(runaway, Usd::dollars(31));
        spend.insert(from.plus(36 * DAY), Usd::dollars(30));
        let span = Span { from: from.plus(30 * DAY), to: from.plus(40 * DAY) };
        let found = standouts(&spend, Interval::Day, span, from);
        assert_eq!(found, [Standout { at: runaway, cost: Usd::dollars(31), usual: Usd::dollars(10) }]);
        assert_eq!(standouts(&spend, Interval::Day, span, from.plus(30 * DAY)), [], "too little is known");
        assert_eq!(standouts(&spend, Interval::Month, span, from), []);
    }

    #[test]
    fn an_hour_is_compared_with_its_own_hour_and_cents_are_no_news() {
        let (from, mut spend) = (time("2026-04-01T09:00:00Z"), BTreeMap::new());
        for day in 0..20 {
            spend.insert(from.plus(day * DAY), Usd::from_micros(100_000));
        }
        spend.insert(from.plus(20 * DAY), Usd::from_micros(900_000));
        let span = Span { from: from.plus(20 * DAY).day_start(), to: from.plus(21 * DAY).day_start() };
        assert_eq!(standouts(&spend, Interval::Hour, span, from), []);
        spend.insert(from.plus(20 * DAY), Usd::from_micros(1_200_000));
        assert_eq!(standouts(&spend, Interval::Hour, span, from).len(), 1);
    }
}
