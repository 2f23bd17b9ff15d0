//! The one door for all seven tools (design §4): policy, dispatch, and a trace of each refusal.

use serde_json::{Map, Value, json};

use crate::domain::access::Role;
use crate::domain::audit::Entry;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::RequestId;
use crate::domain::money::Usd;
use crate::domain::policy::Tool;
use crate::domain::refusals::Refusal;
use crate::domain::time::Time;
use crate::domain::webhooks::event::GENERATION_FAILED;
use crate::engine::Engine;
use crate::engine::access::identify::AgentCaller;
use crate::engine::access::scope::{Origin, Scope};
use crate::engine::calls::codes;
use crate::engine::error::Error;
use crate::engine::log::reading::{GenerationFilter, Page};
use crate::engine::money::ledger_writer::{CallRecord, Work};
use crate::engine::store::agents;
use crate::engine::store::attempts::Attempt;
use crate::engine::store::usage::Usage;

/// A refusal or failure, as the model reads it. Nothing was charged.
#[derive(Debug, Clone, PartialEq)]
pub struct CallError {
    /// A code of contract §2.
    pub code: &'static str,
    /// A sentence that tells the model what happened, that nothing was charged, and what to do.
    pub message: String,
    /// Whether the same call can succeed later.
    pub retryable: bool,
    /// More fields of the code, such as `required_usd`.
    pub details: Map<String, Value>,
    /// What is kept in place of a message that holds a provider's words: they may quote the prompt, and no erasure
    /// could take that out of the log again.
    kept: Option<&'static str>,
}

impl CallError {
    /// An error without further fields.
    pub fn new(code: &'static str, message: impl Into<String>, retryable: bool) -> Self {
        debug_assert!(codes::is_known(code), "{code} is not in the reference");
        Self { code, message: message.into(), retryable, details: Map::new(), kept: None }
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.details.insert(field.to_owned(), value.into());
        self
    }

    /// With a sentence of ours for log and attempts; the message goes to the agent alone.
    #[must_use]
    pub fn keeping(self, kept: &'static str) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// The sentence that log and attempts keep.
    pub fn kept(&self) -> &str {
        self.kept.unwrap_or(&self.message)
    }

    /// `{"error": {code, message, retryable, …}}`: a refused result's `structuredContent`.
    pub fn to_json(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".into(), self.code.into());
        error.insert("message".into(), self.message.clone().into());
        error.insert("retryable".into(), self.retryable.into());
        error.extend(self.details.clone());
        json!({ "error": error })
    }

    /// Whether the provider failed; otherwise the rules refused.
    pub fn is_failure(&self) -> bool {
        self.code.starts_with("provider_")
    }
}

impl From<FieldError> for CallError {
    fn from(error: FieldError) -> Self {
        let message = format!("The argument {error}. Nothing was charged; correct it and call again.");
        Self::new("invalid_argument", message, false).with("field", error.field)
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        match error {
            Error::Field(field) => field.into(),
            Error::Conflict(message) => Self::new("conflict", message, false),
            Error::Unavailable(message) => Self::new("provider_failed", message, true),
            error => Self::new("provider_failed", format!("{error} Nothing was charged."), true),
        }
    }
}

fn usd(amount: Usd) -> Value {
    serde_json::to_value(amount).unwrap_or_default()
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InsufficientCredits { required, available } => insufficient(required, available),
            Refusal::CapExceeded { cap, limit, used, resets_at } => cap_exceeded(cap.as_str(), limit, used, resets_at),
            Refusal::PreflightRequired { above } => Self::new(
                "preflight_required",
                format!("Calls above {} need get_credits within the ten minutes before. Nothing was charged; call get_credits, then try again.", above.display()),
                true,
            )
            .with("preflight_usd", usd(above)),
            Refusal::Suspended => suspended(),
            Refusal::Conflict => Self::new(
                "conflict",
                "This idempotency_key was used with other arguments. Nothing was charged; use a new key for a new call.",
                false,
            ),
            Refusal::UnknownReservation | Refusal::AmountOutOfRange => Error::Internal.into(),
        }
    }
}

fn insufficient(required: Usd, available: Usd) -> CallError {
    let message = format!(
        "This call costs {} and {} is available. Nothing was charged; stop and ask your operator for a top-up.",
        required.display(),
        available.display()
    );
    CallError::new("insufficient_credits", message, false)
        .with("required_usd", usd(required))
        .with("available_usd", usd(available))
}

