//! People, their sessions, and the link of the first start; in the control database.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::ids::UserId;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::ControlDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{self, Statement, values};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id, which is all that the log ever holds of a person.
    pub id: UserId,
    /// In lower case.
    pub email: String,
    /// As the person writes it.
    pub name: String,
    /// When the account was made.
    pub created_at: Time,
}

/// A browser session as the session layer stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The layer's own JSON.
    pub data: String,
    /// When it ends.
    pub expires_at: Time,
}

/// Who holds a session.
#[derive(Debug, Clone, Default)]
pub struct SessionHolder {
    /// The person, once signed in.
    pub user_id: Option<UserId>,
    /// The address of the last request.
    pub address: Option<String>,
    /// The browser.
    pub user_agent: Option<String>,
}

/// How many people there are, up to one.
///
/// # Errors
/// The database's own.
pub async fn any_user(db: &ControlDb) -> Result<bool> {
    Ok(sqlx::query("SELECT id FROM users LIMIT 1").fetch_optional(&db.read).await?.is_some())
}

/// A person by id.
///
/// # Errors
/// The database's own.
pub async fn user(db: &ControlDb, id: &UserId) -> Result<Option<User>> {
    let row =
        sqlx::query("SELECT * FROM users WHERE id = $1").bind(id.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(person).transpose()
}

/// A person and the stored password hash, by e-mail address in lower case.
///
/// # Errors
/// The database's own.
pub async fn by_email(db: &ControlDb, email: &str) -> Result<Option<(User, String)>> {
    let row =
        sqlx::query("SELECT * FROM users WHERE email = $1").bind(email).fetch_optional(&db.read).await?;
    row.map(|row| Ok((person(&row)?, row.try_get("password_hash")?))).transpose()
}

/// Makes a person. A taken e-mail address is a unique violation.
///
/// # Errors
/// The database's own.
pub async fn insert(
    on: &mut AnyConnection,
    user: &User,
    password_hash: &str,
) -> std::result::Result<(), sqlx::Error> {
    let text = "INSERT INTO users (id, email, name, password_hash, created_us) VALUES ($1, $2, $3, $4, $5)";
    let values = values![
        user.id.as_str(),
        user.email.as_str(),
        user.name.as_str(),
        password_hash,
        user.created_at.micros()
    ];
    Statement::new(text, values).run(on).await.map(|_| ())
}

/// Replaces a password hash.
///
/// # Errors
/// The database's own.
pub async fn set_password_hash(db: &ControlDb, id: &UserId, hash: &str) -> Result<()> {
    run(db, "UPDATE users SET password_hash = $1 WHERE id = $2", values![hash, id.as_str()]).await.map(|_| ())
}

/// The name of the zone that a person chose.
///
/// # Errors
/// The database's own.
pub async fn zone(db: &ControlDb, id: &UserId) -> Result<Option<String>> {
    let text = "SELECT zone FROM users WHERE id = $1";
    let row = sqlx::query(text).bind(id.as_str()).fetch_optional(&db.read).await?;
    Ok(row.map(|row| row.try_get::<Option<String>, _>("zone")).transpose()?.flatten())
}

/// Keeps the zone that a person chose.
///
/// # Errors
/// The database's own.
pub async fn set_zone(db: &ControlDb, id: &UserId, zone: &str) -> Result<()> {
    run(db, "UPDATE users SET zone = $1 WHERE id = $2", values![zone, id.as_str()]).await.map(|_| ())
}

/// A session that has not ended.
///
/// # Errors
/// The database's own.
pub async fn session(db: &ControlDb, hash: &str, now: Time) -> Result<Option<SessionRow>> {
    let text = "SELECT data, expires_us FROM sessions WHERE id_hash = $1 AND expires_us > $2";
    let row = sqlx::query(text).bind(hash).bind(now.micros()).fetch_optional(&db.read).await?;
    row.map(|row| Ok(SessionRow { data: row.try_get("data")?, expires_at: Time(row.try_get("expires_us")?) }))
        .transpose()
}

/// Makes a session, and notes that its person is here; false where its id is taken.
///
/// # Errors
/// The database's own.
pub async fn insert_session(
    db: &ControlDb,
    hash: &str,
    row: &SessionRow,
    holder: &SessionHolder,
    now: Time,
) -> Result<bool> {
    let text = "INSERT INTO sessions (id_hash, data, user_id, address, user_agent, created_us, last_seen_us, expires_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $6, $7) ON CONFLICT (id_hash) DO NOTHING";
    Ok(keep_session(db, text, hash, row, holder, now).await? == 1)
}

/// Keeps a session, made or not, and notes that its person is here.
///
/// # Errors
/// The database's own.
pub async fn save_session(
    db: &ControlDb,
    hash: &str,
    row: &SessionRow,
    holder: &SessionHolder,
    now: Time,
) -> Result<()> {
    let text = "INSERT INTO sessions (id_hash, data, user_id, address, user_agent, created_us, last_seen_us, expires_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $6, $7) ON CONFLICT (id_hash) DO UPDATE SET data = excluded.data, \
                user_id = excluded.user_id, address = COALESCE(excluded.address, sessions.address), \
                user_agent = COALESCE(excluded.user_agent, sessions.user_agent), \
                last_seen_us = excluded.last_seen_us, expires_us = excluded.expires_us";
    keep_session(db, text, hash, row, holder, now).await.map(|_| ())
}

/// Writes a session, and that its person was here.
async fn keep_session(
    db: &ControlDb,
    text: &'static str,
    hash: &str,
    row: &SessionRow,
    holder: &SessionHolder,
    now: Time,
) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let rows = Statement::new(text, session_values(hash, row, holder, now)).run(&mut transaction).await?;
    if let Some(user) = &holder.user_id {
        let seen = "UPDATE users SET last_seen_us = $1 WHERE id = $2";
        Statement::new(seen, values![now.micros(), user.as_str()]).run(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(rows)
}

fn session_values(hash: &str, row: &SessionRow, holder: &SessionHolder, now: Time) -> Vec<sql::Value> {
    values![
        hash,
        row.data.as_str(),
        holder.user_id.as_ref().map(ToString::to_string),
        holder.address.clone(),
        holder.user_agent.clone(),
        now.micros(),
        row.expires_at.micros()
    ]
}

/// Ends a session.
///
/// # Errors
/// The database's own.
pub async fn delete_session(db: &ControlDb, hash: &str) -> Result<()> {
    run(db, "DELETE FROM sessions WHERE id_hash = $1", values![hash]).await.map(|_| ())
}

/// Changes a person's name.
///
/// # Errors
/// The database's own.
pub async fn set_name(db: &ControlDb, id: &UserId, name: &str) -> Result<()> {
    run(db, "UPDATE users SET name = $1 WHERE id = $2", values![name, id.as_str()]).await.map(|_| ())
}

/// A session as its person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The beginning of its id's hash: enough to name it; see [`SessionView::id_of`].
    pub id: String,
    /// Where from.
    pub address: Option<String>,
    /// The browser, as it calls itself.
    pub user_agent: Option<String>,
    /// Since when.
    pub created_at: Time,
    /// The last use, to five minutes.
    pub last_seen_at: Time,
}

impl SessionView {
    /// Under which a session is listed, from its id's hash.
    pub fn id_of(id_hash: &str) -> String {
        id_hash.chars().take(16).collect()
    }
}

/// The sessions of a person that have not ended, the last used first.
///
/// # Errors
/// The database's own.
pub async fn sessions_of(db: &ControlDb, user: &UserId, now: Time) -> Result<Vec<SessionView>> {
    let text = "SELECT * FROM sessions WHERE user_id = $1 AND expires_us > $2 ORDER BY last_seen_us DESC, id_hash LIMIT 100";
    let rows = sqlx::query(text).bind(user.as_str()).bind(now.micros()).fetch_all(&db.read).await?;
    let view = |row: &AnyRow| {
        Ok(SessionView {
            id: SessionView::id_of(&row.try_get::<String, _>("id_hash")?),
            address: row.try_get("address")?,
            user_agent: row.try_get("user_agent")?,
            created_at: Time(row.try_get("created_us")?),
            last_seen_at: Time(row.try_get("last_seen_us")?),
        })
    };
    rows.iter().map(view).collect()
}

/// Ends the session of a person that has this name; false where there is none.
///
/// # Errors
/// The database's own.
pub async fn end_session(db: &ControlDb, user: &UserId, id: &str) -> Result<bool> {
    let text = "DELETE FROM sessions WHERE user_id = $1 AND SUBSTR(id_hash, 1, 16) = $2";
    Ok(run(db, text, values![user.as_str(), id]).await? > 0)
}

/// Ends every session of a person.
///
/// # Errors
/// The database's own.
pub async fn end_sessions(db: &ControlDb, user: &UserId) -> Result<()> {
    run(db, "DELETE FROM sessions WHERE user_id = $1", values![user.as_str()]).await.map(|_| ())
}

/// Removes sessions that ended by themselves.
///
/// # Errors
/// The database's own.
pub async fn delete_ended_sessions(db: &ControlDb, now: Time) -> Result<u64> {
    run(db, "DELETE FROM sessions WHERE expires_us <= $1", values![now.micros()]).await
}

/// Keeps the fingerprint of a new set-up link and ends the older ones.
///
/// # Errors
/// The database's own.
pub async fn insert_setup_token(db: &ControlDb, fingerprint: &str, expires_at: Time) -> Result<()> {
    run(db, "DELETE FROM setup_tokens WHERE used_us IS NULL", Vec::new()).await?;
    let text = "INSERT INTO setup_tokens (token_hash, expires_us) VALUES ($1, $2)";
    run(db, text, values![fingerprint, expires_at.micros()]).await.map(|_| ())
}

/// Whether a set-up link is still good.
///
/// # Errors
/// The database's own.
pub async fn setup_token_is_good(db: &ControlDb, fingerprint: &str, now: Time) -> Result<bool> {
    let text =
        "SELECT token_hash FROM setup_tokens WHERE token_hash = $1 AND used_us IS NULL AND expires_us > $2";
    Ok(sqlx::query(text).bind(fingerprint).bind(now.micros()).fetch_optional(&db.read).await?.is_some())
}

/// Uses a set-up link up; false where it was used, has ended or never was.
///
/// # Errors
/// The database's own.
pub async fn use_setup_token(on: &mut AnyConnection, fingerprint: &str, now: Time) -> Result<bool> {
    let text =
        "UPDATE setup_tokens SET used_us = $1 WHERE token_hash = $2 AND used_us IS NULL AND expires_us > $1";
    Ok(Statement::new(text, values![now.micros(), fingerprint]).run(on).await? == 1)
}

async fn run(db: &ControlDb, text: &'static str, values: Vec<sql::Value>) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let rows = Statement::new(text, values).run(&mut transaction).await?;
    transaction.commit().await?;
    Ok(rows)
}

fn person(row: &AnyRow) -> Result<User> {
    Ok(User {
        id: parse(row.try_get::<String, _>("id")?)?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        created_at: Time(row.try_get("created_us")?),
    })
}
