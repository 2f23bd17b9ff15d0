//! `/w/{id}/data-requests/{dr}`: one request, from filing to its certificate.

use agentframer::domain::access::{Permission, Role};
use agentframer::domain::data_requests::{Kind, State};
use agentframer::domain::time::Time;
use agentframer::engine::access::members::Member;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::data::data_requests::{DataRequestView, Progress};
use agentframer::engine::data::holds::HoldView;
use agentframer::engine::error::Error;
use leptos::prelude::*;

use super::decide::{Reader, decide};
use super::{day_of, due, kind_word, state_tag};
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::components::when::When;
use crate::words;

/// Its state, what it is about, what blocks it, and what can be done.
#[component]
pub fn DataRequestPage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::FileDataRequests).await?;
        let id = ask.segment(3).parse().map_err(|_| Error::NotFound)?;
        let request = ask.engine.data_request(&scope, &id).await?;
        let (flash, members) = (ask.flash(), ask.engine.members(&scope).await?);
        let holds = if scope.role.may(Permission::ReadSettings) {
            ask.engine.holds(&scope).await?
        } else {
            Vec::new()
        };
        let title = format!("{} for {}", kind_word(request.kind), request.requested_by);
        let admins = members.iter().filter(|member| member.role == Role::Admin).count();
        let may_approve = ask.engine.may_approve_data_request(&scope, &id).await?;
        let is_filer = request.filed_by == scope.actor;
        let reader = Reader { scope: scope.clone(), is_filer, may_approve, admins };
        let body = view! {
            <Said flash=flash.clone()/>
            {blocks(&request, holds).into_any()}
            {result(&scope, &request).into_any()}
            <div class="grid g2">{facts(&request, &members).into_any()} {about(&request).into_any()}</div>
            {decide(&reader, &request, flash).into_any()}
        };
        let line = view! { "Request " <code>{request.id.to_string()}</code> };
        Ok(workspace_page(&ask, &scope, &title, line, (), body))
    })
}

fn facts(request: &DataRequestView, members: &[Member]) -> impl IntoView + use<> {
    let fact = |name: &'static str, value: Option<String>| {
        value.map(|value| view! { <div><dt>{name}</dt><dd>{value}</dd></div> })
    };
    let moment = |name: &'static str, at: Option<Time>| {
        at.map(|at| view! { <div><dt>{name}</dt><dd><When at=at/></dd></div> })
    };
    let by = |name: &'static str, who: Option<&String>, at: Option<Time>| {
        let (who, at) = (words::name_of(who?, members), at?);
        Some(view! { <div><dt>{name}</dt><dd>{who}", "<When at=at/></dd></div> })
    };
    let decided = if request.state == State::Rejected { "Rejected by" } else { "Approved by" };
    let reason = if request.state == State::Rejected { "Reason" } else { "Identity" };
    let eyes = request.decided_at.filter(|_| request.state != State::Rejected).map(|_| {
        if request.four_eyes { "two people stood behind it" } else { "one person filed and approved it" }
            .to_owned()
    });
    view! {
        <section class="card">
            <header><h2>"Where it stands"</h2>{state_tag(request.state)}</header>
            <dl class="in facts">
                <div><dt>"Due"</dt><dd>{due(request)}</dd></div>
                {fact("Why later", request.extension_reason.clone())}
                {fact("Received", Some(day_of(&request.received_on)))}
                {by("Filed by", Some(&request.filed_by), Some(request.filed_at))}
                {by(decided, request.decided_by.as_ref(), request.decided_at)}
                {fact(reason, request.decision.clone())}
                {fact("Four eyes", eyes)}
                {moment("Began", request.started_at)}
                {moment("Ended", request.ended_at)}
                {fact("Note", request.note.clone())}
            </dl>
            {request.progress.clone().map(|progress| how_far(request.state, progress))}
        </section>
    }
}

