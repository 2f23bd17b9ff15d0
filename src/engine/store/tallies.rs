//! Spend by period, as caps count it. Written by [`crate::engine::store::books`] only.

use sqlx::Row;

use crate::domain::ledger::Tally;
use crate::domain::money::Usd;
use crate::engine::error::Result;
use crate::engine::store::CellDb;

/// A tally by its id (see [`crate::engine::store::books::tally_id`]); nothing where nothing was spent.
///
/// # Errors
/// The database's own.
pub async fn get(db: &CellDb, id: &str) -> Result<Tally> {
    let text = "SELECT spent, reserved FROM tallies WHERE id = $1";
    let Some(row) = sqlx::query(text).bind(id).fetch_optional(&db.read).await? else {
        return Ok(Tally::default());
    };
    Ok(Tally {
        spent: Usd::from_micros(row.try_get("spent")?),
        reserved: Usd::from_micros(row.try_get("reserved")?),
    })
}
