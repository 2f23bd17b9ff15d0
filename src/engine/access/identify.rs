//! Step 1 of the governed call: token → agent, workspace, address, rate (contract §2, table of refusals).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use dashmap::DashMap;
use subtle::ConstantTimeEq;

use crate::domain::ids::AgentId;
use crate::domain::policy::Tool;
use crate::domain::time::{DAY, MINUTE, SECOND, Time};
use crate::engine::Engine;
use crate::engine::calls::agents::{TokenState, token_state};
use crate::engine::error::{Error, Result};
use crate::engine::random;
use crate::engine::store::accounts::{self, AccountRow};
use crate::engine::store::agents::{self, AgentRow, AgentState, TokenRow};
use crate::engine::store::url_keys::{self, FormerKey};
use crate::engine::store::workspaces::{self, Workspace};

/// Why a request does not reach the tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No, unknown, revoked or expired token.
    Unauthorized,
    /// Unknown workspace, wrong URL key, or another workspace's token: one answer for all.
    NotFound,
    /// The address is outside the agent's allowlist.
    AddressNotAllowed,
    /// Too many calls.
    TooMany {
        /// Seconds until the next call can pass.
        retry_after_s: u64,
    },
    /// Another node serves the workspace's region.
    WrongRegion,
    /// A database does not answer.
    Unavailable,
}

/// A known agent at the door of its workspace.
#[derive(Debug, Clone)]
pub struct AgentCaller {
    known: Arc<Known>,
    /// Days until calls with this token end, once it is past its due date.
    pub grace_days_left: Option<i64>,
    /// Where the call comes from.
    pub address: Option<IpAddr>,
}

/// What a node remembers of a token until something changes.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) agent: AgentRow,
    token: TokenRow,
    pub(crate) workspace: Workspace,
    former_keys: Vec<FormerKey>,
    pub(crate) account: AccountRow,
}

impl Known {
    fn lives_at(&self, workspace: &str, url_key: &str, now: Time) -> bool {
        self.workspace.id.as_str() == workspace && opens(&self.workspace, &self.former_keys, url_key, now)
    }
}

/// Whether a URL key is the workspace's, or one before it while that works.
fn opens(workspace: &Workspace, former: &[FormerKey], url_key: &str, now: Time) -> bool {
    let is = |key: &str| bool::from(key.as_bytes().ct_eq(url_key.as_bytes()));
    is(&workspace.url_key) || former.iter().any(|former| now < former.ends_at && is(&former.key))
}

impl AgentCaller {
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// `agent.NAME`.
    pub fn name(&self) -> &str {
        &self.known.agent.name
    }

    /// The agent's id.
    pub fn id(&self) -> &AgentId {
        &self.known.agent.id
    }

    /// The agent's workspace.
    pub fn workspace(&self) -> &Workspace {
        &self.known.workspace
    }

    /// Whether the policy allows `tool`; the one decision behind `tools/list` and `tools/call`.
    pub fn may(&self, tool: Tool) -> bool {
        self.known.agent.policy.allows(tool)
    }

    /// Whether the agent is paused, and why.
    pub fn paused(&self) -> Option<&str> {
        let paused = self.known.agent.state == AgentState::Paused;
        paused.then(|| self.known.agent.paused_reason.as_deref().unwrap_or("paused"))
    }
}

/// What a node remembers: tokens, rates, last uses. Forgotten whole at any change, here or on another node.
pub(crate) struct Identities {
    known: DashMap<String, Arc<Known>>,
    /// Raised at each forgetting, so that a slow load cannot bring back what was forgotten meanwhile.
    epoch: AtomicU64,
    rates: DashMap<AgentId, (Time, u32)>,
    used: DashMap<AgentId, Time>,
    per_minute: u32,
    pub(crate) seen_changes: AtomicI64,
}

impl Identities {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            known: DashMap::new(),
            epoch: AtomicU64::new(0),
            rates: DashMap::new(),
            used: DashMap::new(),
            per_minute,
            seen_changes: AtomicI64::new(-1),
        }
    }

    /// Forgets every token, so that the next call reads it anew.
    pub(crate) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.known.clear();
    }

    fn remember(&self, fingerprint: String, known: &Arc<Known>, epoch: u64) {
        if self.epoch.load(Ordering::SeqCst) == epoch {
            self.known.insert(fingerprint, known.clone());
        }
    }

    /// Counts a call of this minute; the seconds to wait when there were too many.
    fn over_rate(&self, agent: &AgentId, now: Time) -> Option<u64> {
        let mut rate = self.rates.entry(agent.clone()).or_insert((now.minute(), 0));
        if rate.0 != now.minute() {
            *rate = (now.minute(), 0);
        }
        rate.1 = rate.1.saturating_add(1);
        let rest = rate.0.plus(MINUTE).micros() - now.micros();
        (rate.1 > self.per_minute).then(|| rest.max(1).unsigned_abs().div_ceil(SECOND.unsigned_abs()))
    }

    /// Whether a use is to be written down: once a minute is enough.
    fn note(&self, agent: &AgentId, now: Time) -> bool {
        let last = self.used.insert(agent.clone(), now.minute());
        last != Some(now.minute())
    }
}

