//! Where a page stands: workspace, place, and what is open in it.

use agentframer::engine::access::scope::Scope;
use leptos::prelude::*;

use super::nav::title_of;
use crate::ask::Ask;

/// Links to what is above the page called `title`; nothing on the workspace's first page.
pub fn crumbs(ask: &Ask, scope: &Scope, title: &str) -> Option<impl IntoView + use<>> {
    let place = Some(ask.segment(2)).filter(|place| !place.is_empty())?;
    let base = format!("/w/{}", scope.workspace.id);
    let above = title_of(place).filter(|_| !ask.segment(3).is_empty());
    let above = above.map(|name| (name, format!("{base}/{place}")));
    Some(view! {
        <nav class="crumbs" aria-label="Breadcrumbs">
            <ol>
                <li><a href=base>{scope.workspace.name.clone()}</a></li>
                {above.map(|(name, href)| view! { <li><a href=href>{name}</a></li> })}
                <li aria-current="page">{title.to_owned()}</li>
            </ol>
        </nav>
    })
}