fn how_far(state: State, progress: Progress) -> impl IntoView {
    let text = format!("{} of {} calls done", progress.done, progress.total);
    let held = (progress.held > 0).then(|| format!(", {} kept by a legal hold", progress.held));
    let bar = (state == State::Running).then(|| {
        view! { <progress max=progress.total.to_string() value=progress.done.to_string() aria-label="Calls done"></progress> }
    });
    let waits = progress.waiting_for.map(|fault| {
        view! { <p class="note"><span class="tag warn">"waits"</span>{fault}</p> }
    });
    view! { <div class="in stack"><p>{text}{held}</p>{bar}{waits}</div> }
}

fn about(request: &DataRequestView) -> impl IntoView + use<> {
    let text = |field: &str| request.criteria[field].as_str().map(str::to_owned);
    let ids = request.criteria["request_ids"].as_array().map(|ids| match ids.as_slice() {
        [one] => one.as_str().unwrap_or_default().to_owned(),
        ids => words::count(ids.len(), "call"),
    });
    let lines = [
        (
            "Subject",
            request.subject.clone().or_else(|| text("subject").map(|_| "erased here; its hash stays".into())),
        ),
        ("User or agent", text("user_id")),
        ("Request", ids),
        ("Prompt’s hash", text("prompt_hash")),
    ];
    let time =
        |field| text(field).and_then(|at| Time::parse(&at)).map(|at| view! { <When at=at/> }.into_any());
    let lines = lines.into_iter().map(|(name, value)| (name, value.map(IntoAny::into_any)));
    let lines = lines
        .chain([("From", time("from")), ("Before", time("to"))])
        .filter_map(|(name, value)| value.map(|value| view! { <div><dt>{name}</dt><dd>{value}</dd></div> }));
    let found = &request.matches;
    view! {
        <section class="card">
            <header><h2>"What it is about"</h2></header>
            <dl class="in facts">
                {lines.collect_view()}
                <div><dt>"When filed"</dt><dd>{words::matches(found)}</dd></div>
            </dl>
            <footer>{match request.kind {
                Kind::Erasure => "Log and ledger rows stay, without content.",
                Kind::Access => "The archive holds prompts, media and the rows about them.",
            }}</footer>
        </section>
    }
}

/// A hold that keeps what the request is about, shown as such.
fn blocks(request: &DataRequestView, holds: Vec<HoldView>) -> impl IntoView + use<> {
    if !matches!(request.state, State::BlockedByHold | State::Partial) {
        return ().into_any();
    }
    let line = |hold: HoldView| {
        let what = match hold.kind {
            "workspace" => "the whole workspace".to_owned(),
            kind => format!("{kind} {}", words::or_dash(hold.target)),
        };
        view! { <li><b>{what}</b>{format!(": {}, since {}", hold.reason, words::day(hold.placed_at))}</li> }
    };
    let active = holds.into_iter().filter(|hold| hold.lifted_at.is_none()).map(line).collect_view();
    let text = if request.state == State::Partial {
        "A legal hold keeps a part of what was asked for. The certificate lists it. When the hold is lifted, run the request once more."
    } else {
        "A legal hold keeps everything that this is about: nothing was deleted. When the hold is lifted, run the request once more."
    };
    view! { <div class="note"><span class="tag warn">"legal hold"</span><div><p>{text}</p><ul>{active}</ul></div></div> }.into_any()
}

fn result(scope: &Scope, request: &DataRequestView) -> impl IntoView + use<> {
    let own = format!("/w/{}/data-requests/{}", scope.workspace.id, request.id);
    let certificate = request.has_certificate.then(|| {
        view! { <a class="btn first" href=format!("{own}/certificate")>"Certificate"</a> }
    });
    let archive = request.archive_url.clone().map(|href| {
        view! { <a class="btn" href=href>"Download the archive"</a><span class="muted">"the link works until "<When at=request.archive_until/></span> }
    });
    (certificate.is_some() || archive.is_some())
        .then(|| view! { <div class="row wrap">{certificate}{archive}</div> })
}
