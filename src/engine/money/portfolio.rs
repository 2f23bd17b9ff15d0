//! Every workspace of a person side by side: what `/` shows to those who answer for several.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt};

use crate::domain::access::{Permission, Role};
use crate::domain::ids::{UserId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::domain::usage::{Interval, Runway, Span, Sums, forecast};
use crate::engine::Engine;
use crate::engine::access::scope::{Origin, Scope};
use crate::engine::access::workspaces::Workspace;
use crate::engine::error::Result;
use crate::engine::money::usage::UsageQuery;
use crate::engine::store::{agents, workspaces};
use crate::engine::views::notices::Notice;

/// Workspaces that are asked at the same time.
const AT_ONCE: usize = 8;
/// How long the page waits for a cell that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How one workspace stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Available and reserved; only for roles that may read billing.
    pub balance: Option<Usd>,
    /// Set aside for calls that run; as the balance.
    pub reserved: Option<Usd>,
    /// This UTC month.
    pub month: Sums,
    /// The same days of the last month.
    pub before: Usd,
    /// What this month will have cost.
    pub forecast: Usd,
    /// How long the balance lasts at the pace of the last days; as the balance.
    pub runway: Option<Runway>,
    /// What is wrong now, as far as the role may know.
    pub notices: Vec<Notice>,
    /// Agents that are not revoked.
    pub agents: usize,
    /// Who pays, in the customer's own words.
    pub cost_centre: Option<String>,
    /// This month's spend by day, days with spend only.
    pub days: Vec<(Time, Usd)>,
}

/// Why a workspace's figures are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Another node serves its region.
    Elsewhere,
    /// Its cell's database does not answer.
    Unreachable,
}

impl Unknown {
    /// The word in sheets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elsewhere => "elsewhere",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A line of the list of one's workspaces.
#[derive(Debug, Clone)]
pub struct PortfolioRow {
    /// Which.
    pub workspace: Workspace,
    /// As what one belongs to it.
    pub role: Role,
    /// How it stands, or why that is not known.
    pub standing: std::result::Result<Standing, Unknown>,
}

/// Each workspace's name; those that share one have the end of their id behind it.
pub fn names_apart<'a>(all: impl Iterator<Item = &'a Workspace> + Clone) -> BTreeMap<WorkspaceId, String> {
    let mut times = BTreeMap::<&str, usize>::new();
    all.clone().for_each(|workspace| *times.entry(&workspace.name).or_default() += 1);
    let name = |workspace: &Workspace| match (times.get(&*workspace.name), workspace.id.as_str()) {
        (Some(2..), id) => format!("{} …{}", workspace.name, &id[id.len().saturating_sub(4)..]),
        _ => workspace.name.clone(),
    };
    all.map(|workspace| (workspace.id.clone(), name(workspace))).collect()
}

impl Engine {
    /// Every workspace that a person belongs to, with its figures. A cell that is down hides its own workspaces' only.
    ///
    /// # Errors
    /// The control database's own.
    pub async fn portfolio(&self, user: &UserId) -> Result<Vec<PortfolioRow>> {
        let own = workspaces::of_user(&self.0.control, user).await?;
        let rows = own.into_iter().map(|(workspace, role)| self.portfolio_row(user, workspace, role));
        Ok(stream::iter(rows).buffered(AT_ONCE).collect().await)
    }

    async fn portfolio_row(&self, user: &UserId, workspace: Workspace, role: Role) -> PortfolioRow {
        if self.cell(&workspace).is_err() {
            return PortfolioRow { workspace, role, standing: Err(Unknown::Elsewhere) };
        }
        let origin = Origin::new(self.new_request_id(), None);
        let scope = Scope { workspace, role, actor: user.to_string(), origin };
        let standing = match tokio::time::timeout(PATIENCE, self.standing(&scope)).await {
            Ok(Ok(standing)) => Ok(standing),
            fault => {
                tracing::warn!(workspace = %scope.workspace.id, fault = ?fault.map(|read| read.err()), "a workspace’s figures cannot be read");
                Err(Unknown::Unreachable)
            }
        };
        PortfolioRow { workspace: scope.workspace, role, standing }
    }

    async fn standing(&self, scope: &Scope) -> Result<Standing> {
        let now = self.0.clock.now();
        let span = Span { from: now.month_start(), to: Interval::Hour.next(now) };
        let of = |span, interval| UsageQuery { span, interval, grouping: None };
        let month = self.usage(scope, of(span, Interval::Day)).await?;
        let before = self.usage(scope, of(span.same_days_before(), Interval::Month)).await?.total().cost;
        let (per_day, account) = (self.pace(scope).await?.per_day, self.account(&scope.workspace).await?);
        let credits = self.credits(scope).await?;
        let knows = scope.role.may(Permission::ReadBilling);
        let agents = self.agents(scope).await?;
        let total = month.total();
        Ok(Standing {
            balance: knows.then_some(credits.balance_usd),
            reserved: knows.then_some(credits.reserved_usd),
            before,
            forecast: forecast(total.cost, per_day, now),
            runway: knows.then(|| Runway::of(credits.available_usd, per_day, now)),
            notices: self.notices(scope, &credits, &agents).await?,
            agents: agents.iter().filter(|agent| agent.state != agents::AgentState::Revoked).count(),
            cost_centre: account.cost_centre,
            days: month
                .rows
                .iter()
                .map(|row| (row.start, row.sums.cost))
                .filter(|(_, cost)| cost.is_positive())
                .collect(),
            month: total,
        })
    }
}
