//! A person's own mail: which they want, and a new address that waits until its link is followed.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::access::Role;
use crate::domain::ids::{UserId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::ControlDb;
use crate::engine::store::sql::{Select, Statement, values};

/// Which mails a person gets. What concerns the account itself always comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailChoices {
    /// Alerts of workspaces whose Admin the person is; recipients that a workspace names get them in any case.
    pub alerts: bool,
    /// The monthly digest of workspaces whose Viewer the person is.
    pub digest: bool,
}

/// A kind of mail that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mail {
    /// See [`MailChoices::alerts`].
    Alerts,
    /// See [`MailChoices::digest`].
    Digest,
}

/// A person's choices; none for somebody who is gone.
///
/// # Errors
/// The database's own.
pub async fn choices(db: &ControlDb, user: &UserId) -> Result<Option<MailChoices>> {
    let select =
        Select::new("SELECT mail_alerts, mail_digest FROM users WHERE id = $1", values![user.as_str()]);
    let rows = select.all(&db.read).await?;
    let is = |row: &AnyRow, name: &str| row.try_get::<i64, _>(name).map(|value| value != 0);
    rows.first()
        .map(|row| Ok(MailChoices { alerts: is(row, "mail_alerts")?, digest: is(row, "mail_digest")? }))
        .transpose()
}

/// Keeps a person's choices.
///
/// # Errors
/// The database's own.
pub async fn set_choices(db: &ControlDb, user: &UserId, choices: MailChoices) -> Result<()> {
    let text = "UPDATE users SET mail_alerts = $1, mail_digest = $2 WHERE id = $3";
    let values = values![i64::from(choices.alerts), i64::from(choices.digest), user.as_str()];
    run(db, Statement::new(text, values)).await
}

/// The addresses of a workspace's people of a role who want this mail.
///
/// # Errors
/// The database's own.
pub async fn addresses(
    db: &ControlDb,
    workspace: &WorkspaceId,
    role: Role,
    mail: Mail,
) -> Result<Vec<String>> {
    let text = match mail {
        Mail::Alerts => {
            "SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id \
             WHERE m.workspace_id = $1 AND m.role = $2 AND u.mail_alerts <> 0 ORDER BY u.email"
        }
        Mail::Digest => {
            "SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id \
             WHERE m.workspace_id = $1 AND m.role = $2 AND u.mail_digest <> 0 ORDER BY u.email"
        }
    };
    let rows = Select::new(text, values![workspace.as_str(), role.as_str()]).all(&db.read).await?;
    rows.iter().map(|row| Ok(row.try_get("email")?)).collect()
}

/// Lets a new address wait; one that waited before is forgotten.
///
/// # Errors
/// The database's own.
pub async fn wait(
    db: &ControlDb,
    user: &UserId,
    email: &str,
    token_hash: &str,
    expires_at: Time,
) -> Result<()> {
    let text = "INSERT INTO email_changes (user_id, token_hash, email, expires_us) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (user_id) DO UPDATE SET token_hash = excluded.token_hash, email = excluded.email, \
                expires_us = excluded.expires_us";
    let values = values![user.as_str(), token_hash, email, expires_at.micros()];
    run(db, Statement::new(text, values)).await
}

/// The address that waits behind a person's link.
///
/// # Errors
/// The database's own.
pub async fn waiting(db: &ControlDb, user: &UserId, token_hash: &str, now: Time) -> Result<Option<String>> {
    let text = "SELECT email FROM email_changes WHERE user_id = $1 AND token_hash = $2 AND expires_us > $3";
    let select = Select::new(text, values![user.as_str(), token_hash, now.micros()]);
    let rows = select.all(&db.read).await?;
    rows.first().map(|row| Ok(row.try_get("email")?)).transpose()
}

/// Makes the address that waits the person's own, and remembers the one before. A taken one is a unique violation.
///
/// # Errors
/// The database's own.
pub async fn take(
    on: &mut AnyConnection,
    user: &UserId,
    token_hash: &str,
) -> std::result::Result<(), sqlx::Error> {
    let change = "UPDATE users SET email = (SELECT c.email FROM email_changes c WHERE c.user_id = $1 AND c.token_hash = $2) \
                  WHERE id = $1 AND EXISTS (SELECT 1 FROM email_changes c WHERE c.user_id = $1 AND c.token_hash = $2)";
    let remember = "INSERT INTO former_emails (user_id, email) SELECT u.id, u.email FROM users u WHERE u.id = $1 \
                    AND EXISTS (SELECT 1 FROM email_changes c WHERE c.user_id = $1 AND c.token_hash = $2) \
                    ON CONFLICT (user_id, email) DO NOTHING";
    let forget = "DELETE FROM email_changes WHERE user_id = $1 AND token_hash = $2";
    for text in [remember, change, forget] {
        Statement::new(text, values![user.as_str(), token_hash]).run(on).await?;
    }
    Ok(())
}

async fn run(db: &ControlDb, statement: Statement) -> Result<()> {
    let mut transaction = db.begin().await?;
    statement.run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}
