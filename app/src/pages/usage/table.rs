//! The numbers under the chart: a line a group, a line an interval, sums that add up.

use agentframer::domain::money::{Usd, thousands};
use agentframer::domain::usage::Sums;
use agentframer::engine::money::usage::{GroupLine, UsageReport};
use leptos::prelude::*;

use super::picture::{calls, names, series_parts, shown, title};
use super::series::{Asked, word};
use super::state::State;
use crate::components::chart::{series_cells, series_heads};
use crate::words;

/// A line a group, beside the period before.
pub fn groups(report: &UsageReport, state: &State, base: &str) -> AnyView {
    let (total, before) = (report.usage.total(), report.before);
    let lines = report.groups.iter().map(|line| group(line, state, base)).collect_view();
    view! {
        <section class="card scroll" tabindex="0">
            <table class="opens">
                <thead><tr>
                    <th>{state.grouping.title()}</th><th class="num">"Calls"</th><th class="num">"Images"</th><th class="num">"Video seconds"</th>
                    <th class="num">"Refused"</th><th class="num">"Failed"</th><th class="num">"Spend"</th><th class="num">"Before"</th><th class="num">"Change"</th>
                </tr></thead>
                <tbody>{lines}</tbody>
                <tfoot><tr><th scope="row">"Total"</th>{counts(&total)}<td class="num">{words::cost(total.cost)}</td><td class="num">{words::cost(before.cost)}</td><td class="num">{change(total.cost, before.cost)}</td></tr></tfoot>
            </table>
            <footer><p>"Refused and failed calls cost nothing. A line opens its calls in the audit log."</p></footer>
        </section>
    }
    .into_any()
}

fn group(line: &GroupLine, state: &State, base: &str) -> impl IntoView + use<> {
    let word = word(state.grouping, &line.group);
    let name = shown(&line.group);
    let name = match word {
        Some(word) => {
            let href = calls(base, Some(word), state.span.from, state.span.to);
            view! { <a href=href><b>{name}</b></a> }.into_any()
        }
        None => view! { <b>{name}</b> }.into_any(),
    };
    view! {
        <tr>
            <td>{name}</td>
            {counts(&line.sums)}
            <td class="num">{words::cost(line.sums.cost)}</td>
            <td class="num">{words::cost(line.before.cost)}</td>
            <td class="num">{change(line.sums.cost, line.before.cost)}</td>
        </tr>
    }
}

fn counts(sums: &Sums) -> impl IntoView + use<> {
    let cell = |text: String| view! { <td class="num">{text}</td> };
    let count = |number: i64| cell(thousands(&number.to_string()));
    (
        count(sums.calls),
        count(sums.images),
        cell(sums.video_seconds().to_string()),
        count(sums.refused),
        count(sums.failed),
    )
}

/// A line an interval: what the chart shows, for reading aloud and for copying.
pub fn intervals(report: &UsageReport, state: &State, base: &str) -> AnyView {
    let rows = report.usage.by_interval();
    let asked = Asked { names: names(report), state, base };
    let line = |at: &agentframer::domain::time::Time| {
        let rows = rows.get(at).map(Vec::as_slice).unwrap_or_default();
        let sums: Sums = rows.iter().map(|row| row.sums).sum();
        let title = title(*at, state.interval);
        let title = match asked.calls_of_interval(*at) {
            Some(href) => view! { <a href=href>{title}</a> }.into_any(),
            None => title.into_any(),
        };
        let series = series_cells(&series_parts(rows, &asked.names));
        view! { <tr><td>{title}</td>{counts(&sums)}<td class="num">{words::cost(sums.cost)}</td>{series}</tr> }
    };
    let lines: Vec<_> = report.intervals.iter().map(line).collect();
    let head = match state.interval.as_str() {
        "hour" => "Hour (UTC)",
        "day" => "Day (UTC)",
        _ => "Month (UTC)",
    };
    view! {
        <details class="card scroll" tabindex="0">
            <summary class="in"><b>{format!("By {}", state.interval.as_str())}</b></summary>
            <table class="opens">
                <thead><tr><th>{head}</th><th class="num">"Calls"</th><th class="num">"Images"</th><th class="num">"Video seconds"</th><th class="num">"Refused"</th><th class="num">"Failed"</th><th class="num">"Spend"</th>{series_heads(&asked.names)}</tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </details>
    }
    .into_any()
}

/// `+18 %`, `−6 %`, `new`, or a dash where there was and is nothing.
pub fn change(now: Usd, before: Usd) -> String {
    match (now.is_positive(), before.is_positive()) {
        (false, false) => return "–".into(),
        (true, false) => return "new".into(),
        _ => {}
    }
    let percent =
        (i128::from(now.micros()) - i128::from(before.micros())) * 100 / i128::from(before.micros());
    match percent {
        0 => "±0 %".into(),
        1.. => format!("+{} %", thousands(&percent.to_string())),
        _ => format!("−{} %", -percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_its_sign_and_nothing_has_none() {
        let dollars = |now, before| change(Usd::dollars(now), Usd::dollars(before));
        assert_eq!(
            [
                dollars(118, 100),
                dollars(94, 100),
                dollars(1, 0),
                dollars(0, 0),
                dollars(0, 3),
                dollars(2_000, 1)
            ],
            ["+18 %", "−6 %", "new", "–", "−100 %", "+199,900 %"]
        );
    }
}
