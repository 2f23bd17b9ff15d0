//! Steps 4 to 7 of the governed call (design §4): reserve, generate, settle, answer.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::domain::catalog::{Job, MediaKind};
use crate::domain::ids::{GenerationId, RequestId};
use crate::domain::ledger::{Asked, Posting, Reserve};
use crate::domain::time::{DAY, SECOND, Time};
use crate::engine::Engine;
use crate::engine::calls::gateway::{Call, CallError};
use crate::engine::calls::media::{file_key, thumbnail_key};
use crate::engine::calls::pricing::Priced;
use crate::engine::calls::providers::{
    MediaType, Output, Poll, Provider, ProviderError, Submitted, thumbnail,
};
use crate::engine::error::{Error, Result};
use crate::engine::money::ledger_writer::{CallRecord, Work};
use crate::engine::random;
use crate::engine::store::agents;
use crate::engine::store::generations::{NewGeneration, SealedPrompt};

/// Time after the provider's own limit in which the result is stored and settled.
const MARGIN: i64 = 60 * SECOND;
/// How often a polled job is asked for, and a running first call of a key is looked at.
const POLL: Duration = Duration::from_millis(250);
/// Submits of one call that a busy provider may turn away.
const SUBMITS: u32 = 3;
/// Longest side of a thumbnail in pixels.
const THUMBNAIL: u32 = 320;

type Answer = std::result::Result<Value, CallError>;

impl Engine {
    /// A governed `generate_image` or `generate_video`. A repeat of a key waits for its first call.
    pub(crate) async fn generate(&self, call: Call, arguments: Value) -> Answer {
        let started = self.0.clock.now();
        loop {
            match self.begin(&call, &arguments).await? {
                Begun::New(running) => return running.await.unwrap_or_else(|_| Err(Error::Internal.into())),
                Begun::Answered { answer, .. } => return Ok(answer),
                Begun::Running { until, .. } if self.0.clock.now() < started.plus(until) => {
                    tokio::time::sleep(POLL).await;
                }
                Begun::Running { .. } => return Err(still_running()),
            }
        }
    }

    /// Steps 2 to 4; a call that may be made runs on by itself. A refusal leaves an attempt.
    pub(crate) async fn begin(
        &self,
        call: &Call,
        arguments: &Value,
    ) -> std::result::Result<Begun, CallError> {
        let priced = match self.price(call, arguments) {
            Ok(priced) => priced,
            Err(error) => {
                let named = arguments
                    .get("model")
                    .and_then(Value::as_str)
                    .map(|model| model.chars().take(80).collect());
                self.write_attempt(call, &error, named, self.hash_of_prompt(call, arguments)).await;
                return Err(error);
            }
        };
        // From here on a client that hangs up changes nothing: else the money set aside would wait for the sweeper.
        let engine = self.clone();
        let reserving = self.0.running.spawn(async move { engine.begin_priced(priced).await });
        reserving.await.unwrap_or_else(|_| Err(Error::Internal.into()))
    }

    async fn begin_priced(&self, priced: Priced) -> std::result::Result<Begun, CallError> {
        let call = priced.call.clone();
        let (model, hash) = (priced.job.model.clone(), priced.prompt_hash.clone());
        match self.reserve(priced).await {
            Ok(begun) => Ok(begun),
            Err(error) => {
                self.write_attempt(&call, &error, Some(model), Some(hash)).await;
                Err(error)
            }
        }
    }

    /// Step 4: durable before the provider is asked.
    async fn reserve(&self, priced: Priced) -> std::result::Result<Begun, CallError> {
        let workspace = priced.call.caller.workspace();
        let work = Work::Reserve(self.reservation(&priced).await?);
        let outcome = self.cell(workspace)?.writer.submit(&workspace.id, work).await?;
        match outcome.posting.ok_or(Error::Internal)?? {
            Posting::Replay { request_id, answer } => {
                let answer = serde_json::from_str(&answer).map_err(|_| Error::Internal)?;
                Ok(Begun::Answered { request_id, answer })
            }
            Posting::InProgress { request_id } => {
                Ok(Begun::Running { request_id, until: self.time_limit(&priced).as_micros() as i64 + MARGIN })
            }
            _ => Ok(Begun::New(self.spawn_run(priced))),
        }
    }

