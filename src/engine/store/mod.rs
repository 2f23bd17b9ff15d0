//! All SQL of the product, one text for SQLite and PostgreSQL through sqlx's `Any` driver (design §5).
//!
//! What differs between the two lives in [`Dialect`]. Rows become domain types here.

pub mod accounts;
pub mod agents;
pub mod alerts;
pub mod attempts;
pub mod books;
pub mod check;
pub mod checkpoints;
pub mod data_jobs;
pub mod data_keys;
pub mod data_requests;
pub mod deliveries;
pub mod dump;
pub mod erasure;
pub mod facts;
pub mod generations;
pub mod holds;
pub mod keys;
pub mod kinds;
pub mod leaving_people;
pub mod ledger;
pub mod log;
pub mod log_exports;
pub mod nda;
pub mod orphans;
pub mod own_mail;
pub mod pending_acts;
pub mod people;
pub mod replicas;
pub mod retention;
pub mod saved_searches;
pub mod search;
pub mod sign_ins;
pub mod signing_keys;
pub mod spend;
pub mod sql;
pub mod tallies;
pub mod url_keys;
pub mod usage;
pub mod verifications;
pub mod webhooks;
pub mod workspaces;

use std::ops::Deref;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Row, Transaction};

use crate::engine::error::{Result, internal};

static CONTROL_SQLITE: Migrator = sqlx::migrate!("migrations/control/sqlite");
static CONTROL_POSTGRES: Migrator = sqlx::migrate!("migrations/control/postgres");
static CELL_SQLITE: Migrator = sqlx::migrate!("migrations/cell/sqlite");
static CELL_POSTGRES: Migrator = sqlx::migrate!("migrations/cell/postgres");

/// The few places where the engines differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded.
    Sqlite,
    /// A server, for many nodes.
    Postgres,
}

impl Dialect {
    /// How a transaction that will write begins: a read transaction that turns to writing fails on SQLite.
    const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// What locks the rows that a statement selects; SQLite's write transaction locks everything.
    pub const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// What keeps others from changing the rows that a statement selects, but not from selecting them so too.
    pub const fn for_share(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR SHARE",
        }
    }
}

/// Which of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// People and the directory.
    Control,
    /// Everything of the workspaces of one cell.
    Cell,
}

/// One database: its engine, a pool to read from and one to write to.
#[derive(Debug, Clone)]
pub struct Db {
    /// The engine.
    pub dialect: Dialect,
    /// For statements that only read.
    pub read: AnyPool,
    write: AnyPool,
    /// Full when a test says so.
    #[cfg(test)]
    pub(in crate::engine) disk: crate::engine::tests::full_disk::Disk,
}

/// The directory: people, their sessions, and which workspace is in which cell. Only what names this type reaches it.
#[derive(Debug, Clone)]
pub struct ControlDb(Db);

/// Everything of the workspaces of one cell. No function over it reaches another cell's, nor the directory.
#[derive(Debug, Clone)]
pub struct CellDb(Db);

impl Deref for ControlDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.0
    }
}

impl Deref for CellDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.0
    }
}

impl ControlDb {
    /// Brings the directory's tables up to date.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn over(db: Db) -> std::result::Result<Self, sqlx::migrate::MigrateError> {
        db.migrate(Kind::Control).await.map(|()| Self(db))
    }
}

impl CellDb {
    /// Brings a cell's tables up to date.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn over(db: Db) -> std::result::Result<Self, sqlx::migrate::MigrateError> {
        db.migrate(Kind::Cell).await.map(|()| Self(db))
    }
}

impl Db {
    /// Opens `url` (`sqlite:FILE` or `postgres://…`); an SQLite file and its folder are made where missing.
    ///
    /// # Errors
    /// The database's own, where it cannot be reached.
    pub async fn open(url: &str) -> std::result::Result<Self, sqlx::Error> {
        Self::open_as(url, Sync::Full).await
    }

    /// As [`Db::open`], for filling what is empty: a loss of power would take commits that were answered.
    ///
    /// # Errors
    /// The database's own, where it cannot be reached.
    pub async fn open_unsynced(url: &str) -> std::result::Result<Self, sqlx::Error> {
        Self::open_as(url, Sync::Off).await
    }

