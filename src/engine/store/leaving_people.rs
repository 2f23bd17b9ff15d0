//! People who deleted their accounts: gone from the directory in one transaction, and then, cell by cell, from whatever else
//! names them. Until the last cell is done their addresses stand among the former ones.

use std::collections::BTreeSet;

use sqlx::{AnyConnection, Row};

use crate::domain::ids::UserId;
use crate::engine::error::Result;
use crate::engine::store::books::parse;
use crate::engine::store::pending_acts::{self, PendingAct};
use crate::engine::store::sql::{self, Select, Statement, values};
use crate::engine::store::{ControlDb, TELL_NODES};

/// What came of a person's wish to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// The person is gone.
    Done,
    /// The person stays: this workspace would have no Admin.
    LastAdminOf(String),
    /// The person stays: belongs to other workspaces than those that the acts tell of.
    Moved,
}

/// Removes a person, with one act for the log of each workspace that the person belongs to. Each of `cells` has to forget
/// the person then.
///
/// # Errors
/// The database's own.
pub async fn leave(
    db: &ControlDb,
    id: &UserId,
    cells: &BTreeSet<String>,
    acts: &[PendingAct],
) -> Result<Leave> {
    let mut transaction = db.begin().await?;
    // No workspace takes the person in meanwhile.
    let text = format!("SELECT id FROM users WHERE id = $1{}", db.dialect.for_update());
    Select::new(&text, values![id.as_str()]).all(&mut *transaction).await?;
    let told: BTreeSet<String> = acts.iter().map(|act| act.entry.workspace_id.to_string()).collect();
    // Two Admins who leave at once must wait for one another.
    for workspace in &told {
        let lock =
            Statement::new("UPDATE workspaces SET name = name WHERE id = $1", values![workspace.as_str()]);
        lock.run(&mut transaction).await?;
    }
    if memberships(&mut transaction, id).await? != told {
        return Ok(Leave::Moved);
    }
    if let Some(workspace) = last_admin_of(&mut transaction, id).await? {
        return Ok(Leave::LastAdminOf(workspace));
    }
    remove_rows(&mut transaction, id, cells).await?;
    for act in acts {
        pending_acts::insert(&mut transaction, act).await?;
    }
    transaction.commit().await?;
    Ok(Leave::Done)
}

async fn memberships(on: &mut AnyConnection, id: &UserId) -> Result<BTreeSet<String>> {
    let text = "SELECT m.workspace_id FROM memberships m JOIN workspaces w ON w.id = m.workspace_id \
                WHERE m.user_id = $1 AND w.deleted_us IS NULL";
    let rows = Select::new(text, values![id.as_str()]).all(&mut *on).await?;
    rows.iter().map(|row| Ok(row.try_get("workspace_id")?)).collect()
}

/// The name of a workspace that has no other Admin.
async fn last_admin_of(on: &mut AnyConnection, id: &UserId) -> Result<Option<String>> {
    let text = "SELECT w.name FROM memberships m JOIN workspaces w ON w.id = m.workspace_id WHERE m.user_id = $1 \
                AND m.role = 'admin' AND w.deleted_us IS NULL AND NOT EXISTS (SELECT 1 FROM memberships o \
                WHERE o.workspace_id = m.workspace_id AND o.user_id <> $1 AND o.role = 'admin') ORDER BY w.name";
    let rows = Select::new(text, values![id.as_str()]).all(&mut *on).await?;
    rows.first().map(|row| Ok(row.try_get("name")?)).transpose()
}

/// Removes a person whom a restore brought back. Each of `cells` has to forget the person then.
///
/// # Errors
/// The database's own.
pub async fn remove(db: &ControlDb, id: &UserId, cells: &BTreeSet<String>) -> Result<()> {
    let mut transaction = db.begin().await?;
    remove_rows(&mut transaction, id, cells).await?;
    Ok(transaction.commit().await?)
}

async fn remove_rows(on: &mut AnyConnection, id: &UserId, cells: &BTreeSet<String>) -> Result<()> {
    for text in [
        "INSERT INTO former_emails (user_id, email) SELECT u.id, u.email FROM users u WHERE u.id = $1 \
         ON CONFLICT (user_id, email) DO NOTHING",
        "DELETE FROM memberships WHERE user_id = $1",
        "DELETE FROM sessions WHERE user_id = $1",
        "DELETE FROM sign_ins WHERE user_id = $1",
        "DELETE FROM email_changes WHERE user_id = $1",
        "DELETE FROM users WHERE id = $1",
        "DELETE FROM invitations WHERE email IN (SELECT f.email FROM former_emails f WHERE f.user_id = $1 \
         AND NOT EXISTS (SELECT 1 FROM users u WHERE u.email = f.email))",
    ] {
        Statement::new(text, values![id.as_str()]).run(on).await?;
    }
    let rows = cells.iter().map(|cell| values![id.as_str(), cell.as_str()]).collect();
    let head = "INSERT INTO leaving_people (user_id, cell)";
    sql::insert(on, head, rows, "ON CONFLICT (user_id, cell) DO NOTHING").await?;
    Statement::new(TELL_NODES, Vec::new()).run(on).await?;
    Ok(())
}

/// People whom a cell has to forget.
///
/// # Errors
/// The database's own.
pub async fn of_cell(db: &ControlDb, cell: &str) -> Result<Vec<UserId>> {
    let text = "SELECT user_id FROM leaving_people WHERE cell = $1 ORDER BY user_id";
    let rows = Select::new(text, values![cell]).all(&db.read).await?;
    rows.iter().map(|row| parse(row.try_get::<String, _>("user_id")?)).collect()
}

/// The addresses under which something may be left of a person who is gone, but for what is another person's now.
///
/// # Errors
/// The database's own.
pub async fn addresses(db: &ControlDb, id: &UserId) -> Result<Vec<String>> {
    let text = "SELECT f.email FROM former_emails f WHERE f.user_id = $1 \
                AND NOT EXISTS (SELECT 1 FROM users u WHERE u.email = f.email)";
    Ok(sqlx::query_scalar(text).bind(id.as_str()).fetch_all(&db.read).await?)
}

/// Notes that a cell has forgotten a person; after the last one the addresses go, and it answers true.
///
/// # Errors
/// The database's own.
pub async fn forgotten(db: &ControlDb, id: &UserId, cell: &str) -> Result<bool> {
    let mut transaction = db.begin().await?;
    // Of two cells that are done at once, one is the last.
    let text = format!(
        "SELECT cell FROM leaving_people WHERE user_id = $1 ORDER BY cell{}",
        db.dialect.for_update()
    );
    Select::new(&text, values![id.as_str()]).all(&mut *transaction).await?;
    let text = "DELETE FROM leaving_people WHERE user_id = $1 AND cell = $2";
    Statement::new(text, values![id.as_str(), cell]).run(&mut transaction).await?;
    let text = "DELETE FROM former_emails WHERE user_id = $1 AND NOT EXISTS \
                (SELECT 1 FROM leaving_people l WHERE l.user_id = $1)";
    let is_last = Statement::new(text, values![id.as_str()]).run(&mut transaction).await? > 0;
    transaction.commit().await?;
    Ok(is_last)
}
