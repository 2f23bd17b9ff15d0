//! Why the ledger refuses a command.

use super::money::Usd;
use super::time::Time;

/// Which cap a call would pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapKind {
    /// The workspace's limit per call.
    Call,
    /// The agent's limit per call.
    AgentCall,
    /// The agent's limit per day.
    AgentDay,
    /// The agent's limit per month.
    AgentMonth,
    /// The workspace's limit per month.
    WorkspaceMonth,
}

impl CapKind {
    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::AgentCall => "agent_call",
            Self::AgentDay => "agent_day",
            Self::AgentMonth => "agent_month",
            Self::WorkspaceMonth => "workspace_month",
        }
    }
}

/// Why a command was refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The balance cannot pay.
    InsufficientCredits {
        /// The price.
        required: Usd,
        /// What could be reserved.
        available: Usd,
    },
    /// A cap would be passed.
    CapExceeded {
        /// Which.
        cap: CapKind,
        /// Its limit.
        limit: Usd,
        /// What already counts against it, reserved money included.
        used: Usd,
        /// When it begins anew; `None` for limits per call.
        resets_at: Option<Time>,
    },
    /// The price is above the preflight limit and `get_credits` was not called within ten minutes.
    PreflightRequired {
        /// The limit.
        above: Usd,
    },
    /// The workspace may not spend.
    Suspended,
    /// The key was used with other arguments.
    Conflict,
    /// There is no such reservation.
    UnknownReservation,
    /// The balance would pass [`super::ledger::LARGEST_BALANCE`], or the amount is not more than nothing.
    AmountOutOfRange,
}
