//! What the security panel tells: keys' ages, who is signed in and from where, the SOC 2 report.

mod report;
mod stamp;

use serde_json::json;

pub use self::report::{Report, ReportView};
use crate::domain::ids::UserId;
use crate::domain::time::{DAY, Time};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::store::nda;
pub use crate::engine::store::nda::Acceptance;
pub use crate::engine::store::sign_ins::{MemberSession, SignIn};
use crate::engine::store::{data_keys, people, sign_ins};

/// How long sign-ins are remembered, in days.
pub const SIGN_IN_DAYS: i64 = 90;
/// Rows of a list on the panel.
const ROWS: i64 = 50;

/// How old a workspace's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAges {
    /// Data keys that seal something: one for each data subject, or for each day.
    pub data_keys: i64,
    /// When the oldest of them was made.
    pub oldest: Option<Time>,
    /// By which people compare master keys: it tells nothing of the key.
    pub master_check: String,
    /// The public key that signs now.
    pub signing_key: String,
    /// Since when it signs: as old as the master key that it follows from.
    pub signing_since: Option<Time>,
    /// Public keys that ever signed.
    pub signing_keys: usize,
}

impl Engine {
    /// How old the keys are that seal a workspace's prompts and sign its checkpoints.
    ///
    /// # Errors
    /// The database's own.
    pub async fn key_ages(&self, scope: &Scope) -> Result<KeyAges> {
        let node = self.cell(&scope.workspace)?;
        let (data_keys, oldest) = data_keys::ages(&node.db, &scope.workspace.id).await?;
        let signers = crate::engine::store::signing_keys::all(&self.0.control).await?;
        let own = self.0.signer.public().0.to_owned();
        Ok(KeyAges {
            data_keys,
            oldest,
            master_check: node.sealer.master_check().to_owned(),
            signing_since: signers.iter().find(|key| key.id == own).map(|key| key.made_at),
            signing_keys: signers.len(),
            signing_key: own,
        })
    }

    /// The browsers in which members are signed in, the last used first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn member_sessions(&self, scope: &Scope) -> Result<Vec<MemberSession>> {
        sign_ins::sessions(&self.0.control, &scope.workspace, self.0.clock.now(), ROWS).await
    }

    /// The latest tries of members to sign in, the newest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn recent_sign_ins(&self, scope: &Scope) -> Result<Vec<SignIn>> {
        sign_ins::recent(&self.0.control, &scope.workspace, ROWS).await
    }

    /// Ends a member's session: its next request is not signed in. Answers whose it was.
    ///
    /// # Errors
    /// [`Error::NotFound`] where no member has it.
    pub async fn end_member_session(&self, scope: &Scope, handle: &str) -> Result<MemberSession> {
        let ended = sign_ins::member_session(&self.0.control, &scope.workspace, handle).await?;
        let ended = ended.ok_or(Error::NotFound)?;
        let data = json!({ "user_id": ended.user_id, "since": ended.since });
        let act = self.act(scope, "session.ended", data, Vec::new()).await?;
        // The word comes first: nobody is signed out without a trace.
        self.submit_act(scope, act).await?;
        people::delete_session(&self.0.control, handle).await?;
        Ok(ended)
    }

    /// Notes a try to sign in to an account.
    pub(in crate::engine) async fn note_sign_in(
        &self,
        user: &UserId,
        address: Option<std::net::IpAddr>,
        succeeded: bool,
    ) -> Result<()> {
        let (id, now) = (self.new_request_id(), self.0.clock.now());
        let address = address.map(|address| address.to_string());
        sign_ins::insert(&self.0.control, id.as_str(), user, now, address, succeeded).await
    }

    /// As [`Engine::note_sign_in`], behind the answer: an answer that takes longer for an account that exists would
    /// tell that it does (ASVS 6.3.8).
    pub(in crate::engine) fn note_wrong_password(&self, user: UserId, address: Option<std::net::IpAddr>) {
        let engine = self.clone();
        self.0.running.spawn(async move {
            if let Err(error) = engine.note_sign_in(&user, address, false).await {
                tracing::warn!(%error, "a refused sign-in was not noted");
            }
        });
    }

    /// Removes sign-ins that are older than [`SIGN_IN_DAYS`].
    ///
    /// # Errors
    /// The database's own.
    pub async fn forget_sign_ins(&self) -> Result<()> {
        let cut = self.0.clock.now().plus(-SIGN_IN_DAYS * DAY);
        sign_ins::remove_before(&self.0.control, cut).await
    }

    async fn acceptances(&self, scope: &Scope) -> Result<Vec<Acceptance>> {
        nda::list(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await
    }
}