fn cap_exceeded(cap: &str, limit: Usd, used: Usd, resets_at: Option<Time>) -> CallError {
    let when = resets_at.map_or_else(
        || "Ask for something smaller.".to_owned(),
        |at| format!("{} of it is used; it begins anew at {at}.", used.display()),
    );
    let message =
        format!("This call would pass the cap {cap} of {}. {when} Nothing was charged.", limit.display());
    CallError::new("cap_exceeded", message, resets_at.is_some())
        .with("cap", cap)
        .with("limit_usd", usd(limit))
        .with("used_usd", usd(used))
        .with("resets_at", resets_at.map(|at| at.to_string()))
}

fn suspended() -> CallError {
    CallError::new(
        "workspace_suspended",
        "This workspace is suspended. Nothing was charged; tell your operator.",
        false,
    )
}

/// One call on its way through the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) caller: AgentCaller,
    pub(crate) tool: Tool,
    pub(crate) request_id: RequestId,
}

impl Call {
    /// The right of this call in its workspace; the policy gave it.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            workspace: self.caller.workspace().clone(),
            role: Role::Developer,
            actor: self.caller.name().to_owned(),
            origin: Origin::new(self.request_id.clone(), self.caller.address),
        }
    }

    /// The log entry of this call; cost and time come when it is written.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            ts: Time::default(),
            request_id: self.request_id.clone(),
            workspace_id: self.caller.workspace().id.clone(),
            user_id: self.caller.name().to_owned(),
            tool: Some(self.tool.as_str().to_owned()),
            model: None,
            prompt_hash: None,
            cost_usd: Usd::ZERO,
            result_url: None,
            region: self.caller.workspace().region,
            retention_days: self.caller.known().account.media_retention_days,
            event: None,
            data: None,
        }
    }

    /// The log entry that tells of a provider's failure.
    pub(crate) fn failure(&self, error: &CallError, model: &str, prompt_hash: &str) -> Entry {
        Entry {
            model: Some(model.to_owned()),
            prompt_hash: Some(prompt_hash.to_owned()),
            event: Some(GENERATION_FAILED.to_owned()),
            data: Some(json!({ "code": error.code, "message": error.kept(), "retryable": error.retryable })),
            ..self.entry()
        }
    }

    pub(crate) fn usage(&self, model: &str) -> Usage {
        Usage {
            workspace_id: self.caller.workspace().id.clone(),
            user_id: self.caller.name().to_owned(),
            tool: self.tool.as_str().to_owned(),
            model: model.to_owned(),
            at: Time::default(),
            calls: 1,
            cost: Usd::ZERO,
            images: 0,
            video_ms: 0,
            refused: 0,
            failed: 0,
        }
    }

    /// The trace of a refusal or failure.
    pub(crate) fn attempt(
        &self,
        error: &CallError,
        model: Option<String>,
        prompt_hash: Option<String>,
        at: Time,
    ) -> Attempt {
        Attempt {
            workspace_id: self.caller.workspace().id.clone(),
            user_id: self.caller.name().to_owned(),
            tool: self.tool.as_str().to_owned(),
            model,
            code: error.code.to_owned(),
            message: error.kept().to_owned(),
            prompt_hash,
            request_id: self.request_id.clone(),
            failed: error.is_failure(),
            at,
        }
    }
}

type Answer = Result<Value, CallError>;

impl Engine {
    /// Calls a tool; the answer is the result's `structuredContent`.
    ///
    /// # Errors
    /// A [`CallError`] of contract §2. Nothing is charged for it, and an attempt is written.
    pub async fn call_tool(
        &self,
        caller: &AgentCaller,
        tool: Tool,
        arguments: Value,
        request_id: RequestId,
    ) -> Answer {
        let call = Call { caller: caller.clone(), tool, request_id };
        let allowed = self.admit(&call);
        let answer = match allowed {
            Ok(()) if matches!(tool, Tool::GenerateImage | Tool::GenerateVideo) => {
                return self.generate(call, arguments).await;
            }
            Ok(()) => self.free_call(&call, &arguments).await,
            Err(refused) => Err(refused),
        };
        if let Err(error) = &answer {
            let prompt_hash = self.hash_of_prompt(&call, &arguments);
            self.write_attempt(&call, error, None, prompt_hash).await;
        }
        answer
    }