impl Engine {
    /// The agent behind a bearer token at this workspace's URL.
    ///
    /// # Errors
    /// The [`Refused`] of the table in contract §2. The address is checked before any counter of the tenant is touched.
    pub async fn identify(
        &self,
        bearer: Option<&str>,
        workspace: &str,
        url_key: &str,
        address: Option<IpAddr>,
    ) -> std::result::Result<AgentCaller, Refused> {
        let secret = bearer.filter(|secret| secret.starts_with("af_agent_")).ok_or(Refused::Unauthorized)?;
        let known = self.known(secret).await.map_err(|_| Refused::Unavailable)?;
        let is_home =
            known.as_ref().is_some_and(|known| known.lives_at(workspace, url_key, self.0.clock.now()));
        if !is_home && self.elsewhere(workspace, url_key).await? {
            return Err(Refused::WrongRegion);
        }
        let known = known.ok_or(Refused::Unauthorized)?;
        let now = self.0.clock.now();
        if known.agent.state == AgentState::Revoked || token_state(&known.token, now) == TokenState::Ended {
            return Err(Refused::Unauthorized);
        }
        if !is_home {
            return Err(Refused::NotFound);
        }
        if address.is_some_and(|address| !known.agent.policy.allows_address(address)) {
            return Err(Refused::AddressNotAllowed);
        }
        if let Some(retry_after_s) = self.0.identities.over_rate(&known.agent.id, now) {
            return Err(Refused::TooMany { retry_after_s });
        }
        self.note_use(&known, now);
        let overdue = token_state(&known.token, now) == TokenState::Grace;
        let left = known.token.expires_at.plus(crate::engine::calls::agents::GRACE).micros() - now.micros();
        Ok(AgentCaller { grace_days_left: overdue.then_some(left / DAY), known, address })
    }

    /// Whether this URL is a workspace's that another node serves. Only who knows its whole URL is told.
    async fn elsewhere(&self, workspace: &str, url_key: &str) -> std::result::Result<bool, Refused> {
        let Ok(id) = workspace.parse() else { return Ok(false) };
        let (control, now) = (&self.0.control, self.0.clock.now());
        let found = workspaces::get(control, &id).await.map_err(|_| Refused::Unavailable)?;
        let Some(found) = found.filter(|found| !self.0.cells.contains_key(&found.cell)) else {
            return Ok(false);
        };
        let former = url_keys::former(control, &id, now).await.map_err(|_| Refused::Unavailable)?;
        Ok(opens(&found, &former, url_key, now))
    }

    async fn known(&self, secret: &str) -> Result<Option<Arc<Known>>> {
        let fingerprint = random::fingerprint(secret);
        if let Some(known) = self.0.identities.known.get(&fingerprint) {
            return Ok(Some(known.clone()));
        }
        let epoch = self.0.identities.epoch.load(Ordering::SeqCst);
        let Some(known) = self.load_known(&fingerprint).await?.map(Arc::new) else { return Ok(None) };
        self.0.identities.remember(fingerprint, &known, epoch);
        Ok(Some(known))
    }

    async fn load_known(&self, fingerprint: &str) -> Result<Option<Known>> {
        for node in self.0.cells.values() {
            let Some((agent, token)) = agents::by_secret(&node.db, fingerprint).await? else { continue };
            let Some(workspace) = workspaces::get(&self.0.control, &agent.workspace_id).await? else {
                return Ok(None);
            };
            let account = accounts::get(&node.db, &workspace.id).await?.ok_or(Error::Internal)?;
            let former_keys = url_keys::former(&self.0.control, &workspace.id, self.0.clock.now()).await?;
            return Ok(Some(Known { agent, token, workspace, former_keys, account }));
        }
        Ok(None)
    }

    fn note_use(&self, known: &Arc<Known>, now: Time) {
        if !self.0.identities.note(&known.agent.id, now) {
            return;
        }
        let (engine, known) = (self.clone(), known.clone());
        self.0.running.spawn(async move {
            let Ok(cell) = engine.cell(&known.workspace) else { return };
            if let Err(error) = agents::note_use(&cell.db, &known.agent.id, now, None).await {
                tracing::warn!(%error, agent = %known.agent.id, "an agent's last use was not written");
            }
        });
    }
}
