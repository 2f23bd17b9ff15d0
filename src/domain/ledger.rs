//! The ledger's rules as pure decisions (design §4).
//!
//! [`Books`] is what the database holds of one workspace, loaded under its lock. [`decide`] judges one command
//! after another against it. A reservation counts against the balance and each cap at once, so settling it later
//! can never break one; it ends exactly once, as settled or released.

use std::collections::HashMap;

use super::ids::{AgentId, RequestId};
use super::money::Usd;
use super::policy::AgentCaps;
use super::refusals::{CapKind, Refusal};
use super::settings::Caps;
use super::time::{DAY, MINUTE, Time};

/// How long a `get_credits` counts as preflight.
pub const PREFLIGHT_WINDOW: i64 = 10 * MINUTE;
/// How long an idempotency key gives the first answer again.
pub const KEY_WINDOW: i64 = DAY;
/// The largest balance: far inside an integer, and inside the amounts that JSON carries exactly.
pub const LARGEST_BALANCE: Usd = Usd::dollars(999_999_999);

/// What is counted against a cap: whose spend, in which UTC day (`2026-11-22`) or month (`2026-11`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    /// An agent, or the whole workspace.
    pub agent: Option<AgentId>,
    /// The day or month.
    pub key: String,
}

/// Spend within a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Charged.
    pub spent: Usd,
    /// Set aside for calls that run.
    pub reserved: Usd,
}

/// Whether the workspace may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Active,
    /// An operator stopped it, or it is being deleted.
    Suspended,
}

/// The workspace's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Money that a call may reserve.
    pub available: Usd,
    /// Money set aside.
    pub reserved: Usd,
    /// The workspace's limits.
    pub caps: Caps,
    /// Whether it may spend.
    pub standing: Standing,
}

impl Account {
    /// What the ledger entries add up to: available and reserved.
    pub const fn balance(&self) -> Usd {
        self.available.saturating_add(self.reserved)
    }
}

/// How a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// The call runs.
    Held,
    /// Charged.
    Settled,
    /// Given back.
    Released,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The call, which is also the reservation's id.
    pub request_id: RequestId,
    /// Who called.
    pub agent_id: AgentId,
    /// The price, which is the most that can be charged.
    pub amount: Usd,
    /// When it was made; its day and month are where it counts.
    pub made_at: Time,
    /// When the sweeper gives it back.
    pub deadline: Time,
    /// How it stands.
    pub state: HoldState,
    /// The idempotency key that it was made with.
    pub key: Option<String>,
    /// What the call asked for.
    pub asked: Asked,
}

/// What a call asked for, as its log entry tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The tool.
    pub tool: String,
    /// The model.
    pub model: String,
    /// `sha256:…` of the prompt.
    pub prompt_hash: String,
}

impl HoldState {
    /// The name in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Settled => "settled",
            Self::Released => "released",
        }
    }
}

impl Hold {
    /// The three periods in which it counts, always in this order.
    pub fn periods(&self) -> [Period; 3] {
        let agent = || Some(self.agent_id.clone());
        [
            Period { agent: agent(), key: self.made_at.day_key() },
            Period { agent: agent(), key: self.made_at.month_key() },
            Period { agent: None, key: self.made_at.month_key() },
        ]
    }
}

/// A call's idempotency key and the hash of its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// As the agent sent it.
    pub key: String,
    /// Hash of the tool and its arguments without the key.
    pub arguments: String,
}

/// What is known of a key that was used before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedKey {
    /// Hash of the first call's arguments.
    pub arguments: String,
    /// The first call.
    pub request_id: RequestId,
    /// When it was first used.
    pub used_at: Time,
    /// The first answer as JSON, once there is one.
    pub answer: Option<String>,
}

/// What the database holds of one workspace, as far as a batch of commands needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    /// The account.
    pub account: Account,
    /// Spend by period.
    pub tallies: HashMap<Period, Tally>,
    /// Reservations by request.
    pub holds: HashMap<RequestId, Hold>,
    /// Idempotency keys.
    pub keys: HashMap<String, UsedKey>,
}

/// Sets the price of a call aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The call.
    pub request_id: RequestId,
    /// Who calls.
    pub agent_id: AgentId,
    /// The price.
    pub amount: Usd,
    /// The agent's limits.
    pub limits: AgentCaps,
    /// When the agent last called `get_credits`.
    pub preflight_at: Option<Time>,
    /// The idempotency key, where the agent sent one.
    pub key: Option<Key>,
    /// When the sweeper may give the money back.
    pub deadline: Time,
    /// What the call asks for.
    pub asked: Asked,
}

