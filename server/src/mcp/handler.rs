//! The methods of the protocol, each one call of the engine.

use std::sync::Arc;

use agentframer::domain::ids::RequestId;
use agentframer::domain::policy::Tool;
use agentframer::engine::Engine;
use agentframer::engine::access::identify::AgentCaller;
use agentframer::engine::calls::tasks::TaskView;
use agentframer::engine::calls::tools::{ToolDefinition, definitions};
use agentframer::engine::error::Error;
use rmcp::model::{
    self, CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CreateTaskResult,
    CustomRequest, CustomResult, GetTaskParams, GetTaskResult, Implementation, JsonObject, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, ToolAnnotations, UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{progress, results, tasks};
use crate::visit::Visit;

/// What a model reads before it calls anything.
const INSTRUCTIONS: &str = "AgentFramer makes images and videos and pays for them from a prepaid balance that cannot be \
    overdrawn. Call get_credits before expensive calls; when below_floor is true, stop and ask your operator for a top-up. \
    Send an idempotency_key with every paid call and the same one when you retry: the first answer comes again and \
    nothing is charged twice. A refusal says what to do next; do not repeat a call that is not retryable.";

/// How long a client may keep the list of tools. A policy can change at any time, and `tools/call` judges anew.
const LIST_TTL_MS: u64 = 60_000;

/// Methods whose parameters rmcp could not read: it hands such a request over as a custom one.
const OWN_METHODS: [&str; 7] = [
    "initialize",
    "server/discover",
    "tools/list",
    "tools/call",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
];

/// The server side of MCP.
#[derive(Clone)]
pub struct Handler {
    engine: Engine,
    tools: Arc<[(Tool, model::Tool)]>,
}

impl Handler {
    /// Describes the tools once.
    pub fn new(engine: Engine) -> Self {
        let tools = definitions().into_iter().map(|definition| (definition.tool, described(definition)));
        Self { engine, tools: tools.collect() }
    }

    /// rmcp runs each request as a task of its own and never drops it: a client that hangs up ends nothing.
    async fn call(&self, request: Request, tool: Tool, arguments: Value) -> CallToolResponse {
        let answer = self.engine.call_tool(&request.caller, tool, arguments, request.id).await;
        answer.map_or_else(|error| results::refusal(&error), results::success).into()
    }

    /// The same, but answered at once with a task to ask for.
    async fn begin(
        &self,
        request: Request,
        tool: Tool,
        arguments: Value,
    ) -> Result<CallToolResponse, ErrorData> {
        match self.engine.start_task(&request.caller, tool, arguments, request.id).await {
            Ok(id) => {
                let view = self.engine.task(&request.caller, &id).await;
                let task = view.map_err(|error| tasks::unknown(&error))?;
                Ok(CreateTaskResult::new(tasks::begun(&task)).into())
            }
            Err(refused) => Ok(results::refusal(&refused).into()),
        }
    }

    /// What is no id of a call is no task either.
    async fn task(&self, id: &str, context: &RequestContext<RoleServer>) -> Result<TaskView, ErrorData> {
        let caller = Request::of(context)?.caller;
        let id = id.parse().map_err(|_| tasks::unknown(&Error::NotFound))?;
        self.engine.task(&caller, &id).await.map_err(|error| tasks::unknown(&error))
    }
}

/// Only videos take long enough, and only this client's own words on this request count.
fn becomes_task(tool: Tool, context: &RequestContext<RoleServer>) -> bool {
    let has_tasks = || context.client_capabilities().is_some_and(|client| client.supports_tasks());
    tool == Tool::GenerateVideo && has_tasks()
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tasks().build();
        let own = Implementation::new("agentframer", env!("CARGO_PKG_VERSION")).with_title("AgentFramer");
        ServerConfig::new(capabilities).with_server_info(own).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = Request::of(&context)?.caller;
        let allowed = self.tools.iter().filter(|(tool, _)| caller.may(*tool));
        let tools = allowed.map(|(_, described)| described.clone()).collect();
        Ok(ListToolsResult::with_all_items(tools)
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let request = Request::of(&context)?;
        let unknown = || ErrorData::invalid_params(format!("Unknown tool: {}", params.name), None);
        let tool: Tool = params.name.parse().map_err(|()| unknown())?;
        let arguments = Value::Object(params.arguments.unwrap_or_default());
        if becomes_task(tool, &context) {
            return self.begin(request, tool, arguments).await;
        }
        let token = context.meta.get_progress_token();
        let _reports =
            token.map(|token| Reports(tokio::spawn(progress::report(context.peer.clone(), token))));
        Ok(self.call(request, tool, arguments).await)
    }

    async fn get_task(
        &self,
        params: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.task(&params.task_id, &context).await.map(|view| GetTaskResult::new(tasks::standing(view)))
    }

    /// No task of ours ever asks for input, so there is none to take.
    async fn update_task(
        &self,
        params: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.task(&params.task_id, &context).await.map(drop)
    }

    /// Cancelling is a wish: what a provider has begun it bills, so the task completes and is charged.
    async fn cancel_task(
        &self,
        params: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.task(&params.task_id, &context).await.map(drop)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if OWN_METHODS.contains(&request.method.as_str()) {
            let message =
                format!("The parameters of {} are not what the specification says.", request.method);
            return Err(ErrorData::invalid_params(message, None));
        }
        Err(ErrorData::new(
            model::ErrorCode::METHOD_NOT_FOUND,
            format!("Unknown method: {}", request.method),
            None,
        ))
    }
}

/// Who calls, and under which id; the transport put both there.
struct Request {
    caller: AgentCaller,
    id: RequestId,
}

impl Request {
    fn of(context: &RequestContext<RoleServer>) -> Result<Self, ErrorData> {
        let parts = context.extensions.get::<http::request::Parts>().ok_or_else(our_fault)?;
        let caller = parts.extensions.get::<AgentCaller>().cloned().ok_or_else(our_fault)?;
        let id =
            parts.extensions.get::<Visit>().map(|visit| visit.request_id.clone()).ok_or_else(our_fault)?;
        Ok(Self { caller, id })
    }
}

/// Ends the notifications with the call.
struct Reports(JoinHandle<()>);

impl Drop for Reports {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn our_fault() -> ErrorData {
    let message = "Something went wrong on our side. Look for the result with list_recent_generations before you try again.";
    ErrorData::internal_error(message, None)
}

fn described(definition: ToolDefinition) -> model::Tool {
    let annotations = ToolAnnotations::with_title(definition.title)
        .read_only(definition.read_only)
        .destructive(definition.destructive)
        .idempotent(definition.idempotent)
        .open_world(definition.open_world);
    model::Tool::new(definition.tool.as_str(), definition.description, schema(definition.input_schema))
        .with_title(definition.title)
        .with_raw_output_schema(Arc::new(schema(definition.output_schema)))
        .with_annotations(annotations)
}

fn schema(value: Value) -> JsonObject {
    match value {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    }
}
