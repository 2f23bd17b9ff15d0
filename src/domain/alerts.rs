//! When to tell people about money and tokens: pure, so that months pass in a test (brief, “Soft alert at 75%”).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::field::{self, FieldError};
use super::ids::{AgentId, RequestId, WebhookId};
use super::money::Usd;
use super::time::{DAY, Time};

/// Days before a token's due date on which people are told, and its due date.
const ROTATION_DAYS: [i64; 3] = [14, 3, 0];
/// The digest's kind: told by the same ways as an alert, and none.
pub const DIGEST: &str = "digest";

/// What an Admin sets about alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertSettings {
    /// Per cents of the typical month besides the soft alert's, such as 90 and 100.
    pub further_thresholds: Vec<u32>,
    /// Addresses; the Admins, where empty.
    pub recipients: Vec<String>,
    /// When an agent is taken for a runaway.
    pub runaway: Runaway,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self { further_thresholds: vec![100], recipients: Vec::new(), runaway: Runaway::default() }
    }
}

/// The loop breaker's limits; 0 turns one off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runaway {
    /// Refused or failed calls of one tool and prompt …
    pub repeats: u32,
    /// … within so many minutes.
    pub minutes: u32,
    /// Spend of an hour as a multiple of the agent's typical hour.
    pub times_typical: u32,
}

impl Default for Runaway {
    fn default() -> Self {
        Self { repeats: 5, minutes: 10, times_typical: 5 }
    }
}

impl AlertSettings {
    /// These settings, tidied.
    ///
    /// # Errors
    /// Names the field.
    pub fn checked(mut self) -> Result<Self, FieldError> {
        if self.further_thresholds.iter().any(|pct| !(1..=1_000).contains(pct)) {
            return Err(FieldError::new("further_thresholds", "has a percentage outside 1 to 1000"));
        }
        self.further_thresholds.sort_unstable();
        self.further_thresholds.dedup();
        if self.further_thresholds.len() > 10 {
            return Err(FieldError::new("further_thresholds", "has more than 10 percentages"));
        }
        if self.recipients.len() > 20 {
            return Err(FieldError::new("recipients", "has more than 20 addresses"));
        }
        for recipient in &mut self.recipients {
            *recipient = field::email("recipients", recipient)?;
        }
        let Runaway { repeats, minutes, times_typical } = self.runaway;
        if repeats == 1 || repeats > 1_000 {
            return Err(FieldError::new("repeats", "is not 0 (off) or a number from 2 to 1000"));
        }
        if !(1..=60).contains(&minutes) {
            return Err(FieldError::new("minutes", "is not a number from 1 to 60"));
        }
        if times_typical == 1 || times_typical > 1_000 {
            return Err(FieldError::new("times_typical", "is not 0 (off) or a number from 2 to 1000"));
        }
        Ok(self)
    }
}

/// How a workspace stands.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Now.
    pub now: Time,
    /// Spent this UTC month.
    pub month_to_date: Usd,
    /// See contract §2, `typical_month_usd`.
    pub typical_month: Option<Usd>,
    /// What a call can still reserve.
    pub available: Usd,
    /// That and what is reserved, which may come back.
    pub balance: Usd,
    /// What the cheapest call costs.
    pub cheapest: Usd,
    /// Below it people are told.
    pub floor: Option<Usd>,
    /// Mean spend a day.
    pub per_day: Usd,
    /// The soft alert's per cent and the further ones.
    pub thresholds: Vec<u32>,
    /// The workspace's cap a month and what is used of it.
    pub month_cap: Option<(Usd, Usd)>,
    /// Names what ends with the next top-up.
    pub funding: String,
    /// Each working token: agent, token and due date.
    pub tokens: Vec<(String, String, Time)>,
}

/// Something to tell, once for its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// What, about whom and in which period: told once.
    pub key: String,
    /// The event in the log and the webhooks.
    pub event: &'static str,
    /// One sentence.
    pub text: String,
    /// The event's `data`.
    pub data: Value,
}

impl Alert {
    /// An alert whose `data` holds its kind and sentence too.
    pub fn new(event: &'static str, kind: &str, period: &str, text: String, mut data: Value) -> Self {
        if let Some(fields) = data.as_object_mut() {
            fields.insert("alert".into(), kind.into());
            fields.insert("message".into(), text.clone().into());
        }
        Self { key: format!("{kind}/{period}"), event, text, data }
    }
}

/// The balance, with what is reserved of it, pays not even the cheapest call: told once until the next top-up.
pub fn exhausted(balance: Usd, cheapest: Usd, funding: &str) -> Option<Alert> {
    if balance.is_positive() && balance >= cheapest {
        return None;
    }
    let text = format!(
        "The balance is used up: {} is left. Paid calls are refused until somebody tops up.",
        balance.display()
    );
    let data = json!({ "available_usd": balance });
    Some(Alert::new("balance.exhausted", "balance_exhausted", funding, text, data))
}

