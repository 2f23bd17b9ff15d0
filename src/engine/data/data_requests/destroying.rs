//! The data keys of what a request erases: out of use before anything goes, destroyed last. In between every node
//! forgets them, and what other calls have under them is sealed anew.

use sqlx::AnyConnection;

use super::execute::{Progress, Run};
use super::{Own, Private, seal, unseal};
use crate::domain::time::Time;
use crate::engine::data::sealing::Heir;
use crate::engine::error::{Error, Result};
use crate::engine::jobs::KEY_REST;
use crate::engine::store::data_keys::{self, WrappedKey};
use crate::engine::store::data_requests as store;
use crate::engine::store::{Dialect, erasure};

/// Prompts sealed anew in one transaction.
const RESEALED: i64 = 500;
/// Keys destroyed in one transaction: a call that uses one of them waits for it.
const DESTROYED: usize = 50;

impl Run<'_> {
    /// Takes the keys of its calls out of use. This node forgets them at once.
    pub(super) async fn retire_keys(&self) -> Result<()> {
        erasure::retire_keys(&self.node.db, &self.row.id, self.now()).await?;
        self.node.sealer.forget();
        Ok(())
    }

    /// Whether a key still is under which a prompt lay that it has erased.
    pub(super) async fn has_keys(&self) -> Result<bool> {
        Ok(!erasure::keys_of_erased(&self.node.db, &self.row.id).await?.is_empty())
    }

    /// Destroys the keys under which the erased prompts lay, in the table and in every copy of it, whichever request took
    /// them out of use. What other calls have under them is sealed anew before.
    pub(super) async fn destroy_keys(&mut self) -> Result<()> {
        let retired = erasure::keys_of_erased(&self.node.db, &self.row.id).await?;
        if let Some(last) = retired.iter().map(|(_, retired_at)| *retired_at).max() {
            self.let_nodes_forget(last).await;
        }
        let keys: Vec<WrappedKey> = retired.into_iter().map(|(key, _)| key).collect();
        let mut heirs = Vec::new();
        for key in &keys {
            heirs.extend(self.reseal(key).await?);
        }
        if !keys.is_empty() {
            let ids = ids(&keys);
            self.leave_mark(&[], &ids).await?;
            let (engine, node) = (self.engine, self.node);
            engine.destroy_keys(node, &ids, self.destroy_in_table(&keys, &heirs)).await?;
        }
        self.forget_subject().await?;
        // What is left of a prompt on the disk is unreadable without its key; a key's own bytes are not.
        if !self.node.db.scrub("data_keys").await? {
            let message = "Somebody reads the database for long, so that destroyed keys are still on its disk. It is tried again.";
            return Err(Error::Unavailable(message.into()));
        }
        self.save_progress().await
    }

    /// Waits until no node seals any more with a key that was taken out of use at `since`.
    async fn let_nodes_forget(&self, since: Time) {
        let left = since.plus(KEY_REST).micros() - self.now().micros();
        self.engine.0.clock.sleep(left.clamp(0, KEY_REST)).await;
    }

    /// Seals anew all that lies under a key, while calls go on. Where that is nothing, the key has no heir: none is made
    /// for a subject who is gone.
    async fn reseal(&self, key: &WrappedKey) -> Result<Option<Heir>> {
        let db = &self.node.db;
        let mut reading = db.read.acquire().await?;
        let is_free = erasure::seal_nothing(&mut reading, std::slice::from_ref(&key.id)).await?;
        drop(reading);
        if is_free {
            return Ok(None);
        }
        let heir = self.node.sealer.heir(key, self.now()).await?;
        loop {
            let mut transaction = db.begin().await?;
            let count = reseal(&mut transaction, db.dialect, &heir).await?;
            transaction.commit().await?;
            if count == 0 {
                return Ok(Some(heir));
            }
        }
    }

    /// Some at a time, each time with its count: a kill right after loses none.
    async fn destroy_in_table(&mut self, keys: &[WrappedKey], heirs: &[Heir]) -> Result<()> {
        for some in keys.chunks(DESTROYED) {
            let keys = self.progress.keys + some.len() as u64;
            let after = Progress { keys, ..self.progress.clone() };
            self.destroy(some, heirs, &after.json()).await?;
            self.progress = after;
        }
        Ok(())
    }

    /// What came under the keys since is sealed anew in one moment with destroying them: who comes next waits, and finds
    /// them gone.
    async fn destroy(&self, keys: &[WrappedKey], heirs: &[Heir], progress: &str) -> Result<()> {
        let (db, ids) = (&self.node.db, ids(keys));
        let mut transaction = db.begin().await?;
        // The request's row before the keys, in the order in which acts and calls lock them.
        store::keep_progress(&self.row.id, progress).run(&mut transaction).await?;
        data_keys::lock(&mut transaction, &ids, db.dialect.for_update()).await?;
        for heir in heirs {
            while ids.contains(&heir.old_id) && reseal(&mut transaction, db.dialect, heir).await? > 0 {}
        }
        if !erasure::seal_nothing(&mut transaction, &ids).await? {
            let message = "A call was written under a data key that is to be destroyed. It is tried again.";
            return Err(Error::Unavailable(message.into()));
        }
        self.note_erased(&mut transaction, keys).await?;
        data_keys::destroy_in(&mut transaction, &ids).await?;
        Ok(transaction.commit().await?)
    }

    /// Notes which of the keys were those of the subject that it is about.
    async fn note_erased(&self, on: &mut AnyConnection, keys: &[WrappedKey]) -> Result<()> {
        let criteria = self.filed_criteria()?;
        let Some((subject, user_id)) = criteria.whole_subject() else { return Ok(()) };
        let own = keys.iter().filter(|key| erasure::scope_before(key) == subject);
        let own: Vec<String> = own.map(|key| key.id.clone()).collect();
        erasure::note_erased(on, &self.row.workspace_id, user_id, &own, self.now()).await
    }

    /// The subject's name goes from the request's own record, which is sealed anew. The key of the old one is destroyed
    /// as those of the prompts are: a backup may hold the record.
    async fn forget_subject(&mut self) -> Result<()> {
        let private = Private { subject: None, ..unseal(self.node, &self.row).await? };
        let now = self.now();
        seal(self.node, &mut self.row, &private, Own::Erased, now).await?;
        let db = &self.node.db;
        store::reseal(db, &self.row).await?;
        let filed = Own::Filed.scope(&self.row.id);
        if let Some(old) = data_keys::of_scope(db, &self.row.workspace_id, &filed).await? {
            let ids = [old.id];
            self.engine.destroy_keys(self.node, &ids, data_keys::destroy(db, &ids)).await?;
        }
        Ok(())
    }
}

fn ids(keys: &[WrappedKey]) -> Vec<String> {
    keys.iter().map(|key| key.id.clone()).collect()
}

/// Seals some of the prompts under the old key anew; tells how many there were. Nobody destroys the heir meanwhile.
async fn reseal(on: &mut AnyConnection, dialect: Dialect, heir: &Heir) -> Result<usize> {
    let prompts = erasure::prompts_of(on, &heir.old_id, RESEALED).await?;
    let count = prompts.len();
    if count > 0 && !data_keys::lock(on, std::slice::from_ref(&heir.id), dialect.for_share()).await? {
        let message = "A data key that prompts were to be sealed with was destroyed. It is tried again.";
        return Err(Error::Unavailable(message.into()));
    }
    let mut resealed = Vec::with_capacity(count);
    for (request, sealed) in prompts {
        match heir.reseal(&request, &sealed)? {
            Some(sealed) => resealed.push((request, sealed)),
            None => erasure::remove_prompt(on, &request).await?,
        }
    }
    erasure::reseal(on, &heir.id, resealed).await?;
    Ok(count)
}
