//! The head of the navigation: which workspace this is, and the way to another.

use agentframer::domain::access::Role;
use agentframer::engine::store::workspaces::Workspace;
use leptos::prelude::*;

use crate::islands::FilteredLinks;
use crate::reader;

/// More workspaces than these get a filter.
const MANY: usize = 7;

/// The workspace with the reader's others behind it; a plain link where there is no other.
pub fn switcher(workspace: &Workspace, role: Role) -> AnyView {
    let others = reader::workspaces();
    let face = face(workspace, role);
    if others.len() < 2 {
        return view! { <a class="switch" href="/" title="All your workspaces">{face}</a> }.into_any();
    }
    let links: Vec<(String, String)> =
        others.iter().map(|(other, _)| (other.name.clone(), format!("/w/{}", other.id))).collect();
    let list = if links.len() > MANY {
        view! { <FilteredLinks links=links/> }.into_any()
    } else {
        let link = |(name, href): (String, String)| view! { <li><a href=href>{name}</a></li> };
        view! { <ul>{links.into_iter().map(link).collect_view()}</ul> }.into_any()
    };
    view! {
        <details class="switcher">
            <summary class="switch">{face}</summary>
            <div class="others card">{list}<a class="link all" href="/">"All workspaces"</a></div>
        </details>
    }
    .into_any()
}

fn face(workspace: &Workspace, role: Role) -> impl IntoView + use<> {
    let initials: String = workspace.name.chars().filter(|c| c.is_alphanumeric()).take(2).collect();
    view! {
        <span class="dot" aria-hidden="true">{initials.to_uppercase()}</span>
        <span><b>{workspace.name.clone()}</b><small>{format!("{} · {}", workspace.region, role.title())}</small></span>
    }
}
