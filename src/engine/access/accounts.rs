//! A person's own account: name, password, sessions, and its end, when name and e-mail go and the log keeps the opaque id.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::field::{self, FieldError};
use crate::domain::ids::UserId;
use crate::engine::access::passwords;
use crate::engine::access::scope::{Origin, Scope};
use crate::engine::error::{Error, Result};
use crate::engine::store::leaving_people::{self, Leave};
use crate::engine::store::pending_acts::PendingAct;
pub use crate::engine::store::people::SessionView;
use crate::engine::store::people::{self, User};
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
    /// keys made by that person end, and nothing but the id is left. What a cell cannot forget now it forgets later.
    ///
    /// # Errors
    /// The field `password`; [`Error::Conflict`] where a workspace would have no Admin left, or the person's workspaces
    /// change meanwhile; [`Error::WrongRegion`] where another server has to write that the person left. Nothing was
    /// changed then.
    pub async fn delete_account(&self, user: &UserId, password: &str, origin: Origin) -> Result<()> {
        let user = self.check_password(user, "password", password).await?;
        let leaves = self.note_leaves(&user, &origin).await?;
        let acts: Vec<PendingAct> = leaves.iter().map(|(_, act)| act.clone()).collect();
        match leaving_people::leave(&self.0.control, &user.id, &self.known_cells().await?, &acts).await? {
            Leave::Done => {}
            Leave::LastAdminOf(workspace) => return Err(last_admin(&workspace)),
            Leave::Moved => return Err(moved()),
        }
        for (scope, act) in leaves {
            self.write_noted(&scope, act).await;
        }
        if let Err(error) = self.forget_leaving().await {
            tracing::warn!(%error, user = %user.id, "something is left of a deleted account; a job goes on in a minute");
        }
        tracing::info!(user = %user.id, "an account was deleted");
        Ok(())
    }

    /// What the log of each of a person's workspaces will say.
    async fn note_leaves(&self, user: &User, origin: &Origin) -> Result<Vec<(Scope, PendingAct)>> {
        let mut leaves = Vec::new();
        for (workspace, role) in workspaces::of_user(&self.0.control, &user.id).await? {
            let scope = Scope { workspace, role, actor: user.id.to_string(), origin: origin.clone() };
            let data = json!({ "user_id": user.id, "why": "account_deleted" });
            let act = self.note_act(&scope, "member.left", data).await?;
            leaves.push((scope, act));
        }
        Ok(leaves)
    }

    /// The cells of this server, and those of others that the directory knows.
    async fn known_cells(&self) -> Result<BTreeSet<String>> {
        let listed = workspaces::count_by_cell(&self.0.control).await?.into_iter().map(|(cell, _)| cell);
        Ok(listed.chain(self.0.cells.keys().cloned()).collect())
    }

    /// Lets this server's cells forget people who deleted their accounts, wherever they did.
    ///
    /// # Errors
    /// The database's or a bucket's own; the next run goes on. A cell that fails does not keep the others.
    pub async fn forget_leaving(&self) -> Result<()> {
        let mut result = Ok(());
        for node in self.0.cells.values() {
            result = result.and(self.forget_leaving_in(node).await);
        }
        result
    }

    async fn forget_leaving_in(&self, node: &CellNode) -> Result<()> {
        for user in leaving_people::of_cell(&self.0.control, &node.cell.name).await? {
            self.forget_in_cell(node, &user).await?;
            self.mark_deleted_user(node, &user).await?;
            self.note_forgotten(node, &user).await?;
        }
        Ok(())
    }

    /// Removes a person whom a restore brought back; false where it did not. The buckets have their marks.
    pub(in crate::engine) async fn forget_again(&self, user: &UserId) -> Result<bool> {
        if people::user(&self.0.control, user).await?.is_none() {
            return Ok(false);
        }
        leaving_people::remove(&self.0.control, user, &self.known_cells().await?).await?;
        for node in self.0.cells.values() {
            self.forget_in_cell(node, user).await?;
            self.note_forgotten(node, user).await?;
        }
        Ok(true)
    }

    /// Removes what is left of a person who is gone besides the id, under every address of the person: keys, recipients
    /// of alerts in whichever workspace, files of mails.
    async fn forget_in_cell(&self, node: &CellNode, user: &UserId) -> Result<()> {
        let addresses = leaving_people::addresses(&self.0.control, user).await?;
        keys::end_all_of(&node.db, user, self.0.clock.now()).await?;
        self.forget_in_alerts(node, &addresses).await?;
        for address in &addresses {
            self.0.mailer.forget(address).await?;
        }
        self.forget_cached();
        Ok(())
    }

    async fn note_forgotten(&self, node: &CellNode, user: &UserId) -> Result<()> {
        if leaving_people::forgotten(&self.0.control, user, &node.cell.name).await? {
            // Bytes of removed rows leave the disk too.
            self.0.control.scrub("users").await?;
            self.0.control.scrub("former_emails").await?;
        }
        Ok(())
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
}

fn last_admin(workspace: &str) -> Error {
    Error::Conflict(format!(
        "You are the last Admin of “{workspace}”. Nothing was deleted; make somebody else Admin, or delete the workspace."
    ))
}

fn moved() -> Error {
    Error::Conflict("Your workspaces changed a moment ago. Nothing was deleted; try again.".into())
}
