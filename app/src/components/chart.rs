//! Amounts over time as stacked bars, drawn by plotters on the server; the colours come from the style sheet. Over each
//! bar lies its value for the pointer, the keyboard and the screen reader, and a link to what is behind it.

use std::collections::BTreeMap;
use std::fmt::Write;

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
/// What the rest is called.
const OTHERS: &str = "others";

/// A bar: a span of time and its parts.
#[derive(Debug, Clone, Default)]
pub struct Bar {
    /// What stands under it.
    pub label: String,
    /// Each series' amount.
    pub parts: Vec<(String, Usd)>,
    /// What is behind it.
    pub href: Option<String>,
    /// Whether it stands out.
    pub marked: bool,
}

impl Bar {
    /// All parts.
    pub fn total(&self) -> Usd {
        self.parts.iter().map(|(_, amount)| *amount).sum()
    }
}

/// The bars, and their series as a legend. `title` names the picture for those who do not see it.
#[component]
pub fn StackedBars(#[prop(into)] title: String, bars: Vec<Bar>) -> impl IntoView {
    let names = series(&bars);
    let drawn = draw(&bars, &names).unwrap_or_default();
    let legend = names.iter().enumerate().map(|(number, name)| {
        view! { <span><i class=format!("c{}", number + 1)></i>{name.clone()}</span> }
    });
    view! {
        <div role="group" aria-label=title inner_html=drawn></div>
        <figcaption class="legend">{legend.collect_view()}</figcaption>
    }
}

/// A month's spend by day and agent, with the table behind it.
#[component]
pub fn SpendByDay(days: Vec<DaySpend>, month: Time, #[prop(into)] base: String) -> impl IntoView {
    if days.is_empty() {
        return view! { <p class="empty">"Nothing was spent this month. Paid calls appear here within seconds."</p> }.into_any();
    }
    let rows = days.iter().map(|day| {
        view! { <tr><td>{words::day(day.day)}</td><td class="num">{day.total.display()}</td></tr> }
    });
    let rows = rows.collect_view();
    view! {
        <figure class="chart">
            <StackedBars title="Spend by day and agent this month" bars=month_bars(&days, month, &base)/>
            <details><summary>"As a table"</summary>
                <table><thead><tr><th>"Day"</th><th class="num">"Spent"</th></tr></thead><tbody>{rows}</tbody></table>
            </details>
        </figure>
    }
    .into_any()
}

/// A bar for each day of the month, empty ones too.
fn month_bars(days: &[DaySpend], month: Time, base: &str) -> Vec<Bar> {
    let last = (month.next_month().micros() - month.micros()) / DAY;
    let bar = |number: i64| {
        let day = month.plus(number * DAY);
        let spend = days.iter().find(|spend| spend.day == day);
        Bar {
            label: words::short_day(day),
            parts: spend.map(|spend| spend.by_agent.clone()).unwrap_or_default(),
            href: spend.map(|_| calls_between(base, day, day.next_day())),
            marked: false,
        }
    };
    (0..last).map(bar).collect()
}

/// The page of the log with the calls of a span.
pub fn calls_between(base: &str, from: Time, to: Time) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("q", &format!("after:{from} before:{to}"));
    format!("{base}/audit?{}", query.finish())
}

/// The series with the largest sums, then “others” where there are more.
fn series(bars: &[Bar]) -> Vec<String> {
    let mut totals = BTreeMap::<&str, Usd>::new();
    for (name, amount) in bars.iter().flat_map(|bar| &bar.parts) {
        let total = totals.entry(name).or_default();
        *total = total.saturating_add(*amount);
    }
    let mut names: Vec<(&str, Usd)> = totals.into_iter().filter(|(_, total)| total.is_positive()).collect();
    names.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
    let many = names.len() > SERIES;
    names.truncate(SERIES);
    let others = many.then(|| OTHERS.to_owned());
    names.into_iter().map(|(name, _)| name.to_owned()).chain(others).collect()
}

/// Stands for the style sheet's colour of that number until the picture is finished.
fn placeholder(number: usize) -> RGBColor {
    RGBColor(1, 1, number as u8 + 1)
}

