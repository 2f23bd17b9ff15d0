//! Browser sessions in the control database. Only a hash of a session's id is stored; the id is the cookie.

use std::collections::HashMap;
use std::fmt;

use agentframer::domain::ids::UserId;
use agentframer::domain::time::{DAY, HOUR, MINUTE, Time};
use agentframer::engine::Engine;
use agentframer::engine::error::Error;
use agentframer::engine::store::people::{SessionHolder, SessionRow, SessionView};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tower_sessions::cookie::SameSite;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error as StoreError, Result, SessionStore};
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::headers::is_https;
use crate::visit;

/// The key under which a session names its person; the app sets it.
pub use agentframer_app::SESSION_USER as USER;
/// Unused for so long, a session ends (ASVS 7.3.1).
const IDLE: i64 = 12 * HOUR;
/// So long after signing in, a session ends (ASVS 7.3.2).
const ABSOLUTE: i64 = 7 * DAY;
/// Use is noted at most this often, so that reading pages writes little.
const NOTED_EVERY: i64 = 5 * MINUTE;

/// The layer that gives handlers their session. The cookie lives as long as a session can; the store decides.
pub fn layer(engine: &Engine) -> SessionManagerLayer<EngineSessions> {
    let is_secure = is_https(&engine.config().public_url());
    SessionManagerLayer::new(EngineSessions(engine.clone()))
        // Browsers take the prefix only from https.
        .with_name(if is_secure { "__Host-af" } else { "af" })
        .with_secure(is_secure)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(time::Duration::microseconds(ABSOLUTE)))
}

/// Sessions behind the engine.
#[derive(Clone)]
pub struct EngineSessions(Engine);

impl fmt::Debug for EngineSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineSessions")
    }
}

/// What a row's `data` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// When the id was given out; a new one comes with each sign-in.
    since_us: i64,
    values: HashMap<String, Value>,
}

impl Kept {
    fn ends(&self) -> Time {
        Time(self.since_us).plus(ABSOLUTE)
    }

    fn row(&self, now: Time) -> Result<SessionRow> {
        let data = serde_json::to_string(self).map_err(|error| StoreError::Encode(error.to_string()))?;
        Ok(SessionRow { data, expires_at: now.plus(IDLE).min(self.ends()) })
    }

    fn holder(&self) -> SessionHolder {
        let visit = visit::current();
        SessionHolder {
            user_id: self.values.get(USER).and_then(Value::as_str).and_then(|id| id.parse::<UserId>().ok()),
            address: visit.as_ref().map(|visit| visit.address.to_string()),
            user_agent: visit.and_then(|visit| visit.user_agent),
        }
    }
}

impl EngineSessions {
    fn now(&self) -> Time {
        self.0.clock().now()
    }

    async fn kept(&self, hash: &str) -> Result<Option<(Kept, SessionRow)>> {
        let Some(row) = self.0.session_load(hash).await.map_err(backend)? else { return Ok(None) };
        let kept: Kept =
            serde_json::from_str(&row.data).map_err(|error| StoreError::Decode(error.to_string()))?;
        Ok((self.now() < kept.ends()).then_some((kept, row)))
    }
}

#[async_trait]
impl SessionStore for EngineSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let now = self.now();
        let kept = Kept { since_us: now.micros(), values: record.data.clone() };
        let (row, holder) = (kept.row(now)?, kept.holder());
        while !self.0.session_create(&fingerprint(record.id), &row, &holder).await.map_err(backend)? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let (hash, now) = (fingerprint(record.id), self.now());
        let since_us = self.kept(&hash).await?.map_or(now.micros(), |(kept, _)| kept.since_us);
        let kept = Kept { since_us, values: record.data.clone() };
        self.0.session_save(&hash, &kept.row(now)?, &kept.holder()).await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let (hash, now) = (fingerprint(*id), self.now());
        let Some((kept, row)) = self.kept(&hash).await? else { return Ok(None) };
        if row.expires_at.plus(NOTED_EVERY) < now.plus(IDLE) {
            self.0.session_save(&hash, &kept.row(now)?, &kept.holder()).await.map_err(backend)?;
        }
        let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(kept.ends().micros()) * 1_000);
        let expiry_date = expiry_date.map_err(|error| StoreError::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data: kept.values, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.session_delete(&fingerprint(*id)).await.map_err(backend)
    }
}

/// The name under which a session is listed.
pub fn listed_as(id: Id) -> String {
    SessionView::id_of(&fingerprint(id))
}

fn fingerprint(id: Id) -> String {
    hex::encode(Sha256::digest(id.to_string()))
}

fn backend(error: Error) -> StoreError {
    StoreError::Backend(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_idle_and_in_any_case() {
        let kept = Kept { since_us: 0, values: HashMap::new() };
        assert_eq!(kept.row(Time(0)).unwrap().expires_at, Time(IDLE));
        assert_eq!(kept.row(Time(ABSOLUTE - HOUR)).unwrap().expires_at, Time(ABSOLUTE));
    }

    #[test]
    fn only_a_hash_of_the_id_is_a_key() {
        let id = Id(42);
        assert_eq!(fingerprint(id).len(), 64);
        assert!(!fingerprint(id).contains(&id.to_string()));
    }
}
