//! What a browser takes from the log's page besides pages: a search as a file, and the log as it grows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentframer::domain::access::Permission;
use agentframer::domain::audit::Linked;
use agentframer::domain::search::{QueryError, Search};
use agentframer::engine::Engine;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::log::search::{AuditFilter, EntryKind};
use agentframer_app::clock_in;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream::{self, Stream};
use http::{HeaderMap, header};
use serde::Deserialize;

use super::list::Form;
use crate::reader::Reader;

/// The paths, as the access expectation names them.
pub const PATHS: [&str; 2] = ["/w/{ws}/audit/export", "/w/{ws}/audit/live"];
/// Browsers that may watch logs on one node at a time …
const WATCHERS: usize = 64;
/// … and those of one person among them.
const WATCHERS_EACH: usize = 4;
/// How often the log is looked at for a watcher.
const LOOK: Duration = Duration::from_secs(1);
/// Looks after which a watcher has to come again, so that a role that was lost ends the watching.
const LOOKS: u32 = 60;

#[derive(Clone)]
struct Downloads {
    engine: Engine,
    watchers: Arc<Watchers>,
}

/// `GET /w/{workspace}/audit/export` and `GET /w/{workspace}/audit/live`, for who is signed in.
pub fn routes(engine: &Engine) -> Router {
    let state = Downloads { engine: engine.clone(), watchers: Arc::default() };
    Router::new()
        .route("/w/{workspace}/audit/export", get(export))
        .route("/w/{workspace}/audit/live", get(live))
        .with_state(state)
}

/// Which search, and how it is written.
#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    tab: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    format: String,
    /// For who watches: the place that was seen last.
    after: Option<i64>,
    /// For who watches: the zone of the page's times.
    #[serde(default)]
    zone: String,
}

impl Asked {
    fn search(&self) -> Result<Search> {
        Ok(self.q.parse().map_err(|error: QueryError| error.of_parameter("q"))?)
    }

    /// Everything where no tab is named: only the whole log can be verified.
    fn filter(&self) -> Result<AuditFilter> {
        let kind = match self.tab.as_str() {
            "calls" => Some(EntryKind::Calls),
            "admin" => Some(EntryKind::Administration),
            _ => None,
        };
        Ok(AuditFilter { kind, search: self.search()? })
    }
}

/// Exactly what the search on the page matches, all of it.
async fn export(
    State(own): State<Downloads>,
    reader: Reader,
    Path(workspace): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let made = async {
        let scope = reader.scope(&own.engine, &workspace, Permission::ReadActivity).await?;
        let form = Form::named(&asked.format).unwrap_or(Form::NdJson);
        let name = |what: &str| format!("{what}-{}", scope.workspace.id);
        if asked.tab == "refused" {
            return Ok(form.answer(&name("refused"), own.engine.attempts_stream(&scope, &asked.search()?)?));
        }
        Ok(form.answer(&name("audit"), own.engine.audit_stream(&scope, &asked.filter()?)?))
    };
    made.await.unwrap_or_else(|error| reader.refused(error))
}

/// New entries that match, as they are written (server-sent events). Each event's id is the log's place
/// that it reaches to: a browser that comes again names it and misses nothing.
async fn live(
    State(own): State<Downloads>,
    reader: Reader,
    Path(workspace): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let made = async {
        let scope = reader.scope(&own.engine, &workspace, Permission::ReadActivity).await?;
        let filter = asked.filter()?;
        let place = own.watchers.take(&scope.actor).ok_or(Error::TooMany { retry_after_s: 30 })?;
        let end = own.engine.log_end(&scope).await?;
        let after = last_seen(&headers).or(asked.after).map_or(end, |seen| seen.clamp(0, end));
        let watch = Watch {
            engine: own.engine.clone(),
            scope,
            filter,
            after,
            zone: asked.zone,
            looks: 0,
            _place: place,
        };
        let events = Sse::new(watch.events()).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)));
        Ok((
            [
                (header::CACHE_CONTROL, "no-store"),
                (header::HeaderName::from_static("x-accel-buffering"), "no"),
            ],
            events,
        )
            .into_response())
    };
    made.await.unwrap_or_else(|error| reader.refused(error))
}

