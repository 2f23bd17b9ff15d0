//! Spend by period, as caps count it. Written by [`crate::engine::store::books`] only.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ledger::Tally;
use crate::domain::money::Usd;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::sql;

/// A tally by its id (see [`crate::engine::store::books::tally_id`]); nothing where nothing was spent.
///
/// # Errors
/// The database's own.
pub async fn get(db: &CellDb, id: &str) -> Result<Tally> {
    let text = "SELECT spent, reserved FROM tallies WHERE id = $1";
    let Some(row) = sqlx::query(text).bind(id).fetch_optional(&db.read).await? else {
        return Ok(Tally::default());
    };
    tally(&row)
}

/// The tallies with these ids, by id; without those of which nothing was spent.
///
/// # Errors
/// The database's own.
pub async fn several(db: &CellDb, ids: &[String]) -> Result<HashMap<String, Tally>> {
    let mut reader = db.read.acquire().await?;
    let head = "SELECT id, spent, reserved FROM tallies WHERE id IN";
    let rows = sql::select_in(&mut reader, head, ids, "").await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, tally(row)?))).collect()
}

fn tally(row: &AnyRow) -> Result<Tally> {
    Ok(Tally {
        spent: Usd::from_micros(row.try_get("spent")?),
        reserved: Usd::from_micros(row.try_get("reserved")?),
    })
}
