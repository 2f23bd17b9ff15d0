//! The marks of an erasure. What stays after all loses its mark, or a restore would erase what a hold keeps by that time.

use super::execute::Run;
use crate::domain::data_requests::Kind;
use crate::engine::data::marks::{self, MARKS, Mark};
use crate::engine::error::Result;
use crate::engine::store::erasure;

impl Run<'_> {
    /// Marks calls or keys as erased.
    pub(super) async fn leave_mark(&self, requests: &[String], keys: &[String]) -> Result<()> {
        let Some(first) = requests.first().or(keys.first()) else { return Ok(()) };
        let mark = Mark {
            workspace_id: Some(self.row.workspace_id.clone()),
            at: Some(self.now()),
            requests: requests.to_vec(),
            keys: keys.to_vec(),
            ..Mark::default()
        };
        mark.leave(&self.node.bucket, &format!("{}/{first}.json", self.folder())).await
    }

    /// Takes back what the marks of this request say of calls and keys that are still there.
    pub(super) async fn withdraw_marks(&self) -> Result<()> {
        if self.row.kind == Kind::Access {
            return Ok(());
        }
        for (key, mark) in marks::read(&self.node.bucket, &self.folder()).await? {
            self.withdraw(key, mark).await?;
        }
        Ok(())
    }

    async fn withdraw(&self, key: String, mut mark: Mark) -> Result<()> {
        let left = erasure::not_erased(&self.node.db, &mark.requests, &mark.keys).await?;
        if left.is_empty() {
            return Ok(());
        }
        mark.requests.retain(|id| !left.contains(id));
        mark.keys.retain(|id| !left.contains(id));
        if mark.requests.is_empty() && mark.keys.is_empty() {
            return self.node.bucket.delete(vec![key]).await;
        }
        mark.leave(&self.node.bucket, &key).await
    }

    fn folder(&self) -> String {
        format!("{MARKS}/{}", self.row.id)
    }
}
