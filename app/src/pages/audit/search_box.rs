//! The one search box, with its error pointing into the text, and the same filters as controls.

use agentframer::domain::search::{Condition, Field, QueryError, Search, Status};
use agentframer::engine::log::search::LogWords;
use leptos::prelude::*;

use super::{Asked, Tab};
use crate::ask::Ask;
use crate::islands::SearchInput;

/// The fields of the controls, and the qualifiers that they become.
const CONTROLS: [(&str, &str); 9] = [
    ("f_agent", "agent"),
    ("f_tool", "tool"),
    ("f_model", "model"),
    ("f_event", "event"),
    ("f_code", "code"),
    ("f_status", "status"),
    ("f_cost", "cost"),
    ("f_after", "after"),
    ("f_before", "before"),
];

/// The query that the controls stand for, where they were sent.
pub fn chosen(ask: &Ask) -> Option<String> {
    ask.query("controls")?;
    let controls = CONTROLS.into_iter().filter_map(|(name, qualifier)| {
        let value = ask.query(name)?;
        let value = value.trim();
        let needs_quotes = value.contains(char::is_whitespace) && !value.contains(['"', ',']);
        Some(if needs_quotes { format!("{qualifier}:\"{value}\"") } else { format!("{qualifier}:{value}") })
    });
    let words: Vec<String> = controls.chain(ask.query("rest")).collect();
    Some(words.join(" "))
}

/// A plain form: the address holds the query.
pub fn search_box(asked: &Asked, words: &LogWords) -> AnyView {
    let error = asked.search.as_ref().err().map(|error| pointed(&asked.text, error));
    let is_wrong = error.is_some();
    view! {
        <form method="get" action=asked.base.clone() class="search" role="search">
            <input type="hidden" name="tab" value=asked.tab.as_str()/>
            <SearchInput value=asked.text.clone() words=suggestions(words) wrong=is_wrong/>
            <button class="btn first">"Search"</button>
            {(!asked.text.is_empty()).then(|| view! { <a class="btn" href=super::link(&asked.workspace, asked.tab.as_str(), "")>"Clear"</a> })}
            <div id="q-error" class="pointed" role="status">{error}</div>
        </form>
    }
    .into_any()
}

/// The text with its wrong part marked, and the sentence.
fn pointed(text: &str, error: &QueryError) -> AnyView {
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    let (before, after) = (part(0..error.span.start), part(error.span.end..text.len()));
    let wrong = part(error.span.clone());
    // What is missing is marked by a place of its own.
    let wrong = if wrong.is_empty() { "…".to_owned() } else { wrong };
    view! {
        <p class="mono">{before}<mark>{wrong}</mark>{after}</p>
        <p class="error">{error.message.clone()}</p>
    }
    .into_any()
}

/// Whole words, as completion offers them.
fn suggestions(words: &LogWords) -> Vec<String> {
    let agents = words.users.iter().filter_map(|user| user.strip_prefix("agent."));
    let mut all: Vec<String> = agents.map(|name| format!("agent:{name}")).collect();
    all.extend(words.tools.iter().map(|tool| format!("tool:{tool}")));
    all.extend(words.models.iter().map(|model| format!("model:{model}")));
    all.extend(Status::ALL.map(|status| format!("status:{}", status.as_str())));
    all.extend(words.events.iter().map(|event| format!("event:{event}")));
    all.extend(["cost:>0.5", "cost:0.1..0.5", "after:7d", "after:24h", "before:30d"].map(str::to_owned));
    all.extend(["user:", "request:", "hash:", "region:", "code:"].map(str::to_owned));
    all
}

