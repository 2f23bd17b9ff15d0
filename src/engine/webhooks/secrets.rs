//! What an endpoint keeps secret: sealed at rest, never in a log or a `Debug` text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{WebhookId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::CellNode;
use crate::engine::error::{Result, internal};
use crate::engine::store::webhooks::EndpointRow;

/// An endpoint's secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Secrets {
    /// The secret in force, `whsec_…`.
    pub(super) secret: String,
    /// The one before it, while both sign.
    pub(super) old_secret: Option<String>,
    /// With what the receiver knows us.
    pub(super) token: Option<String>,
    /// Headers of the user's own, which may hold credentials.
    pub(super) headers: BTreeMap<String, String>,
}

impl Secrets {
    /// The secrets that sign now.
    pub(super) fn signing(&self, old_ends_at: Option<Time>, now: Time) -> Vec<String> {
        let old = self.old_secret.clone().filter(|_| old_ends_at.is_some_and(|end| end > now));
        [Some(self.secret.clone()), old].into_iter().flatten().collect()
    }

    /// Seals them for an endpoint; answers the key's id and the sealed bytes.
    pub(super) async fn seal(
        &self,
        node: &CellNode,
        workspace: &WorkspaceId,
        id: &WebhookId,
        now: Time,
    ) -> Result<(String, Vec<u8>)> {
        let plain = serde_json::to_vec(self).map_err(|error| internal("webhook secrets", error))?;
        node.sealer.seal_in(workspace, &scope(id), id.as_str(), &plain, now).await
    }

    /// Opens an endpoint's.
    pub(super) async fn open(node: &CellNode, row: &EndpointRow) -> Result<Self> {
        let opened =
            node.sealer.open_prompt(&row.workspace_id, &row.key_id, row.id.as_str(), &row.sealed).await?;
        let text = opened.ok_or_else(|| internal("webhook secrets", "their key is gone"))?;
        serde_json::from_str(&text).map_err(|error| internal("webhook secrets", error))
    }
}

fn scope(id: &WebhookId) -> String {
    format!("webhook:{id}")
}
