//! REST keys: made by an Admin or a Developer, never above the maker's role.

use serde::Serialize;
use serde_json::json;

use crate::domain::access::Role;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::{KeyId, UserId};
use crate::domain::time::{DAY, HOUR, MINUTE, Time};
use crate::engine::access::scope::{Principal, Scope};
use crate::engine::error::{Error, Result};
use crate::engine::random;
use crate::engine::store::keys;
pub use crate::engine::store::keys::KeyRow;
use crate::engine::{CellNode, Engine};

/// How long before its end people are told of a key.
pub const ENDING_NOTICE: i64 = 14 * DAY;
/// Hours that a key may work on beside the one that replaces it.
const LONGEST_OVERLAP: i64 = 168;

/// A new key, whose secret is shown once.
#[derive(Debug, Clone, Serialize)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// The secret.
    pub key: String,
    /// What it may do.
    pub role: Role,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
}

impl Engine {
    /// Makes a key.
    ///
    /// # Errors
    /// The field `name`, `role` (unknown, or above one's own) or `expires_in_days` (1 to 3650).
    pub async fn create_key(
        &self,
        scope: &Scope,
        name: &str,
        role: &str,
        expires_in_days: Option<i64>,
    ) -> Result<NewKey> {
        let (role, name) = (role.parse()?, field::text("name", name, 1, 80)?);
        let lifetime = lifetime(expires_in_days)?.map(|days| days * DAY);
        let (row, secret) = self.new_key(scope, name, role, lifetime)?;
        let data =
            json!({ "key_id": row.id, "name": row.name, "role": row.role, "expires_at": row.expires_at });
        let changes = vec![keys::insert(&row, &random::fingerprint(&secret))];
        let act = self.act(scope, "api_key.created", data, changes).await?;
        self.submit_act(scope, act).await?;
        Ok(NewKey { id: row.id, key: secret, role, expires_at: row.expires_at })
    }

    fn new_key(
        &self,
        scope: &Scope,
        name: String,
        role: Role,
        lifetime: Option<i64>,
    ) -> Result<(KeyRow, String)> {
        if role > scope.role {
            return Err(
                FieldError::new("role", "is above your own; a key never does more than its maker").into()
            );
        }
        let (secret, now) = (random::secret("af_key_"), self.0.clock.now());
        let row = KeyRow {
            id: random::id(now),
            workspace_id: scope.workspace.id.clone(),
            name,
            role,
            last4: secret[secret.len() - 4..].to_owned(),
            made_by: maker(scope)?,
            created_at: now,
            expires_at: lifetime.map(|length| now.plus(length)),
            ended_at: None,
            last_used_at: None,
        };
        Ok((row, secret))
    }

    /// Makes a key in the place of another, with its name, role and length of life; the older one works on for
    /// `overlap_hours`.
    ///
    /// # Errors
    /// The field `overlap_hours` (0 to 168) or `role` (above one's own); [`Error::NotFound`] where there is no such key, or
    /// it has ended.
    pub async fn rotate_key(&self, scope: &Scope, id: &KeyId, overlap_hours: i64) -> Result<NewKey> {
        if !(0..=LONGEST_OVERLAP).contains(&overlap_hours) {
            return Err(FieldError::new("overlap_hours", "is not a number of hours from 0 to 168").into());
        }
        let now = self.0.clock.now();
        let old = self.keys(scope).await?.into_iter().find(|key| key.id == *id && key.is_live(now));
        let old = old.ok_or(Error::NotFound)?;
        let lifetime = old.expires_at.map(|end| end.micros() - old.created_at.micros());
        let (row, secret) = self.new_key(scope, old.name, old.role, lifetime)?;
        let previous_ends_at = self.0.clock.now().plus(overlap_hours * HOUR);
        let data = json!({
            "key_id": row.id, "name": row.name, "previous_key_id": id, "previous_ends_at": previous_ends_at,
        });
        let changes = vec![
            keys::end_by(&scope.workspace.id, id, previous_ends_at),
            keys::insert(&row, &random::fingerprint(&secret)),
        ];
        let act = self.act(scope, "api_key.rotated", data, changes).await?;
        self.submit_act(scope, act).await?;
        Ok(NewKey { id: row.id, key: secret, role: row.role, expires_at: row.expires_at })
    }

    /// All keys of a workspace, newest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn keys(&self, scope: &Scope) -> Result<Vec<KeyRow>> {
        keys::list(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await
    }

    /// Ends a key at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or it has ended.
    pub async fn end_key(&self, scope: &Scope, id: &KeyId) -> Result<()> {
        let changes = vec![keys::end(&scope.workspace.id, id, self.0.clock.now())];
        let act = self.act(scope, "api_key.ended", json!({ "key_id": id }), changes).await?;
        self.submit_act(scope, act).await.map(|_| ())
    }

    /// Whose secret this is; `None` for an unknown or ended key. Which workspace it opens, [`Engine::scope`] judges.
    ///
    /// # Errors
    /// The database's own.
    pub async fn key_principal(&self, secret: &str) -> Result<Option<Principal>> {
        let fingerprint = random::fingerprint(secret);
        for node in self.0.cells.values() {
            if let Some(key) = keys::by_secret(&node.db, &fingerprint).await? {
                if !key.is_live(self.0.clock.now()) {
                    return Ok(None);
                }
                self.note_key_use(node, &key).await;
                return Ok(Some(Principal::Key(key)));
            }
        }
        Ok(None)
    }

    /// To the minute: not every request is worth a write.
    async fn note_key_use(&self, node: &CellNode, key: &KeyRow) {
        let now = self.0.clock.now();
        if key.last_used_at.is_some_and(|noted| now < noted.plus(MINUTE)) {
            return;
        }
        if let Err(error) = keys::note_use(&node.db, &key.id, now).await {
            tracing::warn!(%error, key = %key.id, "a key's last use was not written");
        }
    }
}

/// The person behind the scope: a key made with a key belongs to the first one's maker.
fn maker(scope: &Scope) -> Result<UserId> {
    scope.actor.parse().map_err(|_| {
        Error::Conflict(
            "Keys are made by people in the browser, not with another key. Nothing was changed.".into(),
        )
    })
}

fn lifetime(days: Option<i64>) -> std::result::Result<Option<i64>, FieldError> {
    match days {
        Some(days) if !(1..=3650).contains(&days) => {
            Err(FieldError::new("expires_in_days", "is not a number of days from 1 to 3650"))
        }
        days => Ok(days),
    }
}