/// What the controls can show of a search, and the rest of it as text.
fn split(search: &Search) -> (Vec<(&'static str, String)>, String) {
    let (mut shown, mut rest) = (Vec::new(), Search::default());
    for term in search.terms() {
        let text = term.condition.to_string();
        let (qualifier, value) = text.split_once(':').unwrap_or((&text, ""));
        let control = CONTROLS.into_iter().find(|(_, name)| *name == qualifier && !term.negated);
        match (control, &term.condition) {
            (Some((name, _)), condition) if !matches!(condition, Condition::OneOf(Field::User, _)) => {
                shown.push((name, value.to_owned()));
            }
            _ => rest = rest.with_term(term.clone()),
        }
    }
    (shown, rest.to_string())
}

/// The same filters, one by one.
pub fn controls(asked: &Asked, words: &LogWords) -> AnyView {
    let Ok(search) = &asked.search else { return ().into_any() };
    let (shown, rest) = split(search);
    let value = |name: &str| {
        shown.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let agents: Vec<String> =
        words.users.iter().filter_map(|user| user.strip_prefix("agent.")).map(str::to_owned).collect();
    let texts = |words: &std::collections::BTreeSet<String>| words.iter().cloned().collect::<Vec<_>>();
    let statuses = match asked.tab {
        Tab::Calls => vec!["paid", "free"],
        Tab::Admin => Vec::new(),
        Tab::Refused => vec!["refused", "failed"],
    };
    let is_call = asked.tab != Tab::Admin;
    let choices = [
        is_call.then(|| select("f_agent", "Agent", agents, value("f_agent"))),
        is_call.then(|| select("f_tool", "Tool", texts(&words.tools), value("f_tool"))),
        is_call.then(|| select("f_model", "Model", texts(&words.models), value("f_model"))),
        is_call.then(|| {
            select(
                "f_status",
                "Outcome",
                statuses.into_iter().map(str::to_owned).collect(),
                value("f_status"),
            )
        }),
        (asked.tab == Tab::Admin).then(|| select("f_event", "Event", texts(&words.events), value("f_event"))),
        (asked.tab == Tab::Refused).then(|| input("f_code", "Code", "insufficient_credits", value("f_code"))),
        (asked.tab == Tab::Calls)
            .then(|| input("f_cost", "Cost in US dollars", ">0.5 or 0.1..0.5", value("f_cost"))),
        Some(input("f_after", "From", "2026-04-29 or 7d", value("f_after"))),
        Some(input("f_before", "Before", "2026-04-30 or 1d", value("f_before"))),
    ];
    view! {
        <details class="card filters" open=false>
            <summary class="in"><b>"Filters"</b></summary>
            <form method="get" action=asked.base.clone() class="in">
                <input type="hidden" name="tab" value=asked.tab.as_str()/>
                <input type="hidden" name="controls" value="1"/>
                <input type="hidden" name="rest" value=rest/>
                <div class="choices">{choices.into_iter().flatten().collect_view()}</div>
                <div class="row"><button class="btn first">"Apply"</button></div>
            </form>
        </details>
    }
    .into_any()
}

/// A value that is none of the known ones, such as a list, stays as an option of its own.
fn select(name: &'static str, label: &'static str, mut known: Vec<String>, value: String) -> AnyView {
    if !value.is_empty() && !known.contains(&value) {
        known.insert(0, value.clone());
    }
    let options = known.into_iter().map(|option| {
        let is_chosen = option == value;
        let label = option.clone();
        view! { <option value=option selected=is_chosen>{label}</option> }
    });
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <select id=name name=name><option value="">"Any"</option>{options.collect_view()}</select>
        </div>
    }
    .into_any()
}

fn input(name: &'static str, label: &'static str, hint: &'static str, value: String) -> AnyView {
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <input id=name name=name value=value placeholder=hint/>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_rest_are_the_whole_search() {
        let text = "tool:generate_image -agent:poster cost:>0.5 request:req_1 after:7d";
        let (shown, rest) = split(&text.parse().unwrap());
        assert_eq!(rest, "-agent:poster request:req_1");
        let expected = [("f_tool", "generate_image"), ("f_cost", ">0.5"), ("f_after", "7d")];
        assert_eq!(shown, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
