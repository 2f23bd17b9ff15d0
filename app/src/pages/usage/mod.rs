//! `/w/{id}/usage`: what was called and charged, when, by whom and for what.

pub mod file;
pub mod picture;
mod series;
pub mod state;
pub mod table;

use agentframer::domain::access::Permission;
use agentframer::domain::money::{Usd, thousands};
use agentframer::domain::time::Time;
use agentframer::domain::usage::{Grouping, Interval, Preset, Span, Standout};
use agentframer::engine::money::usage::UsageReport;
use leptos::prelude::*;

use self::picture::{bars, calls, expected, names, title};
use self::state::State;
use self::table::change;
use crate::components::bars::{Paint, Shape, draw};
use crate::components::filter::{FilterInput, WrongFilter};
use crate::components::frame::{page, workspace_page};
use crate::islands::PngButton;
use crate::words;

/// Figures, chart and tables; the URL says which.
#[component]
pub fn Usage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadActivity).await?;
        let now = ask.engine.clock().now();
        let query = ask.parts.uri.query().unwrap_or_default();
        let (state, wrong) = WrongFilter::or(State::read(query, now), || State::standard(query, now));
        let report = ask.engine.usage_report(&scope, state.query(), state.previous()).await?;
        let base = format!("/w/{}", scope.workspace.id);
        let line = format!("{}, compared with {} · UTC", words_of(state.span), words_of(report.previous));
        let body = view! {
            {wrong.note("This month is shown instead.")}
            {choices(&state, &format!("{base}/usage"), &wrong).into_any()}
            {figures(&report, &state).into_any()}
            {chart(&report, &state, &base)}
            {table::groups(&report, &state, &base)}
            {table::intervals(&report, &state, &base)}
        };
        Ok(workspace_page(&ask, &scope, "Usage", line, exports(&state, &base), body))
    })
}

/// `1 to 22 Apr 2026`; with the hour of an end within a day: `22 Apr 2026, 00:00 to 15:00`.
fn words_of(Span { from, to }: Span) -> String {
    let last = to.plus(-1);
    let is_within_day = |time: Time| time.day_start() != time;
    let clock = |time: Time| time.to_string()[11..16].to_owned();
    let is_one_month = from.month_start() == last.month_start();
    if from.day_start() == last.day_start() {
        let end = if is_within_day(to) { clock(to) } else { "24:00".to_owned() };
        let hours = (is_within_day(from) || is_within_day(to)).then(|| format!(", {} to {end}", clock(from)));
        return words::day(from) + &hours.unwrap_or_default();
    }
    let first = match (is_within_day(from), is_one_month) {
        (true, _) => words::utc_minute(from),
        (false, true) => from.date().day().to_string(),
        (false, false) => words::day(from),
    };
    let last = if is_within_day(to) { words::utc_minute(to) } else { words::day(last) };
    format!("{first} to {last}")
}

fn choices(state: &State, path: &str, wrong: &WrongFilter) -> impl IntoView + use<> {
    let link = |query: String, label: &'static str, here: bool| {
        view! { <a href=format!("{path}?{query}") aria-current=here.then_some("true")>{label}</a> }
    };
    let periods =
        Preset::ALL.map(|preset| link(state.period(preset), preset.title(), state.preset == Some(preset)));
    let intervals = [(Interval::Hour, "Hour"), (Interval::Day, "Day"), (Interval::Month, "Month")];
    let intervals =
        intervals.map(|(interval, label)| link(state.by(interval), label, state.interval == interval));
    let groupings = Grouping::ALL
        .map(|grouping| link(state.grouped(grouping), grouping.title(), state.grouping == grouping));
    let shapes = Shape::ALL.map(|shape| link(state.drawn(shape), shape.title(), state.shape == shape));
    view! {
        <div class="choose">
            <nav class="seg" aria-label="Period" id="period" tabindex="-1">{periods.collect_view()}</nav>
            <nav class="seg" aria-label="Interval" id="interval" tabindex="-1">{intervals.collect_view()}</nav>
            <nav class="seg" aria-label="Group by" id="group_by" tabindex="-1">{groupings.collect_view()}</nav>
            <nav class="seg" aria-label="Shape" id="shape" tabindex="-1">{shapes.collect_view()}</nav>
            {range(state, path, wrong).into_any()}
        </div>
    }
}

/// A free range, as a plain form.
fn range(state: &State, path: &str, wrong: &WrongFilter) -> impl IntoView + use<> {
    let (from, to) = state.dates();
    let hidden = [("group", state.grouping.as_str()), ("shape", state.shape.as_str())];
    view! {
        <form method="get" action=path.to_owned() class="range">
            {hidden.map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view()}
            <FilterInput name="from" label="From" kind="date" value=from wrong=wrong.at("from")/>
            <FilterInput name="to" label="to" kind="date" value=to wrong=wrong.at("to")/>
            <button class="btn">"Show"</button>
        </form>
    }
}

