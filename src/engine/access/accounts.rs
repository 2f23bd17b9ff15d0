//! A person's own account: name, password, sessions, and its end, when name and e-mail go and the log keeps the opaque id.

use serde_json::json;

use crate::domain::access::Role;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::UserId;
use crate::engine::access::passwords;
use crate::engine::access::scope::{Origin, Scope};
use crate::engine::error::{Error, Result};
pub use crate::engine::store::people::SessionView;
use crate::engine::store::people::{self, User};
use crate::engine::store::sql::Statement;
use crate::engine::store::{alerts, keys, workspaces};
use crate::engine::{CellNode, Engine};

impl Engine {
    /// Changes a person's name.
    ///
    /// # Errors
    /// The field `name`.
    pub async fn set_name(&self, user: &UserId, name: &str) -> Result<()> {
        people::set_name(&self.0.control, user, &field::text("name", name, 1, 100)?).await
    }

    /// The name of the zone in which a person wants to see times; none until one was chosen.
    ///
    /// # Errors
    /// The database's own.
    pub async fn zone(&self, user: &UserId) -> Result<Option<String>> {
        people::zone(&self.0.control, user).await
    }

    /// Keeps the zone that a person chose, by its IANA name.
    ///
    /// # Errors
    /// The database's own.
    pub async fn set_zone(&self, user: &UserId, zone: &str) -> Result<()> {
        people::set_zone(&self.0.control, user, zone).await
    }

    /// Changes the password after the one in force was given, and ends every session: whoever knew the old one is out
    /// (ASVS 6.2.3, 7.4.3). The caller begins a new session.
    ///
    /// # Errors
    /// The fields `current_password` or `new_password`.
    pub async fn change_password(&self, user: &UserId, current: &str, new: &str) -> Result<()> {
        self.check_password(user, "current_password", current).await?;
        passwords::check(new).map_err(|error| FieldError::new("new_password", error.message))?;
        let hash = self.0.passwords.hash(new).await?;
        people::set_password_hash(&self.0.control, user, &hash).await?;
        people::end_sessions(&self.0.control, user).await?;
        tracing::info!(%user, "a password was changed");
        Ok(())
    }

    /// Where a person is signed in, the last used first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn sessions_of(&self, user: &UserId) -> Result<Vec<SessionView>> {
        people::sessions_of(&self.0.control, user, self.0.clock.now()).await
    }

    /// Ends one of a person's own sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn end_session(&self, user: &UserId, id: &str) -> Result<()> {
        if people::end_session(&self.0.control, user, id).await? { Ok(()) } else { Err(Error::NotFound) }
    }

    pub(in crate::engine) async fn check_password(
        &self,
        user: &UserId,
        field: &str,
        password: &str,
    ) -> Result<User> {
        let user = self.user(user).await?.ok_or(Error::NotFound)?;
        let (_, hash) = people::by_email(&self.0.control, &user.email).await?.ok_or(Error::NotFound)?;
        if !self.0.passwords.verify(password, Some(&hash)).await? {
            return Err(FieldError::new(field, "is not right; nothing was changed").into());
        }
        Ok(user)
    }

    /// Deletes a person's account after the password was given once more: the person leaves every workspace, the REST
    /// keys made by that person end, and nothing but the id is left.
    ///
    /// # Errors
    /// The field `password`; [`Error::Conflict`] where a workspace would have no Admin left; [`Error::WrongRegion`] where
    /// another server has to write that the person left. Nothing was changed then.
    pub async fn delete_account(&self, user: &UserId, password: &str, origin: Origin) -> Result<()> {
        let user = self.check_password(user, "password", password).await?;
        let scopes = self.scopes_to_leave(&user, &origin).await?;
        for scope in scopes {
            self.leave(&scope, &user).await?;
        }
        // Before the row, so that no restore brings the person back where the bucket does not answer now.
        self.mark_deleted_user(&user.id).await?;
        self.forget_person(&user).await?;
        tracing::info!(user = %user.id, "an account was deleted");
        Ok(())
    }

    /// Removes what is left of a person besides the id, under every address of the person: keys, recipients of alerts in
    /// whichever workspace, invitations, the account, files of mails. Also what a restore brought back of it.
    pub(in crate::engine) async fn forget_person(&self, user: &User) -> Result<()> {
        let addresses = people::addresses(&self.0.control, &user.id).await?;
        for node in self.0.cells.values() {
            keys::end_all_of(&node.db, &user.id, self.0.clock.now()).await?;
            self.forget_in_alerts(node, &addresses).await?;
        }
        people::remove(&self.0.control, &user.id, &addresses).await?;
        for address in &addresses {
            self.0.mailer.forget(address).await?;
        }
        self.forget_cached();
        // Bytes of removed rows leave the disk too.
        self.0.control.scrub("users").await.map(drop)
    }

    async fn forget_in_alerts(&self, node: &CellNode, addresses: &[String]) -> Result<()> {
        let told = alerts::told_by_mail(&node.db, addresses).await?;
        if told.is_empty() {
            return Ok(());
        }
        for workspace in workspaces::of_cell(&self.0.control, &node.cell.name).await? {
            if told.contains(&workspace.id) {
                self.forget_recipients(&self.system_scope(workspace), addresses).await?;
            }
        }
        node.db.scrub("alert_settings").await.map(drop)
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

    /// Ends the person's keys.
    async fn leave(&self, scope: &Scope, user: &User) -> Result<()> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let own = keys::list(db, id)
            .await?
            .into_iter()
            .filter(|key| key.made_by == user.id && key.ended_at.is_none());
        let now = self.0.clock.now();
        let changes: Vec<Statement> = own.map(|key| keys::end(id, &key.id, now)).collect();
        let data = json!({ "user_id": user.id, "why": "account_deleted" });
        let act = self.act(scope, "member.left", data, changes).await?;
        self.submit_act(scope, act).await.map(|_| ())
    }
}
