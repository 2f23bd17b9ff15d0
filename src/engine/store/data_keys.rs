//! Data keys, wrapped by the master key. The table holds nothing else, so that it can be backed up apart.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::sql::{self, Select, Statement, values};
use crate::engine::store::{CellDb, Dialect, TELL_NODES};

/// True in SQL for a key `k` that seals nothing: no prompt, secret of a webhook, Slack address or data request. `OFFSET 0`
/// has PostgreSQL look up each key's prompts: as a join it may read all of them for each batch.
const SEALS_NOTHING: &str = "NOT EXISTS (SELECT 1 FROM prompts p WHERE p.key_id = k.id LIMIT 1 OFFSET 0) \
                             AND k.id NOT IN (SELECT w.key_id FROM webhook_endpoints w) \
                             AND k.id NOT IN (SELECT s.key_id FROM alert_settings s WHERE s.key_id IS NOT NULL) \
                             AND k.id NOT IN (SELECT r.key_id FROM data_requests r)";

/// In SQL the scope of a key that is out of use: with its own id, as a subject who comes back may have several. The purger or
/// an erasure may have taken it out of use before.
pub(super) const OUT_OF_USE: &str =
    "CASE WHEN scope LIKE 'retired:%' THEN scope ELSE 'retired:' || id || ':' || scope END";

/// True in SQL where the key `k` has the scope `$scope`, or had it before it was taken out of use.
macro_rules! has_scope {
    ($scope:literal) => {
        concat!(
            "(k.scope = ",
            $scope,
            " OR (k.scope >= 'retired:' AND k.scope < 'retired;' AND k.scope LIKE 'retired:%:' || ",
            $scope,
            "))"
        )
    };
}
pub(in crate::engine) use has_scope;

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WrappedKey {
    /// `dk_…`.
    pub id: String,
    /// Whose.
    pub workspace_id: String,
    /// A subject's hash, a day, or a data request.
    pub scope: String,
    /// Nonce and ciphertext.
    #[serde(with = "compact")]
    pub wrapped: Vec<u8>,
    /// The check value of the master key that wraps it.
    pub wrapped_by: String,
    /// When it was made.
    pub created_at: Time,
}

/// A workspace's key for `scope`.
///
/// # Errors
/// The database's own.
pub async fn of_scope(db: &CellDb, workspace: &WorkspaceId, scope: &str) -> Result<Option<WrappedKey>> {
    let text = "SELECT * FROM data_keys WHERE workspace_id = $1 AND scope = $2";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(scope).fetch_optional(&db.read).await?;
    row.as_ref().map(key).transpose()
}

/// A key by its id.
///
/// # Errors
/// The database's own.
pub async fn by_id(db: &CellDb, workspace: &WorkspaceId, id: &str) -> Result<Option<WrappedKey>> {
    let text = "SELECT * FROM data_keys WHERE workspace_id = $1 AND id = $2";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(id).fetch_optional(&db.read).await?;
    row.as_ref().map(key).transpose()
}

/// The ids of a workspace's keys, but for those of its webhooks: these go when the last event was delivered.
///
/// # Errors
/// The database's own.
pub async fn of_content(db: &CellDb, workspace: &WorkspaceId) -> Result<Vec<String>> {
    let text = "SELECT k.id FROM data_keys k WHERE k.workspace_id = $1 \
                AND NOT EXISTS (SELECT 1 FROM webhook_endpoints w WHERE w.key_id = k.id)";
    Ok(sqlx::query_scalar(text).bind(workspace.as_str()).fetch_all(&db.read).await?)
}

/// Every key of the cell after `id`, in the order of ids.
///
/// # Errors
/// The database's own.
pub async fn after(db: &CellDb, id: &str, limit: i64) -> Result<Vec<WrappedKey>> {
    let select = Select::new("SELECT * FROM data_keys WHERE id > $1", values![id]).tail("ORDER BY id");
    select.limit(limit).all(&db.read).await?.iter().map(key).collect()
}

/// Keys that another master key than `own` wraps.
///
/// # Errors
/// The database's own.
pub async fn wrapped_by_another(db: &CellDb, own: &str, limit: i64) -> Result<Vec<WrappedKey>> {
    let select = Select::new("SELECT * FROM data_keys WHERE wrapped_by <> $1", values![own]);
    select.limit(limit).all(&db.read).await?.iter().map(key).collect()
}

