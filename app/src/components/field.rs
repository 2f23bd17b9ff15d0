//! A labelled input with its error right under it.

use leptos::prelude::*;

use crate::flash::Flash;

/// One input. What was typed comes back after an error; the error stands at its field, which has the focus.
#[component]
pub fn Field(
    name: &'static str,
    label: &'static str,
    flash: Flash,
    #[prop(default = "text")] kind: &'static str,
    #[prop(optional)] autocomplete: Option<&'static str>,
    #[prop(optional)] hint: Option<&'static str>,
    #[prop(optional, into)] value: Option<String>,
    #[prop(default = true)] required: bool,
) -> impl IntoView {
    let typed = flash.kept.get(name).cloned().or(value);
    let wrong = flash.error_at(name, label);
    let described = describes(name, hint.is_some());
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <input
                id=name name=name type=kind value=typed required=required autocomplete=autocomplete
                aria-invalid=wrong.is_some().then_some("true") aria-describedby=described autofocus=wrong.is_some()
            />
            {hint.map(|hint| view! { <p class="hint" id=format!("{name}-hint")>{hint}</p> })}
            <p class="error" id=format!("{name}-error")>{wrong}</p>
        </div>
    }
}

/// The ids of what is said about an input.
fn describes(name: &str, has_hint: bool) -> String {
    let hint = if has_hint { format!("{name}-hint ") } else { String::new() };
    format!("{hint}{name}-error")
}

/// Radio buttons of one name; their error stands under them and the group has the focus then.
#[component]
pub fn ChoiceGroup(
    name: &'static str,
    legend: &'static str,
    wrong: Option<String>,
    #[prop(optional)] hint: Option<&'static str>,
    children: Children,
) -> impl IntoView {
    let (error, is_wrong) = (format!("{name}-error"), wrong.is_some());
    view! {
        <fieldset
            class="field" id=name role="radiogroup" tabindex="-1" aria-invalid=is_wrong.then_some("true")
            aria-describedby=describes(name, false) autofocus=is_wrong
        >
            <legend>{legend}</legend>
            <div class="choices">{children()}</div>
            {hint.map(|hint| view! { <p class="hint">{hint}</p> })}
            <p class="error" id=error>{wrong}</p>
        </fieldset>
    }
}

/// The regions, as radio buttons; none is chosen for the reader, for it never changes.
#[component]
pub fn RegionChoice(flash: Flash) -> impl IntoView {
    let (chosen, wrong) = (flash.value("region"), flash.error_at("region", "Region"));
    let choice = move |region: agentframer::domain::region::Region| {
        view! {
            <label class="choice">
                <input type="radio" name="region" value=region.as_str() required checked=chosen == region.as_str()/>
                <span><b>{region.place()}</b><small class="mono">{region.as_str()}</small></span>
            </label>
        }
    };
    view! {
        <ChoiceGroup name="region" legend="Region" wrong=wrong hint="Prompts, media and the log stay there. It cannot be changed later.">
            {agentframer::domain::region::Region::ALL.map(choice).collect_view()}
        </ChoiceGroup>
    }
}

/// What the form before this page left to say, in a live region. An error leads to its input.
#[component]
pub fn Said(flash: Flash) -> impl IntoView {
    let is_said = flash.headline().is_some() || flash.done.is_some();
    let wrong = flash.headline().map(|text| match flash.wrong_input() {
        Some(href) => view! { <a href=href>{text}</a> }.into_any(),
        None => text.into_any(),
    });
    view! {
        <div role="status" id="said">
            {wrong.map(|wrong| view! { <p class="note bad"><span class="tag bad">"not done"</span>{wrong}</p> })}
            {flash.lost_words().map(|text| view! { <p class="note warn"><span class="tag warn">"type again"</span>{text}</p> })}
            {flash.done.map(|text| view! { <p class="note good"><span class="tag good">"done"</span>{text}</p> })}
        </div>
        {is_said.then(|| view! { <crate::islands::SayAgain id="said".to_owned()/> })}
        {flash.secret.map(|secret| view! {
            <div class="secret">
                <code class="mono" id="secret">{secret.clone()}</code>
                <crate::islands::CopyButton text=secret/>
            </div>
        })}
    }
}