fn draw(bars: &[Bar], names: &[String]) -> Option<String> {
    let (count, highest) = (bars.len(), bars.iter().map(Bar::total).max().unwrap_or_default());
    let highest = (highest.micros() as f64 / 1e6).max(0.01);
    let (mut svg, mut over) = (String::new(), String::new());
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(8).margin_right(28).x_label_area_size(22).y_label_area_size(56);
        let mut chart = builder.build_cartesian_2d(0f64..count as f64, 0f64..highest * 1.1).ok()?;
        let label = |x: &f64| bars.get(*x as usize).map(|bar| bar.label.clone()).unwrap_or_default();
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().y_labels(4).x_labels(count.min(7)).x_label_formatter(&label);
        mesh.y_label_formatter(&|y| format!("${y:.2}")).light_line_style(TRANSPARENT).draw().ok()?;
        for (at, bar) in bars.iter().enumerate() {
            for (low, high, number) in pieces(bar, names) {
                let corners = [(at as f64 + 0.14, low), (at as f64 + 0.86, high)];
                chart.draw_series([Rectangle::new(corners, placeholder(number).filled())]).ok()?;
            }
            let corner = |x: f64, y: f64| chart.backend_coord(&(x, y));
            hit(&mut over, bar, corner(at as f64, highest * 1.1), corner(at as f64 + 1.0, 0.0))?;
        }
        area.present().ok()?;
    }
    Some(coloured(svg.replacen("</svg>", &format!("{over}</svg>"), 1)))
}

/// The part of the picture over a bar: its value, and a link where there is something behind it.
fn hit(to: &mut String, bar: &Bar, (left, top): (i32, i32), (right, bottom): (i32, i32)) -> Option<()> {
    if bar.parts.is_empty() {
        return Some(());
    }
    let parts: Vec<String> =
        bar.parts.iter().map(|(name, amount)| format!("{name} {}", amount.display())).collect();
    let mark = if bar.marked { " – unusual" } else { "" };
    let title = escaped(&format!("{}: {}{mark}\n{}", bar.label, bar.total().display(), parts.join("\n")));
    let class = if bar.marked { "hit marked" } else { "hit" };
    let (width, height) = (right - left, bottom - top);
    let rect = format!(
        "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"><title>{title}</title></rect>"
    );
    match &bar.href {
        Some(href) => write!(to, "<a href=\"{}\" aria-label=\"{title}\">{rect}</a>", escaped(href)).ok(),
        None => write!(to, "<g tabindex=\"0\" role=\"img\" aria-label=\"{title}\">{rect}</g>").ok(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Each piece of a bar: from, to, series.
fn pieces(bar: &Bar, names: &[String]) -> Vec<(f64, f64, usize)> {
    let (mut pieces, mut top) = (Vec::new(), 0.0);
    for (number, name) in names.iter().enumerate() {
        let is_its =
            |part: &str| part == name || (number == SERIES && !names.iter().any(|known| known == part));
        let amount: Usd = bar.parts.iter().filter(|(part, _)| is_its(part)).map(|(_, amount)| *amount).sum();
        if amount.is_positive() {
            let high = top + amount.micros() as f64 / 1e6;
            pieces.push((top, high, number));
            top = high;
        }
    }
    pieces
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
        let html = view! { <SpendByDay days=vec![day] month=month base="/w/x"/> }.to_html();
        assert!(html.contains("var(--c1)") && !html.contains("<b>"), "{html}");
        assert!(!html.contains("style="), "the content security policy refuses inline styles");
        assert!(html.contains("href=\"/w/x/audit?q=after"), "{html}");
    }

    #[test]
    fn the_largest_series_have_colours_and_the_rest_is_one() {
        let part = |number: i32| (format!("agent.{number}"), Usd::dollars(number));
        let bar = Bar { parts: (0..9).map(part).collect(), ..Bar::default() };
        let names = series(std::slice::from_ref(&bar));
        assert_eq!(names, ["agent.8", "agent.7", "agent.6", "agent.5", "agent.4", OTHERS]);
        let pieces = pieces(&bar, &names);
        assert_eq!((pieces.len(), pieces.last().map(|(_, high, _)| *high)), (6, Some(36.0)));
    }
}