/// One command to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Before the provider is asked.
    Reserve(Box<Reserve>),
    /// The provider delivered: charge `cost`, at most the reservation.
    Settle {
        /// The call.
        request_id: RequestId,
        /// What it cost.
        cost: Usd,
    },
    /// The provider failed, or the deadline passed.
    Release {
        /// The call.
        request_id: RequestId,
    },
    /// Money comes in.
    TopUp {
        /// How much.
        amount: Usd,
    },
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posting {
    /// The money is set aside.
    Reserved,
    /// The key was used before: here is the first answer.
    Replay {
        /// The first call.
        request_id: RequestId,
        /// Its answer as JSON.
        answer: String,
    },
    /// The key's first call still runs.
    InProgress {
        /// The first call.
        request_id: RequestId,
    },
    /// Charged.
    Settled {
        /// How much; at most the reservation.
        charged: Usd,
    },
    /// The reservation had been given back before; nothing is charged.
    Late,
    /// Given back.
    Released {
        /// How much.
        amount: Usd,
    },
    /// The reservation had ended before; nothing changed.
    AlreadyEnded,
    /// Money came in.
    ToppedUp,
}

/// Judges one command and, where it holds, changes the books. A refusal leaves them as they were.
///
/// # Errors
/// The [`Refusal`] that the rules name first: key, standing, limits per call, preflight, agent's day, agent's month,
/// workspace's month, balance.
pub fn decide(books: &mut Books, command: &Command, now: Time) -> Result<Posting, Refusal> {
    match command {
        Command::Reserve(reserve) => books.reserve(reserve, now),
        Command::Settle { request_id, cost } => books.settle(request_id, *cost),
        Command::Release { request_id } => books.release(request_id),
        Command::TopUp { amount } => books.top_up(*amount),
    }
}

impl Books {
    fn reserve(&mut self, reserve: &Reserve, now: Time) -> Result<Posting, Refusal> {
        if let Some(posting) = self.repeated(reserve.key.as_ref(), now)? {
            return Ok(posting);
        }
        if self.account.standing == Standing::Suspended {
            return Err(Refusal::Suspended);
        }
        let hold = Hold {
            request_id: reserve.request_id.clone(),
            agent_id: reserve.agent_id.clone(),
            amount: reserve.amount,
            made_at: now,
            deadline: reserve.deadline,
            state: HoldState::Held,
            key: reserve.key.as_ref().map(|key| key.key.clone()),
            asked: reserve.asked.clone(),
        };
        self.check_call_limits(reserve)?;
        self.check_preflight(reserve, now)?;
        self.check_periods(&hold, reserve, now)?;
        self.take(&hold)?;
        self.remember(reserve, now);
        self.holds.insert(hold.request_id.clone(), hold);
        Ok(Posting::Reserved)
    }

    fn repeated(&self, key: Option<&Key>, now: Time) -> Result<Option<Posting>, Refusal> {
        let Some(key) = key else { return Ok(None) };
        let live = |used: &&UsedKey| now < used.used_at.plus(KEY_WINDOW);
        let Some(used) = self.keys.get(&key.key).filter(live) else { return Ok(None) };
        if used.arguments != key.arguments {
            return Err(Refusal::Conflict);
        }
        let request_id = used.request_id.clone();
        Ok(Some(match &used.answer {
            Some(answer) => Posting::Replay { request_id, answer: answer.clone() },
            None => Posting::InProgress { request_id },
        }))
    }

    fn check_call_limits(&self, reserve: &Reserve) -> Result<(), Refusal> {
        let limits =
            [(CapKind::Call, self.account.caps.call_usd), (CapKind::AgentCall, reserve.limits.call_usd)];
        for (cap, limit) in limits {
            if let Some(limit) = limit.filter(|limit| reserve.amount > *limit) {
                return Err(Refusal::CapExceeded { cap, limit, used: Usd::ZERO, resets_at: None });
            }
        }
        Ok(())
    }

    fn check_preflight(&self, reserve: &Reserve, now: Time) -> Result<(), Refusal> {
        let caps = &self.account.caps;
        let fresh = reserve.preflight_at.is_some_and(|at| now <= at.plus(PREFLIGHT_WINDOW));
        if caps.preflight_required && reserve.amount > caps.preflight_usd && !fresh {
            return Err(Refusal::PreflightRequired { above: caps.preflight_usd });
        }
        Ok(())
    }

