//! What finance sets: the monthly allowance.

use agentframer::domain::access::Permission;
use leptos::prelude::server;

use super::{Answer, Next, amount, answer, here};
use crate::flash::Flash;

/// Sets the balance that each month begins with; an empty amount takes it away.
#[server(endpoint = "set_allowance")]
pub async fn set_allowance(workspace: String, allowance_usd: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeBilling).await?;
        let allowance = amount("allowance_usd", &allowance_usd)?;
        ask.engine.set_allowance(&scope, allowance).await?;
        let text = match allowance {
            Some(amount) => {
                format!(
                    "Saved. On the first of each month the balance is brought up to {}.",
                    amount.display()
                )
            }
            None => "Saved. There is no monthly allowance any more.".to_owned(),
        };
        Ok(Next::saying(format!("/w/{workspace}/billing"), Flash::done(text)))
    };
    answer(&ask, done.await, &[("allowance_usd", &allowance_usd)])
}
