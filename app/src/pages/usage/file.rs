//! The chart as a file that says by itself what it shows.

use agentframer::domain::usage::Grouping;
use agentframer::engine::money::usage::UsageReport;

use super::picture::{bars, expected};
use super::state::State;
use super::words_of;
use crate::components::bars::{Bars, COLOURS, FILE_COLOURS, HEIGHT, Paint, WIDTH, draw, escaped};

/// Above the chart: the title and what it is about.
const HEAD: u32 = 58;
/// A line of the legend.
const LINE: u32 = 20;
/// Pixels of a letter at 12 px, wide ones included.
const LETTER: u32 = 7;

/// The chart of a workspace's usage with title, period and legend; nothing where it cannot be drawn.
pub fn chart_file(workspace: &str, report: &UsageReport, state: &State) -> Option<String> {
    let bars = bars(report, state, "");
    let chart = draw(&bars, Paint::File)?.replacen("<svg ", &format!("<svg y=\"{HEAD}\" "), 1);
    let (legend, lines) = legend(&bars, report, state);
    let height = HEAD + HEIGHT + lines * LINE + 16;
    let by = format!("Spend by {} and {}", state.interval.as_str(), state.grouping.title().to_lowercase());
    let whose = if state.grouping == Grouping::Workspace { "All workspaces" } else { workspace };
    let total = report.usage.total().cost.display();
    let about = format!("{whose} · {} (UTC) · {total}", words_of(state.span));
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"><rect width="{WIDTH}" height="{height}" fill="#fff"/>{}{}{chart}{legend}</svg>"##,
        words(16, 26, 16, "#1c2230", &by),
        words(16, 46, 12, "#555", &about),
    ))
}

fn words(x: u32, y: u32, size: u32, colour: &str, text: &str) -> String {
    let text = escaped(text);
    format!(
        r#"<text x="{x}" y="{y}" font-family="sans-serif" font-size="{size}" fill="{colour}">{text}</text>"#
    )
}

/// Each series that is drawn, and how many lines they take.
fn legend(bars: &Bars, report: &UsageReport, state: &State) -> (String, u32) {
    let shown = bars.series.iter().enumerate().filter(|(_, name)| !state.hides(name));
    let series =
        shown.map(|(number, name)| (format!(r#"fill="{}""#, FILE_COLOURS[number.min(COLOURS)]), &**name));
    let outline = r##"fill="none" stroke="#9aa0aa""##.to_owned();
    let coming = expected(report, state).map(|_| (outline, "forecast"));
    let (mut legend, mut x, mut y) = (String::new(), 16, HEAD + HEIGHT + 16);
    for (paint, name) in series.chain(coming) {
        let width = 32 + LETTER * u32::try_from(name.chars().count()).unwrap_or_default();
        if x + width > WIDTH && x > 16 {
            (x, y) = (16, y + LINE);
        }
        legend += &format!(r#"<rect x="{x}" y="{}" width="9" height="9" {paint}/>"#, y - 9);
        legend += &words(x + 15, y, 12, "#444", name);
        x += width;
    }
    (legend, (y - HEAD - HEIGHT - 16) / LINE + 1)
}
