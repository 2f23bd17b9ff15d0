//! A log entry as webhooks deliver it.

use serde::Serialize;
use serde_json::Value;

use super::super::audit::{Entry, Linked};
use super::super::ids::{EventId, Id, RequestId, WorkspaceId};
use super::super::money::Usd;
use super::super::region::Region;
use super::super::time::Time;

/// A generation was delivered and paid.
pub const GENERATION_COMPLETED: &str = "generation.completed";
/// The provider failed; nothing was charged.
pub const GENERATION_FAILED: &str = "generation.failed";
/// A call of a free tool; delivered only where an endpoint asks for it by name.
pub const CALL_COMPLETED: &str = "call.completed";

/// Every event that an endpoint can ask for, and when it happens.
pub const EVENTS: &[(&str, &str)] = &[
    (GENERATION_COMPLETED, "A generation was delivered and paid."),
    (GENERATION_FAILED, "The provider failed or timed out; nothing was charged."),
    ("budget.alert", "Spend reached a threshold, or will pass the balance."),
    ("balance.exhausted", "A call was refused because the balance cannot pay it."),
    ("balance.topped_up", "Money was added to the balance."),
    ("agent.created", "An agent was made."),
    ("agent.paused", "An agent was paused, by a person or by the loop breaker."),
    ("agent.resumed", "A paused agent may call again."),
    ("agent.policy_changed", "An agent's policy was changed."),
    ("agent.revoked", "An agent and its tokens were ended."),
    ("agent.token_rotated", "An agent has a new token."),
    ("agent.token_expiring", "An agent's token is due soon, or overdue."),
    ("api_key.created", "An API key was made."),
    ("api_key.rotated", "An API key was replaced; the one before ends after an overlap."),
    ("api_key.ended", "An API key was ended."),
    ("member.invited", "A person was invited."),
    ("member.invitation_withdrawn", "An invitation was taken back."),
    ("member.joined", "A person accepted an invitation."),
    ("member.removed", "A person was removed."),
    ("member.left", "A person left."),
    ("member.role_changed", "A person has another role."),
    ("session.ended", "An Admin signed a person out of a session."),
    ("mcp_url.rotated", "The MCP URL was replaced."),
    ("settings.changed", "A setting was changed: from what to what."),
    ("generation.deleted", "An Admin deleted a generation's files and prompt before their time."),
    ("data_request.filed", "A data subject's request was filed."),
    ("data_request.approved", "A data subject's request was approved."),
    ("data_request.rejected", "A data subject's request was rejected."),
    ("data_request.extended", "A data subject's request is due two months later."),
    ("data_request.cancelled", "A data subject's request was withdrawn."),
    ("data_request.started", "A data subject's request is being carried out."),
    (
        "data_request.blocked_by_hold",
        "A data subject's request waits: a legal hold keeps what it asks to erase.",
    ),
    ("data_request.failed", "A data subject's request could not be carried out; it can be tried again."),
    ("data_request.retried", "A data subject's request that had failed is tried again."),
    ("data_request.completed", "A data subject's request was carried out."),
    ("hold.placed", "A legal hold was placed."),
    ("hold.lifted", "A legal hold was lifted."),
    ("saved_search.created", "A search was saved for the workspace."),
    ("saved_search.removed", "A search that was saved for the workspace was removed."),
    ("nda.accepted", "An Admin accepted the terms under which the SOC 2 report is given out."),
    ("report.downloaded", "A copy of the SOC 2 report was given out."),
    (
        "replication.copies_deleted",
        "Copies in another region were deleted, since replication was switched off.",
    ),
    ("log.checkpoint", "The log's head was signed: keep it to prove that nothing was cut off since."),
    ("webhook.created", "A webhook endpoint was made."),
    ("webhook.changed", "A webhook endpoint was changed, paused or resumed."),
    ("webhook.secret_rotated", "A webhook endpoint has a new secret."),
    ("webhook.deleted", "A webhook endpoint was deleted."),
    ("webhook.tested", "An Admin sent a test event to a webhook endpoint."),
    (
        "webhook.replayed",
        "An Admin had events sent once more: which range of the log, or all that was put aside since a time.",
    ),
    ("webhook.disabled", "A webhook endpoint failed for five days, or said that it is gone."),
    ("workspace.created", "The workspace was made."),
    (
        "workspace.deletion_started",
        "The workspace is being deleted: it takes no call and no legal hold any more.",
    ),
    ("workspace.deleted", "The workspace was deleted: its results and prompts are gone."),
    ("workspace.restored", "The workspace was restored from a backup."),
    ("webhook.test", "An Admin pressed the test button; nothing happened."),
    (CALL_COMPLETED, "A call of a free tool, such as get_credits. Not among “all events”."),
];