/// An agent was paused: told each time.
pub fn paused(agent: &str, id: &AgentId, why: &str, request: &RequestId) -> Alert {
    let text = format!(
        "{agent} was {why}. Its calls are refused until somebody resumes it on its page. Nothing was charged for refused calls."
    );
    Alert { key: format!("agent_paused/{id}/{request}"), event: "agent.paused", text, data: Value::Null }
}

/// A webhook fails (told once since `period`, when it began to) or was stopped.
pub fn webhook(state: &str, id: &WebhookId, period: &str, text: String) -> Alert {
    let event = match state {
        "failing" => "webhook.failing",
        "paused" => "webhook.paused",
        _ => "webhook.disabled",
    };
    Alert { key: format!("webhook_{state}/{id}/{period}"), event, text, data: Value::Null }
}

/// What a month came to, for Viewers.
pub fn digest(month: &str, text: String) -> Alert {
    Alert { key: format!("{DIGEST}/{month}"), event: DIGEST, text, data: Value::Null }
}

/// A cap is reached: told once in its period, and again where it was raised and is reached again.
pub fn cap_reached(cap: &str, whose: &str, limit: Usd, period: &str) -> Alert {
    let how_long = if cap.ends_with("day") { "daily" } else { "monthly" };
    let who = if whose.is_empty() { "the workspace" } else { whose };
    let text =
        format!("The {how_long} cap of {who}, {}, is reached. Calls beyond it are refused.", limit.display());
    let data = json!({ "cap": cap, "agent": whose, "limit_usd": limit });
    let period = format!("{period}/{}", limit.micros());
    Alert::new("budget.alert", &format!("cap_reached/{cap}/{whose}"), &period, text, data)
}

/// Everything that is to be told now; what was told before has the same key.
pub fn due(facts: &Facts) -> Vec<Alert> {
    let mut alerts = thresholds(facts);
    alerts.extend(forecast(facts));
    alerts.extend(balance(facts));
    alerts.extend(month_cap(facts));
    alerts.extend(facts.tokens.iter().flat_map(|token| rotation(token, facts.now)));
    alerts
}

fn thresholds(facts: &Facts) -> Vec<Alert> {
    let Some(typical) = facts.typical_month.filter(|typical| typical.is_positive()) else {
        return Vec::new();
    };
    let month = facts.now.month_key();
    let reached = facts.thresholds.iter().filter(|pct| facts.month_to_date >= typical.percent(**pct));
    let alert = |pct: &u32| {
        let text = format!(
            "{} spent this month: {pct} % of a typical month ({}) is reached.",
            facts.month_to_date.display(),
            typical.whole_cents().display()
        );
        let data = json!({ "threshold_pct": pct, "month_to_date_usd": facts.month_to_date, "typical_month_usd": typical });
        Alert::new("budget.alert", &format!("soft_alert/{pct}"), &month, text, data)
    };
    reached.map(alert).collect()
}

/// At the pace of the last days the balance ends before the month does.
fn forecast(facts: &Facts) -> Option<Alert> {
    let left = (facts.now.next_month().micros() - facts.now.micros()) / DAY;
    let needed = Usd::from_micros(facts.per_day.micros().saturating_mul(left));
    if needed <= facts.available || !facts.available.is_positive() {
        return None;
    }
    let text = format!(
        "At {} a day the balance of {} ends before the month does.",
        facts.per_day.whole_cents().display(),
        facts.available.display()
    );
    let data =
        json!({ "per_day_usd": facts.per_day, "available_usd": facts.available, "needed_usd": needed });
    Some(Alert::new(
        "budget.alert",
        "forecast",
        &format!("{}/{}", facts.now.month_key(), facts.funding),
        text,
        data,
    ))
}

fn balance(facts: &Facts) -> Option<Alert> {
    let exhausted = exhausted(facts.balance, facts.cheapest, &facts.funding);
    if exhausted.is_some() && facts.funding != "0" {
        return exhausted;
    }
    let floor = facts.floor.filter(|floor| facts.available < *floor)?;
    let text = format!(
        "{} left, below the floor of {}. Agents are told to stop.",
        facts.available.display(),
        floor.display()
    );
    let data = json!({ "available_usd": facts.available, "floor_usd": floor });
    let period = format!("{}/{}", facts.funding, floor.micros());
    Some(Alert::new("budget.alert", "below_floor", &period, text, data))
}

fn month_cap(facts: &Facts) -> Option<Alert> {
    let (limit, used) = facts.month_cap?;
    (used >= limit).then(|| cap_reached("workspace_month", "", limit, &facts.now.month_key()))
}