    async fn reservation(&self, priced: &Priced) -> Result<Reserve> {
        let known = priced.call.caller.known();
        let limit = self.time_limit(priced).as_micros() as i64 + MARGIN;
        Ok(Reserve {
            request_id: priced.call.request_id.clone(),
            agent_id: known.agent.id.clone(),
            amount: priced.price,
            limits: known.agent.policy.limits(),
            preflight_at: self.preflight_at(priced).await?,
            key: priced.key.clone(),
            deadline: self.0.clock.now().plus(limit),
            asked: Asked {
                tool: priced.call.tool.as_str().to_owned(),
                model: priced.job.model.clone(),
                prompt_hash: priced.prompt_hash.clone(),
            },
        })
    }

    /// Read anew, and only where the rule can need it: `get_credits` may have come through another node.
    async fn preflight_at(&self, priced: &Priced) -> Result<Option<Time>> {
        let known = priced.call.caller.known();
        let caps = &known.account.caps;
        if !caps.preflight_required || priced.price <= caps.preflight_usd {
            return Ok(None);
        }
        let row = agents::get(&self.cell(&known.workspace)?.db, &known.workspace.id, &known.agent.id).await?;
        Ok(row.and_then(|row| row.preflight_at))
    }

    fn time_limit(&self, priced: &Priced) -> Duration {
        self.0.providers.timeout(&priced.provider, priced.job.kind)
    }

    /// Steps 5 and 6 go on although the client hangs up, and at shutdown they are waited for.
    fn spawn_run(&self, priced: Priced) -> JoinHandle<Answer> {
        let engine = self.clone();
        self.0.running.spawn(async move { engine.run(priced).await })
    }

    async fn run(&self, priced: Priced) -> Answer {
        let made = self.produce(&priced).await;
        let result = match made {
            Ok(outputs) => self.keep(&priced, outputs).await.map_err(CallError::from),
            Err(error) => Err(provider_error(&error)),
        };
        match result {
            Ok(record) => self.settle(&priced, record).await,
            Err(error) => {
                self.release(&priced, &error).await;
                Err(error)
            }
        }
    }

    async fn produce(&self, priced: &Priced) -> std::result::Result<Vec<Output>, ProviderError> {
        let missing = || ProviderError::Failed("it is not set up here".into());
        let provider = self.0.providers.get(&priced.provider).ok_or_else(missing)?;
        let request_id = priced.call.request_id.as_str();
        let work = wait_for(provider.as_ref(), &priced.job, request_id);
        let limit = self.time_limit(priced);
        let outputs = tokio::time::timeout(limit, work).await.unwrap_or(Err(ProviderError::Timeout))?;
        // The files of one result share a name and a media type.
        let [first, others @ ..] = &*outputs else { return Ok(outputs) };
        match others.iter().all(|output| output.media_type == first.media_type) {
            true => Ok(outputs),
            false => Err(ProviderError::Failed("its files are of different types".into())),
        }
    }

    /// Copies the result to the cell's bucket at once and prepares what is written when it is settled.
    async fn keep(&self, priced: &Priced, mut outputs: Vec<Output>) -> Result<CallRecord> {
        // A provider may answer with more than was asked and paid for.
        outputs.truncate(priced.job.count as usize);
        let workspace = priced.call.caller.workspace();
        let (cell, now) = (self.cell(workspace)?, self.0.clock.now());
        let id: GenerationId = random::id(now);
        let media_type = outputs.first().map(|output| output.media_type).ok_or(Error::Internal)?;
        let first = object_key(workspace.id.as_str(), &id, media_type, now);
        let small = outputs.first().cloned();
        let bytes: usize = outputs.iter().map(|output| output.bytes.len()).sum();
        let files = outputs.len() as u32;
        for (number, output) in (1..).zip(outputs) {
            cell.bucket.put(&file_key(&first, number), output.bytes).await?;
        }
        self.keep_thumbnail(priced, &first, small).await?;
        let days = i64::from(priced.call.caller.known().account.media_retention_days);
        let generation = NewGeneration {
            id,
            workspace_id: workspace.id.clone(),
            request_id: priced.call.request_id.clone(),
            user_id: priced.call.caller.name().to_owned(),
            tool: priced.call.tool.as_str().to_owned(),
            model: priced.job.model.clone(),
            cost: priced.price,
            object_key: first,
            files,
            content_type: media_type.as_str().to_owned(),
            bytes: bytes as i64,
            width: priced.job.width,
            height: priced.job.height,
            duration_s: priced.job.duration_s,
            late: false,
            created_at: now,
            expires_at: now.plus(days * DAY),
            deleted_at: None,
        };
        self.record(priced, generation).await
    }

