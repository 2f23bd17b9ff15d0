//! From a report to the chart: series by what they cost, the forecast as outlines, marks, and links to the calls.

use agentframer::domain::money::Usd;
use agentframer::domain::time::{DAY, Time};
use agentframer::domain::usage::{Interval, Row};
use agentframer::engine::money::usage::UsageReport;

use super::series::Asked;
use super::state::State;
use crate::components::bars::{Bar, Bars, Part, Shape};
use crate::components::chart::{parts, series};
use crate::words;

/// The bars; `base` is the workspace's path.
pub fn bars(report: &UsageReport, state: &State, base: &str) -> Bars {
    let asked = Asked { names: names(report), state, base };
    let rows = report.usage.by_interval();
    let own = report.intervals.iter().map(|at| {
        let rows = rows.get(at).map(Vec::as_slice).unwrap_or_default();
        Bar { mark: mark(report, *at), ..own_bar(rows, &asked, *at) }
    });
    let coming = coming(report, state);
    // Both are about whole days: no single series' line stands beside them.
    let line = report.typical_day.is_positive() && state.interval == Interval::Day;
    let line = line && state.shape == Shape::Bars;
    Bars {
        shape: state.shape,
        bars: own.chain(coming).collect(),
        line: line.then(|| (report.typical_day, format!("typical day {}", words::cents(report.typical_day)))),
        series: asked.names,
    }
}

/// The series' names: what cost the most, then others.
pub fn names(report: &UsageReport) -> Vec<String> {
    let costs: Vec<(String, Usd)> = report
        .groups
        .iter()
        .filter(|line| line.sums.cost.is_positive())
        .map(|line| (shown(&line.group), line.sums.cost))
        .collect();
    series(costs.iter().map(|(name, cost)| (&**name, *cost)))
}

/// A group's name for people.
pub fn shown(group: &str) -> String {
    if group.is_empty() { "no model".to_owned() } else { group.to_owned() }
}

fn own_bar(rows: &[&Row], asked: &Asked<'_>, at: Time) -> Bar {
    let state = asked.state;
    let link = |part: Part| Part { href: asked.calls_of_series(part.series, at), ..part };
    let parts = series_parts(rows, &asked.names).into_iter().map(link);
    Bar {
        label: label(at, state.interval),
        title: title(at, state.interval),
        href: asked.calls_of_all(at),
        parts: parts.filter(|part| !asked.hides(part.series)).collect(),
        ..Bar::default()
    }
}

/// What each series cost in an interval.
pub fn series_parts(rows: &[&Row], series: &[String]) -> Vec<Part> {
    let costs: Vec<(String, Usd)> = rows.iter().map(|row| (shown(&row.group), row.sums.cost)).collect();
    parts(&costs, series)
}

fn mark(report: &UsageReport, at: Time) -> Option<String> {
    let found = report.standouts.iter().find(|found| found.at == at)?;
    let when = title(at, report.usage.interval);
    Some(format!("{when}: {}, usually {}", found.cost.display(), found.usual.display()))
}

/// What each day that is left of the month will cost: drawn as outlines and named in the legend, both or neither.
pub fn expected(report: &UsageReport, state: &State) -> Option<Usd> {
    let outlook = report.outlook.filter(|_| days_left(report, state) > 0 && state.hidden.is_empty())?;
    Some(outlook.per_day).filter(|amount| amount.is_positive())
}

/// Days that the chart goes on for: the rest of the month, where it shows the month to date in bars.
fn days_left(report: &UsageReport, state: &State) -> i64 {
    let is_month = state.span.from.month_start() == state.span.from && state.interval == Interval::Day;
    let last = state.span.to.plus(-1);
    if report.outlook.is_none() || !is_month || state.shape != Shape::Bars {
        return 0;
    }
    (last.next_month().micros() - last.next_day().micros()) / DAY
}

fn coming(report: &UsageReport, state: &State) -> Vec<Bar> {
    let (first, forecast) = (state.span.to.plus(-1).next_day(), expected(report, state));
    let bar = |number: i64| {
        let at = first.plus(number * DAY);
        Bar { label: label(at, Interval::Day), title: title(at, Interval::Day), forecast, ..Bar::default() }
    };
    (0..days_left(report, state)).map(bar).collect()
}

fn label(at: Time, interval: Interval) -> String {
    match interval {
        Interval::Hour if at.day_start() != at => at.to_string()[11..16].to_owned(),
        Interval::Hour | Interval::Day => words::short_day(at),
        Interval::Month => at.date().strftime("%b %Y").to_string(),
    }
}

/// An interval in full.
pub fn title(at: Time, interval: Interval) -> String {
    match interval {
        Interval::Hour => words::utc_minute(at),
        Interval::Day => words::day(at),
        Interval::Month => at.date().strftime("%B %Y").to_string(),
    }
}

/// Where the calls of a time are, in the log's query language.
pub fn calls(base: &str, word: Option<String>, from: Time, to: Time) -> String {
    let words = word.map(|word| format!("{word} ")).unwrap_or_default();
    let query = format!("{words}after:{from} before:{to}");
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("{base}/audit?q={query}")
}
