//! Stacked bars as SVG: axes by plotters, bars by us, so that each has a class, a value on hover and focus, and a link.

use agentframer::domain::money::Usd;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// The picture's size; the page stretches it to its width.
const WIDTH: u32 = 960;
const HEIGHT: u32 = 250;
/// Series with a colour of their own; the sixth is “others”.
pub const COLOURS: usize = 5;
/// Bars that can be reached with the tab key one by one; with more of them the table is the shorter way.
const MOST_STOPS: usize = 62;
/// Words that fit under the axis.
const LABELS: usize = 8;

/// One bar.
#[derive(Debug, Clone, Default)]
pub struct Bar {
    /// Under the axis: `21 Apr`.
    pub label: String,
    /// In full: `21 Apr 2026`.
    pub title: String,
    /// Where a click leads.
    pub href: Option<String>,
    /// From the bottom up: the series' number and its amount.
    pub parts: Vec<(usize, Usd)>,
    /// What is to be expected instead.
    pub forecast: Option<Usd>,
    /// Why the bar is marked.
    pub mark: Option<String>,
}

impl Bar {
    fn total(&self) -> Usd {
        self.parts.iter().map(|(_, amount)| *amount).sum()
    }
}

/// Bars in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// The series' names; at most [`COLOURS`] and “others”.
    pub series: Vec<String>,
    /// The bars.
    pub bars: Vec<Bar>,
    /// A dashed line with its words.
    pub line: Option<(Usd, String)>,
}

/// Who colours the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// The page's style sheet, by classes.
    Page,
    /// The picture itself: it stands alone in a file.
    File,
}

/// The style sheet's light colours of the series, as a file needs them.
const FILE_COLOURS: [&str; 6] = ["#00797c", "#c26a1c", "#6b55c4", "#5aa05c", "#c94a73", "#9aa0aa"];

type Plane<'a> = Cartesian2d<RangedCoordf64, RangedCoordf64>;

/// The picture; nothing where the backend refuses.
pub fn draw(bars: &Bars, paint: Paint) -> Option<String> {
    let mut svg = String::new();
    let mut shapes = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(8).margin_right(16).margin_top(24).x_label_area_size(22).y_label_area_size(60);
        let mut chart = builder.build_cartesian_2d(0f64..bars.bars.len() as f64, 0f64..highest(bars)).ok()?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().disable_x_axis().y_labels(5).y_label_formatter(&|y| dollars(*y));
        mesh.light_line_style(TRANSPARENT).draw().ok()?;
        for (number, bar) in bars.bars.iter().enumerate() {
            shapes += &whole_bar(bars, number, bar, chart.as_coord_spec(), paint);
        }
        shapes += &labels(&bars.bars, chart.as_coord_spec());
        shapes +=
            &bars.line.as_ref().map(|line| dashed(line, chart.as_coord_spec(), paint)).unwrap_or_default();
        area.present().ok()?;
    }
    Some(finished(svg, &shapes, paint))
}

fn highest(bars: &Bars) -> f64 {
    let tallest = bars.bars.iter().map(|bar| bar.total().max(bar.forecast.unwrap_or_default())).max();
    let line = bars.line.as_ref().map(|(amount, _)| *amount);
    let top = tallest.into_iter().chain(line).max().unwrap_or_default();
    (top.micros() as f64 / 1e6).max(0.01) * 1.08
}

fn dollars(amount: f64) -> String {
    match amount {
        amount if amount >= 10.0 || amount == 0.0 => format!("${amount:.0}"),
        amount if amount >= 0.1 => format!("${amount:.2}"),
        amount => format!("${amount:.3}"),
    }
}

/// Pixels of a point.
fn at(plane: &Plane<'_>, x: f64, amount: Usd) -> (f64, f64) {
    let (x, y) = plane.translate(&(x, amount.micros() as f64 / 1e6));
    (f64::from(x), f64::from(y))
}

