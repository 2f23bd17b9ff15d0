//! Encryption at rest: data keys per subject or day, wrapped by the cell's master key, which is the server's where a cell
//! has none of its own (design §5).
//!
//! XChaCha20-Poly1305 with random 192-bit nonces; the associated data binds a ciphertext to its place, so that one
//! row's bytes cannot stand in another's.

use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use dashmap::DashMap;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::{Error, Result, internal};
use crate::engine::jobs::KEY_HELD;
use crate::engine::random;
use crate::engine::store::data_keys::{self, WrappedKey};
use crate::engine::store::{CellDb, erasure, facts};

const NONCE: usize = 24;

/// The key that wraps all others; 256 bits from the environment or a file.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// Reads 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text.trim()).ok()?.try_into().ok().map(Self)
    }

    /// Reads the key file, or makes it, readable by its owner only.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn from_file(path: &Path) -> std::result::Result<Self, String> {
        let place = path.display();
        if path.exists() {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("Cannot read the key file {place}: {error}."))?;
            return Self::from_hex(&text)
                .ok_or_else(|| format!("The key file {place} does not hold 64 hex digits."));
        }
        let key = Self(random::bytes());
        write_private(path, &hex::encode(key.0))
            .map_err(|error| format!("Cannot write the key file {place}: {error}."))?;
        tracing::warn!(file = %place, "made a master key; keep a copy apart from the data, or prompts cannot be read after a loss");
        Ok(key)
    }

    /// A key for one purpose, which tells nothing of the master key.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        mac(&self.0, purpose.as_bytes())
    }

    /// A value by which nodes see that they have the same key.
    pub fn check_value(&self) -> String {
        hex::encode(&self.derive("check")[..8])
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// HMAC-SHA256.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
pub fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any length is a key");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Seals `plain` under `key`, bound to `place`.
///
/// # Errors
/// [`Error::Internal`] beyond the cipher's limits, which no text of ours reaches.
pub fn seal(key: &[u8; 32], place: &str, plain: &[u8]) -> Result<Vec<u8>> {
    let nonce = random::bytes::<NONCE>();
    let payload = Payload { msg: plain, aad: place.as_bytes() };
    let cipher = XChaCha20Poly1305::new(&(*key).into());
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|error| internal("seal", error))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens what [`seal`] made; `None` where the key, the place or a byte is another.
pub fn open(key: &[u8; 32], place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE)?;
    let nonce: [u8; NONCE] = nonce.try_into().ok()?;
    let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
    XChaCha20Poly1305::new(&(*key).into()).decrypt(&XNonce::from(nonce), payload).ok()
}

/// The master key in force, and the one before it while keys are wrapped anew.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    /// Wraps and signs.
    pub current: MasterKey,
    /// Still opens.
    pub previous: Option<MasterKey>,
}

impl MasterKeys {
    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// One derived key each, the one in force first.
    pub fn derive(&self, purpose: &str) -> Vec<[u8; 32]> {
        self.all().map(|key| key.derive(purpose)).collect()
    }
}

/// The purpose of the key that wraps data keys.
const WRAP: &str = "wrap";
/// Keys wrapped anew in one transaction.
const REWRAPPED: i64 = 500;

/// A key's id and bytes.
type DataKey = (String, [u8; 32]);
/// With the time at which each was read.
type CachedKeys = DashMap<(WorkspaceId, String), (Time, DataKey)>;

/// Why a cell's keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The cell was made with a master key that is not among the given ones.
    #[error(
        "was made with another master key. Set “security.master_key” or “security.master_key_file” (or those of the cell’s own keys) to that one, or name it as “security.previous_master_key” to change it"
    )]
    OtherMasterKey,
    /// Some of its data keys are wrapped by a master key that is not among the given ones.
    #[error(
        "still has data keys that an earlier master key wraps. Name that one as “security.previous_master_key” until every server has been started with the new key, and once more after that; nothing was changed"
    )]
    KeysOfAnother,
    /// The database's own.
    #[error("does not answer: {0}")]
    Database(#[from] Error),
}