fn figures(report: &UsageReport, state: &State) -> impl IntoView + use<> {
    let (total, before) = (report.usage.total(), report.before);
    let per_call = |cost: Usd, calls: i64| Usd::from_micros(cost.micros() / calls.max(1));
    let calls_change = change(Usd::from_micros(total.calls), Usd::from_micros(before.calls));
    let each = per_call(total.cost, total.calls);
    let each_before = per_call(before.cost, before.calls);
    let from = |amount: String| format!("from {amount}");
    view! {
        <div class="card grid g4 figures">
            <dl class="stat"><dt>"Spend"</dt><dd>{total.cost.display()}</dd><dd class="about">{change(total.cost, before.cost)}" "{from(before.cost.display())}</dd></dl>
            <dl class="stat"><dt>"Calls"</dt><dd>{thousands(&total.calls.to_string())}</dd><dd class="about">{calls_change}" "{from(thousands(&before.calls.to_string()))}</dd></dl>
            <dl class="stat"><dt>"Per call"</dt><dd>{each.display()}</dd><dd class="about">{change(each, each_before)}" "{from(each_before.display())}</dd></dl>
            {last_figure(report, state)}
        </div>
    }
}

fn last_figure(report: &UsageReport, state: &State) -> AnyView {
    match report.outlook {
        Some(outlook) => {
            let month = state.span.to.plus(-1).date().strftime("%B").to_string();
            let pace = format!("at {} a day, the mean of the last days", words::cents(outlook.per_day));
            view! { <dl class="stat"><dt>{format!("Forecast for {month}")}</dt><dd>{words::cents(outlook.month)}</dd><dd class="about">{pace}</dd></dl> }.into_any()
        }
        None => view! { <dl class="stat"><dt>"Typical day"</dt><dd>{words::cents(report.typical_day)}</dd><dd class="about">"median of the last 28 days"</dd></dl> }.into_any(),
    }
}

fn chart(report: &UsageReport, state: &State, base: &str) -> AnyView {
    if !report.usage.total().cost.is_positive() {
        return view! { <p class="card empty">"Nothing was spent in this time. Paid calls appear here within seconds; choose another period above."</p> }.into_any();
    }
    let drawn = draw(&bars(report, state, base), Paint::Page).unwrap_or_default();
    let label = format!(
        "Spend by {} and {}; each leads to its calls, and the tables below have all values",
        state.interval.as_str(),
        state.grouping.title().to_lowercase()
    );
    view! {
        <section class="card">
            <header><h2>"Spend"</h2><span class="muted">{format!("by {} and {}", state.interval.as_str(), state.grouping.title().to_lowercase())}</span></header>
            <figure class="chart in">
                <div role="group" aria-label=label inner_html=drawn></div>
                <figcaption class="legend">{legend(report, state, base)}</figcaption>
                {standouts(report, state, base)}
            </figure>
        </section>
    }
    .into_any()
}

/// Each name switches its series off and on.
fn legend(report: &UsageReport, state: &State, base: &str) -> impl IntoView + use<> {
    let entry = |(number, name): (usize, String)| {
        let is_off = state.hides(&name);
        let (href, does) =
            (format!("{base}/usage?{}", state.toggled(&name)), if is_off { "Show" } else { "Hide" });
        let title = format!("{does} {name}");
        view! {
            <a href=href class:off=is_off title=title>
                <i class=format!("c{}", number + 1)></i>{name}{is_off.then_some(" (hidden)")}
            </a>
        }
    };
    let entries: Vec<_> = names(report).into_iter().enumerate().map(entry).collect();
    let coming = expected(report, state).map(|_| view! { <span><i class="coming"></i>"forecast"</span> });
    (entries, coming)
}

fn standouts(report: &UsageReport, state: &State, base: &str) -> Option<impl IntoView + use<>> {
    let rule = state.interval.rule()?;
    let line = |found: &Standout| {
        let href = calls(base, None, found.at, state.interval.next(found.at));
        let text = format!(" cost {}, usually {}.", found.cost.display(), found.usual.display());
        view! { <li><span class="tag warn">"stands out"</span><a class="link" href=href>{title(found.at, state.interval)}</a>{text}</li> }
    };
    let lines: Vec<_> = report.standouts.iter().map(line).collect();
    Some(view! { <ul class="standouts">{lines}</ul> <p class="hint">{rule}</p> })
}

fn exports(state: &State, base: &str) -> impl IntoView + use<> {
    let path = |format: &str| format!("{base}/usage/export?format={format}&{}", state.to_query(false));
    let link = |(format, label): (&str, &'static str)| view! { <a class="btn" href=path(format) download="">{label}</a> };
    let links = [("csv", "CSV"), ("json", "JSON"), ("svg", "SVG")].map(link).collect_view();
    view! { <div class="row" role="group" aria-label="Download">{links}<PngButton picture=path("svg") name="usage.png".to_owned()/></div> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_by_days_and_by_hours_where_it_ends_within_one() {
        let said =
            |from: &str, to: &str| words_of(Span::parse(Some(from), Some(to), Time::default()).unwrap());
        assert_eq!(said("2026-04-01", "2026-04-22"), "1 to 22 Apr 2026");
        assert_eq!(said("2026-03-30", "2026-04-02"), "30 Mar 2026 to 2 Apr 2026");
        assert_eq!(said("2026-04-22", "2026-04-22"), "22 Apr 2026");
        assert_eq!(said("2026-04-22", "2026-04-22T15:00:00Z"), "22 Apr 2026, 00:00 to 15:00");
        assert_eq!(said("2026-04-22T09:00:00Z", "2026-04-22"), "22 Apr 2026, 09:00 to 24:00");
        assert_eq!(said("2026-04-01", "2026-04-22T15:00:00Z"), "1 to 22 Apr 2026, 15:00");
        assert_eq!(said("2026-03-31T19:00:00Z", "2026-04-02"), "31 Mar 2026, 19:00 to 2 Apr 2026");
    }
}
