//! `/w/{id}/usage`: spend over time. The whole question stands in the URL.

use std::collections::{BTreeMap, BTreeSet};

use agentframer::domain::access::Permission;
use agentframer::domain::money::Usd;
use agentframer::domain::time::{DAY, Time};
use agentframer::domain::usage::{GroupBy, Interval, UsageQuery};
use agentframer::engine::error::Result;
use agentframer::engine::usage::{UsageRow, UsageView};
use leptos::prelude::*;

use crate::ask::Ask;
use crate::components::chart::{Bar, StackedBars, calls_between};
use crate::components::frame::{page, workspace_page};
use crate::words;

/// A bucket this many times above the median of the others stands out.
const UNUSUAL: i64 = 3;
/// Fewer buckets than this tell nothing about what is usual.
const LEAST: usize = 7;

/// What the reader asked for.
struct Asked {
    query: UsageQuery,
    /// Series that are switched off.
    off: BTreeSet<String>,
    path: String,
}

impl Asked {
    fn read(ask: &Ask) -> Result<Self> {
        let now = ask.engine.clock().now();
        let time = |name: &str| ask.query(name).and_then(|text| moment(&text));
        let (interval, group) = (ask.query("interval"), ask.query("group_by"));
        let query = UsageQuery::read((time("from"), time("to")), interval.as_deref(), group.as_deref(), now)?;
        let off = ask.query("off").map(|off| off.split(',').map(str::to_owned).collect()).unwrap_or_default();
        Ok(Self { query, off, path: ask.parts.uri.path().to_owned() })
    }

    /// The same question with another span, interval, grouping, or other series.
    fn link(&self, query: UsageQuery, off: &BTreeSet<String>) -> String {
        format!("{}?{}", self.path, question(query, off))
    }

    fn toggled(&self, name: &str) -> String {
        let mut off = self.off.clone();
        if !off.remove(name) {
            off.insert(name.to_owned());
        }
        self.link(self.query, &off)
    }
}

fn question(query: UsageQuery, off: &BTreeSet<String>) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("from", &query.from.to_string()).append_pair("to", &query.to.to_string());
    pairs.append_pair("interval", query.interval.as_str()).append_pair("group_by", query.group_by.as_str());
    if !off.is_empty() {
        let off: Vec<&str> = off.iter().map(String::as_str).collect();
        pairs.append_pair("off", &off.join(","));
    }
    pairs.finish()
}

/// A moment, or a day as a date input gives it.
fn moment(text: &str) -> Option<Time> {
    Time::parse(text).or_else(|| Time::parse(&format!("{text}T00:00:00Z")))
}

/// Spend, calls and output of a span.
#[component]
pub fn Usage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadActivity).await?;
        let asked = Asked::read(&ask)?;
        let view = ask.engine.usage(&scope, asked.query).await?;
        let base = format!("/w/{}", scope.workspace.id);
        let now = ask.engine.clock().now();
        let rest = format!("{base}/usage/download?{}", question(asked.query, &asked.off));
        let actions = view! {
            <a class="btn" rel="external" download href=format!("{rest}&format=csv")>"CSV"</a>
            <a class="btn" rel="external" download href=format!("{rest}&format=json")>"JSON"</a>
        };
        let body = view! {
            {controls(&asked, now).into_any()}
            {figures(&view).into_any()}
            {chart(&asked, &view, &base).into_any()}
            {table(&asked, &view).into_any()}
        };
        Ok(workspace_page(
            &ask,
            &scope,
            "Usage",
            "What was spent, by whom and on what, in UTC",
            actions,
            body,
        ))
    })
}

