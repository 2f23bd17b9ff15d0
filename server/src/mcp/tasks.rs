//! Long calls as tasks: the extension `io.modelcontextprotocol/tasks`.

use agentframer::engine::calls::tasks::{TASK_LIFETIME, TaskState, TaskView};
use agentframer::engine::error::Error;
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, DetailedTask, JsonObject, Task, TaskPayload, TaskStatus};
use serde_json::Value;

use super::results;

/// How often a client should ask, in milliseconds.
const POLL_MS: u64 = 1_000;
/// How long it may ask.
const LIFETIME_MS: u64 = TASK_LIFETIME.unsigned_abs() / 1_000;

/// A task that was just begun.
pub fn begun(view: &TaskView) -> Task {
    let (created, updated) = (view.created_at.to_string(), view.updated_at.to_string());
    Task::new(view.request_id.as_str(), TaskStatus::Working, created, updated)
        .with_ttl_ms(LIFETIME_MS)
        .with_poll_interval_ms(POLL_MS)
}

/// A task as it stands. A call that failed is a completed task, as its result says what happened.
pub fn standing(view: TaskView) -> DetailedTask {
    let task = begun(&view);
    match view.state {
        TaskState::Working => {
            let message = "The provider is at work. The call's money is set aside.";
            DetailedTask::new(task.with_status_message(message), TaskPayload::Working)
        }
        TaskState::Completed(answer) => completed(task, results::success(answer)),
        TaskState::Failed(error) => completed(task, results::refusal(&error)),
    }
}

fn completed(task: Task, result: CallToolResult) -> DetailedTask {
    DetailedTask::new(task, TaskPayload::Completed { result: object(result) })
}

fn object(result: CallToolResult) -> JsonObject {
    match serde_json::to_value(result) {
        Ok(Value::Object(fields)) => fields,
        _ => JsonObject::new(),
    }
}

/// One answer for a task of another agent and for none: a task's id is a name, not a permission.
pub fn unknown(error: &Error) -> ErrorData {
    match error {
        Error::NotFound => ErrorData::invalid_params("There is no such task of this agent.", None),
        error => ErrorData::internal_error(error.to_string(), None),
    }
}
