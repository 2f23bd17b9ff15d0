//! `/`: every workspace that the reader belongs to.

use agentframer::domain::money::Usd;
use agentframer::engine::workspaces::WorkspaceRow;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use crate::actions::CreateWorkspace;
use crate::components::field::{Field, RegionChoice, Said};
use crate::components::frame::{foot, page};

/// The workspaces with their figures, the totals, and a form for a new one.
#[component]
pub fn Home() -> impl IntoView {
    page(|ask| async move {
        let flash = ask.flash();
        let rows = ask.engine.workspaces_of(ask.user()?).await?;
        let is_open = rows.is_empty() || flash.problem.is_some();
        let colours = foot(&ask);
        Ok(view! {
            <Title text="Workspaces"/>
            <main class="page wide" id="page">
                <div class="head"><div><h1>"Workspaces"</h1><p class="muted">"This month, in UTC"</p></div>{colours}</div>
                <div class="stack">
                    <Said flash=flash.clone()/>
                    {table(rows)}
                    <details class="card" open=is_open>
                        <summary class="in"><b>"New workspace"</b></summary>
                        <form method="post" action=CreateWorkspace::url() class="in stack narrow">
                            <Field name="workspace_name" label="Name" flash=flash.clone()/>
                            <RegionChoice flash=flash/>
                            <button class="btn first">"Create workspace"</button>
                        </form>
                    </details>
                </div>
            </main>
        }
        .into_any())
    })
}

fn table(rows: Vec<WorkspaceRow>) -> AnyView {
    if rows.is_empty() {
        return view! { <p class="card empty">"You belong to no workspace yet. Create one, or ask an Admin to invite you."</p> }.into_any();
    }
    let (balance, spent): (Usd, Usd) =
        (rows.iter().map(|row| row.balance).sum(), rows.iter().map(|row| row.month_to_date).sum());
    let calls: i64 = rows.iter().map(|row| row.calls_this_month).sum();
    view! {
        <div class="card scroll">
            <table class="opens">
                <thead><tr><th>"Workspace"</th><th>"Region"</th><th>"Your role"</th><th class="num">"Agents"</th><th class="num">"Calls"</th><th class="num">"Spent"</th><th class="num">"Balance"</th></tr></thead>
                <tbody>{rows.into_iter().map(line).collect_view()}</tbody>
                <tfoot><tr><th scope="row" colspan="4">"Total"</th><td class="num">{calls}</td><td class="num">{spent.display()}</td><td class="num">{balance.display()}</td></tr></tfoot>
            </table>
        </div>
    }
    .into_any()
}

fn line(row: WorkspaceRow) -> impl IntoView {
    let reserved = row.reserved.is_positive().then(|| format!("{} reserved", row.reserved.display()));
    view! {
        <tr>
            <td><a href=format!("/w/{}", row.workspace.id)><b>{row.workspace.name}</b></a></td>
            <td>{row.workspace.region.as_str()}</td>
            <td>{row.role.title()}</td>
            <td class="num">{row.agents}</td>
            <td class="num">{row.calls_this_month}</td>
            <td class="num">{row.month_to_date.display()}</td>
            <td class="num" title=reserved>{row.balance.display()}</td>
        </tr>
    }
}