    async fn keep_thumbnail(&self, priced: &Priced, first: &str, output: Option<Output>) -> Result<()> {
        let Some(output) = output else { return Ok(()) };
        let drawn =
            tokio::task::spawn_blocking(move || thumbnail(&output.bytes, output.media_type, THUMBNAIL)).await;
        let Some(small) = drawn.ok().flatten() else { return Ok(()) };
        self.cell(priced.call.caller.workspace())?.bucket.put(&thumbnail_key(first), small.into()).await
    }

    async fn record(&self, priced: &Priced, generation: NewGeneration) -> Result<CallRecord> {
        let (call, job) = (&priced.call, &priced.job);
        let base = self.base_url(call.caller.workspace());
        let mut entry = call.entry();
        entry.model = Some(job.model.clone());
        entry.prompt_hash = Some(priced.prompt_hash.clone());
        entry.result_url = Some(format!("{base}/media/{}", generation.object_key));
        let mut usage = call.usage(&job.model);
        match job.kind {
            MediaKind::Image => usage.images = i64::from(job.count),
            MediaKind::Video => usage.video_ms = i64::from(job.duration_s.unwrap_or_default()) * 1_000,
        }
        Ok(CallRecord {
            entry,
            prompt: Some(self.sealed_prompt(priced, &generation).await?),
            answer: self.answer(priced, &generation, &base),
            generation: Some(generation),
            usage,
        })
    }

    async fn sealed_prompt(&self, priced: &Priced, generation: &NewGeneration) -> Result<SealedPrompt> {
        let (call, now) = (&priced.call, self.0.clock.now());
        let sealer = &self.cell(call.caller.workspace())?.sealer;
        let (workspace, place) = (&call.caller.workspace().id, call.request_id.as_str());
        let subject = priced.subject.as_deref();
        let (key_id, sealed) = sealer.seal_prompt(workspace, subject, place, &priced.job.prompt, now).await?;
        Ok(SealedPrompt {
            request_id: call.request_id.clone(),
            workspace_id: workspace.clone(),
            key_id,
            sealed,
            created_at: now,
            expires_at: generation.expires_at,
        })
    }

    /// The contract's `structuredContent`; the writer puts in what was charged and the balance after it.
    fn answer(&self, priced: &Priced, generation: &NewGeneration, base: &str) -> Value {
        let expires_at = self.link_end(generation.expires_at);
        let sign = |number| self.0.urls.sign(base, &file_key(&generation.object_key, number), expires_at);
        let mut answer = json!({
            "request_id": priced.call.request_id,
            "generation_id": generation.id,
            "tool": priced.call.tool,
            "model": priced.job.model,
            "result_url": sign(1),
            "expires_at": expires_at,
            "cost_usd": priced.price,
            "balance_after_usd": 0,
            "region": priced.call.caller.workspace().region,
        });
        if generation.files > 1 {
            answer["result_urls"] = (1..=generation.files).map(sign).collect();
        }
        answer
    }