/// Seals the prompts of one cell.
#[derive(Clone)]
pub struct Sealer {
    db: CellDb,
    wrapping: Vec<[u8; 32]>,
    wrapped_by: String,
    /// Hashes subjects; outlives rotations of the master key, so that they are found again.
    index: [u8; 32],
    cached: Arc<CachedKeys>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("wrapped_by", &self.wrapped_by).finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer over the cell's key table. Data keys that the previous master key wraps are wrapped anew; nothing that
    /// they seal is touched, and a broken off rotation goes on. That is done at every start: a node that still had the
    /// old master key may have made keys since the last one.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub async fn open(db: CellDb, keys: &MasterKeys) -> std::result::Result<Self, NotOpened> {
        let own = keys.current.check_value();
        let stored = facts::first(&db, "master_key", &own).await?;
        if keys.all().all(|key| key.check_value() != stored) {
            return Err(NotOpened::OtherMasterKey);
        }
        let wrapping = keys.derive(WRAP);
        let index = subject_index(&db, &wrapping).await?;
        let sealer = Self { db, wrapping, wrapped_by: own.clone(), index, cached: Arc::default() };
        sealer.rewrap().await?;
        if stored != own {
            facts::set(&sealer.db, "master_key", &own).await?;
        }
        Ok(sealer)
    }

    /// By which people compare the master key in force: it tells nothing of the key.
    pub fn master_check(&self) -> &str {
        &self.wrapped_by
    }

    /// Wraps every data key with the master key in force.
    async fn rewrap(&self) -> std::result::Result<(), NotOpened> {
        let mut count = 0;
        loop {
            let keys = data_keys::wrapped_by_another(&self.db, &self.wrapped_by, REWRAPPED).await?;
            if keys.is_empty() {
                if count > 0 {
                    tracing::info!(count, "data keys were wrapped with the new master key");
                }
                return Ok(());
            }
            count += keys.len();
            let rewrapped: Result<Vec<WrappedKey>> =
                keys.into_iter().map(|key| self.wrap_anew(key)).collect();
            data_keys::rewrap(&self.db, rewrapped.map_err(|_| NotOpened::KeysOfAnother)?).await?;
        }
    }

    /// Whether there is a previous master key.
    pub const fn is_rotated(&self) -> bool {
        self.wrapping.len() > 1
    }

    /// The same key, wrapped with the master key in force.
    ///
    /// # Errors
    /// [`Error::Internal`] where neither that nor the previous one opens it.
    pub fn wrap_anew(&self, mut key: WrappedKey) -> Result<WrappedKey> {
        if key.wrapped_by != self.wrapped_by {
            let plain = self.unwrap(&key)?;
            key.wrapped = seal(&self.wrapping[0], &wrapped_place(&key), &plain)?;
            key.wrapped_by.clone_from(&self.wrapped_by);
        }
        Ok(key)
    }

    /// [`Sealer::wrap_anew`] for all of a copy's keys; `None` where none needs it.
    pub(super) fn wrap_all_anew(&self, keys: Vec<WrappedKey>) -> Result<Option<Vec<WrappedKey>>> {
        if keys.iter().all(|key| key.wrapped_by == self.wrapped_by) {
            return Ok(None);
        }
        keys.into_iter().map(|key| self.wrap_anew(key)).collect::<Result<_>>().map(Some)
    }

    /// Seals a prompt with the key of its subject, or of its day where there is none. Answers the key's id and the
    /// sealed bytes, bound to `place`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn seal_prompt(
        &self,
        workspace: &WorkspaceId,
        subject: Option<&str>,
        place: &str,
        prompt: &str,
        now: Time,
    ) -> Result<(String, Vec<u8>)> {
        let scope = subject.map_or_else(|| now.day_key(), |subject| self.subject_scope(workspace, subject));
        self.seal_in(workspace, &scope, place, prompt.as_bytes(), now).await
    }

    /// Seals bytes with the key of `scope`, which is made where there is none.
    ///
    /// # Errors
    /// The database's own.
    pub async fn seal_in(
        &self,
        workspace: &WorkspaceId,
        scope: &str,
        place: &str,
        plain: &[u8],
        now: Time,
    ) -> Result<(String, Vec<u8>)> {
        let (id, key) = self.key(workspace, scope, now).await?;
        Ok((id, seal(&key, place, plain)?))
    }

    /// Opens what was sealed; `None` where its key is gone.
    ///
    /// # Errors
    /// The database's own.
    pub async fn open_prompt(
        &self,
        workspace: &WorkspaceId,
        key_id: &str,
        place: &str,
        sealed: &[u8],
    ) -> Result<Option<String>> {
        let Some(wrapped) = data_keys::by_id(&self.db, workspace, key_id).await? else {
            return Ok(None);
        };
        let key = self.unwrap(&wrapped)?;
        Ok(open(&key, place, sealed).and_then(|plain| String::from_utf8(plain).ok()))
    }

    /// The key that the scope of one that was taken out of use has now.
    ///
    /// # Errors
    /// The database's own; [`Error::Internal`] where it is still in use.
    pub async fn heir(&self, old: &WrappedKey, now: Time) -> Result<Heir> {
        let workspace: WorkspaceId =
            old.workspace_id.parse().map_err(|error| internal("stored id", error))?;
        // From the table: what is cached may be the old one.
        let (id, key) = self.current(&workspace, erasure::scope_before(old), now).await?;
        if id == old.id {
            return Err(internal("heir", "the key is still in use"));
        }
        Ok(Heir { old_id: old.id.clone(), old: self.unwrap(old)?, id, key })
    }

    /// A subject is found by its keyed hash; no table names it.
    pub fn subject_scope(&self, workspace: &WorkspaceId, subject: &str) -> String {
        let digest = mac(&self.index, format!("{workspace}/{subject}").as_bytes());
        format!("subject:{}", hex::encode(&digest[..16]))
    }

    /// Forgets every data key: one may have been destroyed.
    pub fn forget(&self) {
        self.cached.clear();
    }

    /// What was read longer ago is read again: an erasure that takes a key out of use waits no longer than that.
    async fn key(&self, workspace: &WorkspaceId, scope: &str, now: Time) -> Result<DataKey> {
        let place = (workspace.clone(), scope.to_owned());
        let cached = self.cached.get(&place).map(|cached| cached.value().clone());
        let is_held = |read_at: Time| (read_at..read_at.plus(KEY_HELD)).contains(&now);
        if let Some((_, key)) = cached.filter(|(read_at, _)| is_held(*read_at)) {
            return Ok(key);
        }
        let key = self.current(workspace, scope, now).await?;
        self.cached.insert(place, (now, key.clone()));
        Ok(key)
    }

    /// The key of `scope` in the table, made where there is none.
    async fn current(&self, workspace: &WorkspaceId, scope: &str, now: Time) -> Result<DataKey> {
        let found = match data_keys::of_scope(&self.db, workspace, scope).await? {
            Some(found) => found,
            None => self.make_key(workspace, scope, now).await?,
        };
        let plain = self.unwrap(&found)?;
        Ok((found.id, plain))
    }

    async fn make_key(&self, workspace: &WorkspaceId, scope: &str, now: Time) -> Result<WrappedKey> {
        let mut key = WrappedKey {
            id: format!("dk_{}", hex::encode(random::bytes::<12>())),
            workspace_id: workspace.to_string(),
            scope: scope.to_owned(),
            wrapped: Vec::new(),
            wrapped_by: self.wrapped_by.clone(),
            created_at: now,
        };
        key.wrapped = seal(&self.wrapping[0], &wrapped_place(&key), &random::bytes::<32>())?;
        data_keys::insert(&self.db, vec![key]).await?;
        // Another node may have been first: the table says which key counts.
        data_keys::of_scope(&self.db, workspace, scope).await?.ok_or(Error::Internal)
    }

    fn unwrap(&self, key: &WrappedKey) -> Result<[u8; 32]> {
        open_with_any(&self.wrapping, &wrapped_place(key), &key.wrapped)
            .ok_or_else(|| internal("unwrap", "no master key opens this data key"))
    }
}