    async fn open_as(url: &str, sync: Sync) -> std::result::Result<Self, sqlx::Error> {
        sqlx::any::install_default_drivers();
        if url.starts_with("postgres") {
            Self::open_postgres(url, sync).await
        } else {
            Self::open_sqlite(url, sync).await
        }
    }

    async fn open_postgres(url: &str, sync: Sync) -> std::result::Result<Self, sqlx::Error> {
        let pool = postgres_pool(sync).connect(url).await?;
        Ok(Self::over(Dialect::Postgres, pool.clone(), pool))
    }

    async fn open_sqlite(url: &str, sync: Sync) -> std::result::Result<Self, sqlx::Error> {
        let file = url.trim_start_matches("sqlite:").split('?').next().unwrap_or_default();
        if let Some(folder) = std::path::Path::new(file).parent() {
            tokio::fs::create_dir_all(folder).await.map_err(sqlx::Error::Io)?;
        }
        let url = format!("sqlite:{file}?mode=rwc");
        let write = sqlite_pool(1, sync, WRITER_CACHE).connect(&url).await?;
        let read = sqlite_pool(4, sync, READER_CACHE).connect(&url).await?;
        Ok(Self::over(Dialect::Sqlite, read, write))
    }

    fn over(dialect: Dialect, read: AnyPool, write: AnyPool) -> Self {
        Self {
            dialect,
            read,
            write,
            #[cfg(test)]
            disk: Default::default(),
        }
    }

    /// Brings the tables up to date, under a lock on PostgreSQL.
    ///
    /// # Errors
    /// When a migration fails or was changed after it landed.
    pub async fn migrate(&self, kind: Kind) -> std::result::Result<(), sqlx::migrate::MigrateError> {
        let migrator = match (kind, self.dialect) {
            (Kind::Control, Dialect::Sqlite) => &CONTROL_SQLITE,
            (Kind::Control, Dialect::Postgres) => &CONTROL_POSTGRES,
            (Kind::Cell, Dialect::Sqlite) => &CELL_SQLITE,
            (Kind::Cell, Dialect::Postgres) => &CELL_POSTGRES,
        };
        migrator.run(&self.write).await
    }

    /// A transaction that will write. Dropped without `commit`, it changes nothing.
    ///
    /// # Errors
    /// When no connection is to be had.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>> {
        #[cfg(test)]
        self.disk.before(&self.write).await?;
        let transaction = begin(&self.write, self.dialect.begin()).await?;
        #[cfg(test)]
        let transaction = self.disk.begun(self.dialect, transaction).await?;
        Ok(transaction)
    }

    /// As [`Self::begin`], where losing it in a crash is made good by doing it again: PostgreSQL does not wait for the disk,
    /// and so holds its locks for a moment only.
    ///
    /// # Errors
    /// When no connection is to be had.
    pub async fn begin_unsynced(&self) -> Result<Transaction<'static, Any>> {
        let mut transaction = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            sqlx::query("SET LOCAL synchronous_commit TO OFF").execute(&mut *transaction).await?;
        }
        Ok(transaction)
    }

    /// Whether the database answers.
    pub async fn answers(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.read).await.is_ok()
    }

    /// The number that rises with each change of what nodes cache.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn change_number(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT number FROM changes WHERE id = 1").fetch_one(&self.read).await?)
    }

    /// Makes deleted rows of `table` leave the disk: the server rewrites the table, SQLite empties its journal into the
    /// file, where deleted bytes are overwritten. False where somebody reads for long, such as a dump: then they are still
    /// there, and it has to be done again.
    ///
    /// # Errors
    /// The database's own.
    pub async fn scrub(&self, table: &'static str) -> Result<bool> {
        if self.dialect == Dialect::Postgres {
            return self.rewrite(table).await;
        }
        let mut connection = self.read.acquire().await?;
        // A reader must not hold up writers for the usual half minute.
        connection.execute("PRAGMA busy_timeout = 500").await?;
        let busy = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await;
        connection.execute(BUSY_TIMEOUT).await?;
        Ok(busy?.try_get::<i64, _>(0)? == 0)
    }

    /// Whoever waits for the table waits behind this, every paid call too: so it gives up soon.
    async fn rewrite(&self, table: &'static str) -> Result<bool> {
        #[cfg(test)]
        self.disk.rewrite()?;
        // Of its own, and closed afterwards: the limit must not stay on a connection of the pool.
        let mut connection = self.write.acquire().await?.detach();
        connection.execute("SET lock_timeout = '500ms'").await?;
        let done = connection.execute(AssertSqlSafe(format!("VACUUM FULL {table}"))).await;
        connection.close().await?;
        match done {
            Err(sqlx::Error::Database(fault)) if fault.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => {
                Ok(false)
            }
            done => Ok(done.map(|_| true)?),
        }
    }

    /// Closes both pools.
    pub async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }
}

