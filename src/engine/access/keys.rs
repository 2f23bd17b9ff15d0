//! REST keys: made by an Admin or a Developer, never above the maker's role.

use serde::Serialize;
use serde_json::json;

use crate::domain::access::Role;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::{KeyId, UserId};
use crate::domain::time::{DAY, Time};
use crate::engine::Engine;
use crate::engine::access::scope::{Principal, Scope};
use crate::engine::error::{Error, Result};
use crate::engine::random;
use crate::engine::store::keys;
pub use crate::engine::store::keys::KeyRow;

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
        let role: Role = role.parse()?;
        if role > scope.role {
            return Err(
                FieldError::new("role", "is above your own; a key never does more than its maker").into()
            );
        }
        let (secret, now) = (random::secret("af_key_"), self.0.clock.now());
        let row = KeyRow {
            id: random::id(now),
            workspace_id: scope.workspace.id.clone(),
            name: field::text("name", name, 1, 80)?,
            role,
            last4: secret[secret.len() - 4..].to_owned(),
            made_by: maker(scope)?,
            created_at: now,
            expires_at: lifetime(expires_in_days)?.map(|days| now.plus(days * DAY)),
            ended_at: None,
        };
        let data =
            json!({ "key_id": row.id, "name": row.name, "role": row.role, "expires_at": row.expires_at });
        let changes = vec![keys::insert(&row, &random::fingerprint(&secret))];
        let act = self.act(scope, "api_key.created", data, changes).await?;
        self.submit_act(scope, act).await?;
        Ok(NewKey { id: row.id, key: secret, role, expires_at: row.expires_at })
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
        let (fingerprint, now) = (random::fingerprint(secret), self.0.clock.now());
        for node in self.0.cells.values() {
            if let Some(key) = keys::by_secret(&node.db, &fingerprint).await? {
                let is_live = key.ended_at.is_none() && key.expires_at.is_none_or(|end| now < end);
                return Ok(is_live.then_some(Principal::Key(key)));
            }
        }
        Ok(None)
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
