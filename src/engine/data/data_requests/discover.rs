//! Finding the calls that a request is about. Stored criteria hold hashes, so that the request itself is no trace of
//! what it erases.

use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::domain::audit::prompt_hash;
use crate::domain::data_requests::Match;
use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::data::sealing::Sealer;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::data_keys::has_scope;
use crate::engine::store::data_requests::Matches;
use crate::engine::store::holds::KEEPS_GENERATION;
use crate::engine::store::sql::{Select, Value, values};

/// Calls shown before a request is filed.
const SAMPLES: i64 = 10;

/// What a request is about, without a clear name or prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Criteria {
    /// The scope of the subject's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Time>,
}

/// A call that a request is about.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// The call.
    pub request_id: String,
    /// When.
    pub ts: Time,
    /// Who called.
    pub user_id: String,
    /// The tool, for a call.
    pub tool: Option<String>,
    /// The model.
    pub model: Option<String>,
}

impl Criteria {
    pub(super) fn new(sealer: &Sealer, workspace: &WorkspaceId, salt: &[u8], matching: &Match) -> Self {
        Self {
            subject: matching.subject.as_deref().map(|subject| sealer.subject_scope(workspace, subject)),
            user_id: matching.user_id.clone(),
            request_ids: matching.request_ids.clone(),
            prompt_hash: matching.prompt_text.as_deref().map(|prompt| prompt_hash(salt, prompt)),
            from: matching.from,
            to: matching.to,
        }
    }

    /// The subject, and the agent if any, of which it is about every call, those too that come late.
    pub(super) fn whole_subject(&self) -> Option<(&str, Option<&str>)> {
        let is_narrow = self.request_ids.is_some() || self.prompt_hash.is_some() || self.to.is_some();
        self.subject.as_deref().filter(|_| !is_narrow).map(|subject| (subject, self.user_id.as_deref()))
    }

    /// The same, but for what was logged after `moment`.
    pub(super) fn until(self, moment: Time) -> Self {
        let end = moment.plus(1);
        Self { to: Some(self.to.map_or(end, |to| to.min(end))), ..self }
    }

    /// The log rows `e` that match, joined with `join`.
    fn select(&self, columns: &str, join: &str, workspace: &WorkspaceId) -> Select {
        let way = self.way();
        let text = format!("SELECT {columns} FROM log_entries e {join} WHERE {} = $1", way.workspace());
        // A call whose prompt is gone but not its key, with which an older backup is read, is the subject's still.
        let of_subject = format!(
            "e.request_id IN (SELECT p.request_id FROM prompts p JOIN data_keys k ON k.id = p.key_id WHERE {OF_SUBJECT} \
             UNION ALL SELECT f.request_id FROM former_keys f JOIN data_keys k ON k.id = f.key_id WHERE {OF_SUBJECT})"
        );
        // The kinds have an index, actors have none.
        let of_kind = "e.kind IN (SELECT i.id FROM log_kinds i WHERE i.workspace_id = $1 AND i.user_id = ?)";
        let select = Select::new(&text, values![workspace.as_str()])
            .and("e.user_id = ?", self.user_id.clone().map(Value::Text))
            .and(of_kind, self.user_id.clone().map(Value::Text))
            .and("e.prompt_hash = ?", self.prompt_hash.clone().map(Value::Text))
            .and(&format!("{} >= ?", way.time()), self.from.map(Time::micros))
            .and(&format!("{} < ?", way.time()), self.to.map(Time::micros))
            .and(&of_subject, self.subject.clone().map(Value::Text));
        match &self.request_ids {
            Some(ids) => select.and_in("e.request_id", ids),
            None => select,
        }
    }

    const fn way(&self) -> Way {
        if self.subject.is_some() || self.request_ids.is_some() {
            Way::ByRequest
        } else if self.user_id.is_some() || self.prompt_hash.is_some() {
            Way::ByKind
        } else {
            Way::Along
        }
    }
}

/// Which index leads to the rows. SQLite takes the log's own order or the time's wherever they are compared with
/// something; as an expression they do not lead away from a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// That of the request ids.
    ByRequest,
    /// That of the kinds or of the prompts.
    ByKind,
    /// The log itself.
    Along,
}

impl Way {
    const fn workspace(self) -> &'static str {
        if matches!(self, Self::ByKind) { "e.workspace_id || ''" } else { "e.workspace_id" }
    }

    const fn time(self) -> &'static str {
        if matches!(self, Self::ByRequest) { "e.ts_us + 0" } else { "e.ts_us" }
    }

    const fn place(self) -> &'static str {
        if matches!(self, Self::ByRequest) { "e.seq + 0" } else { "e.seq" }
    }
}

