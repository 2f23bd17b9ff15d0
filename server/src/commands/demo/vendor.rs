//! Stand-ins for the vendors of the model library, so that the demo needs no account with any.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentframer::engine::calls::providers::{
    Job, JobId, Local, Null, Poll, Provider, ProviderError, Providers, Submitted,
};
use async_trait::async_trait;

use super::traffic::FORBIDDEN;

/// The providers of the models that the demo uses.
const NAMES: [&str; 3] = ["local", "bfl", "openai"];

/// One for all vendors: it turns some prompts away, as they do, and draws once it is told to.
#[derive(Clone, Default)]
pub struct Vendor {
    local: Local,
    draws: Arc<AtomicBool>,
}

impl Vendor {
    /// From now on the results are real sketches; before, files of one pixel.
    pub fn draw(&self) {
        self.draws.store(true, Ordering::SeqCst);
    }

    /// Providers under the vendors' names.
    pub fn providers(&self) -> Providers {
        let vendor = Arc::new(self.clone());
        let long = Duration::from_secs(60);
        NAMES.iter().fold(Providers::default(), |providers, name| providers.with(name, vendor.clone(), long))
    }
}

#[async_trait]
impl Provider for Vendor {
    async fn submit(&self, job: &Job, request_id: &str) -> Result<Submitted, ProviderError> {
        if job.prompt.contains(FORBIDDEN) {
            return Err(ProviderError::Refused("it shows a real person".into()));
        }
        if self.draws.load(Ordering::SeqCst) {
            self.local.submit(job, request_id).await
        } else {
            Null.submit(job, request_id).await
        }
    }

    async fn poll(&self, id: &JobId) -> Result<Poll, ProviderError> {
        self.local.poll(id).await
    }

    async fn cancel(&self, id: &JobId) -> Result<(), ProviderError> {
        self.local.cancel(id).await
    }
}
