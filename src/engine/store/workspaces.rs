//! The directory: which workspace is in which cell, its members and its invitations.

use std::collections::HashSet;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::access::Role;
use crate::domain::ids::{InvitationId, UserId, WorkspaceId};
use crate::domain::region::Region;
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::ControlDb;
use crate::engine::store::books::parse;
use crate::engine::store::pending_acts::{self, PendingAct};
use crate::engine::store::sql::{Statement, values};

/// A tenant, as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Where it lives; never changes.
    pub region: Region,
    /// In which cell.
    pub cell: String,
    /// The secret part of its MCP URL.
    pub url_key: String,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: Time,
}

/// A person in a workspace.
#[derive(Debug, Clone)]
pub struct Member {
    /// The person.
    pub user_id: UserId,
    /// The person's name.
    pub name: String,
    /// The person's address.
    pub email: String,
    /// What the person may do here.
    pub role: Role,
    /// Since when.
    pub joined_at: Time,
    /// When the person last used a browser here, to five minutes.
    pub last_seen_at: Option<Time>,
}

/// An invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Where to.
    pub workspace_id: WorkspaceId,
    /// Whom.
    pub email: String,
    /// As what.
    pub role: Role,
    /// By whom.
    pub invited_by: String,
    /// When.
    pub created_at: Time,
    /// Until when its link works.
    pub expires_at: Time,
    /// When it was taken up.
    pub accepted_at: Option<Time>,
}

/// Makes a directory entry. A name that its maker has already is a unique violation.
///
/// # Errors
/// The database's own.
pub async fn insert(on: &mut AnyConnection, workspace: &Workspace) -> std::result::Result<(), sqlx::Error> {
    let text = "INSERT INTO workspaces (id, name, region, cell, url_key, created_by, created_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values![
        workspace.id.as_str(),
        workspace.name.as_str(),
        workspace.region.as_str(),
        workspace.cell.as_str(),
        workspace.url_key.as_str(),
        workspace.created_by.as_str(),
        workspace.created_at.micros()
    ];
    Statement::new(text, values).run(on).await.map(|_| ())
}

