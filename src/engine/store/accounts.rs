//! Each workspace's account, in its cell: money, caps, retention and settings.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::audit::GENESIS;
use crate::domain::ids::WorkspaceId;
use crate::domain::money::Usd;
use crate::domain::region::Region;
use crate::domain::settings::{Caps, Inference};
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Statement, values};

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

/// Makes a workspace's account in its cell.
///
/// # Errors
/// The database's own.
pub async fn insert(db: &CellDb, id: &WorkspaceId, region: Region, account: &AccountRow) -> Result<()> {
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
pub async fn get(db: &CellDb, id: &WorkspaceId) -> Result<Option<AccountRow>> {
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
pub async fn allowance(db: &CellDb, id: &WorkspaceId) -> Result<Option<Usd>> {
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
pub async fn allowances_due(db: &CellDb, month: &str) -> Result<Vec<(WorkspaceId, Usd)>> {
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

/// Begins to delete a workspace: every call is refused from now on, and no hold can be placed. Changes nothing where that
/// has begun, or a hold is in force.
pub fn start_deletion(id: &WorkspaceId, now: Time) -> Statement {
    let text = "UPDATE accounts SET suspended = 1, replicate_to = NULL, deleting_us = $2 WHERE workspace_id = $1 \
                AND deleting_us IS NULL AND NOT EXISTS (SELECT 1 FROM legal_holds h \
                WHERE h.workspace_id = $1 AND h.lifted_us IS NULL)";
    Statement::new(text, values![id.as_str(), now.micros()])
}

/// Notes that all of a workspace is gone; changes nothing where it is noted.
pub fn end_deletion(id: &WorkspaceId, now: Time) -> Statement {
    let text = "UPDATE accounts SET gone_us = $2 WHERE workspace_id = $1 AND gone_us IS NULL";
    Statement::new(text, values![id.as_str(), now.micros()])
}

/// Changes nothing; as the first change of an act it refuses the others while the workspace is being deleted.
pub fn stays(id: &WorkspaceId) -> Statement {
    let text = "UPDATE accounts SET suspended = suspended WHERE workspace_id = $1 AND deleting_us IS NULL";
    Statement::new(text, values![id.as_str()])
}

/// Whether the deletion of a workspace has begun.
///
/// # Errors
/// The database's own.
pub async fn is_being_deleted(db: &CellDb, id: &WorkspaceId) -> Result<bool> {
    let text = "SELECT workspace_id FROM accounts WHERE workspace_id = $1 AND deleting_us IS NOT NULL";
    Ok(sqlx::query(text).bind(id.as_str()).fetch_optional(&db.read).await?.is_some())
}

/// Notes of an account that a restore brought back that its workspace is gone.
///
/// # Errors
/// The database's own.
pub async fn delete_again(db: &CellDb, id: &WorkspaceId, now: Time) -> Result<()> {
    let text = "UPDATE accounts SET suspended = 1, replicate_to = NULL, deleting_us = COALESCE(deleting_us, $2), \
                gone_us = COALESCE(gone_us, $2) WHERE workspace_id = $1";
    let mut transaction = db.begin().await?;
    Statement::new(text, values![id.as_str(), now.micros()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
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