    fn check_periods(&self, hold: &Hold, reserve: &Reserve, now: Time) -> Result<(), Refusal> {
        let [agent_day, agent_month, workspace_month] = hold.periods();
        let limits = [
            (CapKind::AgentDay, reserve.limits.day_usd, agent_day, now.next_day()),
            (CapKind::AgentMonth, reserve.limits.month_usd, agent_month, now.next_month()),
            (
                CapKind::WorkspaceMonth,
                self.account.caps.workspace_month_usd,
                workspace_month,
                now.next_month(),
            ),
        ];
        for (cap, limit, period, resets_at) in limits {
            let Some(limit) = limit else { continue };
            let tally = self.tallies.get(&period).copied().unwrap_or_default();
            let used = tally.spent.saturating_add(tally.reserved);
            if used.checked_add(reserve.amount).is_none_or(|total| total > limit) {
                return Err(Refusal::CapExceeded { cap, limit, used, resets_at: Some(resets_at) });
            }
        }
        Ok(())
    }

    fn take(&mut self, hold: &Hold) -> Result<(), Refusal> {
        let account = &mut self.account;
        let short = Refusal::InsufficientCredits { required: hold.amount, available: account.available };
        let rest = account.available.checked_sub(hold.amount).filter(|rest| *rest >= Usd::ZERO);
        account.available = rest.ok_or(short)?;
        account.reserved = account.reserved.saturating_add(hold.amount);
        for period in hold.periods() {
            let tally = self.tallies.entry(period).or_default();
            tally.reserved = tally.reserved.saturating_add(hold.amount);
        }
        Ok(())
    }

    fn remember(&mut self, reserve: &Reserve, now: Time) {
        let Some(key) = &reserve.key else { return };
        let used = UsedKey {
            arguments: key.arguments.clone(),
            request_id: reserve.request_id.clone(),
            used_at: now,
            answer: None,
        };
        self.keys.insert(key.key.clone(), used);
    }

    fn settle(&mut self, request_id: &RequestId, cost: Usd) -> Result<Posting, Refusal> {
        let hold = self.holds.get(request_id).ok_or(Refusal::UnknownReservation)?.clone();
        match hold.state {
            HoldState::Settled => return Ok(Posting::AlreadyEnded),
            HoldState::Released => return Ok(Posting::Late),
            HoldState::Held => {}
        }
        let charged = cost.clamp(Usd::ZERO, hold.amount);
        self.give_back(&hold, charged, HoldState::Settled);
        Ok(Posting::Settled { charged })
    }

    /// Keeps the answer of a settled call for its key. Tells the key, where the call had one.
    pub fn keep_answer(&mut self, request_id: &RequestId, answer: &str) -> Option<String> {
        let hold = self.holds.get(request_id)?.clone();
        self.own_key(&hold)?.answer = Some(answer.to_owned());
        hold.key
    }

    fn release(&mut self, request_id: &RequestId) -> Result<Posting, Refusal> {
        let hold = self.holds.get(request_id).ok_or(Refusal::UnknownReservation)?.clone();
        if hold.state != HoldState::Held {
            return Ok(Posting::AlreadyEnded);
        }
        self.give_back(&hold, Usd::ZERO, HoldState::Released);
        if self.own_key(&hold).is_some() {
            // A failed call charges nothing, so its key may be tried again.
            self.keys.retain(|key, _| Some(key) != hold.key.as_ref());
        }
        Ok(Posting::Released { amount: hold.amount })
    }

    /// The key that `hold` was made with, unless a later call has taken it over.
    fn own_key(&mut self, hold: &Hold) -> Option<&mut UsedKey> {
        let used = self.keys.get_mut(hold.key.as_ref()?)?;
        (used.request_id == hold.request_id).then_some(used)
    }

    /// Ends a reservation: `charged` of it is spent, the rest is available again.
    fn give_back(&mut self, hold: &Hold, charged: Usd, state: HoldState) {
        let rest = hold.amount.saturating_sub(charged);
        self.account.available = self.account.available.saturating_add(rest);
        self.account.reserved = self.account.reserved.saturating_sub(hold.amount);
        for period in hold.periods() {
            let tally = self.tallies.entry(period).or_default();
            tally.reserved = tally.reserved.saturating_sub(hold.amount);
            tally.spent = tally.spent.saturating_add(charged);
        }
        if let Some(held) = self.holds.get_mut(&hold.request_id) {
            held.state = state;
        }
    }

    fn top_up(&mut self, amount: Usd) -> Result<Posting, Refusal> {
        let total = self.account.balance().saturating_add(amount);
        if !amount.is_positive() || total > LARGEST_BALANCE {
            return Err(Refusal::AmountOutOfRange);
        }
        self.account.available = self.account.available.saturating_add(amount);
        Ok(Posting::ToppedUp)
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
