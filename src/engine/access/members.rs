//! Members and invitations.

use std::time::Duration;

use serde_json::json;

use crate::domain::access::Role;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::{InvitationId, UserId, WorkspaceId};
use crate::domain::time::{DAY, Time};
use crate::engine::Engine;
use crate::engine::access::directory_acts::MEMBER_REMOVED;
use crate::engine::access::people::{NewPerson, User, taken_email};
use crate::engine::access::scope::{Origin, Scope};
use crate::engine::error::{Error, Result, internal};
use crate::engine::random;
use crate::engine::store::pending_acts::{self, PendingAct};
use crate::engine::store::people;
use crate::engine::store::workspaces::{self, Workspace};
pub use crate::engine::store::workspaces::{Invitation, Member};

/// How long an invitation's link works (issue “The dashboard”, 4).
const INVITATION: i64 = 7 * DAY;
/// How long the mail server may take for one invitation.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// An invitation before it is kept, with its link's token and the note of its act.
struct NewInvitation {
    invitation: Invitation,
    token: String,
    act: PendingAct,
}

/// How far a list of invitations came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// Who was invited, in the list's order.
    pub people: Vec<String>,
    /// Who was not, where it was broken off.
    pub rest: Option<Uninvited>,
}

/// The people of a list from the one on at whom it was broken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uninvited {
    /// What happened.
    pub why: Error,
    /// Their lines, to be sent again.
    pub list: String,
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
    /// The field `email` (broken, or a member already) or `role`; [`Error::Unavailable`] where the mail did not go out:
    /// nobody was invited then, and the link of an older invitation works on.
    pub async fn invite(&self, scope: &Scope, email: &str, role: &str) -> Result<Invitation> {
        let new = self.new_invitation(scope, email, role).await?;
        // Before it is kept: an invitation that nobody got would only end the link of the one before.
        self.mail_invitation(scope, &new.invitation, &new.token).await?;
        self.keep_invitation(scope, new).await.map(|(invitation, _)| invitation)
    }

    /// As [`Engine::invite`], for who brings the token there in another way than by mail.
    ///
    /// # Errors
    /// As [`Engine::invite`], but for the mail's.
    pub async fn make_invitation(
        &self,
        scope: &Scope,
        email: &str,
        role: &str,
    ) -> Result<(Invitation, String)> {
        let new = self.new_invitation(scope, email, role).await?;
        self.keep_invitation(scope, new).await
    }

    async fn new_invitation(&self, scope: &Scope, email: &str, role: &str) -> Result<NewInvitation> {
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
        let data = json!({ "invitation_id": invitation.id, "role": role });
        let act = self.note_act(scope, "member.invited", data).await?;
        Ok(NewInvitation { invitation, token, act })
    }

    async fn keep_invitation(&self, scope: &Scope, new: NewInvitation) -> Result<(Invitation, String)> {
        let NewInvitation { invitation, token, act } = new;
        let fingerprint = random::fingerprint(&token);
        workspaces::insert_invitation(&self.0.control, &invitation, &fingerprint, &act).await?;
        self.write_noted(scope, act).await;
        Ok((invitation, token))
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// The field `role`; [`Error::NotFound`] for somebody else; [`Error::Conflict`] for the last Admin.
    pub async fn change_role(&self, scope: &Scope, user: &UserId, role: &str) -> Result<Member> {
        let (before, role) = (self.member(scope, user).await?, role.parse::<Role>()?);
        let data = json!({ "user_id": user, "from": before.role, "to": role });
        let act = self.note_act(scope, "member.role_changed", data).await?;
        if !workspaces::change_member(&self.0.control, user, Some(role), &act).await? {
            return Err(last_admin("changed"));
        }
        self.write_noted(scope, act).await;
        Ok(Member { role, ..before })
    }

    /// Takes a person out of the workspace. The REST keys that the person made there end for good; until that is in the log
    /// they are refused, for their maker does not belong to the workspace.
    ///
    /// # Errors
    /// [`Error::NotFound`] for somebody else; [`Error::Conflict`] for the last Admin.
    pub async fn remove_member(&self, scope: &Scope, user: &UserId) -> Result<()> {
        let before = self.member(scope, user).await?;
        let data = json!({ "user_id": user, "role": before.role });
        let act = self.note_act(scope, MEMBER_REMOVED, data).await?;
        if !workspaces::change_member(&self.0.control, user, None, &act).await? {
            return Err(last_admin("removed"));
        }
        self.write_noted(scope, act).await;
        Ok(())
    }

    async fn member(&self, scope: &Scope, user: &UserId) -> Result<Member> {
        let members = self.members(scope).await?;
        members.into_iter().find(|member| &member.user_id == user).ok_or(Error::NotFound)
    }

    /// The invitations that nobody took up yet, the newest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn invitations(&self, scope: &Scope) -> Result<Vec<Invitation>> {
        workspaces::open_invitations(&self.0.control, &scope.workspace.id).await
    }

    /// Sends an open invitation once more, with a new link; the old link ends when the mail went out.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it was taken up or withdrawn; as [`Engine::invite`].
    pub async fn resend_invitation(&self, scope: &Scope, id: &InvitationId) -> Result<Invitation> {
        let open = self.invitations(scope).await?;
        let invitation = open.into_iter().find(|open| &open.id == id).ok_or(Error::NotFound)?;
        self.invite(scope, &invitation.email, invitation.role.as_str()).await
    }

    /// Takes an open invitation back: its link ends.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it was taken up or withdrawn.
    pub async fn withdraw_invitation(&self, scope: &Scope, id: &InvitationId) -> Result<()> {
        let data = json!({ "invitation_id": id });
        let act = self.note_act(scope, "member.invitation_withdrawn", data).await?;
        if !workspaces::withdraw_invitation(&self.0.control, id, &act).await? {
            return Err(Error::NotFound);
        }
        self.write_noted(scope, act).await;
        Ok(())
    }

    /// Invites everybody in a list of `email,role` lines, or nobody where one line is wrong. Where a mail does not go out it
    /// stops, and tells who was invited and who was not.
    ///
    /// # Errors
    /// The field `people`, naming the line; as [`Engine::invite`] where not even the first was invited.
    pub async fn invite_all(&self, scope: &Scope, list: &str) -> Result<Invited> {
        let people = people_list(list)?;
        let members = self.members(scope).await?;
        if let Some((email, _)) =
            people.iter().find(|(email, _)| members.iter().any(|member| &member.email == email))
        {
            let message = format!("names {email}, who is a member already; nobody was invited");
            return Err(FieldError::new("people", message).into());
        }
        let mut invited = Vec::with_capacity(people.len());
        for (place, (email, role)) in people.iter().enumerate() {
            match self.invite(scope, email, role.as_str()).await {
                Ok(invitation) => invited.push(invitation.email),
                Err(why) if invited.is_empty() => return Err(why),
                Err(why) => {
                    let rest = Uninvited { why, list: as_list(&people[place..]) };
                    return Ok(Invited { people: invited, rest: Some(rest) });
                }
            }
        }
        Ok(Invited { people: invited, rest: None })
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
        let sending = self.0.mailer.send(&invitation.email, &subject, text);
        let sent = tokio::time::timeout(PATIENCE, sending).await;
        let sent = sent.unwrap_or_else(|_| Err(internal("mail", "the mail server takes too long")));
        sent.map_err(|_| not_mailed(&invitation.email))
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
    /// [`Error::Conflict`] when another address is signed in, the address has an account that is not, or the person is a
    /// member already; a field of the new person.
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
        let scope = Scope { workspace, role: invitation.role, actor: user.id.to_string(), origin };
        let data =
            json!({ "user_id": user.id, "role": invitation.role, "invited_by": invitation.invited_by });
        let act = self.note_act(&scope, "member.joined", data).await?;
        self.join(&invitation, &user, hash.as_deref(), &act).await?;
        self.write_noted(&scope, act).await;
        Ok((user, invitation.workspace_id))
    }

    async fn join(
        &self,
        invitation: &Invitation,
        user: &User,
        hash: Option<&str>,
        act: &PendingAct,
    ) -> Result<()> {
        let now = self.0.clock.now();
        let mut transaction = self.0.control.begin().await?;
        if !workspaces::use_invitation(&mut transaction, &invitation.id, now).await? {
            return Err(Error::Ended("This invitation was used a moment ago. Nothing was changed.".into()));
        }
        if let Some(hash) = hash {
            people::insert(&mut transaction, user, hash).await.map_err(taken_email)?;
        }
        let (workspace, role) = (&invitation.workspace_id, invitation.role);
        let joined = workspaces::insert_member(&mut transaction, workspace, &user.id, role, now).await;
        joined.map_err(member_already)?;
        pending_acts::insert(&mut transaction, act).await?;
        Ok(transaction.commit().await?)
    }
}

