//! Stacked bars, or a line a series, as SVG: axes by plotters, the rest by us, so that each has a class, a value on hover and
//! focus, and a link.

use std::str::FromStr;

use agentframer::domain::field::FieldError;
use agentframer::domain::money::Usd;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::lines;

/// The picture's size; the page stretches it to its width.
pub const WIDTH: u32 = 960;
/// Its height, as [`WIDTH`].
pub const HEIGHT: u32 = 250;
/// Series with a colour of their own; the sixth is “others”.
pub const COLOURS: usize = 5;
/// Intervals that are reached with the tab key one by one; with more of them only the dearest is, and the table is the shorter way.
pub(super) const MOST_STOPS: usize = 62;
/// Words that fit under the axis.
const LABELS: usize = 8;

/// How series are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// One bar an interval, the series on top of each other.
    #[default]
    Bars,
    /// One line a series.
    Lines,
}

impl Shape {
    /// All, as pages offer them.
    pub const ALL: [Self; 2] = [Self::Bars, Self::Lines];

    /// The name in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Lines => "lines",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Bars => "Bars",
            Self::Lines => "Lines",
        }
    }
}

impl FromStr for Shape {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let named = Self::ALL.into_iter().find(|shape| shape.as_str() == text);
        named.ok_or_else(|| FieldError::new("shape", "is not bars or lines"))
    }
}

/// What one series cost in an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The series' number.
    pub series: usize,
    /// Its amount.
    pub amount: Usd,
    /// Where a click leads; nowhere of its own where there is none.
    pub href: Option<String>,
}

/// One interval.
#[derive(Debug, Clone, Default)]
pub struct Bar {
    /// Under the axis: `21 Apr`.
    pub label: String,
    /// In full: `21 Apr 2026`.
    pub title: String,
    /// Where a click leads.
    pub href: Option<String>,
    /// From the bottom up.
    pub parts: Vec<Part>,
    /// What is to be expected instead.
    pub forecast: Option<Usd>,
    /// Why the bar is marked.
    pub mark: Option<String>,
}

impl Bar {
    fn total(&self) -> Usd {
        self.parts.iter().map(|part| part.amount).sum()
    }

    /// The highest point that is drawn.
    fn top(&self, shape: Shape) -> Usd {
        match shape {
            Shape::Bars => self.total(),
            Shape::Lines => self.parts.iter().map(|part| part.amount).max().unwrap_or_default(),
        }
    }
}

/// Intervals in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// How they are drawn.
    pub shape: Shape,
    /// The series' names; at most [`COLOURS`] and “others”.
    pub series: Vec<String>,
    /// The intervals.
    pub bars: Vec<Bar>,
    /// A dashed line with its words.
    pub line: Option<(Usd, String)>,
}

impl Bars {
    /// A series' name, without what all names of agents begin with.
    pub(super) fn name(&self, series: usize) -> &str {
        let name = self.series.get(series).map_or("", String::as_str);
        name.strip_prefix("agent.").unwrap_or(name)
    }

    /// `1 Apr 2026: $4.00 · growth-bot $3.00 · others $1.00`.
    fn says(&self, bar: &Bar) -> String {
        let amount = bar.forecast.filter(|_| bar.parts.is_empty()).unwrap_or(bar.total());
        let parts = bar.parts.iter().filter(|part| part.amount.is_positive());
        let parts = parts.map(|part| format!(" · {} {}", self.name(part.series), part.amount.display()));
        format!("{}: {}{}", bar.title, amount.display(), parts.collect::<String>())
    }

    fn highest(&self) -> f64 {
        let tops = self.bars.iter().map(|bar| bar.top(self.shape).max(bar.forecast.unwrap_or_default()));
        let line = self.line.as_ref().map(|(amount, _)| *amount);
        let top = tops.chain(line).max().unwrap_or_default();
        (top.micros() as f64 / 1e6).max(0.01) * 1.08
    }
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
pub const FILE_COLOURS: [&str; 6] = ["#00797c", "#c26a1c", "#6b55c4", "#5aa05c", "#c94a73", "#9aa0aa"];

type Coordinates<'a> = Cartesian2d<RangedCoordf64, RangedCoordf64>;

/// Where the shapes are drawn.
pub(super) struct Plane<'a> {
    pub(super) bars: &'a Bars,
    pub(super) paint: Paint,
    coordinates: &'a Coordinates<'a>,
    /// The one interval that takes the focus, where all of them would be too many.
    only_stop: Option<usize>,
}

