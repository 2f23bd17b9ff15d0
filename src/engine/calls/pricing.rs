//! Steps 2 and 3 of the governed call (design §4): authorise and price, which needs no money.

use serde_json::Value;

use crate::domain::audit::prompt_hash;
use crate::domain::catalog::{Ask, Job, MediaKind, Model};
use crate::domain::field::{self, FieldError};
use crate::domain::ledger::Key;
use crate::domain::money::Usd;
use crate::domain::policy::Tool;
use crate::domain::settings::Inference;
use crate::engine::Engine;
use crate::engine::calls::gateway::{Arguments, Call, CallError, generating_tool};
use crate::engine::error::Error;

/// Longest prompt in characters.
const LONGEST_PROMPT: usize = 32_000;

/// A call that may be made, and what it costs.
#[derive(Debug, Clone)]
pub(crate) struct Priced {
    pub(super) call: Call,
    pub(super) job: Job,
    pub(super) provider: String,
    pub(super) price: Usd,
    pub(super) prompt_hash: String,
    pub(super) subject: Option<String>,
    pub(super) key: Option<Key>,
}

impl Engine {
    /// The hash of the prompt among arguments that nobody has checked yet.
    pub(crate) fn hash_of_prompt(&self, call: &Call, arguments: &Value) -> Option<String> {
        let prompt = arguments.get("prompt").and_then(Value::as_str)?;
        Some(self.hash_prompt(call, prompt.trim()))
    }

    fn hash_prompt(&self, call: &Call, prompt: &str) -> String {
        prompt_hash(&call.caller.known().account.salt, prompt)
    }

    /// Both under the workspace's salt: agents write names into keys, and the arguments hold the prompt.
    fn key(&self, call: &Call, key: &str, arguments: &Arguments<'_>) -> Key {
        let asked = String::from_utf8_lossy(&arguments.canonical_without("idempotency_key")).into_owned();
        Key {
            key: self.hash_prompt(call, &format!("idempotency_key {key}")),
            arguments: self.hash_prompt(call, &format!("{} {asked}", call.tool)),
        }
    }

    /// What a call would cost: `get_credits` with a tool.
    pub(crate) fn estimate(
        &self,
        call: &Call,
        tool: &str,
        arguments: &Arguments<'_>,
    ) -> Result<Usd, CallError> {
        let tool = generating_tool(tool)?;
        let model = self.model_for(call, tool, arguments)?;
        let prompt = arguments.text("prompt")?.unwrap_or("estimate");
        let job = model.job(ask(prompt, arguments)?)?;
        model.price(&job).map_err(|error| FieldError::new("count", error.to_string()).into())
    }

    /// Steps 2 and 3: everything that needs no money.
    pub(super) fn price(&self, call: &Call, arguments: &Value) -> Result<Priced, CallError> {
        let arguments = Arguments::of(arguments)?;
        arguments.only(match call.tool {
            Tool::GenerateVideo => {
                &["prompt", "model", "duration_s", "width", "height", "subject", "idempotency_key"]
            }
            _ => &["prompt", "model", "width", "height", "count", "seed", "subject", "idempotency_key"],
        })?;
        let prompt = field::text("prompt", arguments.needed("prompt")?, 1, LONGEST_PROMPT)?;
        let model = self.model_for(call, call.tool, &arguments)?;
        let job = model.job(ask(&prompt, &arguments)?)?;
        let price = model.price(&job).map_err(|error| FieldError::new("count", error.to_string()))?;
        Ok(Priced {
            prompt_hash: self.hash_prompt(call, &prompt),
            subject: short(&arguments, "subject")?,
            key: short(&arguments, "idempotency_key")?.map(|key| self.key(call, &key, &arguments)),
            provider: model.provider.clone(),
            call: call.clone(),
            job,
            price,
        })
    }

    fn model_for(&self, call: &Call, tool: Tool, arguments: &Arguments<'_>) -> Result<&Model, CallError> {
        let kind = if tool == Tool::GenerateVideo { MediaKind::Video } else { MediaKind::Image };
        let catalog = &self.0.catalog;
        let model = match arguments.text("model")? {
            Some(id) => catalog.get(id).ok_or_else(|| {
                FieldError::new("model", format!("“{}” is not in the model library", field::shortened(id)))
            })?,
            None => catalog.default_for(kind).ok_or(Error::Internal)?,
        };
        if model.kind != kind {
            return Err(FieldError::new("model", format!("“{}” is not a model for {tool}", model.id)).into());
        }
        self.allow_model(call, model).map(|()| model)
    }

    fn allow_model(&self, call: &Call, model: &Model) -> Result<(), CallError> {
        let known = call.caller.known();
        let refuse = |message: String| {
            Err(CallError::new("model_not_allowed", message, false).with("model", model.id.clone()))
        };
        if !known.agent.policy.allows_model(&model.id) {
            return refuse(format!(
                "Your policy does not allow the model {}. Nothing was charged; use another.",
                model.id
            ));
        }
        if known.account.forbidden_models.contains(&model.id) {
            return refuse(format!(
                "This workspace does not allow the model {}. Nothing was charged; use another.",
                model.id
            ));
        }
        if self.0.providers.get(&model.provider).is_none() {
            return refuse(format!(
                "The provider of {} is not set up here. Nothing was charged; use another model.",
                model.id
            ));
        }
        model.check_open(self.0.clock.now().date())?;
        let region = known.workspace.region;
        let stays = model.stays_in(region) && self.0.providers.stays_in(&model.provider, region);
        if known.account.inference == Inference::RegionOnly && !stays {
            let message = format!(
                "{} does not infer in {region}, where this workspace must stay. Nothing was charged; use a model of that region.",
                model.id
            );
            return Err(CallError::new("residency_violation", message, false)
                .with("model", model.id.clone())
                .with("region", region.as_str()));
        }
        Ok(())
    }
}

fn ask(prompt: &str, arguments: &Arguments<'_>) -> Result<Ask, FieldError> {
    let pixels = |name| Ok::<_, FieldError>(arguments.number(name, 1, 65_536)?.map(|pixels| pixels as u32));
    Ok(Ask {
        prompt: prompt.to_owned(),
        width: pixels("width")?,
        height: pixels("height")?,
        count: arguments.number("count", 1, 1_000)?.map(|count| count as u32),
        seed: arguments.number("seed", 0, u64::MAX)?,
        duration_s: arguments.number("duration_s", 1, 3_600)?.map(|seconds| seconds as u32),
    })
}

fn short(arguments: &Arguments<'_>, name: &str) -> Result<Option<String>, FieldError> {
    arguments.text(name)?.map(|text| field::text(name, text, 1, 200)).transpose()
}