/// `Last-Event-ID`, which browsers send when they connect again (HTML, server-sent events).
fn last_seen(headers: &HeaderMap) -> Option<i64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// One browser that watches.
struct Watch {
    engine: Engine,
    scope: Scope,
    filter: AuditFilter,
    after: i64,
    zone: String,
    looks: u32,
    _place: Place,
}

/// How often each person watches: one with many tabs must not take everybody's places.
#[derive(Default)]
struct Watchers(Mutex<HashMap<String, usize>>);

impl Watchers {
    fn take(self: &Arc<Self>, person: &str) -> Option<Place> {
        let mut watching = self.0.lock().ok()?;
        let own = watching.get(person).copied().unwrap_or_default();
        if own >= WATCHERS_EACH || watching.values().sum::<usize>() >= WATCHERS {
            return None;
        }
        watching.insert(person.to_owned(), own + 1);
        Some(Place { watchers: self.clone(), person: person.to_owned() })
    }
}

/// A watcher's place, until it is dropped.
struct Place {
    watchers: Arc<Watchers>,
    person: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Ok(mut watching) = self.watchers.0.lock() else { return };
        if let Entry::Occupied(mut own) = watching.entry(std::mem::take(&mut self.person)) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

impl Watch {
    /// Ends after a minute, or with a fault; the browser comes again by itself, and its right is judged anew.
    fn events(self) -> impl Stream<Item = std::result::Result<Event, Infallible>> {
        stream::unfold(self, |mut watch| async move {
            if watch.looks == LOOKS || watch.engine.is_stopping() {
                return None;
            }
            if watch.looks > 0 {
                tokio::time::sleep(LOOK).await;
            }
            watch.looks += 1;
            let (rows, end) =
                watch.engine.audit_since(&watch.scope, &watch.filter, watch.after).await.ok()?;
            let event = match rows.is_empty() {
                true if watch.after == end => Event::default().comment(""),
                true => Event::default(),
                false => Event::default()
                    .data(rows.iter().map(|row| line(row, &watch.zone)).collect::<Vec<_>>().join("\n")),
            };
            watch.after = end;
            let event = event.id(end.to_string());
            Some((Ok(event), watch))
        })
    }
}

/// Time, who, what, model, cost, id and the time as the page writes it, with tabs between.
fn line(row: &Linked, zone: &str) -> String {
    let entry = &row.entry;
    let what = entry.tool.as_deref().or(entry.event.as_deref()).unwrap_or_default();
    let cost = if entry.cost_usd.is_positive() { entry.cost_usd.display() } else { String::new() };
    let (time, clock) = (entry.ts.to_string(), clock_in(entry.ts, zone));
    let cells = [
        &time,
        &entry.user_id,
        what,
        entry.model.as_deref().unwrap_or_default(),
        &cost,
        entry.request_id.as_str(),
        &clock,
    ];
    cells.map(|cell| cell.replace(['\t', '\n', '\r'], " ")).join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_everybodys_places() {
        let watchers = Arc::new(Watchers::default());
        let mut held: Vec<Place> = (0..WATCHERS_EACH).map(|_| watchers.take("ada").unwrap()).collect();
        assert!(watchers.take("ada").is_none());
        held.pop();
        held.push(watchers.take("ada").unwrap());
        for person in 1..WATCHERS / WATCHERS_EACH {
            held.extend((0..WATCHERS_EACH).map(|_| watchers.take(&person.to_string()).unwrap()));
        }
        assert!(watchers.take("vera").is_none(), "the node is full");
        held.clear();
        assert!(watchers.0.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
