//! `/w/{id}/billing`: the balance, topping it up, and every movement of money.

use agentframer::domain::access::Permission;
use agentframer::engine::billing::LedgerRow;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{list_page, older};
use crate::actions::TopUp;
use crate::components::field::{Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::words;

/// Balance, form and ledger.
#[component]
pub fn Billing() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadBilling).await?;
        let (flash, id) = (ask.flash(), scope.workspace.id.to_string());
        let credits = ask.engine.credits(&scope).await?;
        let ledger = ask.engine.ledger(&scope, list_page(&ask)).await?;
        let may = scope.role.may(Permission::ChangeBilling);
        let audit = format!("/w/{id}/audit");
        let body = view! {
            <Said flash=flash.clone()/>
            <div class="card grid g3 figures">
                <dl class="stat"><dt>"Balance"</dt><dd>{credits.balance_usd.display()}</dd><p>"Calls are refused when it cannot pay them."</p></dl>
                <dl class="stat"><dt>"Reserved"</dt><dd>{credits.reserved_usd.display()}</dd><p>"set aside for calls that run"</p></dl>
                <dl class="stat"><dt>"Available"</dt><dd>{credits.available_usd.display()}</dd><p>"what the next call can use"</p></dl>
            </div>
            {may.then(|| view! {
                <section class="card">
                    <header><h2>"Top up"</h2></header>
                    <form method="post" action=TopUp::url() class="in stack narrow">
                        <input type="hidden" name="workspace" value=id.clone()/>
                        <Field name="amount_usd" label="Amount in US dollars" flash=flash.clone()/>
                        <Field name="reference" label="Reference" hint="An invoice or order number; it stays in the ledger." flash=flash/>
                        <div><button class="btn first">"Add to the balance"</button></div>
                    </form>
                </section>
            })}
            <section class="card scroll">
                <header><h2>"Ledger"</h2></header>
                <table class="opens">
                    <thead><tr><th>{words::time_head()}</th><th>"What"</th><th>"Who"</th><th>"Reference"</th><th class="num">"Amount"</th><th class="num">"Balance"</th></tr></thead>
                    <tbody>{ledger.items.into_iter().map(|row| line(row, &audit)).collect_view()}</tbody>
                </table>
                <footer class="row"><span>"Newest first"</span>{older(&ask, ledger.next_cursor).map(|href| view! { <a class="btn grow" rel="next" href=href>"Older"</a> })}</footer>
            </section>
        };
        Ok(workspace_page(&ask, &scope, "Billing", "Prepaid: the balance can never be overdrawn", (), body))
    })
}

fn line(row: LedgerRow, audit: &str) -> impl IntoView + use<> {
    view! {
        <tr>
            <td><a href=format!("{audit}/{}", row.request_id) title=row.ts.to_string()>{words::minute(row.ts)}</a></td>
            <td>{row.kind.replace('_', "-")}</td>
            <td>{row.actor}</td>
            <td>{words::or_dash(row.reference)}</td>
            <td class="num">{words::cost(row.amount_usd)}</td>
            <td class="num">{words::cost(row.balance_after_usd)}</td>
        </tr>
    }
}