/// The key that follows one that was taken out of use, beside that one.
pub struct Heir {
    /// The id of the old one.
    pub old_id: String,
    /// Its own id.
    pub id: String,
    old: [u8; 32],
    key: [u8; 32],
}

impl Heir {
    /// Seals anew what the old one sealed; `None` where the old one does not open it.
    ///
    /// # Errors
    /// As [`seal`].
    pub fn reseal(&self, place: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        open(&self.old, place, sealed).map(|plain| seal(&self.key, place, &plain)).transpose()
    }
}

fn wrapped_place(key: &WrappedKey) -> String {
    format!("{}/{}", key.workspace_id, key.id)
}

fn open_with_any(keys: &[[u8; 32]], place: &str, sealed: &[u8]) -> Option<[u8; 32]> {
    keys.iter().find_map(|key| open(key, place, sealed)).and_then(|plain| plain.try_into().ok())
}

/// The cell's key for subjects' hashes, wrapped by the master key in force.
async fn subject_index(db: &CellDb, wrapping: &[[u8; 32]]) -> Result<[u8; 32]> {
    const NAME: &str = "subject_index";
    let fresh = hex::encode(seal(&wrapping[0], NAME, &random::bytes::<32>())?);
    let stored = facts::first(db, NAME, &fresh).await?;
    let sealed = hex::decode(stored).map_err(|error| internal("subject index", error))?;
    let index = open_with_any(wrapping, NAME, &sealed)
        .ok_or_else(|| internal("subject index", "no master key opens it"))?;
    if open(&wrapping[0], NAME, &sealed).is_none() {
        facts::set(db, NAME, &hex::encode(seal(&wrapping[0], NAME, &index)?)).await?;
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_only_with_its_key_in_its_place() {
        let key = [7; 32];
        let sealed = seal(&key, "req_1", b"a fox").unwrap();
        assert_eq!(open(&key, "req_1", &sealed).unwrap(), b"a fox");
        assert!(open(&key, "req_2", &sealed).is_none());
        assert!(open(&[8; 32], "req_1", &sealed).is_none());
        assert!(open(&key, "req_1", &sealed[..20]).is_none());
        assert!(!sealed.windows(3).any(|bytes| bytes == b"fox"));
    }
}