/// An invitation changes nobody's role: it would get round what keeps a workspace's last Admin.
fn member_already(error: sqlx::Error) -> Error {
    match error.as_database_error() {
        Some(fault) if fault.is_unique_violation() => Error::Conflict(
            "You belong to this workspace already. Nothing was changed; an Admin changes roles under Members."
                .into(),
        ),
        _ => error.into(),
    }
}

/// Why the mail server did not take it, the operator's log says.
fn not_mailed(email: &str) -> Error {
    Error::Unavailable(format!(
        "The mail to {email} did not go out. Nothing was changed for this person; a link that was sent before still works. \
         Try again in a few minutes, or ask your operator what the mail server answered."
    ))
}

fn last_admin(what: &str) -> Error {
    let text = format!(
        "The last Admin of a workspace cannot be {what}. Nothing was changed; make somebody else Admin first."
    );
    Error::Conflict(text)
}

/// People that one list may hold.
const LONGEST_LIST: usize = 100;

/// The people of a list of `email,role` lines; a head line may stand first, and a missing role is Viewer.
///
/// # Errors
/// The field `people`, naming the line.
pub fn people_list(list: &str) -> std::result::Result<Vec<(String, Role)>, FieldError> {
    let lines = list.lines().enumerate().filter(|(number, line)| {
        let is_head = *number == 0 && is_head(line);
        !line.trim().is_empty() && !is_head
    });
    let read = |(number, line): (usize, &str)| {
        let wrong = |error: FieldError| {
            FieldError::new("people", format!("line {}: {} {}", number + 1, error.field, error.message))
        };
        let (email, role) = line.split_once([',', ';']).unwrap_or((line, "viewer"));
        let email = field::email("e-mail", email.trim().trim_matches('"')).map_err(wrong)?;
        let role = role.trim().trim_matches('"').to_lowercase().parse().map_err(wrong)?;
        Ok((email, role))
    };
    let people: Vec<(String, Role)> = lines.map(read).collect::<std::result::Result<_, FieldError>>()?;
    match people.len() {
        0 => Err(FieldError::new("people", "is empty; write email,role in each line")),
        count if count > LONGEST_LIST => Err(FieldError::new(
            "people",
            format!("has {count} lines; at most {LONGEST_LIST} are taken at a time"),
        )),
        _ => Ok(people),
    }
}

