//! Searches of refused and failed calls.

use super::LogSearch;
use super::terms::{always, given, like, list, with_prefix};
use crate::domain::money::Usd;
use crate::domain::search::{Condition, Field, Status};
use crate::engine::error::Result;
use crate::engine::store::sql::{Select, values};
use crate::engine::store::{CellDb, attempts as rows};

/// Refused and failed calls that match, the newest first, after the one at `last` (its time and id). What such a call
/// never has counts as none: it cost nothing, and no act is among them.
///
/// # Errors
/// The database's own.
pub async fn attempts(
    db: &CellDb,
    search: &LogSearch,
    last: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<rows::AttemptRow>> {
    let text = "SELECT * FROM attempts WHERE workspace_id = $1";
    let mut select = Select::new(text, values![search.workspace.as_str()]);
    for term in search.filter.search.terms() {
        let text = attempt_condition(&mut select, search, &term.condition);
        select.push(&format!(" AND {}({text})", if term.negated { "NOT " } else { "" }));
    }
    let select = select.after("last_us", "id", last).tail("ORDER BY last_us DESC, id DESC").limit(limit);
    select.all(&db.read).await?.iter().map(rows::row).collect()
}

fn attempt_condition(select: &mut Select, search: &LogSearch, condition: &Condition) -> String {
    match condition {
        Condition::OneOf(Field::Agent, names) => like(select, "user_id", &with_prefix(names)),
        Condition::OneOf(Field::User, values) => like(select, "user_id", values),
        Condition::OneOf(Field::Tool, values) => like(select, "tool", values),
        Condition::OneOf(Field::Model, values) => given(select, "COALESCE(model, '')", values),
        Condition::OneOf(Field::Request, values) => format!("request_id IN ({})", list(select, values)),
        Condition::OneOf(Field::Hash, values) => {
            format!("prompt_hash IS NOT NULL AND prompt_hash IN ({})", list(select, values))
        }
        Condition::OneOf(Field::Code, values) => like(select, "code", values),
        Condition::OneOf(Field::Event, _) => always(false),
        Condition::OneOf(Field::Region, values) => always(search.is_here(values)),
        Condition::Status(statuses) => {
            let texts = statuses.iter().map(|status| match status {
                Status::Refused => "failed = 0",
                Status::Failed => "failed <> 0",
                _ => "1 = 0",
            });
            texts.collect::<Vec<_>>().join(" OR ")
        }
        Condition::Cost(least, most) => {
            let zero = Usd::ZERO;
            always(least.is_none_or(|least| zero >= least) && most.is_none_or(|most| zero <= most))
        }
        Condition::After(moment) => {
            format!("last_us >= {}", select.bound(moment.seen_from(search.now).micros()))
        }
        Condition::Before(moment) => {
            format!("last_us < {}", select.bound(moment.seen_from(search.now).micros()))
        }
    }
}