    /// Policy and pause, before anything else is looked at.
    pub(crate) fn admit(&self, call: &Call) -> Result<(), CallError> {
        if !call.caller.may(call.tool) {
            let message =
                format!("Your policy does not allow {}. Nothing was done; ask your operator.", call.tool);
            return Err(CallError::new("tool_denied", message, false));
        }
        if call.caller.known().account.suspended {
            return Err(suspended());
        }
        if let Some(reason) = call.caller.paused() {
            let message = format!(
                "This agent is paused ({reason}). Nothing was done; stop until your operator resumes it."
            );
            return Err(CallError::new("agent_paused", message, false).with("reason", reason));
        }
        Ok(())
    }

    pub(crate) async fn write_attempt(
        &self,
        call: &Call,
        error: &CallError,
        model: Option<String>,
        prompt_hash: Option<String>,
    ) {
        let attempt = call.attempt(error, model, prompt_hash.clone(), self.0.clock.now());
        metrics::counter!("agentframer_calls_total", "tool" => call.tool.as_str(), "outcome" => error.code)
            .increment(1);
        let Ok(cell) = self.cell(call.caller.workspace()) else { return };
        let work = Work::Attempt(Box::new(attempt));
        if let Err(error) = cell.writer.submit(&call.caller.workspace().id, work).await {
            tracing::error!(%error, request_id = %call.request_id, "an attempt was not written");
        }
        self.follow_up(call, error, prompt_hash.as_deref()).await;
    }

    async fn free_call(&self, call: &Call, arguments: &Value) -> Answer {
        let arguments = Arguments::of(arguments)?;
        let answer = match call.tool {
            Tool::GetCredits => self.get_credits(call, &arguments).await?,
            Tool::ListRecentGenerations => self.list_recent(call, &arguments).await?,
            Tool::InviteTeamMember => self.invite_by_agent(call, &arguments).await?,
            Tool::TopUpBalance => self.top_up_by_agent(call, &arguments).await?,
            Tool::DeleteWorkspace => return self.delete_by_agent(call, &arguments).await,
            Tool::GenerateImage | Tool::GenerateVideo => return Err(Error::Internal.into()),
        };
        self.log_free_call(call).await?;
        Ok(answer)
    }

    async fn log_free_call(&self, call: &Call) -> Result<(), CallError> {
        let record = CallRecord {
            entry: call.entry(),
            generation: None,
            prompt: None,
            usage: call.usage(""),
            answer: Value::Null,
        };
        let cell = self.cell(call.caller.workspace())?;
        cell.writer.submit(&call.caller.workspace().id, Work::Call(Box::new(record))).await?;
        metrics::counter!("agentframer_calls_total", "tool" => call.tool.as_str(), "outcome" => "ok")
            .increment(1);
        Ok(())
    }

    async fn get_credits(&self, call: &Call, arguments: &Arguments<'_>) -> Answer {
        arguments.only(&[
            "tool",
            "model",
            "prompt",
            "width",
            "height",
            "count",
            "duration_s",
            "seed",
            "subject",
            "idempotency_key",
        ])?;
        let estimate = match arguments.text("tool")? {
            Some(tool) => Some(self.estimate(call, tool, arguments)?),
            None => None,
        };
        let known = call.caller.known();
        let credits = self.credits_for(&call.scope(), Some(&known.agent)).await?;
        let now = self.0.clock.now();
        agents::note_use(&self.cell(&known.workspace)?.db, &known.agent.id, now, Some(now)).await?;
        let mut answer = serde_json::to_value(credits).unwrap_or_default();
        if let (Some(fields), Some(estimate)) = (answer.as_object_mut(), estimate) {
            fields.insert("estimate_usd".into(), usd(estimate));
        }
        Ok(answer)
    }

