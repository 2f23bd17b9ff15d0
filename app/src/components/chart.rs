//! Spend by day as stacked bars, drawn by plotters; its colours come from the style sheet.

use agentframer::domain::money::Usd;
use agentframer::domain::time::{DAY, Time};
use agentframer::engine::overview::DaySpend;
use leptos::prelude::*;
use plotters::prelude::*;

use crate::words;

const WIDTH: u32 = 740;
const HEIGHT: u32 = 230;
/// Series with a colour of their own; the rest is “others”.
const SERIES: usize = 5;

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
    let names = series(&days);
    let drawn = draw(&days, &names, month).unwrap_or_default();
    let legend = names.iter().enumerate().map(|(number, name)| {
        view! { <span><i class=format!("c{}", number + 1)></i>{name.clone()}</span> }
    });
    let rows = days.iter().map(|day| {
        view! { <tr><td>{words::day(day.day)}</td><td class="num">{day.total.display()}</td></tr> }
    });
    view! {
        <figure class="chart">
            <div role="img" aria-label=format!("Spend by day and {by} this month; the table below has its values") inner_html=drawn></div>
            <figcaption class="legend">{legend.collect_view()}</figcaption>
            <details><summary>"As a table"</summary>
                <table><thead><tr><th>"Day"</th><th class="num">"Spent"</th></tr></thead><tbody>{rows.collect_view()}</tbody></table>
            </details>
        </figure>
    }
    .into_any()
}

/// The agents that spent the most, then “others” where there are more.
fn series(days: &[DaySpend]) -> Vec<String> {
    let mut totals = std::collections::BTreeMap::<&str, Usd>::new();
    for (agent, cost) in days.iter().flat_map(|day| &day.by_agent) {
        let total = totals.entry(agent).or_default();
        *total = total.saturating_add(*cost);
    }
    let mut names: Vec<(&str, Usd)> = totals.into_iter().collect();
    names.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
    let many = names.len() > SERIES;
    names.truncate(SERIES);
    let others = many.then(|| "others".to_owned());
    names.into_iter().map(|(name, _)| name.to_owned()).chain(others).collect()
}

/// Stands for the style sheet's colour of that number until the picture is finished.
fn placeholder(number: usize) -> RGBColor {
    RGBColor(1, 1, number as u8 + 1)
}

fn draw(days: &[DaySpend], names: &[String], month: Time) -> Option<String> {
    let last = (month.next_month().micros() - month.micros()) / DAY;
    let highest = days.iter().map(|day| day.total).max().unwrap_or_default().micros() as f64 / 1e6;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(8).margin_right(28).x_label_area_size(22).y_label_area_size(56);
        let mut chart = builder.build_cartesian_2d(0f64..last as f64, 0f64..highest * 1.1).ok()?;
        let label = |x: &f64| words::short_day(month.plus((*x as i64).min(last - 1) * DAY));
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().y_labels(4).x_labels(6).x_label_formatter(&label);
        mesh.y_label_formatter(&|y| format!("${y:.2}")).light_line_style(TRANSPARENT).draw().ok()?;
        for (low, high, at, number) in bars(days, names, month) {
            let corners = [(at + 0.14, low), (at + 0.86, high)];
            chart.draw_series([Rectangle::new(corners, placeholder(number).filled())]).ok()?;
        }
        area.present().ok()?;
    }
    Some(coloured(svg))
}

/// Each piece of each bar: from, to, day of the month from 0, series.
fn bars(days: &[DaySpend], names: &[String], month: Time) -> Vec<(f64, f64, f64, usize)> {
    let mut bars = Vec::new();
    for day in days {
        let (at, mut top) = (((day.day.micros() - month.micros()) / DAY) as f64, 0.0);
        for (number, name) in names.iter().enumerate() {
            let is_its = |agent: &str| {
                agent == name || (number == SERIES && !names.iter().any(|known| known == agent))
            };
            let cost: Usd =
                day.by_agent.iter().filter(|(agent, _)| is_its(agent)).map(|(_, cost)| *cost).sum();
            if cost.is_positive() {
                let high = top + cost.micros() as f64 / 1e6;
                bars.push((top, high, at, number));
                top = high;
            }
        }
    }
    bars
}

fn coloured(svg: String) -> String {
    let svg = (0..=SERIES).fold(svg, |svg, number| {
        svg.replace(&format!("#0101{:02X}", number + 1), &format!("var(--c{})", number + 1))
    });
    svg.replacen(&format!("width=\"{WIDTH}\" height=\"{HEIGHT}\""), "width=\"100%\"", 1)
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
        assert!(html.contains("var(--c1)") && !html.contains("<b>"), "{html}");
        assert!(!html.contains("style="), "the content security policy refuses inline styles");
    }
}
