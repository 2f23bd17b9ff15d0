//! Whole tables as lines of JSON and back, the same for both engines: a backup of one can be restored into the other.

use std::collections::HashMap;
use std::io::{BufRead, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use serde_json::{Map, Value as Json, json};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Column, Row, Transaction, ValueRef};

use crate::engine::error::{Error, Result, internal};
use crate::engine::store::sql::{self, Statement, Value};
use crate::engine::store::{Db, Dialect};

/// Tables that are not backed up: keys stand apart, sessions, sign-ins and links end, leases and change numbers are of the
/// moment, and the roll-up by day is made from the one by hour.
const LEFT_OUT: [&str; 9] = [
    "_sqlx_migrations",
    "data_keys",
    "sessions",
    "sign_ins",
    "setup_tokens",
    "email_changes",
    "changes",
    "data_jobs",
    "usage_days",
];
/// Rows written back at a time.
const BATCH: usize = 640;

/// A transaction that sees one moment of the database while it is in use.
///
/// # Errors
/// When no connection is to be had.
pub async fn moment(db: &Db) -> Result<Transaction<'static, Any>> {
    let statement = match db.dialect {
        Dialect::Sqlite => "BEGIN",
        Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    super::begin(&db.read, statement).await
}

/// The tables that are backed up, by name.
///
/// # Errors
/// The database's own.
pub async fn tables(on: &mut AnyConnection, dialect: Dialect) -> Result<Vec<String>> {
    let names = names(on, dialect).await?;
    Ok(names.into_iter().filter(|name| !LEFT_OUT.contains(&name.as_str())).collect())
}

/// All tables, by name.
///
/// # Errors
/// The database's own.
pub async fn names(on: &mut AnyConnection, dialect: Dialect) -> Result<Vec<String>> {
    let text = match dialect {
        Dialect::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        }
        Dialect::Postgres => {
            "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1"
        }
    };
    Ok(sqlx::query_scalar(text).fetch_all(on).await?)
}

/// Writes every row of a table as one JSON object a line; tells how many.
///
/// # Errors
/// The database's own, or where the file cannot be written.
pub async fn write(on: &mut AnyConnection, table: &str, file: &mut impl Write) -> Result<u64> {
    let text = format!("SELECT * FROM {table}");
    let mut rows = sqlx::query(AssertSqlSafe(text)).fetch(on);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        writeln!(file, "{}", Json::Object(object(&row)?)).map_err(cannot_write)?;
        count += 1;
    }
    Ok(count)
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::Unavailable(format!("The backup cannot be written: {error}. What is there is not a whole backup."))
}

fn object(row: &AnyRow) -> Result<Map<String, Json>> {
    row.columns().iter().map(|column| Ok((column.name().to_owned(), cell(row, column.ordinal())?))).collect()
}

fn cell(row: &AnyRow, index: usize) -> Result<Json> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Json::Null);
    }
    let kind = raw.type_info().kind();
    Ok(match kind {
        AnyTypeInfoKind::Text => json!(row.try_get::<String, _>(index)?),
        AnyTypeInfoKind::Blob => json!({ "base64": STANDARD.encode(row.try_get::<Vec<u8>, _>(index)?) }),
        AnyTypeInfoKind::Real | AnyTypeInfoKind::Double => json!(row.try_get::<f64, _>(index)?),
        _ => json!(row.try_get::<i64, _>(index)?),
    })
}

/// What a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
    /// Texts.
    Text,
    /// Bytes.
    Blob,
}

/// What each column of a table takes; nothing where the table does not exist.
///
/// # Errors
/// The database's own.
pub async fn columns(
    on: &mut AnyConnection,
    dialect: Dialect,
    table: &str,
) -> Result<HashMap<String, Takes>> {
    let text = match dialect {
        Dialect::Sqlite => "SELECT name, type AS kind FROM pragma_table_info($1)",
        Dialect::Postgres => {
            "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS kind FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1"
        }
    };
    let rows = sqlx::query(text).bind(table).fetch_all(on).await?;
    rows.iter().map(|row| Ok((row.try_get("name")?, takes(row.try_get("kind")?)))).collect()
}

