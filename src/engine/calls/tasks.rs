//! Long calls as tasks (MCP's Tasks extension). The reservation and the generation are the task's truth, so that a
//! task outlives a restart; its id is the call's request id, and only its own agent may ask for it.

use serde_json::{Value, json};

use crate::domain::ids::RequestId;
use crate::domain::ledger::{Hold, HoldState, KEY_WINDOW};
use crate::domain::policy::Tool;
use crate::domain::time::Time;
use crate::domain::webhooks::event::GENERATION_FAILED;
use crate::engine::Engine;
use crate::engine::access::identify::AgentCaller;
use crate::engine::calls::gateway::{Call, CallError};
use crate::engine::calls::generate::Begun;
use crate::engine::error::{Error, Result};
use crate::engine::log::reading::{GenerationFilter, GenerationView, Page};
use crate::engine::store::{books, ledger, log};

/// How a task stands.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskState {
    /// The provider is at work.
    Working,
    /// Done: the call's `structuredContent`.
    Completed(Value),
    /// Ended without a result; nothing was charged.
    Failed(CallError),
}

/// A task as its agent sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// The call, which is the task's id.
    pub request_id: RequestId,
    /// How it stands.
    pub state: TaskState,
    /// When its money was set aside.
    pub created_at: Time,
    /// When it began or ended, whichever was last.
    pub updated_at: Time,
}

const ANOTHERS_KEY: &str = "Another agent of this workspace used that idempotency_key. Nothing was begun and nothing was charged; \
                            choose another key.";
/// How long a task can be asked for, in microseconds: as long as its idempotency key counts.
pub const TASK_LIFETIME: i64 = KEY_WINDOW;

impl Engine {
    /// Begins a generation and answers its task's id, for which [`Engine::task`] works from this moment. A repeated
    /// idempotency key answers its first call's task.
    ///
    /// # Errors
    /// The [`CallError`] of a refusal; nothing was begun.
    pub async fn start_task(
        &self,
        caller: &AgentCaller,
        tool: Tool,
        arguments: Value,
        request_id: RequestId,
    ) -> std::result::Result<RequestId, CallError> {
        let call = Call { caller: caller.clone(), tool, request_id };
        if let Err(refused) = self.admit(&call) {
            let prompt_hash = self.hash_of_prompt(&call, &arguments);
            self.write_attempt(&call, &refused, None, prompt_hash).await;
            return Err(refused);
        }
        match self.begin(&call, &arguments).await? {
            // Its end is in the database.
            Begun::New(_) => Ok(call.request_id),
            Begun::Answered { request_id, .. } | Begun::Running { request_id, .. } => {
                self.own_reservation(caller, &request_id).await.map(|_| request_id).map_err(|error| {
                    match error {
                        Error::NotFound => CallError::new("conflict", ANOTHERS_KEY, false),
                        error => error.into(),
                    }
                })
            }
        }
    }

    /// A reservation of this agent, and when it ended.
    async fn own_reservation(
        &self,
        caller: &AgentCaller,
        request_id: &RequestId,
    ) -> Result<(Hold, Option<Time>)> {
        let (workspace, db) = (caller.workspace(), &self.cell(caller.workspace())?.db);
        let found = books::reservation(db, &workspace.id, request_id).await?;
        found.filter(|(hold, _)| &hold.agent_id == caller.id()).ok_or(Error::NotFound)
    }

    /// How a task of this agent stands.
    ///
    /// # Errors
    /// [`Error::NotFound`] for another agent's call too.
    pub async fn task(&self, caller: &AgentCaller, request_id: &RequestId) -> Result<TaskView> {
        let (hold, ended_at) = self.own_reservation(caller, request_id).await?;
        let state = match hold.state {
            HoldState::Held => TaskState::Working,
            HoldState::Settled => TaskState::Completed(self.settled_answer(caller, request_id).await?),
            HoldState::Released => TaskState::Failed(self.released_error(caller, request_id).await?),
        };
        let Hold { request_id, made_at, .. } = hold;
        Ok(TaskView { request_id, state, created_at: made_at, updated_at: ended_at.unwrap_or(made_at) })
    }

    /// The answer of a settled call again, with fresh links.
    async fn settled_answer(&self, caller: &AgentCaller, request_id: &RequestId) -> Result<Value> {
        let scope =
            Call { caller: caller.clone(), tool: Tool::GenerateVideo, request_id: request_id.clone() }
                .scope();
        let filter =
            GenerationFilter { request_id: Some(request_id.to_string()), ..GenerationFilter::default() };
        let found = self.generations(&scope, &filter, Page::default()).await?.items.into_iter().next();
        let made: GenerationView = found.ok_or(Error::NotFound)?;
        let db = &self.cell(caller.workspace())?.db;
        let charge = ledger::of_request(db, &caller.workspace().id, request_id).await?.into_iter().next();
        let mut answer = json!({
            "request_id": made.request_id,
            "generation_id": made.generation_id,
            "tool": made.tool,
            "model": made.model,
            "result_url": made.result_urls.first(),
            "expires_at": self.link_end(made.expires_at),
            "cost_usd": made.cost_usd,
            "balance_after_usd": charge.ok_or(Error::NotFound)?.balance_after,
            "region": made.region,
        });
        if made.count > 1 {
            answer["result_urls"] = json!(made.result_urls);
        }
        Ok(answer)
    }

    /// As the log tells it: attempts stand for several calls.
    async fn released_error(&self, caller: &AgentCaller, request_id: &RequestId) -> Result<CallError> {
        let db = &self.cell(caller.workspace())?.db;
        let told =
            log::data_of_acts(db, &caller.workspace().id, request_id.as_str(), GENERATION_FAILED).await?;
        let told = told.into_iter().flatten().next().unwrap_or_default();
        let code = if told["code"] == "provider_failed" { "provider_failed" } else { "provider_timeout" };
        let message =
            told["message"].as_str().unwrap_or("The call ended without a result. Nothing was charged.");
        Ok(CallError::new(code, message, told["retryable"].as_bool().unwrap_or(true)))
    }
}