/// Keys that an erasure has taken out of use, but not destroyed yet, are the subject's all the same.
const OF_SUBJECT: &str = concat!("k.workspace_id = $1 AND ", has_scope!("?"));
const PROMPTS: &str = "JOIN prompts p ON p.request_id = e.request_id AND e.prompt_hash IS NOT NULL";
const MEDIA: &str = "JOIN generations g ON g.request_id = e.request_id AND e.prompt_hash IS NOT NULL AND g.deleted_us IS NULL";

async fn number(db: &CellDb, select: Select) -> Result<i64> {
    let rows = select.all(&db.read).await?;
    Ok(rows.first().map(|row| row.try_get("number")).transpose()?.unwrap_or_default())
}

/// How much there is.
pub(super) async fn count(db: &CellDb, workspace: &WorkspaceId, criteria: &Criteria) -> Result<Matches> {
    let counted = |join| number(db, criteria.select("COUNT(*) AS number", join, workspace));
    Ok(Matches { prompts: counted(PROMPTS).await?, media: counted(MEDIA).await?, rows: counted("").await? })
}

/// How many files there are, small pictures not counted.
pub(super) async fn count_files(db: &CellDb, workspace: &WorkspaceId, criteria: &Criteria) -> Result<i64> {
    let columns = "CAST(COALESCE(SUM(g.files), 0) AS BIGINT) AS number";
    number(db, criteria.select(columns, MEDIA, workspace)).await
}

/// How many of the generations a hold keeps.
pub(super) async fn count_held(db: &CellDb, workspace: &WorkspaceId, criteria: &Criteria) -> Result<i64> {
    let select = criteria.select("COUNT(*) AS number", MEDIA, workspace);
    number(db, select.tail(&format!("AND {KEEPS_GENERATION}"))).await
}

/// Whether the criteria match every call that made something.
pub(super) async fn is_everything(
    db: &CellDb,
    workspace: &WorkspaceId,
    criteria: &Criteria,
    found: Matches,
) -> Result<bool> {
    let all = Criteria::default().select("COUNT(*) AS number", MEDIA, workspace);
    Ok(criteria.request_ids.is_none() && found.media > 0 && number(db, all).await? == found.media)
}

/// Some of the rows, the newest first.
pub(super) async fn samples(
    db: &CellDb,
    workspace: &WorkspaceId,
    criteria: &Criteria,
) -> Result<Vec<Sample>> {
    let columns = "e.request_id, e.ts_us, e.user_id, e.tool, e.model";
    let select = criteria
        .select(columns, "", workspace)
        .tail(&format!("ORDER BY {} DESC", criteria.way().place()))
        .limit(SAMPLES);
    let rows = select.all(&db.read).await?;
    rows.iter()
        .map(|row| {
            Ok(Sample {
                request_id: row.try_get("request_id")?,
                ts: Time(row.try_get("ts_us")?),
                user_id: row.try_get("user_id")?,
                tool: row.try_get("tool")?,
                model: row.try_get("model")?,
            })
        })
        .collect()
}

/// Which of the calls that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Every one.
    All,
    /// Those that made something.
    Content,
    /// Those of which a prompt or a file is still there.
    Left,
}

impl Of {
    const fn condition(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Content => "AND e.prompt_hash IS NOT NULL",
            Self::Left => {
                "AND e.prompt_hash IS NOT NULL AND (EXISTS (SELECT 1 FROM prompts l WHERE l.request_id = e.request_id) \
                 OR EXISTS (SELECT 1 FROM generations l WHERE l.request_id = e.request_id AND l.deleted_us IS NULL))"
            }
        }
    }
}

/// The calls behind the row `after`, in the order of the log: their ids and the last row's place.
pub(super) async fn batch(
    db: &CellDb,
    workspace: &WorkspaceId,
    criteria: &Criteria,
    which: Of,
    after: i64,
    limit: i64,
) -> Result<(Vec<String>, Option<i64>)> {
    let place = criteria.way().place();
    let select = criteria.select("e.request_id, e.seq", "", workspace);
    let select = select.and(&format!("{place} > ?"), Some(after)).tail(which.condition());
    let select = select.tail(&format!("ORDER BY {place}")).limit(limit);
    let rows = select.all(&db.read).await?;
    let mut ids: Vec<String> =
        rows.iter().map(|row| Ok(row.try_get("request_id")?)).collect::<Result<_>>()?;
    ids.dedup();
    Ok((ids, rows.last().map(|row| row.try_get("seq")).transpose()?))
}

/// Those of the calls whose result a hold keeps.
pub(super) async fn held_among(
    db: &CellDb,
    workspace: &WorkspaceId,
    requests: &[String],
) -> Result<Vec<String>> {
    let text = format!(
        "SELECT g.request_id FROM generations g WHERE g.workspace_id = $1 AND g.deleted_us IS NULL AND {KEEPS_GENERATION}"
    );
    let rows = Select::new(&text, values![workspace.as_str()])
        .and_in("g.request_id", requests)
        .all(&db.read)
        .await?;
    rows.iter().map(|row| Ok(row.try_get("request_id")?)).collect()
}
