//! What the terms of a search are in SQL.

use crate::domain::money::Usd;
use crate::domain::search::Status;
use crate::engine::store::kinds::is_split;
use crate::engine::store::sql::Select;

/// The values, for `IN (…)`.
pub(super) fn list(select: &mut Select, values: &[String]) -> String {
    let bound: Vec<String> = values.iter().map(|value| select.bound(value.as_str())).collect();
    bound.join(",")
}

/// A condition that is known before any row is read.
pub(super) fn always(holds: bool) -> String {
    if holds { "1 = 1".into() } else { "1 = 0".into() }
}

/// Agents as they stand in the log.
pub(super) fn with_prefix(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("agent.{name}")).collect()
}

/// One of the values, or a beginning where a value ends in `*`. Both engines tell large from small letters so.
pub(super) fn like(select: &mut Select, column: &str, values: &[String]) -> String {
    let compared = values.iter().map(|value| match value.strip_suffix('*') {
        Some(beginning) => {
            let length = beginning.chars().count();
            format!("SUBSTR({column}, 1, {length}) = {}", select.bound(beginning))
        }
        None => format!("{column} = {}", select.bound(value.as_str())),
    });
    compared.collect::<Vec<_>>().join(" OR ")
}

/// As [`like`], where an empty text stands for none.
pub(super) fn given(select: &mut Select, column: &str, values: &[String]) -> String {
    format!("{column} <> '' AND ({})", like(select, column, values))
}

/// Kinds of which entries have one of `statuses`.
pub(super) fn status(statuses: &[Status]) -> String {
    let texts = statuses.iter().map(|status| match status {
        Status::Paid => "(k.event = '' AND k.cost_least > 0)",
        Status::Free => "(k.event = '' AND k.cost_most <= 0)",
        Status::Done => "k.event <> ''",
        Status::Refused | Status::Failed => "1 = 0",
    });
    texts.collect::<Vec<_>>().join(" OR ")
}

/// `upper` is at least `least`, `lower` at most `most`.
pub(super) fn within(
    select: &mut Select,
    upper: &str,
    lower: &str,
    least: Option<Usd>,
    most: Option<Usd>,
) -> String {
    let least = least.map(|least| format!("{upper} >= {}", select.bound(least.micros())));
    let most = most.map(|most| format!("{lower} <= {}", select.bound(most.micros())));
    let texts: Vec<String> = least.into_iter().chain(most).collect();
    if texts.is_empty() { always(true) } else { texts.join(" AND ") }
}

/// Whether an end of the range lies inside a kind, so that the kind alone does not tell.
pub(super) fn parts_a_kind(least: Option<Usd>, most: Option<Usd>) -> bool {
    let after = |usd: Usd| Usd::from_micros(usd.micros().saturating_add(1));
    least.is_some_and(is_split) || most.map(after).is_some_and(is_split)
}
