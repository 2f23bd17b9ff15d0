//! A person's own account: deleting it. Name and e-mail go, the log keeps the opaque id.

use serde_json::json;

use super::Engine;
use super::error::{Error, Result};
use super::scope::{Origin, Scope};
use super::store::people::{self, User};
use super::store::{keys, workspaces};
use crate::domain::access::Role;
use crate::domain::field::FieldError;
use crate::domain::ids::UserId;

impl Engine {
    /// Deletes a person's account after the password was given once more: the person leaves every workspace, the REST
    /// keys made by that person end, and nothing but the id is left.
    ///
    /// # Errors
    /// The field `password`; [`Error::Conflict`] where a workspace would have no Admin left; [`Error::WrongRegion`] where
    /// another server has to write that the person left. Nothing was changed then.
    pub async fn delete_account(&self, user: &UserId, password: &str, origin: Origin) -> Result<()> {
        let user = self.user(user).await?.ok_or(Error::NotFound)?;
        let (_, hash) = people::by_email(&self.0.control, &user.email).await?.ok_or(Error::NotFound)?;
        if !self.0.passwords.verify(password, Some(&hash)).await? {
            return Err(FieldError::new("password", "is not right; nothing was deleted").into());
        }
        let scopes = self.scopes_to_leave(&user, &origin).await?;
        for scope in scopes {
            self.leave(&scope, &user.id).await?;
        }
        people::remove(&self.0.control, &user.id).await?;
        self.mark_deleted_user(&user.id).await?;
        self.forget_cached();
        tracing::info!(user = %user.id, "an account was deleted");
        Ok(())
    }

    async fn scopes_to_leave(&self, user: &User, origin: &Origin) -> Result<Vec<Scope>> {
        let mut scopes = Vec::new();
        for (workspace, role) in workspaces::of_user(&self.0.control, &user.id).await? {
            self.cell(&workspace)?;
            let scope = Scope { workspace, role, actor: user.id.to_string(), origin: origin.clone() };
            let others = self.members(&scope).await?;
            let is_last = role == Role::Admin
                && !others.iter().any(|other| other.role == Role::Admin && other.user_id != user.id);
            if is_last {
                return Err(Error::Conflict(format!(
                    "You are the last Admin of “{}”. Nothing was deleted; make somebody else Admin, or delete the workspace.",
                    scope.workspace.name
                )));
            }
            scopes.push(scope);
        }
        Ok(scopes)
    }

    async fn leave(&self, scope: &Scope, user: &UserId) -> Result<()> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let own = keys::list(db, id)
            .await?
            .into_iter()
            .filter(|key| key.made_by == *user && key.ended_at.is_none());
        let now = self.0.clock.now();
        let changes = own.map(|key| keys::end(id, &key.id, now)).collect();
        let data = json!({ "user_id": user, "why": "account_deleted" });
        let act = self.act(scope, "member.left", data, changes).await?;
        self.submit_act(scope, act).await.map(|_| ())
    }
}