/// How many keys there are, and the oldest one's making.
///
/// # Errors
/// The database's own.
pub async fn ages(db: &CellDb, workspace: &WorkspaceId) -> Result<(i64, Option<Time>)> {
    let text = "SELECT COUNT(*) AS held, MIN(created_us) AS oldest FROM data_keys WHERE workspace_id = $1";
    let row = sqlx::query(text).bind(workspace.as_str()).fetch_one(&db.read).await?;
    Ok((row.try_get("held")?, row.try_get::<Option<i64>, _>("oldest")?.map(Time)))
}

/// Keeps new keys, unless another node was first.
///
/// # Errors
/// The database's own.
pub async fn insert(db: &CellDb, keys: Vec<WrappedKey>) -> Result<()> {
    let rows = keys.into_iter().map(|key| {
        values![key.id, key.workspace_id, key.scope, key.wrapped, key.wrapped_by, key.created_at.micros()]
    });
    let mut transaction = db.begin().await?;
    let head = "INSERT INTO data_keys (id, workspace_id, scope, wrapped, wrapped_by, created_us)";
    sql::insert(&mut transaction, head, rows.collect(), "ON CONFLICT DO NOTHING").await?;
    Ok(transaction.commit().await?)
}

/// Puts keys back wrapped anew: nothing that they seal is touched.
///
/// # Errors
/// The database's own.
pub async fn rewrap(db: &CellDb, keys: Vec<WrappedKey>) -> Result<()> {
    let mut transaction = db.begin().await?;
    for key in keys {
        let text = "UPDATE data_keys SET wrapped = $1, wrapped_by = $2 WHERE id = $3";
        Statement::new(text, values![key.wrapped, key.wrapped_by, key.id]).run(&mut transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Destroys keys: what they sealed can never be read again. Nodes forget what they hold of them.
///
/// # Errors
/// The database's own.
pub async fn destroy(db: &CellDb, ids: &[String]) -> Result<()> {
    let mut transaction = db.begin().await?;
    destroy_in(&mut transaction, ids).await?;
    Ok(transaction.commit().await?)
}

/// As [`destroy`], inside somebody's transaction. A call that settled meanwhile loses the prompt that it sealed with one
/// of them.
///
/// # Errors
/// The database's own.
pub async fn destroy_in(on: &mut AnyConnection, ids: &[String]) -> Result<()> {
    for head in [
        "DELETE FROM data_keys WHERE id IN",
        "DELETE FROM former_keys WHERE key_id IN",
        "DELETE FROM prompts WHERE key_id IN",
    ] {
        sql::change_in(on, head, Vec::new(), ids).await?;
    }
    Ok(Statement::new(TELL_NODES, Vec::new()).run(on).await.map(drop)?)
}

/// Locks keys until the transaction ends, `how` being [`Dialect::for_update`] against whoever seals with one, or
/// [`Dialect::for_share`] against whoever destroys one; tells whether there still are all of them. Sorted ids keep two
/// who lock several from waiting for each other.
///
/// [`Dialect::for_update`]: crate::engine::store::Dialect::for_update
/// [`Dialect::for_share`]: crate::engine::store::Dialect::for_share
///
/// # Errors
/// The database's own.
pub async fn lock(on: &mut AnyConnection, ids: &[String], how: &'static str) -> Result<bool> {
    let tail = format!(" ORDER BY id{how}");
    Ok(sql::select_in(on, "SELECT id FROM data_keys WHERE id IN", ids, &tail).await?.len() == ids.len())
}

/// Keys made before `made` that seal nothing any more and are not taken out of use, after the key `after`, in the order of
/// ids.
///
/// # Errors
/// The database's own.
pub async fn unused(db: &CellDb, made: Time, after: &str, limit: i64) -> Result<Vec<String>> {
    let text = format!(
        "SELECT k.id FROM data_keys k WHERE k.created_us < $1 AND k.id > $2 AND k.unused_us IS NULL AND {SEALS_NOTHING}"
    );
    let select = Select::new(&text, values![made.micros(), after]).tail("ORDER BY k.id");
    ids(&select.limit(limit).all(&db.read).await?)
}

/// Takes those of `keys` that still seal nothing out of use: who comes back gets a new one. Nodes forget what they hold of
/// them. Tells how many.
///
/// # Errors
/// The database's own.
pub async fn retire(db: &CellDb, keys: &[String], now: Time) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let unused = unused_among(&mut transaction, db.dialect, keys).await?;
    let head = format!("UPDATE data_keys SET unused_us = $1, scope = {OUT_OF_USE} WHERE id IN");
    sql::change_in(&mut transaction, &head, values![now.micros()], &unused).await?;
    Statement::new(TELL_NODES, Vec::new()).run(&mut transaction).await?;
    transaction.commit().await?;
    Ok(unused.len() as u64)
}

/// Keys that [`retire`] took out of use before `moment`, after the key `after`, in the order of ids.
///
/// # Errors
/// The database's own.
pub async fn retired(db: &CellDb, moment: Time, after: &str, limit: i64) -> Result<Vec<String>> {
    let text = "SELECT id FROM data_keys WHERE unused_us < $1 AND id > $2";
    let select = Select::new(text, values![moment.micros(), after]).tail("ORDER BY id");
    ids(&select.limit(limit).all(&db.read).await?)
}

/// Those of `keys` that still seal nothing. One with which a call has sealed that had begun before it was taken out of use
/// is put back, unless its scope has a new key, or an erasure took it out of use too: then it stays for as long as something
/// needs it.
///
/// # Errors
/// The database's own.
pub async fn still_unused(db: &CellDb, keys: &[String]) -> Result<Vec<String>> {
    let mut transaction = db.begin().await?;
    let unused = unused_among(&mut transaction, db.dialect, keys).await?;
    // 'retired:', the id and another colon stand before the scope.
    let text = "UPDATE data_keys SET scope = SUBSTR(scope, LENGTH(id) + 10), unused_us = NULL \
                WHERE id = $1 AND retired_us IS NULL AND scope LIKE 'retired:' || id || ':%' AND NOT EXISTS (SELECT 1 FROM data_keys n \
                WHERE n.workspace_id = data_keys.workspace_id \
                AND n.scope = SUBSTR(data_keys.scope, LENGTH(data_keys.id) + 10))";
    for key in keys {
        if !unused.contains(key) {
            Statement::new(text, values![key.as_str()]).run(&mut transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(unused)
}

/// Destroys those of `keys` that still seal nothing; tells how many.
///
/// # Errors
/// The database's own.
pub async fn destroy_unused(db: &CellDb, keys: &[String]) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let unused = unused_among(&mut transaction, db.dialect, keys).await?;
    destroy_in(&mut transaction, &unused).await?;
    transaction.commit().await?;
    Ok(unused.len() as u64)
}

/// Those of `keys` that seal nothing, locked: a call that seals with one waits until `on` has ended.
async fn unused_among(on: &mut AnyConnection, dialect: Dialect, keys: &[String]) -> Result<Vec<String>> {
    lock(on, keys, dialect.for_update()).await?;
    // A statement of its own: it sees what was sealed while this waited for the lock.
    let head = format!("SELECT k.id FROM data_keys k WHERE {SEALS_NOTHING} AND k.id IN");
    ids(&sql::select_in(on, &head, keys, "").await?)
}

fn ids(rows: &[AnyRow]) -> Result<Vec<String>> {
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

pub(super) fn key(row: &AnyRow) -> Result<WrappedKey> {
    Ok(WrappedKey {
        id: row.try_get("id")?,
        workspace_id: row.try_get("workspace_id")?,
        scope: row.try_get("scope")?,
        wrapped: row.try_get("wrapped")?,
        wrapped_by: row.try_get("wrapped_by")?,
        created_at: Time(row.try_get("created_us")?),
    })
}

/// Bytes as base64. Older copies of the table have them as a list of numbers, which takes three times the room.
mod compact {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Base64(String),
        Numbers(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Base64(text) => STANDARD.decode(text).map_err(D::Error::custom),
            Written::Numbers(bytes) => Ok(bytes),
        }
    }
}
