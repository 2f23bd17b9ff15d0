//! Members and invitations.

use serde_json::json;

use super::Engine;
use super::error::{Error, Result};
use super::people::{NewPerson, User, taken_email};
use super::random;
use super::scope::{Origin, Scope};
use super::store::people;
use super::store::workspaces::{self, Workspace};
pub use super::store::workspaces::{Invitation, Member};
use crate::domain::access::Role;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::{UserId, WorkspaceId};
use crate::domain::time::{DAY, Time};

/// How long an invitation's link works (issue “The dashboard”, 4).
const INVITATION: i64 = 7 * DAY;

/// What the page behind an invitation's link shows.
#[derive(Debug, Clone)]
pub struct InvitationView {
    /// Where to.
    pub workspace_name: String,
    /// Whom.
    pub email: String,
    /// As what.
    pub role: Role,
    /// Whether that address has an account.
    pub has_account: bool,
    /// Until when the link works.
    pub expires_at: Time,
}

impl Engine {
    /// The people of a workspace by name.
    ///
    /// # Errors
    /// The database's own.
    pub async fn members(&self, scope: &Scope) -> Result<Vec<Member>> {
        workspaces::members(&self.0.control, &scope.workspace.id).await
    }

    /// Invites a person by mail; an older open invitation of the same address ends.
    ///
    /// # Errors
    /// The field `email` (broken, or a member already) or `role`.
    pub async fn invite(&self, scope: &Scope, email: &str, role: &str) -> Result<Invitation> {
        let (email, role): (String, Role) = (field::email("email", email)?, role.parse()?);
        if self.members(scope).await?.iter().any(|member| member.email == email) {
            return Err(FieldError::new("email", "belongs to a member of this workspace already").into());
        }
        let (token, now) = (random::secret("invite_"), self.0.clock.now());
        let invitation = Invitation {
            id: random::id(now),
            workspace_id: scope.workspace.id.clone(),
            email,
            role,
            invited_by: scope.actor.clone(),
            created_at: now,
            expires_at: now.plus(INVITATION),
            accepted_at: None,
        };
        workspaces::insert_invitation(&self.0.control, &invitation, &random::fingerprint(&token)).await?;
        let act = self.act(
            scope,
            "member.invited",
            json!({ "invitation_id": invitation.id, "role": role }),
            Vec::new(),
        );
        self.submit_act(scope, act.await?).await?;
        self.mail_invitation(scope, &invitation, &token).await?;
        Ok(invitation)
    }

    async fn mail_invitation(&self, scope: &Scope, invitation: &Invitation, token: &str) -> Result<()> {
        let subject = format!("You are invited to {} on AgentFramer", scope.workspace.name);
        let text = format!(
            "You are invited to the workspace “{}” as {}.\n\nJoin here, until {}:\n{}/invite/{token}\n",
            scope.workspace.name,
            invitation.role.title(),
            invitation.expires_at,
            self.0.config.public_url(),
        );
        self.0.mailer.send(&invitation.email, &subject, text).await
    }

    /// What an invitation's link leads to.
    ///
    /// # Errors
    /// [`Error::Ended`] for a link that was used, is over or never was.
    pub async fn invitation(&self, token: &str) -> Result<InvitationView> {
        let (invitation, workspace) = self.open_invitation(token).await?;
        let has_account = people::by_email(&self.0.control, &invitation.email).await?.is_some();
        Ok(InvitationView {
            workspace_name: workspace.name,
            email: invitation.email,
            role: invitation.role,
            has_account,
            expires_at: invitation.expires_at,
        })
    }

    async fn open_invitation(&self, token: &str) -> Result<(Invitation, Workspace)> {
        let ended = || {
            Error::Ended("This invitation was used, withdrawn or is over. Ask an Admin for a new one.".into())
        };
        let found = workspaces::invitation(&self.0.control, &random::fingerprint(token)).await?;
        let open = found.filter(|found| found.accepted_at.is_none() && self.0.clock.now() < found.expires_at);
        let invitation = open.ok_or_else(ended)?;
        let workspace =
            workspaces::get(&self.0.control, &invitation.workspace_id).await?.ok_or_else(ended)?;
        Ok((invitation, workspace))
    }

    /// Takes an invitation up: the person who is signed in with its address joins, or a new person is made.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another address is signed in or the address has an account that is not; a field of the
    /// new person.
    pub async fn accept_invitation(
        &self,
        token: &str,
        signed_in: Option<&UserId>,
        person: Option<NewPerson>,
        origin: Origin,
    ) -> Result<(User, WorkspaceId)> {
        let (invitation, workspace) = self.open_invitation(token).await?;
        let known = people::by_email(&self.0.control, &invitation.email).await?.map(|(user, _)| user);
        let (user, hash) = match (known, person) {
            (Some(user), _) if signed_in == Some(&user.id) => (user, None),
            (None, Some(person)) => {
                let invited = NewPerson { email: invitation.email.clone(), ..person };
                self.prepare_person(invited).await.map(|(user, hash)| (user, Some(hash)))?
            }
            (Some(_), _) => {
                let message = format!("Sign in as {} first, then open this link again.", invitation.email);
                return Err(Error::Conflict(message));
            }
            (None, None) => return Err(FieldError::new("name", "is missing").into()),
        };
        self.join(&invitation, &user, hash.as_deref()).await?;
        let scope = Scope { workspace, role: invitation.role, actor: user.id.to_string(), origin };
        let data =
            json!({ "user_id": user.id, "role": invitation.role, "invited_by": invitation.invited_by });
        let act = self.act(&scope, "member.joined", data, Vec::new()).await?;
        self.submit_act(&scope, act).await?;
        Ok((user, invitation.workspace_id))
    }

    async fn join(&self, invitation: &Invitation, user: &User, hash: Option<&str>) -> Result<()> {
        let now = self.0.clock.now();
        let mut transaction = self.0.control.begin().await?;
        if !workspaces::use_invitation(&mut transaction, &invitation.id, now).await? {
            return Err(Error::Ended("This invitation was used a moment ago. Nothing was changed.".into()));
        }
        if let Some(hash) = hash {
            people::insert(&mut transaction, user, hash).await.map_err(taken_email)?;
        }
        workspaces::set_member(&mut transaction, &invitation.workspace_id, &user.id, invitation.role, now)
            .await?;
        Ok(transaction.commit().await?)
    }
}