fn controls(asked: &Asked, now: Time) -> impl IntoView + use<> {
    let query = asked.query;
    let day = now.next_day();
    let presets = [
        ("Today", now.day_start(), day, Interval::Hour),
        ("7 days", day.plus(-7 * DAY), day, Interval::Day),
        ("30 days", day.plus(-30 * DAY), day, Interval::Day),
        ("This month", now.month_start(), day, Interval::Day),
        ("Last month", now.months_back(1), now.month_start(), Interval::Day),
        ("Quarter", now.months_back(2), day, Interval::Day),
        ("Year", now.months_back(11), day, Interval::Month),
    ];
    let preset = |(name, from, to, interval): (&'static str, Time, Time, Interval)| {
        let preset = UsageQuery { from, to, interval, ..query };
        let is_on = (preset.from, preset.to) == (query.from, query.to);
        view! { <a class="btn small" class:on=is_on aria-current=is_on.then_some("true") href=asked.link(preset, &asked.off)>{name}</a> }
    };
    let cut = |interval: Interval| {
        let is_on = interval == query.interval;
        let link = asked.link(UsageQuery { interval, ..query }, &asked.off);
        view! { <a class="btn small" class:on=is_on aria-current=is_on.then_some("true") href=link>{interval.as_str()}</a> }
    };
    let group = |group_by: GroupBy| {
        let is_on = group_by == query.group_by;
        let link = asked.link(UsageQuery { group_by, ..query }, &BTreeSet::new());
        view! { <a class="btn small" class:on=is_on aria-current=is_on.then_some("true") href=link>{group_by.title()}</a> }
    };
    let (presets, cuts, groups) = (
        presets.map(preset).collect_view(),
        Interval::ALL.map(cut).collect_view(),
        GroupBy::ALL.map(group).collect_view(),
    );
    view! {
        <div class="row controls">
            <nav class="seg" aria-label="Period">{presets}</nav>
            <nav class="seg" aria-label="Interval">{cuts}</nav>
            <nav class="seg" aria-label="Group by">{groups}</nav>
            <form method="get" class="row">
                <input type="date" name="from" aria-label="From" value=query.from.day_key()/>
                <input type="date" name="to" aria-label="To, not included" value=query.to.day_key()/>
                <input type="hidden" name="interval" value=query.interval.as_str()/>
                <input type="hidden" name="group_by" value=query.group_by.as_str()/>
                <button class="btn small">"Show"</button>
            </form>
        </div>
    }
}

fn figures(view: &UsageView) -> impl IntoView + use<> {
    let (now, before) = (view.totals, view.before);
    let stat = |name: &'static str, value: String, about: String| {
        view! { <div class="card stat"><dl><dt>{name}</dt><dd>{value}</dd></dl><p>{about}</p></div> }
    };
    let change = match (now.cost_usd.micros(), before.cost_usd.micros()) {
        (_, 0) => "nothing in the period before".to_owned(),
        (now, before) => {
            let percent = (now - before) as f64 * 100.0 / before as f64;
            format!("{percent:+.1} % against the period before").replace('-', "−")
        }
    };
    view! {
        <div class="grid g4">
            {stat("Spent", now.cost_usd.display(), change)}
            {stat("Paid and free calls", now.calls.to_string(), format!("{} in the period before", before.calls))}
            {stat("Refused, failed", format!("{}, {}", now.refused, now.failed), "nothing was charged for them".into())}
            {stat("Forecast of this month", view.forecast_month_usd.display(), "if it goes on as the last 14 days did".into())}
        </div>
    }
}

fn label(start: Time, interval: Interval) -> String {
    match interval {
        Interval::Hour => {
            format!("{} {}", words::short_day(start), start.to_string().get(11..16).unwrap_or_default())
        }
        Interval::Day => words::short_day(start),
        Interval::Month => start.month_key(),
    }
}

fn chart(asked: &Asked, view: &UsageView, base: &str) -> impl IntoView + use<> {
    if view.rows.iter().all(|row| !row.sums.cost_usd.is_positive()) {
        return view! { <section class="card"><p class="empty">"Nothing was spent in this period."</p></section> }.into_any();
    }
    let buckets = view.query.buckets();
    let unusual = unusual(&buckets, &view.rows);
    let bars = buckets.iter().map(|start| bar(asked, view, *start, base, unusual.contains(start))).collect();
    let marked: Vec<String> = unusual.iter().map(|start| label(*start, view.query.interval)).collect();
    let said = (!marked.is_empty()).then(|| {
        let text = format!(
            "Unusual: {}. More than {UNUSUAL} times the median of the period’s {}s.",
            marked.join(", "),
            view.query.interval.as_str()
        );
        view! { <p class="note warn"><span class="tag warn">"unusual"</span>{text}</p> }
    });
    view! {
        {said}
        <section class="card"><div class="in"><figure class="chart">
            <StackedBars title="Spend over time; each bar leads to its calls" bars=bars/>
            {legend(asked, view).into_any()}
        </figure></div></section>
    }
    .into_any()
}