fn takes(kind: &str) -> Takes {
    match kind.to_lowercase().as_str() {
        "bigint" | "integer" | "smallint" => Takes::Int,
        "double precision" | "real" => Takes::Float,
        "blob" | "bytea" => Takes::Blob,
        _ => Takes::Text,
    }
}

/// Removes a table's rows; `None` where others refer to some.
///
/// # Errors
/// The database's own.
pub async fn empty(on: &mut AnyConnection, table: &str) -> Result<Option<u64>> {
    savepoint(on).await?;
    match Statement::run_built(format!("DELETE FROM {table}"), on).await {
        Ok(count) => keep(on).await.map(|()| Some(count)),
        Err(error) => {
            tracing::debug!(%error, table, "a table waits for those that refer to it");
            undo(on).await.map(|()| None)
        }
    }
}

/// Fills an empty table with the rows that [`write`] wrote; tells how many.
///
/// # Errors
/// The database's own; the field `backup` where a line cannot be read or names an unknown column.
pub async fn read(
    on: &mut AnyConnection,
    table: &str,
    columns: &HashMap<String, Takes>,
    file: impl BufRead,
) -> Result<u64> {
    let (mut head, mut rows, mut count) = (String::new(), Vec::new(), 0);
    for line in file.lines() {
        let line = line.map_err(|error| internal("backup", error))?;
        let row: Map<String, Json> =
            serde_json::from_str(&line).map_err(|error| internal("backup", error))?;
        if head.is_empty() {
            let names: Vec<&str> = row.keys().map(String::as_str).collect();
            head = format!("INSERT INTO {table} ({})", names.join(", "));
        }
        rows.push(row.into_iter().map(|(name, cell)| value(columns, &name, cell)).collect::<Result<_>>()?);
        count += 1;
        if rows.len() == BATCH {
            sql::insert(on, &head, std::mem::take(&mut rows), "").await?;
        }
    }
    sql::insert(on, &head, rows, "").await.map(|()| count)
}

fn value(columns: &HashMap<String, Takes>, name: &str, cell: Json) -> Result<Value> {
    let takes =
        columns.get(name).ok_or_else(|| internal("backup", format!("the column {name} is unknown here")))?;
    Ok(match takes {
        Takes::Int => Value::MaybeInt(cell.as_i64()),
        Takes::Float => Value::MaybeFloat(cell.as_f64()),
        Takes::Text => Value::MaybeText(cell.as_str().map(str::to_owned)),
        Takes::Blob => {
            let bytes = cell["base64"].as_str().map(|text| STANDARD.decode(text)).transpose();
            Value::MaybeBlob(bytes.map_err(|error| internal("backup", error))?)
        }
    })
}

/// Whether nobody uses the database yet: there is no row of `table`.
///
/// # Errors
/// The database's own.
pub async fn is_empty(db: &Db, table: &'static str) -> Result<bool> {
    let text = format!("SELECT 1 FROM {table} LIMIT 1");
    Ok(sqlx::query(AssertSqlSafe(text)).fetch_optional(&db.read).await?.is_none())
}

/// Begins a part of a transaction that can be undone alone.
///
/// # Errors
/// The database's own.
pub async fn savepoint(on: &mut AnyConnection) -> Result<()> {
    Statement::new("SAVEPOINT part", Vec::new()).run(on).await?;
    Ok(())
}

/// Keeps the part.
///
/// # Errors
/// The database's own.
pub async fn keep(on: &mut AnyConnection) -> Result<()> {
    Statement::new("RELEASE SAVEPOINT part", Vec::new()).run(on).await?;
    Ok(())
}

/// Undoes the part.
///
/// # Errors
/// The database's own.
pub async fn undo(on: &mut AnyConnection) -> Result<()> {
    Statement::new("ROLLBACK TO SAVEPOINT part", Vec::new()).run(on).await?;
    keep(on).await
}
