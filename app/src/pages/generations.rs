//! `/w/{id}/generations`: what was made.

use agentframer::domain::access::Permission;
use agentframer::engine::reading::{GenerationFilter, GenerationView};
use leptos::prelude::*;

use super::{list_page, older};
use crate::components::frame::{page, workspace_page};
use crate::words;

/// A gallery, newest first.
#[component]
pub fn Generations() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadActivity).await?;
        let made = ask.engine.generations(&scope, &GenerationFilter::default(), list_page(&ask)).await?;
        let audit = format!("/w/{}/audit", scope.workspace.id);
        let is_empty = made.items.is_empty();
        let body = view! {
            {is_empty.then(|| view! { <p class="card empty">"Nothing yet. What agents make with generate_image and generate_video appears here."</p> })}
            <ul class="gallery">{made.items.into_iter().map(|one| tile(one, &audit)).collect_view()}</ul>
            {older(&ask, made.next_cursor).map(|href| view! { <div class="row"><a class="btn grow" rel="next" href=href>"Older"</a></div> })}
        };
        let line = "Each picture and video until its retention ends";
        Ok(workspace_page(&ask, &scope, "Generations", line, (), body))
    })
}

fn tile(made: GenerationView, audit: &str) -> impl IntoView + use<> {
    let kind = if made.duration_s.is_some() { "video" } else { "image" };
    let text = format!("{kind} by {}, {} × {}", made.user_id, made.width, made.height);
    let size = match made.duration_s {
        Some(seconds) => format!("{} × {} · {seconds} s", made.width, made.height),
        None if made.count > 1 => format!("{} × {} · {} files", made.width, made.height, made.count),
        None => format!("{} × {}", made.width, made.height),
    };
    let picture = match (made.thumbnail_url, made.result_urls.first().cloned()) {
        (Some(small), Some(full)) => {
            view! { <a href=full><img src=small alt=text loading="lazy"/></a> }.into_any()
        }
        _ => view! { <span class="gone">"deleted"</span> }.into_any(),
    };
    view! {
        <li class="card tile">
            {picture}
            <div>
                <p class="row"><b>{made.model}</b><span class="grow num">{made.cost_usd.display()}</span></p>
                <p class="muted">{size}</p>
                <p class="muted">{made.user_id}</p>
                <p><a class="link" href=format!("{audit}/{}", made.request_id)>{words::moment(made.ts)}</a></p>
            </div>
        </li>
    }
}
