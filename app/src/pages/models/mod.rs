//! `/w/{id}/models`: the model library, and what the workspace allows of it.

pub mod model;

use agentframer::domain::access::Permission;
use agentframer::domain::catalog::Model;
use agentframer::domain::region::Region;
use agentframer::engine::calls::models::WorkspaceModel;
use leptos::prelude::*;

use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::words;

/// Each model with its price, where it infers, its licence and its end.
#[component]
pub fn Models() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadWorkspace).await?;
        let models = ask.engine.workspace_models(&scope).await?;
        let base = format!("/w/{}", scope.workspace.id);
        let rows = models.into_iter().map(|known| line(known, &base)).collect_view();
        let body = view! {
            <Said flash=ask.flash()/>
            <div class="card scroll">
                <table class="opens">
                    <thead><tr><th>"Model"</th><th>"Kind"</th><th class="num">"Price"</th><th>"Here"</th><th>"Inference"</th><th>"Closes"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <p class="muted">"The workspace owns what its agents make, within the model’s licence."</p>
        };
        Ok(workspace_page(&ask, &scope, "Models", "What agents can call, and what it costs", (), body))
    })
}

/// Where a model's page is in the workspace at `base`. An id needs no escapes: the catalogue takes letters, digits and
/// -_./ only.
pub fn page_of(base: &str, model: &str) -> String {
    format!("{base}/models/{model}")
}

fn line(known: WorkspaceModel, base: &str) -> impl IntoView + use<> {
    let model = &known.model;
    let (class, inference) = residency(model);
    let (here_class, here) = state(&known);
    view! {
        <tr>
            <td class="wraps"><a href=page_of(base, &model.id)><b class="mono">{model.id.clone()}</b></a>
                {model.sketch.then(|| view! { " " <span class="tag brand">"sketches, for trying out"</span> })}
                <div class="muted">{format!("{} · {}", model.title, model.provider)}</div></td>
            <td>{model.kind.as_str()}</td>
            <td class="num">{price(model)}</td>
            <td><span class=here_class>{here}</span></td>
            <td><span class=class>{inference}</span></td>
            <td>{words::or_dash(model.shutdown_on.map(|day| day.to_string()))}</td>
        </tr>
    }
}

/// `$0.042 / image`.
fn price(model: &Model) -> String {
    format!("{} / {}", words::cost(model.price), model.unit.as_str())
}

/// The regions that its vendor promises to infer in; “EU only” where that is the only one.
fn residency(model: &Model) -> (&'static str, String) {
    let regions: Vec<&str> = model.residency.iter().map(|region| region.as_str()).collect();
    match model.residency.as_slice() {
        [] => ("tag", "anywhere".into()),
        [Region::EuWest1] => ("tag good", "EU only · eu-west-1".into()),
        _ => ("tag good", regions.join(" · ")),
    }
}

/// Whether agents of the workspace can use it, and if not, why.
fn state(known: &WorkspaceModel) -> (&'static str, &'static str) {
    match known {
        WorkspaceModel { is_closed: true, .. } => ("tag bad", "closed"),
        WorkspaceModel { is_allowed: false, .. } => ("tag bad", "forbidden"),
        WorkspaceModel { is_ready: false, .. } => ("tag warn", "provider not set up"),
        WorkspaceModel { must_stay: true, .. } => ("tag warn", "outside the region"),
        _ => ("tag good", "allowed"),
    }
}
