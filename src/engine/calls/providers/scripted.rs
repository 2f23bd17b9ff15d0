//! A provider that misbehaves on demand, for the tests of everything that stands around providers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::calls::providers::{Job, JobId, Null, Output, Poll, Provider, ProviderError, Submitted};

/// What a [`Scripted`] provider does with one submit.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers at once.
    Succeed,
    /// Waits, then answers within the submit.
    Delay(Duration),
    /// Accepts, runs for so many polls, then answers.
    Pend {
        /// Polls that find it running.
        polls: u32,
    },
    /// Fails at the submit.
    Fail(ProviderError),
    /// Accepts, and fails at the first poll.
    FailLater(ProviderError),
    /// Delivers everything twice, as vendors do that repeat a job.
    Double,
    /// Accepts the job, but the answer never arrives: the caller sees [`ProviderError::Timeout`].
    LoseAnswer,
    /// Never answers at all.
    Hang,
}

#[derive(Default)]
struct State {
    script: VecDeque<Act>,
    submits: Vec<(Job, String)>,
    pending: BTreeMap<String, Pending>,
    cancelled: Vec<JobId>,
}

struct Pending {
    polls_left: u32,
    end: Result<Vec<Output>, ProviderError>,
}

/// A provider without a network that follows a script, one [`Act`] for each submit, and succeeds after its
/// end. It remembers what was asked of it. Clones share one script.
///
/// ```
/// # use agentframer::engine::calls::providers::{Act, ProviderError, Providers, Scripted};
/// # use std::{sync::Arc, time::Duration};
/// let scripted = Scripted::new([Act::Pend { polls: 2 }, Act::Fail(ProviderError::Timeout)]);
/// let providers = Providers::default().with("local", Arc::new(scripted.clone()), Duration::from_secs(5));
/// assert_eq!(scripted.submits().len(), 0);
/// ```
#[derive(Clone, Default)]
pub struct Scripted(Arc<Mutex<State>>);

impl Scripted {
    /// A provider that does `script`, then succeeds.
    pub fn new(script: impl IntoIterator<Item = Act>) -> Self {
        let scripted = Self::default();
        scripted.state().script.extend(script);
        scripted
    }

    /// Adds an act to the end of the script.
    pub fn push(&self, act: Act) {
        self.state().script.push_back(act);
    }

    /// Each job that was submitted, with our request id.
    pub fn submits(&self) -> Vec<(Job, String)> {
        self.state().submits.clone()
    }

    /// The jobs that were cancelled.
    pub fn cancelled(&self) -> Vec<JobId> {
        self.state().cancelled.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another test's thread leaves the script whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, job: &Job, request_id: &str) -> Act {
        let mut state = self.state();
        state.submits.push((job.clone(), request_id.to_owned()));
        state.script.pop_front().unwrap_or(Act::Succeed)
    }

    fn pend(&self, polls_left: u32, end: Result<Vec<Output>, ProviderError>) -> Submitted {
        let mut state = self.state();
        let id = format!("scripted-{}", state.submits.len());
        state.pending.insert(id.clone(), Pending { polls_left, end });
        Submitted::Pending(JobId(id))
    }
}

#[async_trait]
impl Provider for Scripted {
    async fn submit(&self, job: &Job, request_id: &str) -> Result<Submitted, ProviderError> {
        let outputs = Null::outputs(job.count);
        match self.note(job, request_id) {
            Act::Succeed => Ok(Submitted::Done(outputs)),
            Act::Delay(time) => {
                tokio::time::sleep(time).await;
                Ok(Submitted::Done(outputs))
            }
            Act::Pend { polls } => Ok(self.pend(polls, Ok(outputs))),
            Act::Fail(error) => Err(error),
            Act::FailLater(error) => Ok(self.pend(0, Err(error))),
            Act::Double => Ok(Submitted::Done([outputs.clone(), outputs].concat())),
            Act::LoseAnswer => {
                self.pend(0, Ok(outputs));
                Err(ProviderError::Timeout)
            }
            Act::Hang => std::future::pending().await,
        }
    }

    async fn poll(&self, id: &JobId) -> Result<Poll, ProviderError> {
        let mut state = self.state();
        let unknown = || ProviderError::Failed("the job is not known".into());
        let pending = state.pending.get_mut(&id.0).ok_or_else(unknown)?;
        if pending.polls_left == 0 {
            return pending.end.clone().map(Poll::Done);
        }
        pending.polls_left -= 1;
        Ok(Poll::Running { progress: Some(1.0 / (pending.polls_left as f32 + 2.0)) })
    }

    async fn cancel(&self, id: &JobId) -> Result<(), ProviderError> {
        self.state().cancelled.push(id.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::calls::providers::testing::image_job;

    #[tokio::test]
    async fn it_follows_its_script_then_succeeds() {
        let failure = ProviderError::Refused("no".into());
        let scripted = Scripted::new([Act::Pend { polls: 1 }, Act::FailLater(failure.clone()), Act::Double]);
        let job = image_job();
        let Ok(Submitted::Pending(id)) = scripted.submit(&job, "req_1").await else { panic!("pends") };
        assert!(matches!(scripted.poll(&id).await, Ok(Poll::Running { .. })));
        assert!(matches!(scripted.poll(&id).await, Ok(Poll::Done(outputs)) if outputs.len() == 1));
        let Ok(Submitted::Pending(id)) = scripted.submit(&job, "req_2").await else { panic!("pends") };
        assert_eq!(scripted.poll(&id).await, Err(failure));
        assert!(
            matches!(scripted.submit(&job, "req_3").await, Ok(Submitted::Done(outputs)) if outputs.len() == 2)
        );
        assert!(
            matches!(scripted.submit(&job, "req_4").await, Ok(Submitted::Done(outputs)) if outputs.len() == 1)
        );
        scripted.cancel(&id).await.unwrap();
        assert_eq!((scripted.submits().len(), scripted.cancelled()), (4, vec![id]));
    }
}
