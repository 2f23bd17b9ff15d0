//! Which calls stand behind a part of the chart, in the log's query language.

use agentframer::domain::time::Time;
use agentframer::domain::usage::Grouping;

use super::picture::calls;
use super::state::State;
use crate::components::bars::COLOURS;

/// What a chart was asked for.
pub struct Asked<'a> {
    /// The series' names.
    pub names: Vec<String>,
    /// The choices.
    pub state: &'a State,
    /// The workspace's path.
    pub base: &'a str,
}

impl Asked<'_> {
    /// Whether a series is switched off.
    pub fn hides(&self, series: usize) -> bool {
        self.names.get(series).is_none_or(|name| self.state.hides(name))
    }

    /// All calls of an interval; none where they are other workspaces' too, for those are not in this one's log.
    pub fn calls_of_interval(&self, at: Time) -> Option<String> {
        self.linked(None, at)
    }

    /// The calls of an interval without those of hidden series.
    pub fn calls_of_all(&self, at: Time) -> Option<String> {
        let hidden = (0..self.names.len()).filter(|series| self.hides(*series));
        let words: Option<Vec<String>> = hidden.map(|series| self.word_against(series)).collect();
        self.linked(Some(words?.join(" ")), at)
    }

    /// The calls of one series in an interval; none where the log cannot be asked for them.
    pub fn calls_of_series(&self, series: usize, at: Time) -> Option<String> {
        let word = if series < COLOURS { self.word(series) } else { self.word_of_others() };
        self.linked(Some(word?), at)
    }

    fn linked(&self, words: Option<String>, at: Time) -> Option<String> {
        let (span, words) = (self.state.span, words.filter(|words| !words.is_empty()));
        let end = span.to.min(self.state.interval.next(at));
        (self.state.grouping != Grouping::Workspace).then(|| calls(self.base, words, at.max(span.from), end))
    }

    fn word(&self, series: usize) -> Option<String> {
        word(self.state.grouping, self.names.get(series)?)
    }

    fn word_of_others(&self) -> Option<String> {
        let named: Option<Vec<String>> =
            (0..COLOURS).map(|series| Some(format!("-{}", self.word(series)?))).collect();
        Some(named?.join(" "))
    }

    /// Others are all but the named, so what is left without them are the named.
    fn word_against(&self, series: usize) -> Option<String> {
        if series < COLOURS {
            return Some(format!("-{}", self.word(series)?));
        }
        let named: Option<Vec<String>> = (0..COLOURS).map(|series| self.word(series)).collect();
        any_of(&named?)
    }
}

/// One word for several of one field: `agent:a,b`.
fn any_of(words: &[String]) -> Option<String> {
    let split: Option<Vec<(&str, &str)>> = words.iter().map(|word| word.split_once(':')).collect();
    let split = split?;
    let (field, _) = *split.first()?;
    let values: Vec<&str> = split.iter().map(|(_, value)| *value).collect();
    split.iter().all(|(other, _)| *other == field).then(|| format!("{field}:{}", values.join(",")))
}

/// The log's word for a group; none for what the log cannot be asked.
pub fn word(grouping: Grouping, group: &str) -> Option<String> {
    match (grouping, group) {
        (_, "" | "no model") => None,
        (Grouping::User, name) => Some(match name.strip_prefix("agent.") {
            Some(agent) => format!("agent:{agent}"),
            None => format!("user:{name}"),
        }),
        (Grouping::Tool, name) => Some(format!("tool:{name}")),
        (Grouping::Model, name) => Some(format!("model:{name}")),
        (Grouping::Kind, "image") => Some("tool:generate_image".into()),
        (Grouping::Kind, "video") => Some("tool:generate_video".into()),
        (Grouping::Kind | Grouping::Workspace, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(query: &str, names: &[&str], of: impl Fn(&Asked<'_>, Time) -> Option<String>) -> Option<String> {
        let now = Time::parse("2026-04-22T14:22:08Z").unwrap();
        let state = State::read(query, now).unwrap();
        let names = names.iter().map(|name| format!("agent.{name}")).collect::<Vec<_>>();
        let names = names.into_iter().map(|name| name.replace("agent.others", "others")).collect();
        let href = of(&Asked { names, state: &state, base: "/w/x" }, now.day_start())?;
        let (_, query) = url::form_urlencoded::parse(href.split_once('?')?.1.as_bytes()).next()?;
        Some(query.split(" after:").next()?.to_owned()).filter(|words| !words.starts_with("after:"))
    }

    const SIX: [&str; 6] = ["a", "b", "c", "d", "e", "others"];

    #[test]
    fn a_part_leads_to_its_series_and_others_to_all_but_the_named() {
        assert_eq!(words("", &SIX, |asked, at| asked.calls_of_series(1, at)).unwrap(), "agent:b");
        let others = words("", &SIX, |asked, at| asked.calls_of_series(5, at)).unwrap();
        assert_eq!(others, "-agent:a -agent:b -agent:c -agent:d -agent:e");
        assert!(others.parse::<agentframer::domain::search::Search>().is_ok());
    }

    #[test]
    fn a_whole_interval_leaves_hidden_series_out() {
        let all = |asked: &Asked<'_>, at| asked.calls_of_all(at);
        assert_eq!(words("", &SIX, all), None);
        assert_eq!(words("hide=agent.b", &SIX, all).unwrap(), "-agent:b");
        let named = words("hide=agent.b&hide=others", &SIX, all).unwrap();
        assert_eq!(named, "-agent:b agent:a,b,c,d,e");
        assert!(named.parse::<agentframer::domain::search::Search>().is_ok());
    }

    #[test]
    fn other_workspaces_calls_are_not_in_this_log() {
        let state = State::read("group=workspace", Time::parse("2026-04-22T14:22:08Z").unwrap()).unwrap();
        let asked = Asked { names: vec!["Growth".into()], state: &state, base: "/w/x" };
        assert_eq!(
            (asked.calls_of_interval(state.span.from), asked.calls_of_all(state.span.from)),
            (None, None)
        );
    }
}
