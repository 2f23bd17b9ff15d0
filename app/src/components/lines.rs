//! One line a series, over the intervals that [`super::bars`] draws.

use agentframer::domain::money::Usd;

use super::bars::{Bar, MOST_STOPS, Plane};

/// Every series' line.
pub fn lines(plane: &Plane<'_>) -> String {
    (0..plane.bars.series.len()).map(|series| line(plane, series)).collect()
}

/// From middle to middle of the intervals; nothing was spent where there is no part.
fn line(plane: &Plane<'_>, series: usize) -> String {
    let amounts: Vec<Usd> = plane.bars.bars.iter().map(|bar| amount(bar, series)).collect();
    if amounts.iter().all(|amount| !amount.is_positive()) {
        return String::new();
    }
    let point = |(number, amount): (usize, &Usd)| {
        let (x, y) = plane.at(number as f64 + 0.5, *amount);
        format!("{}{x:.1} {y:.1}", if number == 0 { 'M' } else { 'L' })
    };
    let points: String = amounts.iter().enumerate().map(point).collect();
    format!(r#"<path {} fill="none" stroke-width="2" d="{points}"/>"#, plane.colour(series, "stroke"))
}

fn amount(bar: &Bar, series: usize) -> Usd {
    bar.parts.iter().find(|part| part.series == series).map_or(Usd::ZERO, |part| part.amount)
}

/// The series' values in one interval; too close to each other to be hit where there are many intervals.
pub fn points(plane: &Plane<'_>, number: usize, bar: &Bar) -> String {
    if plane.bars.bars.len() > MOST_STOPS {
        return String::new();
    }
    let point = |part: &super::bars::Part| {
        let (x, y) = plane.at(number as f64 + 0.5, part.amount);
        let colour = plane.colour(part.series, "fill");
        plane.part(bar, part, &format!(r#"circle {colour} cx="{x:.1}" cy="{y:.1}" r="4""#))
    };
    bar.parts.iter().filter(|part| part.amount.is_positive()).map(point).collect()
}
