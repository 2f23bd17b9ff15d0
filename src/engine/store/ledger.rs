//! Ledger entries: what came in and what was charged. Never changed once written.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::field::FieldError;
use crate::domain::ids::{LedgerEntryId, RequestId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::domain::usage::Span;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{self, Select, values};

/// One entry.
#[derive(Debug, Clone)]
pub struct LedgerEntry {
    /// Its id.
    pub id: LedgerEntryId,
    /// Whose account.
    pub workspace_id: WorkspaceId,
    /// The place of its log entry: the order in which the balance moved.
    pub seq: i64,
    /// `top_up` or `charge`.
    pub kind: &'static str,
    /// Above zero where money came in.
    pub amount: Usd,
    /// Available and reserved afterwards.
    pub balance_after: Usd,
    /// The call or act.
    pub request_id: RequestId,
    /// Who caused it.
    pub actor: String,
    /// The payer's reference of a top-up.
    pub reference: Option<String>,
    /// When.
    pub at: Time,
}

/// Writes entries.
///
/// # Errors
/// The database's own; a second charge of one call is refused by an index.
pub async fn insert(on: &mut AnyConnection, entries: Vec<LedgerEntry>) -> Result<()> {
    let rows = entries.into_iter().map(|entry| {
        values![
            entry.id.as_str(),
            entry.workspace_id.as_str(),
            entry.seq,
            entry.kind,
            entry.amount.micros(),
            entry.balance_after.micros(),
            entry.request_id.as_str(),
            entry.actor,
            entry.reference,
            entry.at.micros()
        ]
    });
    let head = "INSERT INTO ledger_entries \
                (id, workspace_id, seq, kind, amount, balance_after, request_id, actor, reference, ts_us)";
    sql::insert(on, head, rows.collect(), "").await
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerFilter {
    /// `top_up` or `charge`.
    pub kind: Option<LedgerKind>,
    /// Who caused it: `agent.NAME`, a person's or key's id, `system`.
    pub actor: Option<String>,
    /// When.
    pub span: Option<Span>,
}

impl LedgerFilter {
    /// Reads a filter as REST and pages give it: a moment or a UTC date for either end, whole hours; open where an end is not
    /// given.
    ///
    /// # Errors
    /// The field `kind`, `from` or `to`.
    pub fn read(
        kind: Option<&str>,
        actor: Option<&str>,
        from: Option<&str>,
        to: Option<&str>,
    ) -> std::result::Result<Self, FieldError> {
        let span = from.or(to).map(|_| Span::parse_open(from, to)).transpose()?;
        Ok(Self { kind: kind.map(str::parse).transpose()?, actor: actor.map(str::to_owned), span })
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerKind {
    /// Money in.
    TopUp,
    /// A paid call.
    Charge,
}

impl LedgerKind {
    /// The name in JSON and URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Charge => "charge",
        }
    }

    /// A condition that the index of the money that came in fits.
    const fn condition(self) -> &'static str {
        match self {
            Self::TopUp => " AND kind <> 'charge'",
            Self::Charge => " AND kind = 'charge'",
        }
    }
}

impl std::str::FromStr for LedgerKind {
    type Err = FieldError;

    fn from_str(text: &str) -> std::result::Result<Self, FieldError> {
        let named = [Self::TopUp, Self::Charge].into_iter().find(|kind| kind.as_str() == text);
        named.ok_or_else(|| FieldError::new("kind", "is not top_up or charge"))
    }
}

/// Entries of a workspace that match, newest first, before the place `before`.
///
/// # Errors
/// The database's own.
pub async fn page(
    db: &CellDb,
    workspace: &WorkspaceId,
    filter: &LedgerFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<LedgerEntry>> {
    let places = match filter.span {
        Some(span) => places(db, workspace, span).await?.map(Some),
        None => Some(None),
    };
    let Some(places) = places else { return Ok(Vec::new()) };
    let kind = filter.kind.map_or("", LedgerKind::condition);
    let text = format!("SELECT * FROM ledger_entries WHERE workspace_id = $1{kind}");
    let select = Select::new(&text, values![workspace.as_str()])
        .and("seq < ?", before)
        .and("seq >= ?", places.map(|(first, _)| first))
        .and("seq <= ?", places.map(|(_, last)| last))
        .and("actor = ?", filter.actor.clone())
        .tail("ORDER BY seq DESC")
        .limit(limit);
    select.all(&db.read).await?.iter().map(entry).collect()
}

/// The first and the last place within a span: the ledger is in order of time.
async fn places(db: &CellDb, workspace: &WorkspaceId, span: Span) -> Result<Option<(i64, i64)>> {
    let first = "SELECT seq FROM ledger_entries WHERE workspace_id = $1 AND ts_us >= $2 AND ts_us < $3 \
                 ORDER BY ts_us, seq LIMIT 1";
    let last = "SELECT seq FROM ledger_entries WHERE workspace_id = $1 AND ts_us >= $2 AND ts_us < $3 \
                ORDER BY ts_us DESC, seq DESC LIMIT 1";
    let mut found = Vec::new();
    for text in [first, last] {
        let query = sqlx::query_scalar::<_, i64>(text)
            .bind(workspace.as_str())
            .bind(span.from.micros())
            .bind(span.to.micros());
        found.extend(query.fetch_optional(&db.read).await?);
    }
    Ok(found.first().copied().zip(found.last().copied()))
}

/// The balance before `time`: after the last entry in front of it, nothing where there is none.
///
/// # Errors
/// The database's own.
pub async fn balance_before(db: &CellDb, workspace: &WorkspaceId, time: Time) -> Result<Usd> {
    let text = "SELECT balance_after FROM ledger_entries WHERE workspace_id = $1 AND ts_us < $2 \
                ORDER BY ts_us DESC, seq DESC LIMIT 1";
    let query = sqlx::query_scalar(text).bind(workspace.as_str()).bind(time.micros());
    Ok(query.fetch_optional(&db.read).await?.map_or(Usd::ZERO, Usd::from_micros))
}

/// The entries of one call.
///
/// # Errors
/// The database's own.
pub async fn of_request(
    db: &CellDb,
    workspace: &WorkspaceId,
    request: &RequestId,
) -> Result<Vec<LedgerEntry>> {
    // The kinds are named for SQLite, which else reads the whole workspace rather than `ledger_entries_once`.
    let text = "SELECT * FROM ledger_entries WHERE workspace_id = $1 AND request_id = $2 \
                AND kind IN ('top_up', 'charge')";
    let rows = sqlx::query(text).bind(workspace.as_str()).bind(request.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &AnyRow) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        seq: row.try_get("seq")?,
        kind: if row.try_get::<&str, _>("kind")? == "top_up" { "top_up" } else { "charge" },
        amount: Usd::from_micros(row.try_get("amount")?),
        balance_after: Usd::from_micros(row.try_get("balance_after")?),
        request_id: parse(row.try_get::<String, _>("request_id")?)?,
        actor: row.try_get("actor")?,
        reference: row.try_get("reference")?,
        at: Time(row.try_get("ts_us")?),
    })
}

/// The sum of the top-ups from `from` until before `to`.
///
/// # Errors
/// The database's own.
pub async fn topped_up(db: &CellDb, workspace: &WorkspaceId, from: Time, to: Time) -> Result<Usd> {
    // Agents ask for it with each get_credits: by the index of what is no charge, never over the charges of a month.
    let text = "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM ledger_entries \
                WHERE workspace_id = $1 AND kind = 'top_up' AND kind <> 'charge' AND +ts_us >= $2 AND +ts_us < $3";
    let query = sqlx::query_scalar(text).bind(workspace.as_str()).bind(from.micros()).bind(to.micros());
    Ok(Usd::from_micros(query.fetch_one(&db.read).await?))
}
