//! What the usage page shows, as its URL says it: whoever opens the link sees the same.

use agentframer::domain::field::FieldError;
use agentframer::domain::time::{DAY, Time};
use agentframer::domain::usage::{Grouping, Interval, Preset, Span};
use agentframer::engine::money::usage::UsageQuery;

use crate::components::bars::Shape;

/// The choices.
#[derive(Debug, Clone)]
pub struct State {
    /// A span with a name; none for a free range.
    pub preset: Option<Preset>,
    /// The span.
    pub span: Span,
    /// How long a bar is.
    pub interval: Interval,
    /// By what usage is taken apart.
    pub grouping: Grouping,
    /// How it is drawn.
    pub shape: Shape,
    /// Series that are switched off.
    pub hidden: Vec<String>,
    /// The range as it was typed.
    typed: Option<(String, String)>,
}

impl State {
    /// Reads the part of a URL behind the question mark.
    ///
    /// # Errors
    /// Names the parameter.
    pub fn read(query: &str, now: Time) -> Result<Self, FieldError> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let of = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let typed = of("from")
            .or(of("to"))
            .map(|_| (of("from").unwrap_or_default().to_owned(), of("to").unwrap_or_default().to_owned()));
        let (preset, span) = match (&typed, of("period")) {
            (Some(_), _) => (None, Span::parse(of("from"), of("to"), now)?),
            (None, name) => {
                let preset = name.map_or(Ok(Preset::Month), str::parse)?;
                (Some(preset), preset.span(now))
            }
        };
        let interval = of("interval").map(str::parse).transpose()?;
        let state = Self {
            preset,
            span,
            interval: interval.unwrap_or_else(|| fitting(preset, span)),
            grouping: of("group").map_or(Ok(Grouping::User), str::parse)?,
            shape: of("shape").map_or(Ok(Shape::Bars), str::parse)?,
            hidden: pairs.iter().filter(|(key, _)| key == "hide").map(|(_, name)| name.clone()).collect(),
            typed,
        };
        state.span.intervals(state.interval).map(|_| state)
    }

    /// What the page shows where the choices cannot be: the month, with the range as it was typed.
    pub fn standard(query: &str, now: Time) -> Self {
        let (preset, span) = (Preset::Month, Preset::Month.span(now));
        let of = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        Self {
            preset: Some(preset),
            span,
            interval: preset.interval(),
            grouping: Grouping::User,
            shape: Shape::Bars,
            hidden: Vec::new(),
            typed: of("from")
                .or(of("to"))
                .map(|_| (of("from").unwrap_or_default(), of("to").unwrap_or_default())),
        }
    }

    /// What the engine is asked.
    pub const fn query(&self) -> UsageQuery {
        UsageQuery { span: self.span, interval: self.interval, grouping: Some(self.grouping) }
    }

    /// What its span is compared with.
    pub fn previous(&self) -> Span {
        self.preset.map_or_else(|| self.span.previous(), |preset| preset.previous(self.span))
    }

    /// The dates of the range's inputs: the last day inclusive.
    pub fn dates(&self) -> (String, String) {
        let last = self.span.to.plus(-1).day_key();
        self.typed.clone().unwrap_or_else(|| (self.span.from.day_key(), last))
    }

    /// The same with another period; its own interval fits it best.
    pub fn period(&self, preset: Preset) -> String {
        let own = Self { preset: Some(preset), interval: preset.interval(), typed: None, ..self.clone() };
        own.to_query(true)
    }

    /// The same in other intervals.
    pub fn by(&self, interval: Interval) -> String {
        Self { interval, ..self.clone() }.to_query(false)
    }

    /// The same taken apart by something else; the series are others then.
    pub fn grouped(&self, grouping: Grouping) -> String {
        Self { grouping, hidden: Vec::new(), ..self.clone() }.to_query(false)
    }

    /// The same drawn otherwise.
    pub fn drawn(&self, shape: Shape) -> String {
        Self { shape, ..self.clone() }.to_query(false)
    }

    /// The same with a series switched off, or on again.
    pub fn toggled(&self, series: &str) -> String {
        let mut hidden = self.hidden.clone();
        match hidden.iter().position(|name| name == series) {
            Some(place) => drop(hidden.remove(place)),
            None => hidden.push(series.to_owned()),
        }
        Self { hidden, ..self.clone() }.to_query(false)
    }

    /// Whether a series is switched off.
    pub fn hides(&self, series: &str) -> bool {
        self.hidden.iter().any(|name| name == series)
    }

    /// The choices as a URL's part behind the question mark.
    pub fn to_query(&self, own_interval: bool) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        match (&self.typed, self.preset) {
            (Some((from, to)), None) => query.append_pair("from", from).append_pair("to", to),
            (_, preset) => query.append_pair("period", preset.unwrap_or(Preset::Month).as_str()),
        };
        if !own_interval {
            query.append_pair("interval", self.interval.as_str());
        }
        query.append_pair("group", self.grouping.as_str());
        if self.shape != Shape::Bars {
            query.append_pair("shape", self.shape.as_str());
        }
        for name in &self.hidden {
            query.append_pair("hide", name);
        }
        query.finish()
    }
}

