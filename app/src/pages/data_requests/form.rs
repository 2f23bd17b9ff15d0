//! The form of a request, and what it matches before it is filed.

use agentframer::engine::data::data_requests::{DataRequestPreview, Sample};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{day_of, kind_word};
use crate::actions::{FileDataRequest, PREVIEW};
use crate::components::field::{ChoiceGroup, Field};
use crate::components::text_area::TextArea;
use crate::flash::Flash;
use crate::words;

/// The form. After a look the button that files comes first.
pub fn form(
    workspace: &str,
    today: &str,
    flash: Flash,
    looked: bool,
    is_first: bool,
) -> impl IntoView + use<> {
    let is_open = looked || is_first || flash.problem.is_some();
    let look = if looked { "btn" } else { "btn first" };
    let file =
        looked.then(|| view! { <button class="btn first" name="step" value="file">"File request"</button> });
    let received = flash.kept.get("received_on").cloned().unwrap_or_else(|| today.to_owned());
    view! {
        <details class="card" open=is_open>
            <summary class="in"><b>"File a request"</b></summary>
            <form method="post" action=FileDataRequest::url() class="in stack narrow">
                <input type="hidden" name="workspace" value=workspace.to_owned()/>
                {kinds(&flash).into_any()}
                {who(&flash, received).into_any()}
                {about(&flash).into_any()}
                <div class="row">
                    <button class=look name="step" value=PREVIEW>"Show what it matches"</button>
                    {file}
                </div>
                <p class="muted">"Looking changes and stores nothing."</p>
            </form>
        </details>
    }
}

fn kinds(flash: &Flash) -> impl IntoView + use<> {
    let chosen = flash.value("kind");
    let wrong = flash.error_at("kind", "What is asked");
    let choice = move |value: &'static str, title: &'static str, text: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name="kind" value=value required checked=chosen == value/>
                <span><b>{title}</b><small>{text}</small></span>
            </label>
        }
    };
    view! {
        <ChoiceGroup name="kind" legend="What is asked" wrong=wrong>
            {choice("access", "A copy", "prompts and media in one archive")}
            {choice("erasure", "Erasure", "prompts, media and keys go for good")}
        </ChoiceGroup>
    }
}

fn who(flash: &Flash, received: String) -> impl IntoView + use<> {
    let wrong = flash.error_at("note", "Note");
    view! {
        <Field name="requested_by" label="Who asked" hint="Kept encrypted; not in the log." flash=flash.clone()/>
        <Field name="received_on" label="Received on" kind="date" value=received hint="The answer is due one calendar month later." flash=flash.clone()/>
        <div class="field">
            <label for="note">"Note"</label>
            <TextArea name="note" value=flash.value("note") rows=2 wrong=wrong.is_some()/>
            <p class="hint">"What helps whoever decides. Kept encrypted."</p>
            <p class="error" id="note-error">{wrong}</p>
        </div>
    }
}

fn about(flash: &Flash) -> impl IntoView + use<> {
    let nothing = flash.error_at("match", "The request");
    let (ids, prompt) =
        (flash.error_at("request_ids", "Request ids"), flash.error_at("prompt_text", "Prompt"));
    view! {
        <fieldset class="stack about" id="match" tabindex="-1" autofocus=nothing.is_some()>
            <legend><h3>"Whose data"</h3></legend>
            <p class="muted">"Give at least one. Where several are given, a call has to match all of them."</p>
            <p class="error">{nothing.clone()}</p>
            <Field name="subject" label="Subject" required=false hint="The name that agents pass as “subject”." flash=flash.clone()/>
            <Field name="user_id" label="User or agent" required=false hint="A person’s id, or agent.NAME." flash=flash.clone()/>
            <div class="field">
                <label for="request_ids">"Request ids"</label>
                <TextArea name="request_ids" value=flash.value("request_ids") rows=2 wrong=ids.is_some()/>
                <p class="error" id="request_ids-error">{ids}</p>
            </div>
            <div class="field">
                <label for="prompt_text">"Prompt, letter by letter"</label>
                <TextArea name="prompt_text" value=flash.value("prompt_text") rows=3 wrong=prompt.is_some()/>
                <p class="hint">"Only its hash is kept."</p>
                <p class="error" id="prompt_text-error">{prompt}</p>
            </div>
            <div class="row">
                <Field name="from" label="From day" kind="date" required=false hint="in UTC" flash=flash.clone()/>
                <Field name="to" label="To day" kind="date" required=false hint="this day included" flash=flash.clone()/>
            </div>
        </fieldset>
    }
}

/// What was found. The words say that nothing was stored.
pub fn preview(found: DataRequestPreview) -> impl IntoView {
    let counts = format!("It matches {}.", words::matches(&found.matches));
    let title = format!("{}: what it matches", kind_word(found.kind));
    let due = format!("Not filed yet. Filed, it is due on {}.", day_of(&found.due_on));
    let nothing = (found.matches.rows == 0).then(|| {
        note("nothing", "Nothing matches. Filed all the same, it ends in a certificate that says so.")
    });
    let everything = found.everything.then(|| {
        note("everything", "This matches every call of the workspace. Look twice at whom it is about.")
    });
    let held = (found.held > 0).then(|| {
        note(
            "held",
            &format!("A legal hold keeps {} of the results. They stay until it is lifted.", found.held),
        )
    });
    let alone = found.one_admin.then(|| {
        view! { <p class="muted">"This workspace has one Admin, who may approve a request that the same person filed. With a second Admin, another one decides (four eyes)."</p> }
    });
    view! {
        <section class="card" id="preview">
            <header><h2>{title}</h2></header>
            <div class="in stack">
                <p><b>{counts}</b>" "{due}</p>
                {nothing} {everything} {held} {alone}
            </div>
            {samples(found.samples).into_any()}
        </section>
    }
}

fn note(word: &'static str, text: &str) -> impl IntoView + use<> {
    view! { <p class="note"><span class="tag warn">{word}</span>{text.to_owned()}</p> }
}

fn samples(samples: Vec<Sample>) -> impl IntoView {
    let line = |sample: Sample| {
        view! {
            <tr>
                <td>{words::minute(sample.ts)}</td><td>{sample.user_id}</td><td>{words::or_dash(sample.tool)}</td>
                <td>{words::or_dash(sample.model)}</td><td class="mono">{sample.request_id}</td>
            </tr>
        }
    };
    (!samples.is_empty()).then(|| {
        view! {
            <div class="scroll" tabindex="0">
                <table>
                    <thead><tr><th>{words::time_head()}</th><th>"Who called"</th><th>"Tool"</th><th>"Model"</th><th>"Request"</th></tr></thead>
                    <tbody>{samples.into_iter().map(line).collect_view()}</tbody>
                </table>
            </div>
        }
    })
}