/// Whether an endpoint can ask for events of this name.
pub fn is_known(name: &str) -> bool {
    EVENTS.iter().any(|(event, _)| *event == name)
}

/// The body: the brief's fields in its order, then what an administrative act says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope {
    /// What happened.
    pub event: String,
    /// The shape's version, `"1"`.
    pub version: &'static str,
    /// When.
    pub ts: Time,
    /// The call or act.
    pub request_id: RequestId,
    /// Where.
    pub workspace_id: WorkspaceId,
    /// Who: `agent.NAME`, or a person's or key's opaque id.
    pub user_id: String,
    /// The tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Usd>,
    /// The balance after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_after_usd: Option<Usd>,
    /// The workspace's region.
    pub region: Region,
    /// Where the result is, unsigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_url: Option<String>,
    /// An act's details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// One event in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The same on every retry and replay.
    pub id: EventId,
    /// Its log entry's place.
    pub seq: i64,
    /// What is sent.
    pub envelope: Envelope,
}

impl Event {
    /// The event of a log entry.
    pub fn of(linked: Linked, balance_after: Option<Usd>) -> Self {
        let id = event_id(&linked);
        let Linked { entry, seq, .. } = linked;
        let (is_call, name) = (entry.event.is_none(), name_of(&entry).to_owned());
        let envelope = Envelope {
            event: name,
            version: "1",
            ts: entry.ts,
            request_id: entry.request_id,
            workspace_id: entry.workspace_id,
            user_id: entry.user_id,
            tool: entry.tool,
            model: entry.model,
            cost_usd: is_call.then_some(entry.cost_usd),
            balance_after_usd: balance_after.filter(|_| is_call),
            region: entry.region,
            result_url: entry.result_url,
            data: entry.data,
        };
        Self { id, seq, envelope }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.envelope.event
    }

    /// The body that is sent and signed.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&self.envelope).unwrap_or_default()
    }
}

/// The name under which a log entry is delivered.
pub fn name_of(entry: &Entry) -> &str {
    match (entry.event.as_deref(), entry.tool.as_deref()) {
        (Some(act), _) => act,
        (None, Some("generate_image" | "generate_video")) => GENERATION_COMPLETED,
        (None, _) => CALL_COMPLETED,
    }
}

/// Made of the entry's time and hash, so that every node and every replay comes to the same id.
fn event_id(linked: &Linked) -> EventId {
    let mut bytes = [0; 10];
    let hash = hex::decode(&linked.hash).unwrap_or_default();
    bytes.iter_mut().zip(hash).for_each(|(byte, of_hash)| *byte = of_hash);
    EventId::new(linked.entry.ts.millis(), bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::audit::link;
    use super::*;

    pub(in super::super) fn generation(seq: i64) -> Event {
        let entry = Entry {
            ts: Time::parse("2026-04-29T14:22:08.413Z").unwrap(),
            request_id: "req_01HW8K2N4Q".parse().unwrap(),
            workspace_id: "ws_4kP9x2".parse().unwrap(),
            user_id: "agent.growth-bot".into(),
            tool: Some("generate_image".into()),
            model: Some("flux-pro-1.1".into()),
            prompt_hash: Some("sha256:9f1c".into()),
            cost_usd: Usd::from_micros(42_000),
            result_url: Some("https://cdn.agentframer.com/ws_4kP9x2/g_8K2N4Q.png".into()),
            region: Region::EuWest1,
            retention_days: 30,
            event: None,
            data: None,
        };
        Event::of(link(seq - 1, &format!("{seq:064}"), entry), Some(Usd::from_micros(312_180_000)))
    }

    #[test]
    fn a_generation_is_the_briefs_body_field_by_field() {
        let body = String::from_utf8(generation(1).body()).unwrap();
        assert_eq!(
            body,
            r#"{"event":"generation.completed","version":"1","ts":"2026-04-29T14:22:08.413Z","request_id":"req_01HW8K2N4Q","workspace_id":"ws_4kP9x2","user_id":"agent.growth-bot","tool":"generate_image","model":"flux-pro-1.1","cost_usd":0.042,"balance_after_usd":312.18,"region":"eu-west-1","result_url":"https://cdn.agentframer.com/ws_4kP9x2/g_8K2N4Q.png"}"#
        );
    }

    #[test]
    fn an_events_id_is_the_same_each_time_and_another_for_another_place() {
        assert_eq!(generation(1).id, generation(1).id);
        assert_ne!(generation(1).id, generation(2).id);
        assert!(generation(1).id.as_str().starts_with("evt_"));
    }

    #[test]
    fn each_event_is_listed_once() {
        let mut names: Vec<_> = EVENTS.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), EVENTS.len());
    }
}