/// The picture; nothing where the backend refuses.
pub fn draw(bars: &Bars, paint: Paint) -> Option<String> {
    let mut svg = String::new();
    let shapes;
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(8).margin_right(16).margin_top(24).x_label_area_size(22).y_label_area_size(60);
        let mut chart =
            builder.build_cartesian_2d(0f64..bars.bars.len() as f64, 0f64..bars.highest()).ok()?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().disable_x_axis().y_labels(5).y_label_formatter(&|y| dollars(*y));
        mesh.light_line_style(TRANSPARENT).draw().ok()?;
        shapes = Plane::of(bars, paint, chart.as_coord_spec()).shapes();
        area.present().ok()?;
    }
    Some(finished(svg, &shapes, paint))
}

fn dollars(amount: f64) -> String {
    match amount {
        amount if amount >= 10.0 || amount == 0.0 => format!("${amount:.0}"),
        amount if amount >= 0.1 => format!("${amount:.2}"),
        amount => format!("${amount:.3}"),
    }
}

impl<'a> Plane<'a> {
    fn of(bars: &'a Bars, paint: Paint, coordinates: &'a Coordinates<'a>) -> Self {
        let dearest =
            bars.bars.iter().enumerate().max_by_key(|(_, bar)| bar.total()).map(|(number, _)| number);
        let only_stop = dearest.filter(|_| bars.bars.len() > MOST_STOPS);
        Self { bars, paint, coordinates, only_stop }
    }

    fn shapes(&self) -> String {
        let columns = self.bars.bars.iter().enumerate().map(|(number, bar)| self.column(number, bar));
        let columns: String = columns.collect();
        let lines = if self.bars.shape == Shape::Lines { lines::lines(self) } else { String::new() };
        columns + &lines + &self.labels() + &self.dashed()
    }

    /// Pixels of a point.
    pub(super) fn at(&self, x: f64, amount: Usd) -> (f64, f64) {
        let (x, y) = self.coordinates.translate(&(x, amount.micros() as f64 / 1e6));
        (f64::from(x), f64::from(y))
    }

    fn column(&self, number: usize, bar: &Bar) -> String {
        let shapes = match self.bars.shape {
            Shape::Bars => self.outline(number, bar) + &self.stack(number, bar),
            Shape::Lines => lines::points(self, number, bar),
        };
        let inside = shapes + &self.mark(number, bar);
        if self.paint == Paint::File { inside } else { self.reachable(number, bar, &inside) }
    }

    fn stack(&self, number: usize, bar: &Bar) -> String {
        let ((left, right), mut low) = (self.edges(number), Usd::ZERO);
        let mut stack = String::new();
        for part in bar.parts.iter().filter(|part| part.amount.is_positive()) {
            let high = low.saturating_add(part.amount);
            let (bottom, top) = (self.at(left, low), self.at(right, high));
            let place = format!(
                r#"x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}""#,
                bottom.0,
                top.1,
                top.0 - bottom.0,
                (bottom.1 - top.1).max(0.5)
            );
            stack += &self.part(bar, part, &format!("rect {} {place}", self.colour(part.series, "fill")));
            low = high;
        }
        stack
    }

