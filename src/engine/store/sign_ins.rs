//! Sessions and sign-ins of a workspace's members; in the control database.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ids::UserId;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Statement, values};
use crate::engine::store::{ControlDb, workspaces::Workspace};

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSession {
    /// The hash of the session's id, which opens nothing.
    pub handle: String,
    /// Whose.
    pub user_id: UserId,
    /// The person's name.
    pub name: String,
    /// The address of the last request that was noted.
    pub address: Option<String>,
    /// The browser's own name for itself.
    pub user_agent: Option<String>,
    /// When the person signed in.
    pub since: Time,
    /// When its last use was noted; notes are at most five minutes apart.
    pub last_seen_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
}

/// A try to sign in to an account that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Whose account.
    pub user_id: UserId,
    /// The person's name.
    pub name: String,
    /// When.
    pub at: Time,
    /// Where from.
    pub address: Option<String>,
    /// Whether the password was right.
    pub succeeded: bool,
}

const SUCCEEDED: &str = "succeeded";

/// The sessions of a workspace's members, the last used first.
///
/// # Errors
/// The database's own.
pub async fn sessions(db: &ControlDb, of: &Workspace, now: Time, limit: i64) -> Result<Vec<MemberSession>> {
    let text = "SELECT s.*, u.name FROM sessions s JOIN memberships m ON m.user_id = s.user_id \
                JOIN users u ON u.id = s.user_id WHERE m.workspace_id = $1 AND s.expires_us > $2 \
                ORDER BY s.last_seen_us DESC, s.id_hash LIMIT $3";
    let query = sqlx::query(text).bind(of.id.as_str()).bind(now.micros()).bind(limit);
    query.fetch_all(&db.read).await?.iter().map(session).collect()
}

/// A session, where it is a member's.
///
/// # Errors
/// The database's own.
pub async fn member_session(db: &ControlDb, of: &Workspace, handle: &str) -> Result<Option<MemberSession>> {
    let text = "SELECT s.*, u.name FROM sessions s JOIN memberships m ON m.user_id = s.user_id \
                JOIN users u ON u.id = s.user_id WHERE m.workspace_id = $1 AND s.id_hash = $2";
    let row = sqlx::query(text).bind(of.id.as_str()).bind(handle).fetch_optional(&db.read).await?;
    row.as_ref().map(session).transpose()
}

/// The latest tries of a workspace's members to sign in, the newest first.
///
/// # Errors
/// The database's own.
pub async fn recent(db: &ControlDb, of: &Workspace, limit: i64) -> Result<Vec<SignIn>> {
    let text = "SELECT s.*, u.name FROM sign_ins s JOIN memberships m ON m.user_id = s.user_id \
                JOIN users u ON u.id = s.user_id WHERE m.workspace_id = $1 ORDER BY s.at_us DESC, s.id DESC LIMIT $2";
    sqlx::query(text)
        .bind(of.id.as_str())
        .bind(limit)
        .fetch_all(&db.read)
        .await?
        .iter()
        .map(sign_in)
        .collect()
}

/// Notes a try to sign in.
///
/// # Errors
/// The database's own.
pub async fn insert(
    db: &ControlDb,
    id: &str,
    user: &UserId,
    now: Time,
    address: Option<String>,
    succeeded: bool,
) -> Result<()> {
    let text = "INSERT INTO sign_ins (id, user_id, at_us, address, outcome) VALUES ($1, $2, $3, $4, $5)";
    let outcome = if succeeded { SUCCEEDED } else { "wrong_password" };
    run(db, text, values![id, user.as_str(), now.micros(), address, outcome]).await
}

/// Removes what is older than `cut`.
///
/// # Errors
/// The database's own.
pub async fn remove_before(db: &ControlDb, cut: Time) -> Result<()> {
    run(db, "DELETE FROM sign_ins WHERE at_us < $1", values![cut.micros()]).await
}

async fn run(
    db: &ControlDb,
    text: &'static str,
    values: Vec<crate::engine::store::sql::Value>,
) -> Result<()> {
    let mut transaction = db.begin().await?;
    Statement::new(text, values).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

fn session(row: &AnyRow) -> Result<MemberSession> {
    Ok(MemberSession {
        handle: row.try_get("id_hash")?,
        user_id: parse(row.try_get::<String, _>("user_id")?)?,
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
        since: Time(row.try_get("created_us")?),
        last_seen_at: Time(row.try_get("last_seen_us")?),
        expires_at: Time(row.try_get("expires_us")?),
    })
}

fn sign_in(row: &AnyRow) -> Result<SignIn> {
    Ok(SignIn {
        user_id: parse(row.try_get::<String, _>("user_id")?)?,
        name: row.try_get("name")?,
        at: Time(row.try_get("at_us")?),
        address: row.try_get("address")?,
        succeeded: row.try_get::<&str, _>("outcome")? == SUCCEEDED,
    })
}