/// A workspace that is not deleted.
///
/// # Errors
/// The database's own.
pub async fn get(db: &ControlDb, id: &WorkspaceId) -> Result<Option<Workspace>> {
    let text = "SELECT * FROM workspaces WHERE id = $1 AND deleted_us IS NULL";
    let row = sqlx::query(text).bind(id.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(workspace).transpose()
}

/// A person's own workspace of this name, in any case of letters.
///
/// # Errors
/// The database's own.
pub async fn by_name(db: &ControlDb, owner: &UserId, name: &str) -> Result<Option<Workspace>> {
    let text =
        "SELECT * FROM workspaces WHERE created_by = $1 AND LOWER(name) = LOWER($2) AND deleted_us IS NULL";
    let row = sqlx::query(text).bind(owner.as_str()).bind(name).fetch_optional(&db.read).await?;
    row.as_ref().map(workspace).transpose()
}

/// Every workspace of a cell, deleted ones too: their logs stay.
///
/// # Errors
/// The database's own.
pub async fn of_cell(db: &ControlDb, cell: &str) -> Result<Vec<Workspace>> {
    let text = "SELECT * FROM workspaces WHERE cell = $1 ORDER BY id";
    let rows = sqlx::query(text).bind(cell).fetch_all(&db.read).await?;
    rows.iter().map(workspace).collect()
}

/// How many workspaces each cell holds.
///
/// # Errors
/// The database's own.
pub async fn count_by_cell(db: &ControlDb) -> Result<Vec<(String, i64)>> {
    let text = "SELECT cell, COUNT(*) AS held FROM workspaces GROUP BY cell";
    let rows = sqlx::query(text).fetch_all(&db.read).await?;
    rows.iter().map(|row| Ok((row.try_get("cell")?, row.try_get("held")?))).collect()
}

/// The name of a workspace's cell, also of a deleted one's.
///
/// # Errors
/// The database's own.
pub async fn cell_of(db: &ControlDb, id: &WorkspaceId) -> Result<Option<String>> {
    let text = "SELECT cell FROM workspaces WHERE id = $1";
    Ok(sqlx::query_scalar(text).bind(id.as_str()).fetch_optional(&db.read).await?)
}

/// Marks a workspace as deleted.
///
/// # Errors
/// The database's own.
pub async fn delete(db: &ControlDb, id: &WorkspaceId, now: Time) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "UPDATE workspaces SET deleted_us = $1 WHERE id = $2 AND deleted_us IS NULL";
    Statement::new(text, values![now.micros(), id.as_str()]).run(&mut transaction).await?;
    Statement::new(crate::engine::store::TELL_NODES, Vec::new()).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Puts a person into a workspace. One who belongs to it already is a unique violation.
///
/// # Errors
/// The database's own.
pub async fn insert_member(
    on: &mut AnyConnection,
    workspace: &WorkspaceId,
    user: &UserId,
    role: Role,
    now: Time,
) -> std::result::Result<(), sqlx::Error> {
    let text = "INSERT INTO memberships (workspace_id, user_id, role, created_us) VALUES ($1, $2, $3, $4)";
    let values = values![workspace.as_str(), user.as_str(), role.as_str(), now.micros()];
    Statement::new(text, values).run(on).await.map(|_| ())
}

/// A person's role in a workspace that is not deleted.
///
/// # Errors
/// The database's own.
pub async fn role(db: &ControlDb, id: &WorkspaceId, user: &UserId) -> Result<Option<(Workspace, Role)>> {
    let text = "SELECT w.*, m.role FROM workspaces w JOIN memberships m ON m.workspace_id = w.id \
                WHERE w.id = $1 AND m.user_id = $2 AND w.deleted_us IS NULL";
    let row = sqlx::query(text).bind(id.as_str()).bind(user.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(workspace_and_role).transpose()
}

/// Every workspace that a person belongs to, by name.
///
/// # Errors
/// The database's own.
pub async fn of_user(db: &ControlDb, user: &UserId) -> Result<Vec<(Workspace, Role)>> {
    let text = "SELECT w.*, m.role FROM workspaces w JOIN memberships m ON m.workspace_id = w.id \
                WHERE m.user_id = $1 AND w.deleted_us IS NULL ORDER BY LOWER(w.name), w.id";
    let rows = sqlx::query(text).bind(user.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(workspace_and_role).collect()
}

/// The people of a workspace by name.
///
/// # Errors
/// The database's own.
pub async fn members(db: &ControlDb, workspace: &WorkspaceId) -> Result<Vec<Member>> {
    let text = "SELECT u.id, u.name, u.email, u.last_seen_us, m.role, m.created_us FROM memberships m \
                JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 ORDER BY LOWER(u.name), u.id";
    let rows = sqlx::query(text).bind(workspace.as_str()).fetch_all(&db.read).await?;
    rows.iter()
        .map(|row| {
            Ok(Member {
                user_id: parse(row.try_get::<String, _>("id")?)?,
                name: row.try_get("name")?,
                email: row.try_get("email")?,
                role: stored_role(row)?,
                joined_at: Time(row.try_get("created_us")?),
                last_seen_at: row.try_get::<Option<i64>, _>("last_seen_us")?.map(Time),
            })
        })
        .collect()
}

/// Keeps an invitation; an open one of the same address ends.
///
/// # Errors
/// The database's own.
pub async fn insert_invitation(
    db: &ControlDb,
    invitation: &Invitation,
    fingerprint: &str,
    act: &PendingAct,
) -> Result<()> {
    let mut transaction = db.begin().await?;
    let end = "DELETE FROM invitations WHERE workspace_id = $1 AND email = $2 AND accepted_us IS NULL";
    let which = values![invitation.workspace_id.as_str(), invitation.email.as_str()];
    Statement::new(end, which).run(&mut transaction).await?;
    let text = "INSERT INTO invitations (id, workspace_id, email, role, token_hash, invited_by, created_us, expires_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = values![
        invitation.id.as_str(),
        invitation.workspace_id.as_str(),
        invitation.email.as_str(),
        invitation.role.as_str(),
        fingerprint,
        invitation.invited_by.as_str(),
        invitation.created_at.micros(),
        invitation.expires_at.micros()
    ];
    Statement::new(text, values).run(&mut transaction).await?;
    pending_acts::insert(&mut transaction, act).await?;
    Ok(transaction.commit().await?)
}

/// The invitation whose link has this fingerprint.
///
/// # Errors
/// The database's own.
pub async fn invitation(db: &ControlDb, fingerprint: &str) -> Result<Option<Invitation>> {
    let text = "SELECT * FROM invitations WHERE token_hash = $1";
    let row = sqlx::query(text).bind(fingerprint).fetch_optional(&db.read).await?;
    row.as_ref().map(read_invitation).transpose()
}

fn read_invitation(row: &AnyRow) -> Result<Invitation> {
    Ok(Invitation {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        email: row.try_get("email")?,
        role: stored_role(row)?,
        invited_by: row.try_get("invited_by")?,
        created_at: Time(row.try_get("created_us")?),
        expires_at: Time(row.try_get("expires_us")?),
        accepted_at: row.try_get::<Option<i64>, _>("accepted_us")?.map(Time),
    })
}

/// Uses an invitation up, and forgets its address, for the person has one now; false where somebody was faster.
///
/// # Errors
/// The database's own.
pub async fn use_invitation(on: &mut AnyConnection, id: &InvitationId, now: Time) -> Result<bool> {
    let text = "UPDATE invitations SET accepted_us = $1, email = '' \
                WHERE id = $2 AND accepted_us IS NULL AND expires_us > $1";
    Ok(Statement::new(text, values![now.micros(), id.as_str()]).run(on).await? == 1)
}

/// Removes a cell's directory entries whose workspace has no account there: a backup met them while they were made.
///
/// # Errors
/// The database's own.
pub async fn remove_without_account(db: &ControlDb, cell: &str, accounts: &HashSet<String>) -> Result<()> {
    let text = "SELECT id FROM workspaces WHERE cell = $1";
    let ids: Vec<String> = sqlx::query_scalar(text).bind(cell).fetch_all(&db.read).await?;
    let mut transaction = db.begin().await?;
    for id in ids.iter().filter(|id| !accounts.contains(*id)) {
        for text in [
            "DELETE FROM memberships WHERE workspace_id = $1",
            "DELETE FROM invitations WHERE workspace_id = $1",
            "DELETE FROM former_url_keys WHERE workspace_id = $1",
            "DELETE FROM workspaces WHERE id = $1",
        ] {
            Statement::new(text, values![id.as_str()]).run(&mut transaction).await?;
        }
    }
    Ok(transaction.commit().await?)
}

/// Gives a workspace another name, in the transaction that notes the act.
///
/// # Errors
/// The database's own; a taken name is a unique violation.
pub async fn rename(
    on: &mut AnyConnection,
    id: &WorkspaceId,
    name: &str,
) -> std::result::Result<(), sqlx::Error> {
    let text = "UPDATE workspaces SET name = $1 WHERE id = $2";
    Statement::new(text, values![name, id.as_str()]).run(on).await.map(drop)
}

fn workspace_and_role(row: &AnyRow) -> Result<(Workspace, Role)> {
    Ok((workspace(row)?, stored_role(row)?))
}

fn stored_role(row: &AnyRow) -> Result<Role> {
    row.try_get::<&str, _>("role")?.parse().map_err(|error| internal("stored role", error))
}

fn workspace(row: &AnyRow) -> Result<Workspace> {
    Ok(Workspace {
        id: parse(row.try_get::<String, _>("id")?)?,
        name: row.try_get("name")?,
        region: row
            .try_get::<&str, _>("region")?
            .parse()
            .map_err(|error| internal("stored region", error))?,
        cell: row.try_get("cell")?,
        url_key: row.try_get("url_key")?,
        created_by: parse(row.try_get::<String, _>("created_by")?)?,
        created_at: Time(row.try_get("created_us")?),
    })
}

/// Changes a member's role, or with `None` takes the person out; false where the person does not belong to the workspace,
/// or is its last Admin who would not stay one.
///
/// # Errors
/// The database's own.
pub async fn change_member(
    db: &ControlDb,
    user: &UserId,
    role: Option<Role>,
    act: &PendingAct,
) -> Result<bool> {
    const STAYS_ONE: &str = "AND (role <> 'admin' OR EXISTS (SELECT 1 FROM memberships o WHERE o.workspace_id = $1 \
                             AND o.user_id <> $2 AND o.role = 'admin'))";
    let (id, mut transaction) = (&act.entry.workspace_id, db.begin().await?);
    // Two Admins who demote each other must wait for one another.
    let lock = Statement::new("UPDATE workspaces SET name = name WHERE id = $1", values![id.as_str()]);
    lock.run(&mut transaction).await?;
    let mut which = values![id.as_str(), user.as_str()];
    let text = match role {
        Some(role) => {
            which.push(role.as_str().into());
            match role {
                Role::Admin => {
                    "UPDATE memberships SET role = $3 WHERE workspace_id = $1 AND user_id = $2".to_owned()
                }
                _ => format!(
                    "UPDATE memberships SET role = $3 WHERE workspace_id = $1 AND user_id = $2 {STAYS_ONE}"
                ),
            }
        }
        None => format!("DELETE FROM memberships WHERE workspace_id = $1 AND user_id = $2 {STAYS_ONE}"),
    };
    let is_changed = crate::engine::store::sql::run_text(&mut transaction, text, which).await? == 1;
    if is_changed {
        pending_acts::insert(&mut transaction, act).await?;
    }
    transaction.commit().await?;
    Ok(is_changed)
}

/// The invitations of a workspace that nobody took up yet, the newest first.
///
/// # Errors
/// The database's own.
pub async fn open_invitations(db: &ControlDb, workspace: &WorkspaceId) -> Result<Vec<Invitation>> {
    let text = "SELECT * FROM invitations WHERE workspace_id = $1 AND accepted_us IS NULL ORDER BY created_us DESC, id";
    let rows = sqlx::query(text).bind(workspace.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(read_invitation).collect()
}

/// Takes an open invitation back; false where there is none.
///
/// # Errors
/// The database's own.
pub async fn withdraw_invitation(db: &ControlDb, id: &InvitationId, act: &PendingAct) -> Result<bool> {
    let text = "DELETE FROM invitations WHERE workspace_id = $1 AND id = $2 AND accepted_us IS NULL";
    let mut transaction = db.begin().await?;
    let which = values![act.entry.workspace_id.as_str(), id.as_str()];
    let is_withdrawn = Statement::new(text, which).run(&mut transaction).await? == 1;
    if is_withdrawn {
        pending_acts::insert(&mut transaction, act).await?;
    }
    transaction.commit().await?;
    Ok(is_withdrawn)
}