/// Only the latest stage: whoever starts late is told once, not four times.
fn rotation((agent, token, due): &(String, String, Time), now: Time) -> Option<Alert> {
    let left = due.micros() - now.micros();
    let stage = ROTATION_DAYS.into_iter().rev().find(|days| left <= days * DAY)?;
    let is_overdue = left <= -DAY;
    let (kind, text) = if is_overdue {
        (
            "token_overdue".to_owned(),
            format!("{agent}’s token is overdue since {due}. Calls with it end seven days after that."),
        )
    } else {
        let when = if stage == 0 { "now".to_owned() } else { format!("in {stage} days, on {due}") };
        (format!("token_due/{stage}"), format!("{agent}’s token is due for rotation {when}."))
    };
    let data = json!({ "agent": agent, "token_id": token, "expires_at": due });
    Some(Alert::new("agent.token_expiring", &kind, token, text, data))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn facts(now: &str) -> Facts {
        Facts {
            now: Time::parse(now).unwrap(),
            month_to_date: Usd::ZERO,
            typical_month: Some(Usd::dollars(100)),
            available: Usd::dollars(1_000),
            balance: Usd::dollars(1_000),
            cheapest: Usd::from_micros(42_000),
            floor: Some(Usd::dollars(10)),
            per_day: Usd::dollars(1),
            thresholds: vec![75, 100],
            month_cap: Some((Usd::dollars(500), Usd::ZERO)),
            funding: "1".into(),
            tokens: Vec::new(),
        }
    }

    fn kinds(facts: &Facts) -> Vec<String> {
        due(facts).into_iter().map(|alert| alert.key).collect()
    }

    #[test]
    fn nothing_is_told_while_all_is_well() {
        assert_eq!(kinds(&facts("2026-11-22T10:00:00Z")), Vec::<String>::new());
    }

    #[test]
    fn each_threshold_is_told_once_a_month_over_three_months() {
        let (mut told, mut count) = (BTreeSet::new(), 0);
        let mut now = facts("2026-09-01T00:00:00Z");
        for hour in 0..(24 * 91) {
            now.now = Time::parse("2026-09-01T00:00:00Z").unwrap().plus(hour * DAY / 24);
            let day = now.now.date().day();
            now.month_to_date = Usd::dollars(i32::from(day) * 4);
            count += due(&now).into_iter().filter(|alert| told.insert(alert.key.clone())).count();
        }
        // 75 % on the 19th and 100 % on the 25th of each of three months.
        assert_eq!(count, 6, "{told:?}");
    }

    #[test]
    fn balance_floor_and_cap_have_their_own_alerts() {
        let mut now = facts("2026-11-30T10:00:00Z");
        now.available = Usd::dollars(9);
        assert_eq!(kinds(&now), ["below_floor/1/10000000"]);
        now.available = Usd::ZERO;
        assert_eq!(kinds(&now), ["below_floor/1/10000000"], "all of it is reserved, and may come back");
        now.balance = Usd::from_micros(41_999);
        assert_eq!(kinds(&now), ["balance_exhausted/1"], "less than the cheapest call costs");
        now.funding = "2".into();
        assert_eq!(kinds(&now), ["balance_exhausted/2"]);
        (now.available, now.balance) = (Usd::dollars(100), Usd::dollars(100));
        for (cap, key) in [(500, "500000000"), (600, "600000000")] {
            now.month_cap = Some((Usd::dollars(cap), Usd::dollars(cap)));
            assert_eq!(
                kinds(&now),
                [format!("cap_reached/workspace_month//2026-11/{key}")],
                "raised, and reached again"
            );
        }
    }

    #[test]
    fn the_forecast_warns_before_the_money_ends() {
        let mut now = facts("2026-11-10T00:00:00Z");
        (now.per_day, now.available, now.floor) = (Usd::dollars(6), Usd::dollars(100), None);
        assert_eq!(kinds(&now), ["forecast/2026-11/1"]);
        now.available = Usd::dollars(200);
        assert!(kinds(&now).is_empty());
    }

    #[test]
    fn a_tokens_stages_come_one_after_another() {
        let due_at = Time::parse("2026-11-30T00:00:00Z").unwrap();
        let at = |days: i64| {
            let mut now = facts("2026-11-30T00:00:00Z");
            now.now = due_at.plus(-days * DAY);
            now.tokens = vec![("agent.a".into(), "tok_1".into(), due_at)];
            kinds(&now)
        };
        assert!(at(15).is_empty());
        assert_eq!(at(14), ["token_due/14/tok_1"]);
        assert_eq!(at(5), ["token_due/14/tok_1"]);
        assert_eq!(at(3), ["token_due/3/tok_1"]);
        assert_eq!(at(0), ["token_due/0/tok_1"]);
        assert_eq!(at(-1), ["token_overdue/tok_1"]);
    }

    #[test]
    fn settings_are_checked() {
        let with = |change: fn(&mut AlertSettings)| {
            let mut settings = AlertSettings::default();
            change(&mut settings);
            settings.checked().map_err(|error| error.field)
        };
        assert!(with(|_| ()).is_ok());
        assert_eq!(with(|s| s.further_thresholds = vec![0]).unwrap_err(), "further_thresholds");
        assert_eq!(with(|s| s.further_thresholds = (1..=11).collect()).unwrap_err(), "further_thresholds");
        assert_eq!(with(|s| s.recipients = vec!["nobody".into()]).unwrap_err(), "recipients");
        assert_eq!(with(|s| s.recipients = vec!["a@example.com".into(); 21]).unwrap_err(), "recipients");
        assert_eq!(with(|s| s.runaway.repeats = 1).unwrap_err(), "repeats");
    }
}
