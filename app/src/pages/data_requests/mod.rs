//! `/w/{id}/data-requests`: what data subjects ask for, by when, and the form for one more.

mod certificate;
mod decide;
mod form;
mod request;

use agentframer::domain::access::Permission;
use agentframer::domain::data_requests::{Kind, State};
use agentframer::domain::time::Time;
use agentframer::engine::access::members::Member;
use agentframer::engine::data::data_requests::DataRequestView;
use leptos::prelude::*;

pub use self::certificate::CertificatePage;
use self::form::{form, preview};
pub use self::request::DataRequestPage;
use super::{list_page, older};
use crate::actions::{PREVIEW, RequestForm};
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::words;

/// The requests, the newest first, and the form.
#[component]
pub fn DataRequests() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::FileDataRequests).await?;
        let (flash, members) = (ask.flash(), ask.engine.members(&scope).await?);
        let listed = ask.engine.data_requests(&scope, list_page(&ask)).await?;
        let looked = if flash.value("step") == PREVIEW {
            Some(ask.engine.preview_data_request(&scope, RequestForm::of(&flash).read()?).await?)
        } else {
            None
        };
        let (workspace, today) =
            (scope.workspace.id.to_string(), ask.engine.clock().now().date().to_string());
        let is_first = listed.items.is_empty();
        let form = form(&workspace, &today, flash.clone(), looked.is_some(), is_first).into_any();
        let body = view! {
            <Said flash=flash/>
            {looked.map(|looked| preview(looked).into_any())}
            {form}
            {table(&workspace, listed.items, &members).into_any()}
            {older(&ask, listed.next_cursor).map(|href| view! { <a class="btn" href=href>"Older requests"</a> })}
        };
        let line =
            "Access and erasure for the people whose data is in prompts and media (GDPR articles 15 and 17)";
        Ok(workspace_page(&ask, &scope, "Data requests", line, (), body))
    })
}

fn table(workspace: &str, requests: Vec<DataRequestView>, members: &[Member]) -> impl IntoView + use<> {
    if requests.is_empty() {
        return view! {
            <section class="card"><div class="in empty"><h2>"No request yet"</h2>
            <p class="muted">"When a person asks for a copy or for erasure, file it above. The due date is kept for you, one calendar month after receipt."</p></div></section>
        }
        .into_any();
    }
    let lines = requests.into_iter().map(|request| line(workspace, request, members)).collect_view();
    view! {
        <div class="card scroll">
            <table class="opens">
                <thead><tr><th>"Asked for"</th><th>"By"</th><th>"State"</th><th>"Due"</th><th>"Received"</th><th>"Filed by"</th><th class="num">"Calls"</th></tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn line(workspace: &str, request: DataRequestView, members: &[Member]) -> impl IntoView + use<> {
    let href = format!("/w/{workspace}/data-requests/{}", request.id);
    view! {
        <tr>
            <td><a class="link" href=href>{kind_word(request.kind)}</a></td>
            <td>{request.requested_by.clone()}</td>
            <td>{state_tag(request.state)}</td>
            <td>{due(&request)}</td>
            <td>{day_of(&request.received_on)}</td>
            <td>{words::name_of(&request.filed_by, members)}</td>
            <td class="num">{request.matches.rows}</td>
        </tr>
    }
}

/// What is asked, as people say it.
fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Access => "A copy",
        Kind::Erasure => "Erasure",
    }
}

/// Where a request stands, in words that say what is to be done.
fn state_tag(state: State) -> impl IntoView {
    let (class, text) = match state {
        State::Preview => ("tag", "not filed"),
        State::AwaitingApproval => ("tag warn", "waits for approval"),
        State::Approved => ("tag brand", "approved, begins soon"),
        State::Running => ("tag brand", "running"),
        State::Done => ("tag good", "done"),
        State::Partial => ("tag warn", "done but for what a hold keeps"),
        State::Failed => ("tag bad", "failed, can be tried again"),
        State::Rejected => ("tag", "rejected"),
        State::Cancelled => ("tag", "withdrawn"),
        State::BlockedByHold => ("tag warn", "blocked by a legal hold"),
    };
    view! { <span class=class>{text}</span> }
}

/// The due date; red words where it has passed.
fn due(request: &DataRequestView) -> impl IntoView + use<> {
    let day = day_of(&request.due_on);
    let late = request.overdue.then(|| view! { " " <span class="tag bad">"overdue"</span> });
    let later = request.extension_reason.is_some().then(|| view! { " " <span class="tag">"extended"</span> });
    view! { {day}{late}{later} }
}

/// `2026-01-31` as pages write days.
fn day_of(text: &str) -> String {
    Time::parse(&format!("{text}T00:00:00Z")).map_or_else(|| text.to_owned(), words::day)
}