fn whole_bar(bars: &Bars, number: usize, bar: &Bar, plane: &Plane<'_>, paint: Paint) -> String {
    let (left, right) = edges(number, bars.bars.len());
    let mut inside = outline(bar, left, right, plane);
    let mut top = Usd::ZERO;
    for (series, amount) in bar.parts.iter().filter(|(_, amount)| amount.is_positive()) {
        let above = top.saturating_add(*amount);
        let (low, high) = (at(plane, left, top), at(plane, right, above));
        let name = bars.series.get(*series).map_or("", String::as_str);
        let says = format!("{name}, {}: {}", bar.title, amount.display());
        let height = (low.1 - high.1).max(0.5);
        inside += &format!(
            r#"<rect {} x="{:.1}" y="{:.1}" width="{:.1}" height="{height:.1}"><title>{}</title></rect>"#,
            colour(*series, paint),
            low.0,
            high.1,
            high.0 - low.0,
            escaped(&says),
        );
        top = above;
    }
    inside += &mark(bar, (left + right) / 2.0, plane, paint);
    if paint == Paint::File { inside } else { reachable(bars, number, bar, &inside, plane) }
}

/// A little air between bars, none between hours.
fn edges(number: usize, count: usize) -> (f64, f64) {
    let air = if count > 100 { 0.04 } else { 0.14 };
    (number as f64 + air, number as f64 + 1.0 - air)
}