/// Begins in a task of its own: where a caller goes away while its transaction begins, sqlx's PostgreSQL driver gives the
/// connection back with the transaction open, and whoever takes it next writes what is never committed.
async fn begin(pool: &AnyPool, statement: &'static str) -> Result<Transaction<'static, Any>> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { begin_on_a_sound_one(&pool, statement).await });
    Ok(begun.await.map_err(|error| internal("begin", error))??)
}

/// On a full disk SQLite rolls back by itself, after which sqlx takes the connection to be inside that transaction for
/// ever: it is closed, and another one opened.
async fn begin_on_a_sound_one(
    pool: &AnyPool,
    statement: &'static str,
) -> std::result::Result<Transaction<'static, Any>, sqlx::Error> {
    match pool.begin_with(statement).await {
        Err(sqlx::Error::InvalidSavePointStatement | sqlx::Error::BeginFailed) => {
            // What cannot be closed well is dropped all the same.
            let _ = pool.acquire().await?.close().await;
            pool.begin_with(statement).await
        }
        begun => begun,
    }
}

/// Raises the change number, so that every node forgets what it cached within a second.
pub(super) const TELL_NODES: &str = "UPDATE changes SET number = number + 1 WHERE id = 1";

/// PostgreSQL's code for a lock that was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";
const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 30000";
/// In KiB. Writing comes back to the same pages; what is read once, such as a whole log, should not fill the memory.
const WRITER_CACHE: &str = "PRAGMA cache_size = -65536";
const READER_CACHE: &str = "PRAGMA cache_size = -8192";

/// Whether a commit that was answered survives the loss of power.
#[derive(Debug, Clone, Copy)]
enum Sync {
    Full,
    Off,
}

fn postgres_pool(sync: Sync) -> AnyPoolOptions {
    let options = AnyPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(10));
    match sync {
        // As the server is set up.
        Sync::Full => options,
        Sync::Off => options.after_connect(|connection: &mut AnyConnection, _| {
            Box::pin(async move { connection.execute("SET synchronous_commit = off").await.map(drop) })
        }),
    }
}

fn sqlite_pool(connections: u32, sync: Sync, cache: &'static str) -> AnyPoolOptions {
    let synchronous = match sync {
        Sync::Full => "PRAGMA synchronous = FULL",
        Sync::Off => "PRAGMA synchronous = OFF",
    };
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(30)).after_connect(
        move |connection: &mut AnyConnection, _| {
            Box::pin(async move {
                connection.execute("PRAGMA journal_mode = WAL").await?;
                connection.execute(synchronous).await?;
                connection.execute(BUSY_TIMEOUT).await?;
                // What is deleted is overwritten: a destroyed key must not survive in a free page.
                connection.execute("PRAGMA secure_delete = ON").await?;
                connection.execute("PRAGMA temp_store = MEMORY").await?;
                connection.execute(cache).await?;
                connection.execute("PRAGMA wal_autocheckpoint = 4000").await?;
                Ok(())
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::killed::killed_after;
    use crate::engine::tests::support::{Databases, both_engines};

    both_engines! {
        async fn who_goes_away_while_a_transaction_begins_leaves_none_open(on) {
            let config = on.config();
            let url = config.cell_url(&config.cells()[0]);
            let (db, other) = (Db::open(&url).await.unwrap(), Db::open(&url).await.unwrap());
            db.migrate(Kind::Cell).await.unwrap();
            for polls in 0..20 {
                drop(killed_after(polls % 5, db.begin()).await);
                let before = other.change_number().await.unwrap();
                sqlx::query(TELL_NODES).execute(&db.write).await.unwrap();
                assert_eq!(other.change_number().await.unwrap(), before + 1, "after {polls} polls");
            }
        }
    }
}