    async fn list_recent(&self, call: &Call, arguments: &Arguments<'_>) -> Answer {
        arguments.only(&["limit", "cursor", "tool"])?;
        let tool = arguments.text("tool")?.map(generating_tool).transpose()?;
        let filter = GenerationFilter {
            agent: Some(call.caller.name().to_owned()),
            tool: tool.map(|tool| tool.as_str().to_owned()),
            ..GenerationFilter::default()
        };
        let limit = arguments.number("limit", 1, 200)?.map(|limit| limit as u32);
        let page = Page { limit: limit.or(Some(20)), cursor: arguments.text("cursor")?.map(str::to_owned) };
        let found = self.generations(&call.scope(), &filter, page).await?;
        Ok(serde_json::to_value(found).unwrap_or_default())
    }

    async fn invite_by_agent(&self, call: &Call, arguments: &Arguments<'_>) -> Answer {
        arguments.only(&["email", "role"])?;
        let (email, role) = (arguments.needed("email")?, arguments.needed("role")?);
        let invitation = self.invite(&call.scope(), email, role).await?;
        Ok(json!({
            "invitation_id": invitation.id, "email": invitation.email, "role": invitation.role,
            "expires_at": invitation.expires_at,
        }))
    }

    async fn top_up_by_agent(&self, call: &Call, arguments: &Arguments<'_>) -> Answer {
        arguments.only(&["amount_usd", "reference"])?;
        let amount = arguments.amount("amount_usd")?;
        let done = self.top_up(&call.scope(), amount, arguments.needed("reference")?).await?;
        Ok(serde_json::to_value(done).unwrap_or_default())
    }

    /// Logged before it is done: afterwards there is no account to log to.
    async fn delete_by_agent(&self, call: &Call, arguments: &Arguments<'_>) -> Answer {
        arguments.only(&["confirm"])?;
        let (confirm, workspace) = (arguments.needed("confirm")?, call.caller.workspace());
        if confirm.trim() != workspace.name {
            return Err(FieldError::new("confirm", "is not the workspace's name").into());
        }
        self.log_free_call(call).await?;
        self.delete_workspace(&call.scope(), confirm).await?;
        Ok(json!({ "workspace_id": workspace.id, "deleted": true }))
    }
}

pub(crate) fn generating_tool(name: &str) -> Result<Tool, FieldError> {
    match name.parse() {
        Ok(tool @ (Tool::GenerateImage | Tool::GenerateVideo)) => Ok(tool),
        _ => Err(FieldError::new("tool", "is not generate_image or generate_video")),
    }
}

/// A call's arguments, read by name; each fault names its argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments<'a>(&'a Map<String, Value>);

static NO_ARGUMENTS: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl<'a> Arguments<'a> {
    pub(crate) fn of(value: &'a Value) -> Result<Self, FieldError> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            Value::Null => Ok(Self(&NO_ARGUMENTS)),
            _ => Err(FieldError::new("arguments", "is not an object")),
        }
    }

    pub(crate) fn only(&self, known: &[&str]) -> Result<(), FieldError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => {
                let message = format!("is not an argument; known are {}", known.join(", "));
                Err(FieldError::new(field::shortened(unknown), message))
            }
            None => Ok(()),
        }
    }

    fn given(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, FieldError> {
        let read = |value: &'a Value| value.as_str().ok_or_else(|| FieldError::new(name, "is not a text"));
        self.given(name).map(read).transpose()
    }

    pub(crate) fn needed(&self, name: &str) -> Result<&'a str, FieldError> {
        self.text(name)?.ok_or_else(|| FieldError::new(name, "is missing"))
    }

    pub(crate) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, FieldError> {
        let wrong = || FieldError::new(name, format!("is not a whole number from {least} to {most}"));
        let read = |value: &Value| value.as_u64().filter(|n| (least..=most).contains(n)).ok_or_else(wrong);
        self.given(name).map(read).transpose()
    }

    fn amount(&self, name: &str) -> Result<Usd, FieldError> {
        let value = self.given(name).ok_or_else(|| FieldError::new(name, "is missing"))?;
        let wrong = |_| FieldError::new(name, "is not an amount in US dollars with at most six decimals");
        serde_json::from_value(value.clone()).map_err(wrong)
    }

    /// The arguments without `name`, in RFC 8785 form: what an idempotency key is bound to.
    pub(crate) fn canonical_without(&self, name: &str) -> Vec<u8> {
        let mut fields = self.0.clone();
        fields.remove(name);
        serde_json_canonicalizer::to_vec(&fields).unwrap_or_default()
    }
}