fn colour(series: usize, paint: Paint) -> String {
    let number = series.min(COLOURS);
    match paint {
        Paint::Page => format!(r#"class="s{}""#, number + 1),
        Paint::File => format!(r#"fill="{}""#, FILE_COLOURS[number]),
    }
}

fn outline(bar: &Bar, left: f64, right: f64, plane: &Plane<'_>) -> String {
    let Some(amount) = bar.forecast else { return String::new() };
    let (low, high) = (at(plane, left, Usd::ZERO), at(plane, right, amount));
    format!(
        r##"<rect class="outline" fill="none" stroke="#9aa0aa" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}"><title>{}</title></rect>"##,
        low.0,
        high.1,
        high.0 - low.0,
        low.1 - high.1,
        escaped(&format!("{}: {} to be expected", bar.title, amount.display())),
    )
}

/// A sign above the bar, not only a colour.
fn mark(bar: &Bar, middle: f64, plane: &Plane<'_>, paint: Paint) -> String {
    let Some(why) = &bar.mark else { return String::new() };
    let (x, y) = at(plane, middle, bar.total());
    let colour = if paint == Paint::File { r##" fill="#a65b00""## } else { "" };
    format!(
        r#"<path class="mark"{colour} d="M{x:.1} {:.1}l-5 -8h10z"><title>{}</title></path>"#,
        y - 2.0,
        escaped(why),
    )
}

/// The link around a bar, with its value in words for hover, focus and screen readers.
fn reachable(bars: &Bars, number: usize, bar: &Bar, inside: &str, plane: &Plane<'_>) -> String {
    let amount = bar.forecast.filter(|_| bar.parts.is_empty()).unwrap_or(bar.total());
    let value = format!("{}: {}", bar.title, amount.display());
    let (left, bottom) = at(plane, number as f64, Usd::ZERO);
    let right = at(plane, number as f64 + 1.0, Usd::ZERO).0;
    let anchor = if number * 2 < bars.bars.len() { "start" } else { "end" };
    let tip_x = if anchor == "start" { left } else { right };
    let shapes = format!(
        r#"<rect class="hit" x="{left:.1}" y="20" width="{:.1}" height="{:.1}"><title>{}</title></rect>{inside}<text class="tip" aria-hidden="true" x="{tip_x:.1}" y="14" text-anchor="{anchor}">{}</text>"#,
        right - left,
        bottom - 20.0,
        escaped(&value),
        escaped(&value),
    );
    let stop = if bars.bars.len() > MOST_STOPS { r#" tabindex="-1""# } else { "" };
    match &bar.href {
        Some(href) => {
            format!(r#"<a href="{}" aria-label="{}"{stop}>{shapes}</a>"#, escaped(href), escaped(&value))
        }
        None => format!("<g>{shapes}</g>"),
    }
}

fn labels(bars: &[Bar], plane: &Plane<'_>) -> String {
    let step = bars.len().div_ceil(LABELS).max(1);
    let label = |(number, bar): (usize, &Bar)| {
        let (x, y) = at(plane, number as f64 + 0.5, Usd::ZERO);
        format!(
            r##"<text x="{x:.1}" y="{:.1}" text-anchor="middle" font-family="sans-serif" font-size="11" fill="#444">{}</text>"##,
            y + 16.0,
            escaped(&bar.label),
        )
    };
    bars.iter().enumerate().step_by(step).map(label).collect()
}

fn dashed((amount, words): &(Usd, String), plane: &Plane<'_>, paint: Paint) -> String {
    let (y, right) = (at(plane, 0.0, *amount).1, f64::from(WIDTH) - 16.0);
    let left = at(plane, 0.0, *amount).0;
    let colour = if paint == Paint::File { r##" stroke="#666""## } else { "" };
    format!(
        r##"<path class="limit"{colour} stroke-dasharray="4 4" fill="none" d="M{left:.1} {y:.1}H{right:.1}"/><text x="{right:.1}" y="{:.1}" text-anchor="end" font-family="sans-serif" font-size="11" fill="#444">{}</text>"##,
        y - 4.0,
        escaped(words),
    )
}

fn finished(svg: String, shapes: &str, paint: Paint) -> String {
    let size = format!("width=\"{WIDTH}\" height=\"{HEIGHT}\"");
    let svg = svg.replace("</svg>", &format!("{shapes}</svg>"));
    match paint {
        Paint::Page => svg.replacen(&size, "class=\"bars\"", 1),
        Paint::File => {
            let background = format!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>");
            svg.find('>').map(|end| format!("{}{background}{}", &svg[..=end], &svg[end + 1..])).unwrap_or(svg)
        }
    }
}

/// Text that stays text in an element and an attribute.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_bars() -> Bars {
        let bar = Bar {
            label: "1 Apr".into(),
            title: "1 Apr 2026".into(),
            href: Some("/w/ws_1/audit?q=a&tab=\"calls\"".into()),
            parts: vec![(0, Usd::dollars(3)), (5, Usd::dollars(1))],
            forecast: None,
            mark: Some("far above $1 & more".into()),
        };
        let coming = Bar { forecast: Some(Usd::dollars(2)), title: "2 Apr".into(), ..Bar::default() };
        let series = ["agent.<b>", "b", "c", "d", "e", "others"].map(str::to_owned).to_vec();
        Bars { series, bars: vec![bar, coming], line: Some((Usd::dollars(5), "typical day".into())) }
    }

    #[test]
    fn a_page_colours_by_class_and_every_word_stays_text() {
        let svg = draw(&two_bars(), Paint::Page).unwrap();
        assert!(svg.contains("class=\"s1\"") && svg.contains("class=\"s6\""), "{svg}");
        assert!(!svg.contains("<b>") && svg.contains("agent.&lt;b&gt;, 1 Apr 2026: $3.00"), "{svg}");
        assert!(
            svg.contains("aria-label=\"1 Apr 2026: $4.00\"")
                && svg.contains("href=\"/w/ws_1/audit?q=a&amp;tab=&quot;calls&quot;\"")
        );
        assert!(
            svg.contains("class=\"outline\"")
                && svg.contains("class=\"mark\"")
                && svg.contains("typical day")
        );
        assert!(!svg.contains("style="), "the content security policy refuses inline styles");
    }

    #[test]
    fn a_file_has_its_own_colours_and_no_links() {
        let svg = draw(&two_bars(), Paint::File).unwrap();
        assert!(
            svg.contains("fill=\"#00797c\"") && svg.contains("fill=\"#fff\"") && !svg.contains("<a "),
            "{svg}"
        );
        assert!(svg.contains("xmlns=\"http://www.w3.org/2000/svg\""));
    }

    #[test]
    fn nothing_and_ten_thousand_hours_are_drawn_too() {
        assert!(draw(&Bars::default(), Paint::Page).is_some());
        let bar = Bar { parts: vec![(0, Usd::from_micros(1))], href: Some("/x".into()), ..Bar::default() };
        let many = Bars { series: vec!["a".into()], bars: vec![bar; 1_000], line: None };
        assert!(draw(&many, Paint::Page).unwrap().contains("tabindex=\"-1\""));
    }
}