fn bar(asked: &Asked, view: &UsageView, start: Time, base: &str, marked: bool) -> Bar {
    let own = view.rows.iter().filter(|row| row.start == start && !asked.off.contains(&row.key));
    let parts: Vec<_> = own.map(|row| (row.key.clone(), row.sums.cost_usd)).collect();
    let href = (!parts.is_empty()).then(|| calls_between(base, start, view.query.interval.next(start)));
    Bar { label: label(start, view.query.interval), parts, href, marked }
}

/// Buckets far above the others.
fn unusual(buckets: &[Time], rows: &[UsageRow]) -> Vec<Time> {
    let spent = |start: Time| -> i64 {
        rows.iter().filter(|row| row.start == start).map(|row| row.sums.cost_usd.micros()).sum()
    };
    let mut amounts: Vec<i64> =
        buckets.iter().map(|start| spent(*start)).filter(|amount| *amount > 0).collect();
    if amounts.len() < LEAST {
        return Vec::new();
    }
    amounts.sort_unstable();
    let median = amounts[amounts.len() / 2];
    buckets.iter().copied().filter(|start| spent(*start) > UNUSUAL * median).collect()
}

/// Links that switch a series on and off.
fn legend(asked: &Asked, view: &UsageView) -> impl IntoView + use<> {
    let names: BTreeSet<&str> =
        view.rows.iter().filter(|row| row.sums.cost_usd.is_positive()).map(|row| row.key.as_str()).collect();
    let switch = |name: &str| {
        let is_on = !asked.off.contains(name);
        view! { <a class="btn small" class:on=is_on role="switch" aria-checked=is_on.to_string() href=asked.toggled(name)>{name.to_owned()}</a> }
    };
    (names.len() > 1).then(|| view! { <nav class="row switches" aria-label="Series">{names.into_iter().map(switch).collect_view()}</nav> })
}

/// Groups with their sums; they add up to the total.
fn table(asked: &Asked, view: &UsageView) -> impl IntoView + use<> {
    let mut groups = BTreeMap::<&str, (Usd, i64, i64, i64)>::new();
    for row in &view.rows {
        let group = groups.entry(&row.key).or_default();
        group.0 = group.0.saturating_add(row.sums.cost_usd);
        (group.1, group.2, group.3) =
            (group.1 + row.sums.calls, group.2 + row.sums.refused, group.3 + row.sums.failed);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (cost, ..))| std::cmp::Reverse(*cost));
    let total = view.totals;
    let line = |(name, (cost, calls, refused, failed)): (&str, (Usd, i64, i64, i64))| {
        let share =
            cost.percent_of(total.cost_usd).map_or_else(|| "–".to_owned(), |percent| format!("{percent} %"));
        view! {
            <tr><td>{name.to_owned()}</td><td class="num">{calls}</td><td class="num">{refused}</td><td class="num">{failed}</td>
                <td class="num">{share}</td><td class="num">{words::cost(cost)}</td></tr>
        }
    };
    let lines = groups.into_iter().map(line).collect_view();
    view! {
        <div class="card scroll">
            <table>
                <thead><tr><th>{asked.query.group_by.title()}</th><th class="num">"Calls"</th><th class="num">"Refused"</th><th class="num">"Failed"</th><th class="num">"Share"</th><th class="num">"Spent"</th></tr></thead>
                <tbody>{lines}</tbody>
                <tfoot><tr><th>"Total"</th><td class="num">{total.calls}</td><td class="num">{total.refused}</td><td class="num">{total.failed}</td><td></td><td class="num"><b>{words::cost(total.cost_usd)}</b></td></tr></tfoot>
            </table>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use agentframer::engine::usage::Sums;

    use super::*;

    #[test]
    fn a_day_far_above_the_median_is_unusual() {
        let start = Time::parse("2026-11-01T00:00:00Z").unwrap();
        let buckets: Vec<Time> = (0..8).map(|day| start.plus(day * DAY)).collect();
        let row = |(number, start): (usize, &Time)| UsageRow {
            start: *start,
            key: "agent.a".into(),
            sums: Sums { cost_usd: Usd::dollars(if number == 5 { 40 } else { 10 }), ..Sums::default() },
        };
        let rows: Vec<UsageRow> = buckets.iter().enumerate().map(row).collect();
        assert_eq!(unusual(&buckets, &rows), [buckets[5]]);
        assert!(unusual(&buckets[..5], &rows[..5]).is_empty());
    }
}