fn fitting(preset: Option<Preset>, span: Span) -> Interval {
    let days = (span.to.micros() - span.from.micros()) / DAY;
    match (preset, days) {
        (Some(preset), _) => preset.interval(),
        (None, 0..=2) => Interval::Hour,
        (None, 3..=400) => Interval::Day,
        (None, _) => Interval::Month,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> State {
        State::read(query, Time::parse("2026-04-22T14:22:08Z").unwrap()).unwrap()
    }

    #[test]
    fn a_link_holds_all_choices() {
        let state =
            read("from=2026-04-01&to=2026-04-10&interval=hour&group=model&shape=lines&hide=a+b&hide=c");
        let again = read(&state.to_query(false));
        assert_eq!(
            (again.span, again.interval, again.grouping),
            (state.span, Interval::Hour, Grouping::Model)
        );
        assert_eq!(
            (again.hidden.clone(), again.shape),
            (vec!["a b".to_owned(), "c".to_owned()], Shape::Lines)
        );
        assert_eq!(again.dates(), ("2026-04-01".into(), "2026-04-10".into()));
        assert_eq!(read(&state.toggled("c")).hidden, ["a b"]);
        assert_eq!(read(&state.drawn(Shape::Bars)).shape, Shape::Bars);
        assert_eq!(read(&state.grouped(Grouping::Tool)).hidden, [""; 0]);
    }

    #[test]
    fn the_preset_says_what_a_span_is_compared_with() {
        let before = |query: &str| {
            let Span { from, to } = read(query).previous();
            (from.to_string()[..13].to_owned(), to.to_string()[..13].to_owned())
        };
        let is = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(before("period=today"), is("2026-04-21T00", "2026-04-21T15"));
        assert_eq!(before(""), is("2026-03-01T00", "2026-03-22T15"));
        assert_eq!(before("from=2026-04-01&to=2026-04-10"), is("2026-03-22T00", "2026-04-01T00"));
        assert_eq!(before("from=2026-02-01&to=2026-03-31"), is("2025-12-01T00", "2026-02-01T00"));
    }

    #[test]
    fn an_interval_fits_its_span_unless_one_is_chosen() {
        assert_eq!(read("").interval, Interval::Day);
        assert_eq!(read("period=today").interval, Interval::Hour);
        assert_eq!(read("from=2024-01-01&to=2026-01-01").interval, Interval::Month);
        let long = State::read("period=quarter&interval=hour", Time::parse("2026-06-22T14:22:08Z").unwrap());
        assert_eq!(long.unwrap_err().field, "interval");
        assert_eq!(read(&read("interval=hour").period(Preset::Quarter)).interval, Interval::Day);
    }
}
