//! A labelled input with its error right under it.

use leptos::prelude::*;

use crate::flash::Flash;

/// One input. What was typed comes back after an error, and the error stands at its field.
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
    let described = format!("{name}-error");
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <input
                id=name name=name type=kind value=typed required=required autocomplete=autocomplete
                aria-invalid=wrong.is_some().then_some("true") aria-describedby=described.clone()
            />
            {hint.map(|hint| view! { <p class="hint">{hint}</p> })}
            <p class="error" id=described>{wrong}</p>
        </div>
    }
}

/// The regions, as radio buttons; none is chosen for the reader, for it never changes.
#[component]
pub fn RegionChoice(flash: Flash) -> impl IntoView {
    let chosen = flash.value("region");
    let choice = move |region: agentframer::domain::region::Region| {
        view! {
            <label class="choice">
                <input type="radio" name="region" value=region.as_str() required checked=chosen == region.as_str()/>
                <span><b>{region.place()}</b><small class="mono">{region.as_str()}</small></span>
            </label>
        }
    };
    view! {
        <fieldset class="field">
            <legend>"Region"</legend>
            <div class="choices">{agentframer::domain::region::Region::ALL.map(choice).collect_view()}</div>
            <p class="hint">"Prompts, media and the log stay there. It cannot be changed later."</p>
        </fieldset>
    }
}

/// What the form before this page left to say, in a live region.
#[component]
pub fn Said(flash: Flash) -> impl IntoView {
    view! {
        <div role="status">
            {flash.headline().map(|text| view! { <p class="note bad"><span class="tag bad">"not done"</span>{text}</p> })}
            {flash.done.map(|text| view! { <p class="note good"><span class="tag good">"done"</span>{text}</p> })}
        </div>
        {flash.secret.map(|secret| view! {
            <div class="secret">
                <code class="mono" id="secret">{secret.clone()}</code>
                <crate::islands::CopyButton text=secret/>
            </div>
        })}
    }
}
