//! The directory workspace → cell, memberships and invitations (control), and each workspace's account (cell).

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::access::Role;
use crate::domain::audit::GENESIS;
use crate::domain::ids::{InvitationId, UserId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::region::Region;
use crate::domain::settings::{Caps, Inference};
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::Db;
use crate::engine::store::books::parse;
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
    /// The one before a rotation, and until when it works.
    pub previous_url_key: Option<(String, Time)>,
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
    /// When the person was last signed in.
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

/// What was said to the starting checklist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ChecklistNotes {
    /// It is not shown any more.
    pub dismissed: bool,
    /// The default retention was looked at and kept.
    pub retention_kept: bool,
}

/// What an account holds besides money.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// Money that a call may reserve.
    pub available: Usd,
    /// Money set aside.
    pub reserved: Usd,
    /// Whether calls are refused altogether.
    pub suspended: bool,
    /// Limits.
    pub caps: Caps,
    /// Where models may infer.
    pub inference: Inference,
    /// How long media and prompts are kept, in days.
    pub media_retention_days: u32,
    /// How long the log is kept, in days.
    pub log_retention_days: u32,
    /// Who pays, in the customer's own words.
    pub cost_centre: Option<String>,
    /// The cell that keeps copies of the media.
    pub replicate_to: Option<String>,
    /// Models that no agent of the workspace may use.
    pub forbidden_models: Vec<String>,
    /// What was said to the starting checklist.
    pub checklist: ChecklistNotes,
    /// Enters each prompt's hash.
    pub salt: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
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
pub async fn get(db: &Db, id: &WorkspaceId) -> Result<Option<Workspace>> {
    let text = "SELECT * FROM workspaces WHERE id = $1 AND deleted_us IS NULL";
    let row = sqlx::query(text).bind(id.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(workspace).transpose()
}

/// A person's own workspace of this name, in any case of letters.
///
/// # Errors
/// The database's own.
pub async fn by_name(db: &Db, owner: &UserId, name: &str) -> Result<Option<Workspace>> {
    let text =
        "SELECT * FROM workspaces WHERE created_by = $1 AND LOWER(name) = LOWER($2) AND deleted_us IS NULL";
    let row = sqlx::query(text).bind(owner.as_str()).bind(name).fetch_optional(&db.read).await?;
    row.as_ref().map(workspace).transpose()
}

/// Every workspace of a cell, deleted ones too: their logs stay.
///
/// # Errors
/// The database's own.
pub async fn of_cell(db: &Db, cell: &str) -> Result<Vec<Workspace>> {
    let text = "SELECT * FROM workspaces WHERE cell = $1 ORDER BY id";
    let rows = sqlx::query(text).bind(cell).fetch_all(&db.read).await?;
    rows.iter().map(workspace).collect()
}

/// How many workspaces each cell holds.
///
/// # Errors
/// The database's own.
pub async fn count_by_cell(db: &Db) -> Result<Vec<(String, i64)>> {
    let text = "SELECT cell, COUNT(*) AS held FROM workspaces GROUP BY cell";
    let rows = sqlx::query(text).fetch_all(&db.read).await?;
    rows.iter().map(|row| Ok((row.try_get("cell")?, row.try_get("held")?))).collect()
}

/// Marks a workspace as deleted.
///
/// # Errors
/// The database's own.
pub async fn delete(db: &Db, id: &WorkspaceId, now: Time) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "UPDATE workspaces SET deleted_us = $1 WHERE id = $2 AND deleted_us IS NULL";
    Statement::new(text, values![now.micros(), id.as_str()]).run(&mut transaction).await?;
    Statement::new(crate::engine::store::TELL_NODES, Vec::new()).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Puts a person into a workspace, or changes the role there.
///
/// # Errors
/// The database's own.
pub async fn set_member(
    on: &mut AnyConnection,
    workspace: &WorkspaceId,
    user: &UserId,
    role: Role,
    now: Time,
) -> std::result::Result<(), sqlx::Error> {
    let text = "INSERT INTO memberships (workspace_id, user_id, role, created_us) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role";
    let values = values![workspace.as_str(), user.as_str(), role.as_str(), now.micros()];
    Statement::new(text, values).run(on).await.map(|_| ())
}

/// A person's role in a workspace that is not deleted.
///
/// # Errors
/// The database's own.
pub async fn role(db: &Db, id: &WorkspaceId, user: &UserId) -> Result<Option<(Workspace, Role)>> {
    let text = "SELECT w.*, m.role FROM workspaces w JOIN memberships m ON m.workspace_id = w.id \
                WHERE w.id = $1 AND m.user_id = $2 AND w.deleted_us IS NULL";
    let row = sqlx::query(text).bind(id.as_str()).bind(user.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(workspace_and_role).transpose()
}

/// Every workspace that a person belongs to, by name.
///
/// # Errors
/// The database's own.
pub async fn of_user(db: &Db, user: &UserId) -> Result<Vec<(Workspace, Role)>> {
    let text = "SELECT w.*, m.role FROM workspaces w JOIN memberships m ON m.workspace_id = w.id \
                WHERE m.user_id = $1 AND w.deleted_us IS NULL ORDER BY LOWER(w.name), w.id";
    let rows = sqlx::query(text).bind(user.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(workspace_and_role).collect()
}

/// The people of a workspace by name.
///
/// # Errors
/// The database's own.
pub async fn members(db: &Db, workspace: &WorkspaceId) -> Result<Vec<Member>> {
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
pub async fn insert_invitation(db: &Db, invitation: &Invitation, fingerprint: &str) -> Result<()> {
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
    Ok(transaction.commit().await?)
}

/// The invitation whose link has this fingerprint.
///
/// # Errors
/// The database's own.
pub async fn invitation(db: &Db, fingerprint: &str) -> Result<Option<Invitation>> {
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

/// Uses an invitation up; false where somebody was faster.
///
/// # Errors
/// The database's own.
pub async fn use_invitation(on: &mut AnyConnection, id: &InvitationId, now: Time) -> Result<bool> {
    let text =
        "UPDATE invitations SET accepted_us = $1 WHERE id = $2 AND accepted_us IS NULL AND expires_us > $1";
    Ok(Statement::new(text, values![now.micros(), id.as_str()]).run(on).await? == 1)
}

/// Makes a workspace's account in its cell.
///
/// # Errors
/// The database's own.
pub async fn insert_account(db: &Db, id: &WorkspaceId, region: Region, account: &AccountRow) -> Result<()> {
    let text = "INSERT INTO accounts (workspace_id, available, reserved, caps, region, inference, \
                media_retention_days, log_retention_days, salt, log_head, created_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (workspace_id) DO NOTHING";
    let values = values![
        id.as_str(),
        account.available.micros(),
        account.reserved.micros(),
        serde_json::to_string(&account.caps).unwrap_or_default(),
        region.as_str(),
        account.inference.as_str(),
        i64::from(account.media_retention_days),
        i64::from(account.log_retention_days),
        account.salt.clone(),
        GENESIS,
        account.created_at.micros()
    ];
    let mut transaction = db.begin().await?;
    Statement::new(text, values).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// A workspace's account.
///
/// # Errors
/// The database's own.
pub async fn account(db: &Db, id: &WorkspaceId) -> Result<Option<AccountRow>> {
    let text = "SELECT * FROM accounts WHERE workspace_id = $1";
    let row = sqlx::query(text).bind(id.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(account_row).transpose()
}

/// Changes a workspace's caps.
pub fn set_caps(id: &WorkspaceId, caps: &Caps) -> Statement {
    let json = serde_json::to_string(caps).unwrap_or_default();
    Statement::new("UPDATE accounts SET caps = $1 WHERE workspace_id = $2", values![json, id.as_str()])
}

/// Changes where models may infer, and the cost centre.
pub fn set_settings(id: &WorkspaceId, inference: Inference, cost_centre: Option<&str>) -> Statement {
    let text = "UPDATE accounts SET inference = $1, cost_centre = $2 WHERE workspace_id = $3";
    Statement::new(text, values![inference.as_str(), cost_centre.map(str::to_owned), id.as_str()])
}

/// The monthly allowance, where there is one.
///
/// # Errors
/// The database's own.
pub async fn allowance(db: &Db, id: &WorkspaceId) -> Result<Option<Usd>> {
    let text = "SELECT allowance FROM accounts WHERE workspace_id = $1";
    let found: Option<Option<i64>> =
        sqlx::query_scalar(text).bind(id.as_str()).fetch_optional(&db.read).await?;
    Ok(found.flatten().map(Usd::from_micros))
}

/// Changes the monthly allowance. A new one begins with the month after `month`.
pub fn set_allowance(id: &WorkspaceId, allowance: Option<Usd>, month: &str) -> Statement {
    let text = "UPDATE accounts SET allowance_month = CASE WHEN allowance IS NULL OR allowance_month IS NULL THEN $2 \
                ELSE allowance_month END, allowance = $1 WHERE workspace_id = $3";
    Statement::new(text, values![allowance.map(Usd::micros), month, id.as_str()])
}

/// Marks a month's allowance as given; changes nothing where it is, or where the allowance is another by now.
pub fn mark_allowance(id: &WorkspaceId, allowance: Usd, month: &str) -> Statement {
    let text = "UPDATE accounts SET allowance_month = $1 WHERE workspace_id = $2 AND allowance = $3 \
                AND suspended = 0 AND allowance_month < $1";
    Statement::new(text, values![month, id.as_str(), allowance.micros()])
}

/// Accounts whose allowance of `month` is not given yet.
///
/// # Errors
/// The database's own.
pub async fn allowances_due(db: &Db, month: &str) -> Result<Vec<(WorkspaceId, Usd)>> {
    let text = "SELECT workspace_id, allowance FROM accounts WHERE allowance IS NOT NULL AND suspended = 0 \
                AND allowance_month < $1 ORDER BY workspace_id";
    let rows = sqlx::query(text).bind(month).fetch_all(&db.read).await?;
    rows.iter()
        .map(|row| {
            Ok((
                parse(row.try_get::<String, _>("workspace_id")?)?,
                Usd::from_micros(row.try_get("allowance")?),
            ))
        })
        .collect()
}

/// Changes which models no agent may use.
pub fn set_forbidden_models(id: &WorkspaceId, models: &[String]) -> Statement {
    let json = serde_json::to_string(models).unwrap_or_default();
    let text = "UPDATE accounts SET forbidden_models = $1 WHERE workspace_id = $2";
    Statement::new(text, values![json, id.as_str()])
}

/// Notes what was said to the starting checklist.
pub fn set_checklist(id: &WorkspaceId, notes: ChecklistNotes) -> Statement {
    let json = serde_json::to_string(&notes).unwrap_or_default();
    Statement::new("UPDATE accounts SET checklist = $1 WHERE workspace_id = $2", values![json, id.as_str()])
}

/// Removes directory entries whose workspace has no account: a backup met them while they were made.
///
/// # Errors
/// The database's own.
pub async fn remove_without_account(db: &Db, accounts: &[String]) -> Result<()> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM workspaces").fetch_all(&db.read).await?;
    let mut transaction = db.begin().await?;
    for id in ids.iter().filter(|id| !accounts.contains(id)) {
        for text in [
            "DELETE FROM memberships WHERE workspace_id = $1",
            "DELETE FROM invitations WHERE workspace_id = $1",
            "DELETE FROM workspaces WHERE id = $1",
        ] {
            Statement::new(text, values![id.as_str()]).run(&mut transaction).await?;
        }
    }
    Ok(transaction.commit().await?)
}

/// Gives a workspace another name.
///
/// # Errors
/// The database's own; a taken name is a unique violation.
pub async fn rename(db: &Db, id: &WorkspaceId, name: &str) -> std::result::Result<(), sqlx::Error> {
    let text = "UPDATE workspaces SET name = $1 WHERE id = $2";
    let mut transaction = db.begin().await.map_err(|_| sqlx::Error::PoolTimedOut)?;
    Statement::new(text, values![name, id.as_str()]).run(&mut transaction).await?;
    transaction.commit().await
}

/// Refuses every call of a workspace from now on.
pub fn suspend(id: &WorkspaceId) -> Statement {
    Statement::new("UPDATE accounts SET suspended = 1 WHERE workspace_id = $1", values![id.as_str()])
}

fn account_row(row: &AnyRow) -> Result<AccountRow> {
    let days = |column: &str| row.try_get::<i64, _>(column).map(|days| days.unsigned_abs() as u32);
    let region_only = row.try_get::<&str, _>("inference")? == Inference::RegionOnly.as_str();
    Ok(AccountRow {
        available: Usd::from_micros(row.try_get("available")?),
        reserved: Usd::from_micros(row.try_get("reserved")?),
        suspended: row.try_get::<i64, _>("suspended")? != 0,
        caps: json_column(row, "caps")?,
        inference: if region_only { Inference::RegionOnly } else { Inference::Any },
        media_retention_days: days("media_retention_days")?,
        log_retention_days: days("log_retention_days")?,
        cost_centre: row.try_get("cost_centre")?,
        replicate_to: row.try_get("replicate_to")?,
        forbidden_models: json_column(row, "forbidden_models")?,
        checklist: json_column(row, "checklist")?,
        salt: row.try_get("salt")?,
        created_at: Time(row.try_get("created_us")?),
    })
}

fn json_column<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &'static str) -> Result<T> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| internal(column, error))
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
        previous_url_key: previous_url_key(row)?,
        created_by: parse(row.try_get::<String, _>("created_by")?)?,
        created_at: Time(row.try_get("created_us")?),
    })
}

fn previous_url_key(row: &AnyRow) -> Result<Option<(String, Time)>> {
    let key: Option<String> = row.try_get("previous_url_key")?;
    Ok(key.zip(row.try_get::<Option<i64>, _>("previous_url_ends_us")?.map(Time)))
}

/// Gives a workspace another URL key; the one before works until `ends_at`.
///
/// # Errors
/// The database's own.
pub async fn rotate_url_key(db: &Db, id: &WorkspaceId, key: &str, ends_at: Time) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "UPDATE workspaces SET previous_url_key = url_key, previous_url_ends_us = $1, url_key = $2 WHERE id = $3";
    Statement::new(text, values![ends_at.micros(), key, id.as_str()]).run(&mut transaction).await?;
    Statement::new(crate::engine::store::TELL_NODES, Vec::new()).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Changes a member's role, or with `None` takes the person out; false where the person does not belong to the workspace,
/// or is its last Admin who would not stay one.
///
/// # Errors
/// The database's own.
pub async fn change_member(db: &Db, id: &WorkspaceId, user: &UserId, role: Option<Role>) -> Result<bool> {
    const STAYS_ONE: &str = "AND (role <> 'admin' OR EXISTS (SELECT 1 FROM memberships o WHERE o.workspace_id = $1 \
                             AND o.user_id <> $2 AND o.role = 'admin'))";
    let mut transaction = db.begin().await?;
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
    let changed = crate::engine::store::sql::run_text(&mut transaction, text, which).await?;
    transaction.commit().await?;
    Ok(changed == 1)
}

/// The invitations of a workspace that nobody took up yet, the newest first.
///
/// # Errors
/// The database's own.
pub async fn open_invitations(db: &Db, workspace: &WorkspaceId) -> Result<Vec<Invitation>> {
    let text = "SELECT * FROM invitations WHERE workspace_id = $1 AND accepted_us IS NULL ORDER BY created_us DESC, id";
    let rows = sqlx::query(text).bind(workspace.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(read_invitation).collect()
}

/// Takes an open invitation back; false where there is none.
///
/// # Errors
/// The database's own.
pub async fn withdraw_invitation(db: &Db, workspace: &WorkspaceId, id: &InvitationId) -> Result<bool> {
    let text = "DELETE FROM invitations WHERE workspace_id = $1 AND id = $2 AND accepted_us IS NULL";
    let mut connection = db.write.acquire().await?;
    Ok(Statement::new(text, values![workspace.as_str(), id.as_str()]).run(&mut connection).await? == 1)
}

/// Keeps a fact about a cell, unless there is one already; answers the one that counts.
///
/// # Errors
/// The database's own.
pub async fn first_fact(db: &Db, name: &str, value: &str) -> Result<String> {
    let mut transaction = db.begin().await?;
    let text = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    Statement::new(text, values![name, value]).run(&mut transaction).await?;
    let text = "SELECT value FROM facts WHERE name = $1";
    let stored = sqlx::query_scalar(text).bind(name).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(stored)
}

/// Replaces a fact about a cell.
///
/// # Errors
/// The database's own.
pub async fn set_fact(db: &Db, name: &str, value: &str) -> Result<()> {
    let mut transaction = db.begin().await?;
    Statement::new("UPDATE facts SET value = $1 WHERE name = $2", values![value, name])
        .run(&mut transaction)
        .await?;
    Ok(transaction.commit().await?)
}
