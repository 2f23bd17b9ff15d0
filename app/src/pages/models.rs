//! `/w/{id}/models`: the model library.

use agentframer::domain::access::Permission;
use agentframer::domain::catalog::Model;
use agentframer::domain::region::Region;
use leptos::prelude::*;

use crate::components::frame::{page, workspace_page};
use crate::words;

/// Each model with its price, where it infers, its licence and its end.
#[component]
pub fn Models() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadWorkspace).await?;
        let rows = ask.engine.models();
        let rows = rows
            .into_iter()
            .map(|(model, is_ready)| line(model, is_ready, scope.workspace.region))
            .collect_view();
        let body = view! {
            <div class="card scroll">
                <table>
                    <thead><tr><th>"Model"</th><th>"Kind"</th><th>"Provider"</th><th>"Inference"</th><th>"Licence"</th><th>"Closes"</th><th class="num">"Price"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <p class="muted">"The workspace owns what its agents make, within the model’s licence."</p>
        };
        Ok(workspace_page(&ask, &scope, "Models", "What agents can call, and what it costs", (), body))
    })
}

fn line(model: &Model, is_ready: bool, region: Region) -> impl IntoView + use<> {
    let stays = model.stays_in(region);
    let (class, inference) = if stays {
        ("tag good", format!("stays in {region}"))
    } else {
        ("tag", "may leave the region".into())
    };
    let price = format!("{} / {}", words::cost(model.price), model.unit.as_str());
    view! {
        <tr>
            <td><b class="mono">{model.id.clone()}</b>" "<span class="muted">{model.title.clone()}</span>
                {model.sketch.then(|| view! { " " <span class="tag brand">"sketches, for trying out"</span> })}</td>
            <td>{model.kind.as_str()}</td>
            <td>{model.provider.clone()} {(!is_ready).then(|| view! { " " <span class="tag warn">"no key here"</span> })}</td>
            <td><span class=class>{inference}</span></td>
            <td>{licence(model)}</td>
            <td>{words::or_dash(model.shutdown_on.map(|day| day.to_string()))}</td>
            <td class="num">{price}</td>
        </tr>
    }
}

/// A link only where it is one: the catalogue is the operator's text.
fn licence(model: &Model) -> AnyView {
    let name = model.licence.name.clone();
    match model.licence.url.clone() {
        url if url.starts_with("https://") => {
            view! { <a class="link" rel="noopener" href=url>{name}</a> }.into_any()
        }
        _ => name.into_any(),
    }
}
