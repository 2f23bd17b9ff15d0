//! From a report to the bars: series by what they cost, the forecast as outlines, marks, and links to the calls.

use agentframer::domain::money::Usd;
use agentframer::domain::time::{DAY, Time};
use agentframer::domain::usage::{Grouping, Interval, Row};
use agentframer::engine::money::usage::UsageReport;

use super::state::State;
use crate::components::bars::{Bar, Bars, Paint, draw};
use crate::components::chart::{parts, series};
use crate::words;

/// The chart as a file.
pub fn picture(report: &UsageReport, state: &State) -> Option<String> {
    draw(&bars(report, state, ""), Paint::File)
}

/// The bars; `base` is the workspace's path.
pub fn bars(report: &UsageReport, state: &State, base: &str) -> Bars {
    let series = names(report);
    let rows = report.usage.by_interval();
    let own = report.intervals.iter().map(|at| {
        let rows = rows.get(at).map(Vec::as_slice).unwrap_or_default();
        Bar { mark: mark(report, *at), ..own_bar(rows, state, &series, *at, base) }
    });
    let coming = coming(report, state);
    let line = report.typical_day.is_positive() && state.interval == Interval::Day;
    Bars {
        bars: own.chain(coming).collect(),
        line: line.then(|| (report.typical_day, format!("typical day {}", cents(report.typical_day)))),
        series,
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

fn own_bar(rows: &[&Row], state: &State, series: &[String], at: Time, base: &str) -> Bar {
    let costs: Vec<(String, Usd)> = rows.iter().map(|row| (shown(&row.group), row.sums.cost)).collect();
    let mut parts = parts(&costs, series);
    parts.retain(|(number, _)| series.get(*number).is_some_and(|name| !state.hides(name)));
    let end = state.span.to.min(state.interval.next(at));
    Bar {
        label: label(at, state.interval),
        title: title(at, state.interval),
        // What other workspaces' bars hold is not in this one's log.
        href: (state.grouping != Grouping::Workspace)
            .then(|| calls(base, None, at.max(state.span.from), end)),
        parts,
        ..Bar::default()
    }
}

fn mark(report: &UsageReport, at: Time) -> Option<String> {
    let found = report.standouts.iter().find(|found| found.at == at)?;
    let when = title(at, report.usage.interval);
    Some(format!("{when}: {}, usually {}", found.cost.display(), found.usual.display()))
}

/// The rest of the month, where the chart is the month to date.
fn coming(report: &UsageReport, state: &State) -> Vec<Bar> {
    let is_month = state.span.from.month_start() == state.span.from && state.interval == Interval::Day;
    let Some(outlook) = report.outlook.filter(|_| is_month && state.hidden.is_empty()) else {
        return Vec::new();
    };
    let first = state.span.to.plus(-1).next_day();
    let days = (first.month_start().next_month().micros() - first.micros()) / DAY;
    // The last day of a month is followed by another month.
    let days = if first.month_start() == state.span.to.plus(-1).month_start() { days } else { 0 };
    let bar = |number: i64| {
        let at = first.plus(number * DAY);
        let forecast = Some(outlook.per_day).filter(|amount| amount.is_positive());
        Bar { label: label(at, Interval::Day), title: title(at, Interval::Day), forecast, ..Bar::default() }
    };
    (0..days).map(bar).collect()
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

/// The log's word for a group; none for what the log cannot be asked.
pub fn word(grouping: Grouping, group: &str) -> Option<String> {
    match (grouping, group) {
        (_, "") => None,
        (Grouping::User, name) => Some(name.to_owned()),
        (Grouping::Tool, name) => Some(format!("tool:{name}")),
        (Grouping::Model, name) => Some(format!("model:{name}")),
        (Grouping::Kind, "image") => Some("tool:generate_image".into()),
        (Grouping::Kind, "video") => Some("tool:generate_video".into()),
        (Grouping::Kind | Grouping::Workspace, _) => None,
    }
}

/// Whole cents, for what is only a guide.
pub fn cents(amount: Usd) -> String {
    Usd::from_micros(amount.micros() / 10_000 * 10_000).display()
}
