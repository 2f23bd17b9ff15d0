//! Background work on a cell that one node does at a time: its lease, and what its last run did.

use sqlx::Row;

use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::sql::{Statement, values};

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// When it began.
    pub began_at: Time,
    /// When it ended; `None` while it runs, or where its node died.
    pub ended_at: Option<Time>,
    /// What it did: JSON of the job's own report.
    pub report: Option<String>,
}

/// Takes the lease of `name` until `until`; false where another node has it.
///
/// # Errors
/// The database's own.
pub async fn acquire(db: &CellDb, name: &str, holder: &str, now: Time, until: Time) -> Result<bool> {
    let text = "INSERT INTO data_jobs (name, holder, until_us, began_us) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_us = excluded.until_us, \
                began_us = excluded.began_us WHERE data_jobs.until_us <= excluded.began_us";
    Ok(run(db, text, values![name, holder, until.micros(), now.micros()]).await? == 1)
}

/// Keeps the lease; false where it ended and another node took it.
///
/// # Errors
/// The database's own.
pub async fn renew(db: &CellDb, name: &str, holder: &str, until: Time) -> Result<bool> {
    let text = "UPDATE data_jobs SET until_us = $3 WHERE name = $1 AND holder = $2";
    Ok(run(db, text, values![name, holder, until.micros()]).await? == 1)
}

/// Gives the lease back and keeps the run's report.
///
/// # Errors
/// The database's own.
pub async fn finish(db: &CellDb, name: &str, holder: &str, now: Time, report: &str) -> Result<()> {
    let text =
        "UPDATE data_jobs SET until_us = $3, ended_us = $3, report = $4 WHERE name = $1 AND holder = $2";
    run(db, text, values![name, holder, now.micros(), report]).await.map(|_| ())
}

/// The last run of `name`.
///
/// # Errors
/// The database's own.
pub async fn last(db: &CellDb, name: &str) -> Result<Option<JobRun>> {
    let row =
        sqlx::query("SELECT * FROM data_jobs WHERE name = $1").bind(name).fetch_optional(&db.read).await?;
    row.map(|row| {
        let (began, ended) = (row.try_get("began_us")?, row.try_get::<Option<i64>, _>("ended_us")?);
        Ok(JobRun {
            began_at: Time(began),
            ended_at: ended.filter(|ended| *ended >= began).map(Time),
            report: row.try_get("report")?,
        })
    })
    .transpose()
}

async fn run(db: &CellDb, text: &'static str, values: Vec<crate::engine::store::sql::Value>) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let rows = Statement::new(text, values).run(&mut transaction).await?;
    transaction.commit().await?;
    Ok(rows)
}
