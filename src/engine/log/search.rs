//! Searches of the log and of refused and failed calls: pages, streams, and the hash of a prompt.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use crate::domain::access::Permission;
use crate::domain::audit::{Linked, prompt_hash};
use crate::domain::money::Usd;
use crate::domain::search::Search;
use crate::domain::time::Time;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::log::reading::{AttemptView, Page, Paged, attempt_view, cursor_of};
pub use crate::engine::store::kinds::LogWords;
use crate::engine::store::ledger::{self, LedgerEntry};
pub use crate::engine::store::search::{AuditFilter, EntryKind};
use crate::engine::store::search::{Between, LogSearch, attempts};
use crate::engine::store::{CellDb, books, kinds, log};
use crate::engine::webhooks::DeliveryView;

/// Places that a stream reads at a time.
const PIECE: i64 = 2_000;
/// Pieces that are read at the same time: while one waits for the disk, another is taken apart.
const AT_ONCE: usize = 2;
/// Pieces that are read ahead of whoever takes them.
const AHEAD: usize = 2;

/// What is known of a request besides its log entries.
#[derive(Debug, Clone, Default)]
pub struct RequestDetails {
    /// When money was set aside for the call, and how much: its price, which is the most that can be charged.
    pub reserved: Option<(Time, Usd)>,
    /// When the call was settled or given up.
    pub ended_at: Option<Time>,
    /// How the balance moved; for who may read billing.
    pub ledger: Vec<LedgerEntry>,
    /// The entries before and after it in the chain.
    pub beside: Vec<Linked>,
    /// The requests that carried its entries to receivers; for who may see webhooks.
    pub deliveries: Vec<DeliveryView>,
}

/// The rows of a long list, some at a time.
pub type Pieces<T> = BoxStream<'static, Result<Vec<T>>>;

impl Engine {
    /// The log, newest first.
    ///
    /// # Errors
    /// The field `limit` or `cursor`.
    pub async fn audit(&self, scope: &Scope, filter: &AuditFilter, page: Page) -> Result<Paged<Linked>> {
        let (limit, before) = (page.rows()?, page.place()?);
        let (db, search) = (&self.cell(&scope.workspace)?.db, self.log_search(scope, filter));
        let places = search.places(db).await?.before(before.unwrap_or(i64::MAX));
        let rows = search.newest(db, places, limit + 1).await?;
        Ok(Paged::new(rows, limit, |row| row.seq.to_string()))
    }

    fn log_search(&self, scope: &Scope, filter: &AuditFilter) -> LogSearch {
        let workspace = &scope.workspace;
        LogSearch::new(workspace.id.clone(), workspace.region, filter.clone(), self.0.clock.now())
    }

    /// The whole match up to now, oldest first, in memory that does not grow.
    ///
    /// # Errors
    /// [`Error::WrongRegion`]; later faults end the stream with an error.
    pub fn audit_stream(&self, scope: &Scope, filter: &AuditFilter) -> Result<Pieces<Linked>> {
        let (db, search) = (self.cell(&scope.workspace)?.db.clone(), self.log_search(scope, filter));
        let workspace = scope.workspace.id.clone();
        Ok(read_ahead(async move |to| {
            let end = log::end(&db, &workspace).await?.ok_or(Error::NotFound)?;
            let places = search.places(&db).await?.before(end.seq + 1);
            send_all(&db, &search, places, &to).await
        }))
    }

    /// Entries that match behind the place `after`, oldest first, and how far that looked: for who watches the log.
    ///
    /// # Errors
    /// The database's own.
    pub async fn audit_since(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        after: i64,
    ) -> Result<(Vec<Linked>, i64)> {
        let (db, search) = (&self.cell(&scope.workspace)?.db, self.log_search(scope, filter));
        let end = self.log_end(scope).await?;
        let places = search.places(db).await?.after(after).before(end.min(after + PIECE) + 1);
        let rows = if places.is_empty() { Vec::new() } else { search.oldest(db, places).await? };
        Ok((rows, end.min(after + PIECE).max(after)))
    }

