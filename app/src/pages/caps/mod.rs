//! `/w/{id}/caps`: what may be spent, and where the month stands against it.

mod alerts;
mod limits;

use agentframer::domain::access::Permission;
use agentframer::domain::money::Usd;
use agentframer::domain::settings::Caps;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::SetCaps;
use crate::components::fact::fact;
use crate::components::field::{Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::flash::Flash;

/// The caps in plain sentences, and the form that changes them.
#[component]
pub fn CapsPage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadBilling).await?;
        let (flash, caps) = (ask.flash(), ask.engine.caps(&scope).await?);
        let credits = ask.engine.credits(&scope).await?;
        let alerts = ask.engine.alerts(&scope).await?;
        let may = scope.role.may(Permission::ChangeBilling);
        let values = Values::of(&caps);
        let limits = ask.engine.limits(&scope, &credits, &alerts.settings.further_thresholds).await?;
        let body = view! {
            <Said flash=flash.clone()/>
            <section class="card">
                <header><h2>"The hard limit"</h2></header>
                <p class="in">{format!("Calls are refused when the balance cannot pay them. {} is available now.", credits.available_usd.display())}</p>
                {limits::limits(scope.workspace.id.as_str(), &limits)}
            </section>
            {if may { form(scope.workspace.id.to_string(), values, flash.clone()).into_any() } else { facts(&caps).into_any() }}
            {alerts::section(scope.workspace.id.to_string(), alerts, scope.role.may(Permission::ChangeWebhooks), flash).into_any()}
        };
        Ok(workspace_page(
            &ask,
            &scope,
            "Caps and alerts",
            "Limits on top of the balance, in UTC days and months",
            (),
            body,
        ))
    })
}

/// What the form shows.
struct Values {
    workspace_month: String,
    call: String,
    floor: String,
    preflight: String,
    preflight_required: bool,
    soft_alert_pct: String,
}

impl Values {
    fn of(caps: &Caps) -> Self {
        let amount = |usd: Option<Usd>| usd.map(|usd| usd.to_string()).unwrap_or_default();
        Self {
            workspace_month: amount(caps.workspace_month_usd),
            call: amount(caps.call_usd),
            floor: amount(caps.floor_usd),
            preflight: caps.preflight_usd.to_string(),
            preflight_required: caps.preflight_required,
            soft_alert_pct: caps.soft_alert_pct.to_string(),
        }
    }
}

/// The same for who may not change them.
fn facts(caps: &Caps) -> impl IntoView + use<> {
    let amount = |usd: Option<Usd>| usd.map_or_else(|| "none".to_owned(), Usd::display);
    let demanded = if caps.preflight_required { "demanded" } else { "not demanded" };
    view! {
        <section class="card">
            <header><h2>"Limits"</h2></header>
            <dl class="in facts">
                {fact("Workspace, per month", amount(caps.workspace_month_usd))}
                {fact("A single call", amount(caps.call_usd))}
                {fact("Floor of the balance", amount(caps.floor_usd))}
                {fact("Soft alert", format!("at {} % of a typical month", caps.soft_alert_pct))}
                {fact("Preflight", format!("above {}, {demanded}", caps.preflight_usd.display()))}
            </dl>
        </section>
    }
}

fn form(workspace: String, values: Values, flash: Flash) -> impl IntoView {
    let checked =
        flash.kept.get("preflight_required").map_or(values.preflight_required, |typed| typed == "true");
    view! {
        <section class="card">
            <header><h2>"Limits"</h2></header>
            <form method="post" action=SetCaps::url() class="in stack narrow">
                <input type="hidden" name="workspace" value=workspace/>
                <Field name="workspace_month_usd" label="Workspace, per month (US dollars)" value=values.workspace_month required=false hint="Empty: no cap. Calls beyond it are refused until the next month." flash=flash.clone()/>
                <Field name="call_usd" label="A single call (US dollars)" value=values.call required=false hint="Empty: no cap." flash=flash.clone()/>
                <Field name="floor_usd" label="Floor of the balance (US dollars)" value=values.floor required=false hint="Below it, agents are told to stop. Empty: no floor." flash=flash.clone()/>
                <Field name="soft_alert_pct" label="Soft alert, per cent of a typical month" kind="number" value=values.soft_alert_pct flash=flash.clone()/>
                <Field name="preflight_usd" label="Preflight above (US dollars)" value=values.preflight hint="A dearer call needs a look at the balance within the 10 minutes before it." flash=flash/>
                <label class="choice"><input type="checkbox" name="preflight_required" value="true" checked=checked/><span>"Demand the preflight"</span></label>
                <div><button class="btn first">"Save"</button></div>
            </form>
        </section>
    }
}
