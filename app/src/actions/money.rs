//! The balance and its limits.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::settings::CapsChange;
use leptos::prelude::server;

use super::{Answer, Next, amount, answer, here};
use crate::flash::Flash;
use crate::words;

/// Adds money to the balance; the same once more within a day only with `again`.
#[server(endpoint = "top_up")]
pub async fn top_up(
    workspace: String,
    amount_usd: String,
    reference: String,
    again: Option<String>,
) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeBilling).await?;
        let amount =
            amount("amount_usd", &amount_usd)?.ok_or_else(|| FieldError::new("amount_usd", "is missing"))?;
        if again.is_none()
            && let Some(done) = ask.engine.same_top_up(&scope, amount, &reference).await?
        {
            let at = words::moment(done.ts);
            let text =
                format!("was made on {at} already. Nothing was added now; tick the box to add it once more");
            return Err(FieldError::new("again", text).into());
        }
        let made = ask.engine.top_up(&scope, amount, &reference).await?;
        let text = format!("{} added. The balance is {} now.", amount.display(), made.balance_usd.display());
        Ok(Next::saying(format!("/w/{workspace}/billing"), Flash::done(text)))
    };
    answer(&ask, done.await, &[("amount_usd", &amount_usd), ("reference", &reference)])
}

/// Changes the workspace's caps; an empty amount takes a cap away.
#[server(endpoint = "set_caps")]
pub async fn set_caps(
    workspace: String,
    workspace_month_usd: String,
    call_usd: String,
    floor_usd: String,
    soft_alert_pct: String,
    preflight_usd: String,
    preflight_required: Option<String>,
) -> Answer {
    let ask = here()?;
    let required = if preflight_required.is_some() { "true" } else { "false" };
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeBilling).await?;
        let percent = soft_alert_pct.trim().parse();
        let percent =
            percent.map_err(|_| FieldError::new("soft_alert_pct", "is not a percentage from 1 to 100"))?;
        let change = CapsChange {
            workspace_month_usd: Some(amount("workspace_month_usd", &workspace_month_usd)?),
            call_usd: Some(amount("call_usd", &call_usd)?),
            floor_usd: Some(amount("floor_usd", &floor_usd)?),
            preflight_usd: Some(amount("preflight_usd", &preflight_usd)?),
            preflight_required: Some(Some(required == "true")),
            soft_alert_pct: Some(Some(percent)),
        };
        ask.engine.set_caps(&scope, &change).await?;
        let text = "Saved. The limits hold from the next call on.";
        Ok(Next::saying(format!("/w/{workspace}/caps"), Flash::done(text)))
    };
    let kept = [
        ("workspace_month_usd", &*workspace_month_usd),
        ("call_usd", &*call_usd),
        ("floor_usd", &*floor_usd),
        ("soft_alert_pct", &*soft_alert_pct),
        ("preflight_usd", &*preflight_usd),
        ("preflight_required", required),
    ];
    answer(&ask, done.await, &kept)
}
