//! The starting checklist on the overview.

use agentframer::domain::access::Permission;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::views::checklist::Step;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{DismissChecklist, KeepRetention};

/// Each line with its state and the place that does it; an Admin can take it off.
pub fn checklist(steps: Vec<Step>, scope: &Scope) -> impl IntoView + use<> {
    let (id, may) = (scope.workspace.id.to_string(), scope.role.may(Permission::ChangeSettings));
    let done = steps.iter().filter(|step| step.is_done).count();
    let counted = format!("{done} of {}", steps.len());
    let lines = steps.into_iter().map(|step| line(step, &id, may)).collect_view();
    view! {
        <section class="card" aria-labelledby="checklist-title">
            <header>
                <h2 id="checklist-title">"Starting checklist"</h2><span class="muted">{counted}</span>
                {may.then(|| form(DismissChecklist::url(), &id, "Dismiss", "grow"))}
            </header>
            <ul class="check in">{lines}</ul>
        </section>
    }
}

fn form(
    action: &'static str,
    workspace: &str,
    label: &'static str,
    class: &'static str,
) -> impl IntoView + use<> {
    view! {
        <form method="post" action=action class=class>
            <input type="hidden" name="workspace" value=workspace.to_owned()/>
            <button class="quiet">{label}</button>
        </form>
    }
}

fn line(step: Step, workspace: &str, may: bool) -> impl IntoView + use<> {
    let (class, sign, state) = if step.is_done { ("o done", "✓", "done") } else { ("o", "", "open") };
    let keeps = may && step.place == "retention" && !step.is_done;
    let href = format!("/w/{workspace}/{}", step.place);
    view! {
        <li>
            <i class=class role="img" aria-label=state>{sign}</i>
            <span><a class:link=!step.is_done href=href>{step.text}</a></span>
            {keeps.then(|| form(KeepRetention::url(), workspace, "Keep it", "grow"))}
        </li>
    }
}
