//! The one search box, with its error pointing into the text, and the same filters as controls.

use agentframer::domain::region::Region;
use agentframer::domain::search::{QueryError, Search, Status};
use agentframer::engine::log::search::LogWords;
use leptos::prelude::*;

use super::{Asked, Tab};
use crate::ask::Ask;
use crate::islands::SearchInput;

/// A filter that stands beside the search box: the qualifier it becomes, and where it has a meaning.
struct Control {
    name: &'static str,
    qualifier: &'static str,
    label: &'static str,
    tabs: &'static [Tab],
    form: Form,
}

/// How a filter is filled in.
enum Form {
    /// One of the words that the log knows.
    Choice(fn(&LogWords, Tab) -> Vec<String>),
    /// Text, with an example.
    Text(&'static str),
}

const CALLS: &[Tab] = &[Tab::Calls, Tab::Refused];

/// Every qualifier of the language, in the order of the form.
const CONTROLS: [Control; 13] = [
    choice("f_agent", "agent", "Agent", CALLS, agents),
    choice("f_tool", "tool", "Tool", CALLS, |words, _| words.tools.iter().cloned().collect()),
    choice("f_model", "model", "Model", CALLS, |words, _| words.models.iter().cloned().collect()),
    choice("f_status", "status", "Outcome", CALLS, outcomes),
    choice("f_event", "event", "Event", &[Tab::Admin], |words, _| words.events.iter().cloned().collect()),
    choice("f_user", "user", "Who", &[Tab::Admin], |words, _| words.users.iter().cloned().collect()),
    text("f_code", "code", "Code", &[Tab::Refused], "insufficient_credits"),
    text("f_cost", "cost", "Cost in US dollars", &[Tab::Calls], ">0.5 or 0.1..0.5"),
    text("f_after", "after", "From", &Tab::ALL, "2026-04-29 or 7d"),
    text("f_before", "before", "Before", &Tab::ALL, "2026-04-30 or 1d"),
    text("f_request", "request", "Request", &Tab::ALL, "req_…"),
    text("f_hash", "hash", "Prompt’s hash", CALLS, "sha256:…"),
    choice("f_region", "region", "Region", &[Tab::Calls, Tab::Admin], regions),
];

const fn choice(
    name: &'static str,
    qualifier: &'static str,
    label: &'static str,
    tabs: &'static [Tab],
    known: fn(&LogWords, Tab) -> Vec<String>,
) -> Control {
    Control { name, qualifier, label, tabs, form: Form::Choice(known) }
}

const fn text(
    name: &'static str,
    qualifier: &'static str,
    label: &'static str,
    tabs: &'static [Tab],
    example: &'static str,
) -> Control {
    Control { name, qualifier, label, tabs, form: Form::Text(example) }
}

fn agents(words: &LogWords, _: Tab) -> Vec<String> {
    words.users.iter().filter_map(|user| user.strip_prefix("agent.")).map(str::to_owned).collect()
}

fn outcomes(_: &LogWords, tab: Tab) -> Vec<String> {
    let outcomes = if tab == Tab::Refused { ["refused", "failed"] } else { ["paid", "free"] };
    outcomes.map(str::to_owned).to_vec()
}

fn regions(_: &LogWords, _: Tab) -> Vec<String> {
    Region::ALL.map(|region| region.to_string()).to_vec()
}

/// The query that the controls stand for, where they were sent.
pub fn chosen(ask: &Ask) -> Option<String> {
    ask.query("controls")?;
    let controls = CONTROLS.iter().filter_map(|control| {
        let (value, qualifier) = (ask.query(control.name)?, control.qualifier);
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

/// What the tab's controls can show of a search, and the rest of it as text.
fn split(search: &Search, tab: Tab) -> (Vec<(&'static str, String)>, String) {
    let (mut shown, mut rest) = (Vec::new(), Search::default());
    for term in search.terms() {
        let text = term.condition.to_string();
        let (qualifier, value) = text.split_once(':').unwrap_or((&text, ""));
        let control = CONTROLS.iter().find(|control| control.qualifier == qualifier);
        match control.filter(|control| control.tabs.contains(&tab) && !term.negated) {
            Some(control) => shown.push((control.name, value.to_owned())),
            None => rest = rest.with_term(term.clone()),
        }
    }
    (shown, rest.to_string())
}

/// The same filters, one by one.
pub fn controls(asked: &Asked, words: &LogWords) -> AnyView {
    let Ok(search) = &asked.search else { return ().into_any() };
    let (shown, rest) = split(search, asked.tab);
    let value = |name: &str| {
        shown.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let fields = CONTROLS.iter().filter(|control| control.tabs.contains(&asked.tab)).map(|control| {
        let (name, label, value) = (control.name, control.label, value(control.name));
        match control.form {
            Form::Choice(known) => select(name, label, known(words, asked.tab), value),
            Form::Text(example) => input(name, label, example, value),
        }
    });
    view! {
        <details class="card filters" open=false>
            <summary><b>"Filters"</b></summary>
            <form method="get" action=asked.base.clone() class="in">
                <input type="hidden" name="tab" value=asked.tab.as_str()/>
                <input type="hidden" name="controls" value="1"/>
                <input type="hidden" name="rest" value=rest/>
                <div class="choices">{fields.collect_view()}</div>
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
    use agentframer::domain::search::Field;

    use super::*;

    fn shown(text: &str, tab: Tab) -> (Vec<(&'static str, String)>, String) {
        split(&text.parse().unwrap(), tab)
    }

    #[test]
    fn controls_and_rest_are_the_whole_search() {
        let text = "tool:generate_image -agent:poster cost:>0.5 request:req_1 user:user_1 after:7d";
        let (found, rest) = shown(text, Tab::Calls);
        assert_eq!(rest, "-agent:poster user:user_1");
        let expected =
            [("f_tool", "generate_image"), ("f_cost", ">0.5"), ("f_request", "req_1"), ("f_after", "7d")];
        assert_eq!(found, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn what_a_tab_has_no_control_for_stays_in_the_rest() {
        let (found, rest) = shown("tool:a cost:>1 user:user_1", Tab::Admin);
        assert_eq!((found, rest.as_str()), (vec![("f_user", "user_1".to_owned())], "tool:a cost:>1"));
    }

    #[test]
    fn every_qualifier_has_a_control() {
        let others = ["status", "cost", "after", "before"];
        for name in Field::ALL.map(Field::name).into_iter().chain(others) {
            assert!(CONTROLS.iter().any(|control| control.qualifier == name), "{name}");
        }
    }
}
