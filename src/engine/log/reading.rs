//! What pages and REST read: pages of lists, generations, attempts, models, files.

use std::collections::HashSet;

use object_store::GetRange;
use serde::Serialize;

use crate::domain::catalog::Model;
use crate::domain::field::FieldError;
use crate::domain::ids::{GenerationId, RequestId};
use crate::domain::money::Usd;
use crate::domain::region::Region;
use crate::domain::time::{DAY, HOUR, Time};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::calls::media::{Media, file_key, thumbnail_key};
use crate::engine::error::{Error, Result};
pub use crate::engine::log::search::{AuditFilter, EntryKind};
use crate::engine::store::attempts::{self, AttemptRow};
pub use crate::engine::store::generations::GenerationFilter;
use crate::engine::store::generations::{self, NewGeneration};
use crate::engine::store::retention;

/// The largest page.
const LARGEST_PAGE: u32 = 200;

/// Which page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Rows, 1 to 200; 50 where unset.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl Page {
    pub(crate) fn rows(&self) -> std::result::Result<i64, FieldError> {
        match self.limit.unwrap_or(50) {
            rows @ 1..=LARGEST_PAGE => Ok(i64::from(rows)),
            _ => Err(FieldError::new("limit", format!("is not a number from 1 to {LARGEST_PAGE}"))),
        }
    }

    /// The cursor of a list that is sorted by place.
    pub(crate) fn place(&self) -> std::result::Result<Option<i64>, FieldError> {
        self.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| wrong_cursor())).transpose()
    }

    /// The cursor of a list that is sorted by time and id.
    pub(crate) fn time_and_id(&self) -> std::result::Result<Option<(i64, String)>, FieldError> {
        let Some(cursor) = self.cursor.as_deref() else { return Ok(None) };
        let parsed = cursor.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
        parsed.map(Some).ok_or_else(wrong_cursor)
    }
}

/// One page of a list, and the way to the next.
#[derive(Debug, Clone, Serialize)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The next page's `cursor`; none on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Paged<T> {
    /// Cuts the row too many that was read, which says that there is a next page.
    pub(crate) fn new(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Self {
        let more = rows.len() as i64 > limit;
        rows.truncate(limit.unsigned_abs() as usize);
        let next_cursor = rows.last().filter(|_| more).map(cursor);
        Self { items: rows, next_cursor }
    }

    /// One page of a list that is short enough to be read whole. Its cursor is the id of the last row.
    ///
    /// # Errors
    /// The field `limit` or `cursor`.
    pub fn cut(
        rows: Vec<T>,
        page: &Page,
        id: impl Fn(&T) -> String,
    ) -> std::result::Result<Self, FieldError> {
        let limit = page.rows()?;
        let first = match &page.cursor {
            Some(last) => rows.iter().position(|row| id(row) == *last).ok_or_else(wrong_cursor)? + 1,
            None => 0,
        };
        let rows = rows.into_iter().skip(first).take(limit.unsigned_abs() as usize + 1).collect();
        Ok(Self::new(rows, limit, id))
    }

    /// The same page of other rows.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Paged<U> {
        Paged { items: self.items.into_iter().map(change).collect(), next_cursor: self.next_cursor }
    }
}

/// The cursor of a list that is sorted by time and id.
pub fn cursor_of(at: Time, id: &str) -> String {
    format!("{}.{id}", at.micros())
}

fn wrong_cursor() -> FieldError {
    FieldError::new("cursor", "is not one that this list gave; begin again without it")
}

/// A generation as people and agents see it.
#[derive(Debug, Clone, Serialize)]
pub struct GenerationView {
    /// Its id.
    pub generation_id: GenerationId,
    /// The call.
    pub request_id: RequestId,
    /// When it was settled.
    pub ts: Time,
    /// `agent.NAME`.
    pub user_id: String,
    /// The tool.
    pub tool: String,
    /// The model.
    pub model: String,
    /// What was charged.
    pub cost_usd: Usd,
    /// Where its files are.
    pub region: Region,
    /// The files' media type.
    pub content_type: String,
    /// How many files.
    pub count: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Seconds, for a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u32>,
    /// Signed links; none once the files are gone.
    pub result_urls: Vec<String>,
    /// The first file's small picture.
    pub thumbnail_url: Option<String>,
    /// When the files go.
    pub expires_at: Time,
    /// When the files went.
    pub deleted_at: Option<Time>,
    /// Whether it came after its reservation had been given back: kept, not charged.
    pub late: bool,
    /// Whether a legal hold keeps it beyond its retention.
    #[serde(skip)]
    pub held: bool,
}

/// A refused or failed call as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptView {
    /// The first of its minute.
    pub first_at: Time,
    /// The last of its minute.
    pub last_at: Time,
    /// `agent.NAME`.
    pub user_id: String,
    /// The tool.
    pub tool: String,
    /// The model, where one was named.
    pub model: Option<String>,
    /// The answer's code.
    pub code: String,
    /// The answer's sentence.
    pub message: String,
    /// Hash of the prompt.
    pub prompt_hash: Option<String>,
    /// The last such call.
    pub request_id: RequestId,
    /// Whether the provider failed; otherwise the rules refused.
    pub failed: bool,
    /// How many calls it stands for.
    pub count: i64,
}

/// Only these are drawn small; see [`crate::engine::calls::providers::thumbnail`].
fn has_thumbnail(content_type: &str) -> bool {
    matches!(content_type, "image/png" | "image/apng" | "image/jpeg" | "image/webp")
}