    /// One series of one interval, with its value in words and its link. Whoever tabs goes from interval to interval.
    pub(super) fn part(&self, bar: &Bar, part: &Part, element: &str) -> String {
        let says = format!("{}, {}: {}", self.bars.name(part.series), bar.title, part.amount.display());
        let name = element.split(' ').next().unwrap_or_default();
        let shape = format!("<{element}><title>{}</title></{name}>", escaped(&says));
        match part.href.as_ref().filter(|_| self.paint == Paint::Page) {
            Some(href) => {
                let (href, says) = (escaped(href), escaped(&says));
                format!(r#"<a href="{href}" tabindex="-1" aria-label="{says}">{shape}</a>"#)
            }
            None => shape,
        }
    }

    /// A little air between bars, less between hours.
    fn edges(&self, number: usize) -> (f64, f64) {
        let air = if self.bars.bars.len() > 100 { 0.04 } else { 0.14 };
        (number as f64 + air, number as f64 + 1.0 - air)
    }

    /// A series' colour: a class on a page, `attribute` in a file.
    pub(super) fn colour(&self, series: usize, attribute: &str) -> String {
        let number = series.min(COLOURS);
        match (self.paint, attribute) {
            (Paint::Page, "stroke") => format!(r#"class="l{}""#, number + 1),
            (Paint::Page, _) => format!(r#"class="s{}""#, number + 1),
            (Paint::File, _) => format!(r#"{attribute}="{}""#, FILE_COLOURS[number]),
        }
    }

    fn outline(&self, number: usize, bar: &Bar) -> String {
        let Some(amount) = bar.forecast else { return String::new() };
        let (left, right) = self.edges(number);
        let (low, high) = (self.at(left, Usd::ZERO), self.at(right, amount));
        format!(
            r##"<rect class="outline" fill="none" stroke="#9aa0aa" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}"><title>{}</title></rect>"##,
            low.0,
            high.1,
            high.0 - low.0,
            low.1 - high.1,
            escaped(&format!("{}: {} to be expected", bar.title, amount.display())),
        )
    }

    /// A sign above, not only a colour.
    fn mark(&self, number: usize, bar: &Bar) -> String {
        let Some(why) = &bar.mark else { return String::new() };
        let (x, y) = self.at(number as f64 + 0.5, bar.top(self.bars.shape));
        let colour = if self.paint == Paint::File { r##" fill="#a65b00""## } else { "" };
        format!(
            r#"<path class="mark"{colour} d="M{x:.1} {:.1}l-5 -8h10z"><title>{}</title></path>"#,
            y - 2.0,
            escaped(why),
        )
    }

    /// The interval's own link behind its shapes, and its values in words for hover, focus and screen readers: always at
    /// the same place, where the longest of them has room.
    fn reachable(&self, number: usize, bar: &Bar, inside: &str) -> String {
        let says = escaped(&self.bars.says(bar));
        let (left, bottom) = self.at(number as f64, Usd::ZERO);
        let right = self.at(number as f64 + 1.0, Usd::ZERO).0;
        let hit = format!(
            r#"<rect class="hit" x="{left:.1}" y="20" width="{:.1}" height="{:.1}"><title>{says}</title></rect>"#,
            right - left,
            bottom - 20.0,
        );
        let stop = self.only_stop.is_none_or(|only| only == number);
        let stop = if stop { "" } else { r#" tabindex="-1""# };
        let whole = match &bar.href {
            Some(href) => {
                format!(r#"<a class="whole" href="{}" aria-label="{says}"{stop}>{hit}</a>"#, escaped(href))
            }
            None => hit,
        };
        let start = self.at(0.0, Usd::ZERO).0;
        format!(
            r#"<g class="column">{whole}{inside}<text class="tip" aria-hidden="true" x="{start:.1}" y="14">{says}</text></g>"#
        )
    }

    fn labels(&self) -> String {
        let bars = &self.bars.bars;
        let label = |(number, bar): (usize, &Bar)| {
            let (x, y) = self.at(number as f64 + 0.5, Usd::ZERO);
            format!(
                r##"<text x="{x:.1}" y="{:.1}" text-anchor="middle" font-family="sans-serif" font-size="11" fill="#444">{}</text>"##,
                y + 16.0,
                escaped(&bar.label),
            )
        };
        bars.iter().enumerate().step_by(bars.len().div_ceil(LABELS).max(1)).map(label).collect()
    }

    /// The words have a rim in the ground's colour: outlines may stand behind them.
    fn dashed(&self) -> String {
        let Some((amount, words)) = &self.bars.line else { return String::new() };
        let ((left, y), right) = (self.at(0.0, *amount), f64::from(WIDTH) - 16.0);
        let file = self.paint == Paint::File;
        let colour = if file { r##" stroke="#666""## } else { "" };
        let rim = if file { r##" paint-order="stroke" stroke="#fff" stroke-width="4""## } else { "" };
        format!(
            r##"<path class="limit"{colour} stroke-dasharray="4 4" fill="none" d="M{left:.1} {y:.1}H{right:.1}"/><text class="words"{rim} x="{right:.1}" y="{:.1}" text-anchor="end" font-family="sans-serif" font-size="11" fill="#444">{}</text>"##,
            y - 4.0,
            escaped(words),
        )
    }
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

    fn part(series: usize, amount: Usd) -> Part {
        Part { series, amount, href: None }
    }

    fn two_bars() -> Bars {
        let bar = Bar {
            label: "1 Apr".into(),
            title: "1 Apr 2026".into(),
            href: Some("/w/ws_1/audit?q=a&tab=\"calls\"".into()),
            parts: vec![
                Part { href: Some("/w/ws_1/audit?q=agent:b".into()), ..part(0, Usd::dollars(3)) },
                part(5, Usd::dollars(1)),
            ],
            forecast: None,
            mark: Some("far above $1 & more".into()),
        };
        let coming = Bar { forecast: Some(Usd::dollars(2)), title: "2 Apr".into(), ..Bar::default() };
        let series = ["agent.<b>", "b", "c", "d", "e", "others"].map(str::to_owned).to_vec();
        let line = Some((Usd::dollars(5), "typical day".into()));
        Bars { series, bars: vec![bar, coming], line, ..Bars::default() }
    }

    #[test]
    fn a_page_colours_by_class_and_every_word_stays_text() {
        let svg = draw(&two_bars(), Paint::Page).unwrap();
        assert!(svg.contains("class=\"s1\"") && svg.contains("class=\"s6\""), "{svg}");
        assert!(!svg.contains("<b>") && svg.contains("&lt;b&gt;, 1 Apr 2026: $3.00"), "{svg}");
        assert!(
            svg.contains("aria-label=\"1 Apr 2026: $4.00 · &lt;b&gt; $3.00 · others $1.00\"")
                && svg.contains("href=\"/w/ws_1/audit?q=a&amp;tab=&quot;calls&quot;\"")
        );
        assert!(
            svg.contains("class=\"outline\"")
                && svg.contains("class=\"mark\"")
                && svg.contains("typical day")
        );
        assert!(
            svg.contains("href=\"/w/ws_1/audit?q=agent:b\" tabindex=\"-1\""),
            "a part has its own link: {svg}"
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
        let bar =
            Bar { parts: vec![part(0, Usd::from_micros(1))], href: Some("/x".into()), ..Bar::default() };
        let mut many = Bars { series: vec!["a".into()], bars: vec![bar; 1_000], ..Bars::default() };
        many.bars[500] = Bar {
            parts: vec![part(0, Usd::from_micros(2))],
            title: "dearest".into(),
            ..many.bars[500].clone()
        };
        let svg = draw(&many, Paint::Page).unwrap();
        assert_eq!(svg.matches("tabindex=\"-1\"").count(), 999, "one of them takes the focus");
        assert!(svg.contains("aria-label=\"dearest: $0.000002 · a $0.000002\">"), "{svg}");
    }

    #[test]
    fn lines_have_a_path_and_a_point_a_series_and_stand_on_no_other() {
        let lines = Bars { shape: Shape::Lines, line: None, ..two_bars() };
        let svg = draw(&lines, Paint::Page).unwrap();
        assert_eq!(
            (svg.matches("class=\"l1\"").count(), svg.matches("class=\"l2\"").count()),
            (1, 0),
            "{svg}"
        );
        assert!(svg.matches("<circle").count() == 2 && !svg.contains("class=\"outline\""), "{svg}");
        assert!(lines.highest() < two_bars().highest());
        let file = draw(&lines, Paint::File).unwrap();
        assert!(file.contains("stroke=\"#00797c\"") && !file.contains("class=\"l"), "{file}");
    }
}
