//! Spend by day: the month's bars with the legend and the table behind them.

use agentframer::domain::money::Usd;
use agentframer::domain::time::{DAY, Time};
use agentframer::engine::views::overview::DaySpend;
use leptos::prelude::*;

use super::bars::{Bar, Bars, COLOURS, Paint, Part, draw};
use crate::words;

/// The month's bars with the legend and, for reading aloud, the table behind them.
#[component]
pub fn SpendByDay(
    days: Vec<DaySpend>,
    month: Time,
    /// By what each day is taken apart, for screen readers.
    #[prop(default = "agent")]
    by: &'static str,
) -> impl IntoView {
    if days.is_empty() {
        return view! { <p class="empty">"Nothing was spent this month. Paid calls appear here within seconds."</p> }.into_any();
    }
    let series = series(days.iter().flat_map(|day| day.by_agent.iter().map(|(name, cost)| (&**name, *cost))));
    let bars = Bars { bars: month_bars(&days, &series, month), series, ..Bars::default() };
    let drawn = draw(&bars, Paint::Page).unwrap_or_default();
    let rows = days.iter().map(|day| {
        let parts = series_cells(&parts(&day.by_agent, &bars.series));
        view! { <tr><td>{words::day(day.day)}</td>{parts}<td class="num">{day.total.display()}</td></tr> }
    });
    view! {
        <figure class="chart">
            <div role="img" tabindex="0" aria-label=format!("Spend by day and {by} this month; the table below has its values") inner_html=drawn></div>
            <figcaption class="legend">{legend(&bars.series)}</figcaption>
            <details><summary>"As a table"</summary>
                <div class="scroll" tabindex="0"><table>
                    <thead><tr><th>"Day"</th>{series_heads(&bars.series)}<th class="num">"Spent"</th></tr></thead>
                    <tbody>{rows.collect_view()}</tbody>
                </table></div>
            </details>
        </figure>
    }
    .into_any()
}

fn legend(series: &[String]) -> impl IntoView + use<> {
    let entry = |(number, name): (usize, &String)| {
        view! { <span><i class=format!("c{}", number + 1)></i>{name.clone()}</span> }
    };
    series.iter().enumerate().map(entry).collect_view()
}

/// The head of each series' column.
pub fn series_heads(series: &[String]) -> impl IntoView + use<> {
    series.iter().map(|name| view! { <th class="num">{name.clone()}</th> }).collect_view()
}

/// What each series cost, in the order of [`series_heads`].
pub fn series_cells(parts: &[Part]) -> impl IntoView + use<> {
    let cell = |part: &Part| view! { <td class="num">{words::or_dash(amount(part))}</td> };
    parts.iter().map(cell).collect_view()
}

fn amount(part: &Part) -> Option<String> {
    part.amount.is_positive().then(|| part.amount.display())
}

/// The names that cost the most, then “others” where there are more.
pub fn series<'a>(costs: impl Iterator<Item = (&'a str, Usd)>) -> Vec<String> {
    let mut totals = std::collections::BTreeMap::<&str, Usd>::new();
    for (name, cost) in costs {
        let total = totals.entry(name).or_default();
        *total = total.saturating_add(cost);
    }
    let mut names: Vec<(&str, Usd)> = totals.into_iter().collect();
    names.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
    let many = names.len() > COLOURS;
    names.truncate(COLOURS);
    let others = many.then(|| "others".to_owned());
    names.into_iter().map(|(name, _)| name.to_owned()).chain(others).collect()
}

fn month_bars(days: &[DaySpend], series: &[String], month: Time) -> Vec<Bar> {
    let count = (month.next_month().micros() - month.micros()) / DAY;
    let bar = |number: i64| {
        let at = month.plus(number * DAY);
        let parts = days.iter().find(|day| day.day == at).map(|day| parts(&day.by_agent, series));
        Bar {
            label: words::short_day(at),
            title: words::day(at),
            parts: parts.unwrap_or_default(),
            ..Bar::default()
        }
    };
    (0..count).map(bar).collect()
}

/// The amounts by the series' numbers; names without a series of their own are the last one's.
pub fn parts(costs: &[(String, Usd)], series: &[String]) -> Vec<Part> {
    let mut sums = vec![Usd::ZERO; series.len()];
    for (name, cost) in costs {
        let number = series.iter().take(COLOURS).position(|known| known == name);
        if let Some(sum) = sums.get_mut(number.unwrap_or(COLOURS)) {
            *sum = sum.saturating_add(*cost);
        }
    }
    let part = |(series, amount)| Part { series, amount, href: None };
    sums.into_iter().enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_take_the_style_sheets_colours_and_odd_names_stay_text() {
        let month = Time::parse("2026-04-01T00:00:00.000Z").unwrap();
        let one = Usd::dollars(1);
        let day = DaySpend { day: month, total: one, by_agent: vec![("agent.<b>".into(), one)] };
        let html = view! { <SpendByDay days=vec![day] month=month/> }.to_html();
        assert!(html.contains("class=\"s1\"") && !html.contains("<b>"), "{html}");
        assert!(!html.contains("style="), "the content security policy refuses inline styles");
    }

    #[test]
    fn what_has_no_colour_of_its_own_is_others() {
        let costs: Vec<(String, Usd)> = (1..=7).map(|n| (format!("a{n}"), Usd::dollars(n))).collect();
        let series = series(costs.iter().map(|(name, cost)| (&**name, *cost)));
        assert_eq!(series, ["a7", "a6", "a5", "a4", "a3", "others"]);
        assert_eq!(parts(&costs, &series)[5], Part { series: 5, amount: Usd::dollars(3), href: None });
    }
}