impl Engine {
    /// Generations, newest first.
    ///
    /// # Errors
    /// The field `limit` or `cursor`.
    pub async fn generations(
        &self,
        scope: &Scope,
        filter: &GenerationFilter,
        page: Page,
    ) -> Result<Paged<GenerationView>> {
        let (limit, last) = (page.rows()?, page.time_and_id()?);
        let db = &self.cell(&scope.workspace)?.db;
        let rows = generations::page(db, &scope.workspace.id, filter, last, limit + 1).await?;
        let (now, mut held) = (self.0.clock.now(), HashSet::new());
        for row in rows.iter().filter(|row| row.deleted_at.is_none() && row.expires_at <= now) {
            if retention::is_held(db, &row.id).await? {
                held.insert(row.id.clone());
            }
        }
        let rows = Paged::new(rows, limit, |row| cursor_of(row.created_at, row.id.as_str()));
        Ok(rows.map(|row| {
            let held = held.contains(&row.id);
            self.generation_view(scope, row, held)
        }))
    }

    /// What a hold keeps beyond its retention is still to be had.
    fn generation_view(&self, scope: &Scope, row: NewGeneration, held: bool) -> GenerationView {
        let now = self.0.clock.now();
        let gone = row.deleted_at.is_some() || (row.expires_at <= now && !held);
        let base = self.base_url(&scope.workspace);
        let until = self.link_end(if held { now.plus(DAY) } else { row.expires_at });
        let sign = |key: &str| self.0.urls.sign(&base, key, until);
        let files = if gone { 0 } else { row.files };
        GenerationView {
            result_urls: (1..=files).map(|number| sign(&file_key(&row.object_key, number))).collect(),
            thumbnail_url: (!gone && has_thumbnail(&row.content_type))
                .then(|| sign(&thumbnail_key(&row.object_key))),
            generation_id: row.id,
            request_id: row.request_id,
            ts: row.created_at,
            user_id: row.user_id,
            tool: row.tool,
            model: row.model,
            cost_usd: row.cost,
            region: scope.workspace.region,
            content_type: row.content_type,
            count: row.files,
            width: row.width,
            height: row.height,
            duration_s: row.duration_s,
            expires_at: row.expires_at,
            deleted_at: row.deleted_at,
            late: row.late,
            held,
        }
    }

    /// A file of a generation, by its number from 1, with its name: for who may read it at this moment.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or none any more.
    pub async fn generation_file(
        &self,
        scope: &Scope,
        id: &GenerationId,
        number: u32,
    ) -> Result<(String, Media)> {
        let node = self.cell(&scope.workspace)?;
        let made = generations::get(&node.db, &scope.workspace.id, id).await?;
        let made = made.filter(|made| made.deleted_at.is_none() && (1..=made.files).contains(&number));
        let made = made.ok_or(Error::NotFound)?;
        if made.expires_at <= self.0.clock.now() && !retention::is_held(&node.db, id).await? {
            return Err(Error::NotFound);
        }
        let key = file_key(&made.object_key, number);
        let name = key.rsplit('/').next().unwrap_or_default().to_owned();
        Ok((name, node.bucket.get(&key, None).await?))
    }

    /// When a link made now ends: after the setting's hours, at the latest with its file.
    pub(crate) fn link_end(&self, file_ends: Time) -> Time {
        let hours = i64::from(self.0.config.limits.result_url_hours);
        self.0.clock.now().plus(hours * HOUR).min(file_ends)
    }

    /// One refused or failed call, by its id or that of the last one it was folded into.
    ///
    /// # Errors
    /// The database's own.
    pub async fn attempt(&self, scope: &Scope, request: &RequestId) -> Result<Option<AttemptView>> {
        let db = &self.cell(&scope.workspace)?.db;
        Ok(attempts::of_request(db, &scope.workspace.id, request).await?.map(attempt_view))
    }

    /// The prompt of a call while it is kept; for scopes with [`crate::domain::access::Permission::ReadPrompts`].
    ///
    /// # Errors
    /// The database's own.
    pub async fn prompt(&self, scope: &Scope, request: &RequestId) -> Result<Option<String>> {
        let (cell, id) = (self.cell(&scope.workspace)?, &scope.workspace.id);
        let Some((key, sealed)) = generations::prompt(&cell.db, id, request).await? else { return Ok(None) };
        cell.sealer.open_prompt(id, &key, request.as_str(), &sealed).await
    }

    /// The model library: each model, and whether its provider is set up here.
    pub fn models(&self) -> Vec<(&Model, bool)> {
        let names = self.0.providers.names();
        self.0
            .catalog
            .models()
            .iter()
            .map(|model| (model, names.contains(&model.provider.as_str())))
            .collect()
    }

    /// A file behind a signed link.
    ///
    /// # Errors
    /// [`Error::NotFound`] for anything wrong, [`Error::Ended`] for a link that is over.
    pub async fn open_media(
        &self,
        key: &str,
        expires: &str,
        signature: &str,
        range: Option<GetRange>,
    ) -> Result<Media> {
        self.0.urls.verify(key, expires, signature, self.0.clock.now())?;
        let workspace = key.split('/').next().unwrap_or_default().parse().map_err(|_| Error::NotFound)?;
        let workspace = crate::engine::store::workspaces::get(&self.0.control, &workspace)
            .await?
            .ok_or(Error::NotFound)?;
        self.cell(&workspace)?.bucket.get(key, range).await
    }
}

pub(crate) fn attempt_view(row: AttemptRow) -> AttemptView {
    let AttemptRow { attempt, first_at, count, .. } = row;
    AttemptView {
        first_at,
        last_at: attempt.at,
        user_id: attempt.user_id,
        tool: attempt.tool,
        model: attempt.model,
        code: attempt.code,
        message: attempt.message,
        prompt_hash: attempt.prompt_hash,
        request_id: attempt.request_id,
        failed: attempt.failed,
        count,
    }
}