    /// Step 6. Tried until the database takes it or the deadline is near: the media is made, and the money is held.
    async fn settle(&self, priced: &Priced, record: CallRecord) -> Answer {
        let workspace = priced.call.caller.workspace();
        let writer = &self.cell(workspace)?.writer;
        let request_id = priced.call.request_id.clone();
        let work = Work::Settle { request_id, cost: priced.price, record: Box::new(record) };
        let mut tries = 0;
        loop {
            tries += 1;
            match writer.submit(&workspace.id, work.clone()).await {
                Ok(outcome) => {
                    let tool = priced.call.tool.as_str();
                    metrics::counter!("agentframer_calls_total", "tool" => tool, "outcome" => "ok")
                        .increment(1);
                    return outcome.answer.ok_or_else(|| Error::Internal.into());
                }
                Err(Error::Unavailable(_)) if tries < 20 => tokio::time::sleep(POLL * tries).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn release(&self, priced: &Priced, error: &CallError) {
        let call = &priced.call;
        let attempt = call.attempt(
            error,
            Some(priced.job.model.clone()),
            Some(priced.prompt_hash.clone()),
            self.0.clock.now(),
        );
        metrics::counter!("agentframer_calls_total", "tool" => call.tool.as_str(), "outcome" => error.code)
            .increment(1);
        let Ok(cell) = self.cell(call.caller.workspace()) else { return };
        let event = call.failure(error, &priced.job.model, &priced.prompt_hash);
        let work = Work::Release {
            request_id: call.request_id.clone(),
            attempt: Some(Box::new(attempt)),
            event: Some(Box::new(event)),
        };
        if let Err(error) = cell.writer.submit(&call.caller.workspace().id, work).await {
            // The sweeper gives it back at its deadline.
            tracing::error!(%error, request_id = %call.request_id, "a reservation was not released");
        }
        self.follow_up(call, error, Some(&priced.prompt_hash)).await;
    }
}

/// What became of the first steps.
#[derive(Debug)]
pub(crate) enum Begun {
    /// The money is set aside, and the call runs on.
    New(JoinHandle<Answer>),
    /// The key's first call was answered.
    Answered { request_id: RequestId, answer: Value },
    /// The key's first call still runs, at most so many microseconds.
    Running { request_id: RequestId, until: i64 },
}

fn still_running() -> CallError {
    let message = "The first call with this idempotency_key still runs. Nothing was charged for this one; try again in a minute.";
    CallError::new("provider_timeout", message, true)
}

/// `workspace/yyyy/mm/dd/generation.ext`.
fn object_key(workspace: &str, id: &GenerationId, media_type: MediaType, now: Time) -> String {
    format!("{workspace}/{}/{id}.{}", now.day_key().replace('-', "/"), media_type.extension())
}

/// Submits a job and polls it to its end. A busy provider is asked again a few times; nothing else is submitted twice.
async fn wait_for(
    provider: &dyn Provider,
    job: &Job,
    request_id: &str,
) -> std::result::Result<Vec<Output>, ProviderError> {
    let mut submits = 0;
    let id = loop {
        submits += 1;
        match provider.submit(job, request_id).await {
            Ok(Submitted::Done(outputs)) => return Ok(outputs),
            Ok(Submitted::Pending(id)) => break id,
            Err(ProviderError::Busy { retry_after }) if submits < SUBMITS => {
                tokio::time::sleep(retry_after.unwrap_or(POLL * 4)).await;
            }
            Err(error) => return Err(error),
        }
    };
    loop {
        match provider.poll(&id).await {
            Ok(Poll::Done(outputs)) => return Ok(outputs),
            Ok(Poll::Running { .. }) => tokio::time::sleep(POLL).await,
            Err(ProviderError::Busy { retry_after }) => {
                tokio::time::sleep(retry_after.unwrap_or(POLL * 4)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The answer has the provider's own words; what is kept of it has not.
fn provider_error(error: &ProviderError) -> CallError {
    let charged = "Nothing was charged";
    match error {
        ProviderError::Timeout => CallError::new(
            "provider_timeout",
            format!("The provider did not answer in time. {charged}; try again later."),
            true,
        ),
        ProviderError::Refused(_) => {
            let message = format!(
                "Sorry, {error}. {charged}; change the prompt, as the same one will be refused again."
            );
            CallError::new("provider_failed", message, false)
                .keeping("The provider refused the prompt or its result. Nothing was charged.")
        }
        ProviderError::Unavailable(_) => {
            tracing::error!(%error, "a provider needs the operator");
            CallError::new(
                "provider_failed",
                format!("The provider cannot be used now. {charged}; tell your operator."),
                false,
            )
        }
        ProviderError::Busy { .. } => CallError::new(
            "provider_failed",
            format!("Sorry, {error}. {charged}; try again once, then stop."),
            true,
        ),
        ProviderError::Failed(_) => CallError::new(
            "provider_failed",
            format!("Sorry, {error}. {charged}; try again once, then stop."),
            true,
        )
        .keeping("The provider failed. Nothing was charged."),
    }
}
