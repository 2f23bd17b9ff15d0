//! The loop breaker: an agent that repeats what fails, or spends far more than usual, is paused before the money is gone
//! (the brief's $4,000 story).

use serde_json::json;

use crate::domain::alerts::{Alert, cap_reached, exhausted, paused};
use crate::domain::ids::AgentId;
use crate::domain::money::Usd;
use crate::domain::time::{DAY, MINUTE, Time};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::calls::agents::AgentState;
use crate::engine::calls::gateway::{Call, CallError};
use crate::engine::error::{Error, Result};
use crate::engine::store::{agents, alerts};

/// The typical hour is the mean over hours with spend in this time …
const LOOK_BACK: i64 = 28 * DAY;
/// … of which there must be so many, or nothing is typical yet.
const LEAST_HOURS: i64 = 24;
/// Nobody is stopped for less than this an hour.
const LEAST_SPEND: Usd = Usd::dollars(1);

impl Engine {
    /// Follows a refusal or failure: tells of an empty balance or a reached cap, and pauses an agent that goes round in
    /// circles. What goes wrong here is logged; the call was answered.
    pub(in crate::engine) async fn follow_up(
        &self,
        call: &Call,
        error: &CallError,
        prompt_hash: Option<&str>,
    ) {
        let done = async {
            self.tell_of_refusal(call, error).await?;
            self.break_loop(call, error, prompt_hash).await
        };
        if let Err(fault) = done.await {
            tracing::error!(error = %fault, request_id = %call.request_id, "a refusal was not followed up");
        }
    }

    async fn tell_of_refusal(&self, call: &Call, error: &CallError) -> Result<()> {
        let Some(scope) = self.system_in(&call.caller.workspace().id).await? else { return Ok(()) };
        let node = self.cell(&scope.workspace)?;
        let alert = match error.code {
            "insufficient_credits" => {
                let funding = alerts::funding(&node.db, &scope.workspace.id).await?.to_string();
                let account = self.account(&scope.workspace).await?;
                let balance = account.available.saturating_add(account.reserved);
                exhausted(balance, self.cheapest_call(&account), &funding)
            }
            "cap_exceeded" => reached_cap(call, error, self.0.clock.now()),
            _ => None,
        };
        let Some(alert) = alert else { return Ok(()) };
        if !alerts::fired(&node.db, &scope.workspace.id).await?.contains(&alert.key) {
            self.fire(&scope, &alert).await?;
        }
        Ok(())
    }

    /// A loop is the same prompt again and again, whatever the refusals say; wrong arguments never cost anything.
    async fn break_loop(&self, call: &Call, error: &CallError, prompt_hash: Option<&str>) -> Result<()> {
        let counts = !alerts::NO_LOOP.contains(&error.code);
        let Some(prompt) = prompt_hash.filter(|_| counts) else { return Ok(()) };
        let (workspace, known) = (call.caller.workspace(), call.caller.known());
        let db = &self.cell(workspace)?.db;
        let limits = alerts::settings(db, &workspace.id).await?.0.runaway;
        if limits.repeats == 0 {
            return Ok(());
        }
        let since = self.0.clock.now().plus(-i64::from(limits.minutes) * MINUTE);
        let what = [call.caller.name(), call.tool.as_str(), prompt];
        if alerts::repeats(db, &workspace.id, what, since).await? < i64::from(limits.repeats) {
            return Ok(());
        }
        let reason = format!(
            "{} was refused or failed {} times within {} minutes with the same prompt",
            call.tool, limits.repeats, limits.minutes
        );
        self.pause_runaway(&call.scope(), &known.agent.id, &reason).await
    }

    /// Pauses agents whose spend this hour is a multiple of their typical hour.
    pub(super) async fn stop_spenders(&self, scope: &Scope) -> Result<()> {
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let times = i64::from(alerts::settings(db, id).await?.0.runaway.times_typical);
        if times == 0 {
            return Ok(());
        }
        for (name, spent, before, hours) in alerts::hours(db, id, now.plus(-LOOK_BACK), now.hour()).await? {
            let typical = before.checked_div(hours).unwrap_or_default();
            let is_much =
                |spent| hours >= LEAST_HOURS && spent >= LEAST_SPEND.micros() && spent > times * typical;
            if !is_much(spent) {
                continue;
            }
            let agents = agents::list(db, id).await?;
            let Some(agent) = agents.into_iter().find(|agent| agent.name == name) else { continue };
            let spent = match agent.resumed_at >= now.hour() {
                true => alerts::spent_since(db, id, &name, agent.resumed_at).await?,
                false => spent,
            };
            if is_much(spent) {
                let (spent, typical) = (Usd::from_micros(spent), Usd::from_micros(typical));
                let reason = format!(
                    "it spent {} this hour, more than {times} times its typical hour of {}",
                    spent.display(),
                    typical.display()
                );
                self.pause_runaway(scope, &agent.id, &reason).await?;
            }
        }
        Ok(())
    }

    async fn pause_runaway(&self, scope: &Scope, id: &AgentId, reason: &str) -> Result<()> {
        let Some(scope) = self.system_in(&scope.workspace.id).await? else { return Ok(()) };
        let db = &self.cell(&scope.workspace)?.db;
        let agent = agents::get(db, &scope.workspace.id, id).await?;
        let Some(agent) = agent.filter(|agent| agent.state == AgentState::Active) else { return Ok(()) };
        let why = format!("paused by the loop breaker: {reason}");
        let alert = paused(&agent.name, id, &why, &scope.origin.request_id);
        let changes = vec![
            agents::pause_active(&scope.workspace.id, id, &why),
            alerts::fire(&scope.workspace.id, &alert, self.0.clock.now()),
        ];
        let data =
            json!({ "agent_id": id, "name": agent.name, "from": "active", "to": "paused", "reason": why });
        let act = self.act(&scope, "agent.paused", data, changes).await?;
        match self.submit_act(&scope, act).await {
            // Another call was faster.
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Which cap a refusal names, whose, and in which period.
fn reached_cap(call: &Call, error: &CallError, now: Time) -> Option<Alert> {
    let cap = error.details.get("cap")?.as_str()?;
    let limit: Usd = serde_json::from_value(error.details.get("limit_usd")?.clone()).ok()?;
    // A cap per call has no period: each call is told of it by its answer.
    error.details.get("resets_at")?.as_str()?;
    let period = if cap.ends_with("day") { now.day_key() } else { now.month_key() };
    let whose = if cap.starts_with("agent") { call.caller.name() } else { "" };
    Some(cap_reached(cap, whose, limit, &period))
}