    /// The place of the log's last entry.
    ///
    /// # Errors
    /// The database's own.
    pub async fn log_end(&self, scope: &Scope) -> Result<i64> {
        let end = log::end(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await?;
        Ok(end.map_or(0, |end| end.seq))
    }

    /// Refused and failed calls, newest first.
    ///
    /// # Errors
    /// The field `limit` or `cursor`.
    pub async fn attempts(&self, scope: &Scope, search: &Search, page: Page) -> Result<Paged<AttemptView>> {
        let (limit, last) = (page.rows()?, page.time_and_id()?);
        let db = &self.cell(&scope.workspace)?.db;
        let rows = attempts(db, &self.attempt_search(scope, search), last, limit + 1).await?;
        Ok(Paged::new(rows, limit, |row| cursor_of(row.attempt.at, &row.id)).map(attempt_view))
    }

    fn attempt_search(&self, scope: &Scope, search: &Search) -> LogSearch {
        self.log_search(scope, &AuditFilter { kind: None, search: search.clone() })
    }

    /// All refused and failed calls that match, newest first, in memory that does not grow.
    ///
    /// # Errors
    /// [`Error::WrongRegion`]; later faults end the stream with an error.
    pub fn attempts_stream(&self, scope: &Scope, search: &Search) -> Result<Pieces<AttemptView>> {
        let db = self.cell(&scope.workspace)?.db.clone();
        let search = self.attempt_search(scope, search);
        Ok(read_ahead(async move |to| {
            let mut last = None;
            loop {
                let rows = attempts(&db, &search, last, PIECE).await?;
                let Some(row) = rows.last() else { return Ok(()) };
                last = Some((row.attempt.at.micros(), row.id.clone()));
                if !to.give(rows.into_iter().map(attempt_view).collect()).await {
                    return Ok(());
                }
            }
        }))
    }

    /// What else is known of a request whose log entries are `rows`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn request_details(&self, scope: &Scope, rows: &[Linked]) -> Result<RequestDetails> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let Some(row) = rows.first() else { return Ok(RequestDetails::default()) };
        let request = &row.entry.request_id;
        let beside = Between { after: row.seq - 2, before: row.seq + 2 };
        let (mut beside, hold) =
            (log::rows(db, id, beside).await?, books::reservation(db, id, request).await?);
        beside.retain(|found| found.seq != row.seq);
        let ledger = match scope.role.may(Permission::ReadBilling) {
            true => ledger::of_request(db, id, request).await?,
            false => Vec::new(),
        };
        let deliveries = match scope.role.may(Permission::ReadWebhooks) {
            true => self.deliveries_of(scope, rows).await?,
            false => Vec::new(),
        };
        let (reserved, ended_at) =
            hold.map_or((None, None), |(hold, ended)| (Some((hold.made_at, hold.amount)), ended));
        Ok(RequestDetails { reserved, ended_at, ledger, beside, deliveries })
    }

    /// The actors, tools, models and events of the log, for completion.
    ///
    /// # Errors
    /// The database's own.
    pub async fn log_words(&self, scope: &Scope) -> Result<LogWords> {
        kinds::words(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await
    }

    /// The search for a prompt's calls. What forms send has other line ends than most prompts, and often a space at an end.
    ///
    /// # Errors
    /// The database's own.
    pub async fn hashes_of_prompt(&self, scope: &Scope, prompt: &str) -> Result<Vec<String>> {
        let salt = self.account(&scope.workspace).await?.salt;
        let with_plain_ends = prompt.replace("\r\n", "\n");
        let texts = [prompt, with_plain_ends.as_str()].map(|text| [text, text.trim()]).concat();
        let hashes: BTreeSet<String> = texts.into_iter().map(|text| prompt_hash(&salt, text)).collect();
        Ok(hashes.into_iter().collect())
    }
}

/// Reads piece after piece; skips what cannot match.
async fn send_all(db: &CellDb, search: &LogSearch, places: Between, to: &Giver<Linked>) -> Result<()> {
    let mut left = places;
    while let Some(first) = search.next_place(db, left).await? {
        let starts = (first - 1..left.before - 1).step_by(PIECE as usize);
        let piece = move |after| left.and(Between { after, before: after + PIECE + 1 });
        let read = stream::iter(starts).map(|after| search.oldest(db, piece(after)));
        let (mut pieces, mut after) = (pin!(read.buffered(AT_ONCE)), first - 1);
        while let Some(rows) = pieces.try_next().await? {
            after += PIECE;
            if rows.is_empty() {
                break;
            }
            if !to.give(rows).await {
                return Ok(());
            }
        }
        left = left.after(after);
        if left.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

/// Where pieces go that are read ahead.
struct Giver<T>(mpsc::Sender<Step<T>>);

enum Step<T> {
    Piece(Result<Vec<T>>),
    End,
}

impl<T> Giver<T> {
    /// False where nobody wants more.
    async fn give(&self, rows: Vec<T>) -> bool {
        self.0.send(Step::Piece(Ok(rows))).await.is_ok()
    }
}

/// Runs `read` in a task of its own, so that the next piece is read while this one is written. A stream that does not end
/// by its end ends with an error: a part must not pass for the whole.
fn read_ahead<T: Send + 'static, F>(read: impl FnOnce(Giver<T>) -> F + Send + 'static) -> Pieces<T>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(AHEAD);
    let giver = Giver(sender.clone());
    tokio::spawn(async move {
        let last = match read(giver).await {
            Ok(()) => Step::End,
            Err(error) => Step::Piece(Err(error)),
        };
        // Fails only where nobody listens any more.
        let _ = sender.send(last).await;
    });
    pieces(receiver).boxed()
}

fn pieces<T: Send + 'static>(receiver: mpsc::Receiver<Step<T>>) -> impl Stream<Item = Result<Vec<T>>> {
    stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Step::Piece(Ok(rows))) => Some((Ok(rows), Some(receiver))),
            Some(Step::Piece(Err(error))) => Some((Err(error), None)),
            Some(Step::End) => None,
            None => Some((Err(Error::Internal), None)),
        }
    })
}