/// Whether a line names the columns; `email-ops@example.com` is a person.
fn is_head(line: &str) -> bool {
    let names: Vec<String> =
        line.split([',', ';']).map(|name| name.trim().trim_matches('"').to_lowercase()).collect();
    names == ["email"] || names == ["email", "role"]
}

/// Lines that [`people_list`] reads.
fn as_list(people: &[(String, Role)]) -> String {
    people.iter().map(|(email, role)| format!("{email},{role}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_people_is_read_or_its_wrong_line_named() {
        let people = people_list(
            "email,role\nAda@example.com,admin\n\n\"bob@example.com\";developer\neve@example.com\n",
        )
        .unwrap();
        let roles: Vec<_> = people.iter().map(|(email, role)| (email.as_str(), *role)).collect();
        assert_eq!(
            roles,
            [
                ("ada@example.com", Role::Admin),
                ("bob@example.com", Role::Developer),
                ("eve@example.com", Role::Viewer)
            ]
        );
        for (list, named) in
            [("a@b.co,admin\nnobody,viewer", "line 2"), ("a@b.co,king", "line 1"), ("", "empty")]
        {
            assert!(people_list(list).unwrap_err().message.contains(named), "{list}");
        }
    }

    #[test]
    fn only_the_names_of_the_columns_are_a_head() {
        let first = |list: &str| people_list(list).unwrap().remove(0).0;
        for head in ["email,role", "email", "\"Email\"; \"Role\""] {
            assert_eq!(first(&format!("{head}\nada@example.com,admin")), "ada@example.com", "{head}");
        }
        for person in ["email-ops@example.com,admin", "email@example.com", "emails@example.com;viewer"] {
            assert_eq!(first(person), person.split([',', ';']).next().unwrap());
        }
        let again = as_list(&people_list("a@b.co;admin\nc@d.co").unwrap());
        assert_eq!(again, "a@b.co,admin\nc@d.co,viewer\n");
    }
}
