//! Who makes the media: one interface over the vendors' APIs and the built-in sketches.
//!
//! The gateway submits a [`Job`], stores the returned [`JobId`] **before** it waits, then polls. What comes
//! back is the media itself, copied at once, since vendors delete their files within minutes; a vendor's URL
//! never leaves this module. An adapter never submits a job twice: only [`ProviderError::is_retryable`] says
//! that a submit was certainly not accepted, and the gateway decides whether to try again.

mod animation;
mod bfl;
mod canvas;
mod config;
mod fal;
mod figure;
pub(in crate::engine) mod http;
mod local;
mod null;
mod openai;
mod output;
mod palette;
mod replicate;
mod scripted;
mod sketch;
mod thumbnail;

#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::config::{ProviderConfig, ProviderKind, Secret};
pub use self::local::Local;
pub use self::null::Null;
pub use self::output::{LARGEST_OUTPUT, MediaType, Output};
pub use self::scripted::{Act, Scripted};
pub use self::thumbnail::thumbnail;
pub use crate::domain::catalog::{Job, MediaKind};
use crate::domain::region::Region;

/// The name under which the built-in sketches are always there.
pub const LOCAL: &str = "local";
/// How long an image may take where the settings do not say.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a video may take where the settings do not say.
const VIDEO_TIMEOUT: Duration = Duration::from_secs(600);

/// The provider's name for a submitted job, with all that is needed to ask for it again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobId(pub String);

/// The answer to a submit.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// Finished within the call: one output for each that was asked for.
    Done(Vec<Output>),
    /// Accepted; to be polled.
    Pending(JobId),
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq)]
pub enum Poll {
    /// Waiting or at work.
    Running {
        /// From 0 to 1, where the provider says.
        progress: Option<f32>,
    },
    /// Finished: one output for each that was asked for.
    Done(Vec<Output>),
}

/// Why there is no media. The texts are cleaned: fit for the model that called, without keys or addresses. They
/// may quote the prompt, so nothing keeps them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Moderation refused the prompt or the result. Not a failure, and never tried again.
    #[error("the provider refused it: {0}")]
    Refused(String),
    /// It did not work; whether the provider began is unknown.
    #[error("the provider failed: {0}")]
    Failed(String),
    /// No answer in time; the provider may still be at work.
    #[error("the provider did not answer in time")]
    Timeout,
    /// Our key is wrong or our credits there are gone: an alarm for the operator, no fault of the caller.
    #[error("the provider does not serve this installation: {0}")]
    Unavailable(String),
    /// Certainly not accepted: too many jobs at once, or the connection was refused.
    #[error("the provider is busy")]
    Busy {
        /// How long it asks us to wait, where it says.
        retry_after: Option<Duration>,
    },
}

impl ProviderError {
    /// Whether the job was certainly not accepted, so that submitting it again cannot pay twice.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}

/// A maker of media.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Hands over `job`. `request_id` is ours, for the provider's support.
    ///
    /// # Errors
    /// [`ProviderError`]; only a retryable one may be answered by another submit.
    async fn submit(&self, job: &Job, request_id: &str) -> Result<Submitted, ProviderError>;

    /// Asks once how a job stands. Can be repeated, also after a restart.
    ///
    /// # Errors
    /// [`ProviderError`]; `Busy` means to ask again later, every other one ends the job.
    async fn poll(&self, id: &JobId) -> Result<Poll, ProviderError>;

    /// Asks the provider to stop; succeeds where it has already ended or cannot be stopped.
    ///
    /// # Errors
    /// [`ProviderError`] where the provider could not be asked.
    async fn cancel(&self, id: &JobId) -> Result<(), ProviderError>;
}

#[derive(Clone)]
struct Entry {
    provider: Arc<dyn Provider>,
    timeout: Option<Duration>,
    regions: Vec<Region>,
}

/// The configured providers by name; cheap to clone. [`LOCAL`] is always among them.
#[derive(Clone)]
pub struct Providers(Arc<BTreeMap<String, Entry>>);

impl Providers {
    /// The providers of the settings' `[providers.NAME]` tables.
    ///
    /// # Errors
    /// A sentence that names the provider and the wrong setting.
    pub fn from_config(configs: &BTreeMap<String, ProviderConfig>) -> Result<Self, String> {
        let mut entries =
            BTreeMap::from([(LOCAL.to_owned(), Entry::everywhere(Arc::new(Local::new()), None))]);
        for (name, config) in configs {
            let provider = config.build().map_err(|fault| format!("providers.{name}: {fault}"))?;
            let entry = Entry { provider, timeout: config.timeout(), regions: config.regions() };
            entries.insert(name.clone(), entry);
        }
        Ok(Self(Arc::new(entries)))
    }

    /// The same providers and one more, or one exchanged, which may take `timeout`: for tests.
    #[must_use]
    pub fn with(self, name: &str, provider: Arc<dyn Provider>, timeout: Duration) -> Self {
        let mut entries = BTreeMap::clone(&self.0);
        entries.insert(name.to_owned(), Entry::everywhere(provider, Some(timeout)));
        Self(Arc::new(entries))
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Provider>> {
        self.0.get(name).map(|entry| Arc::clone(&entry.provider))
    }

    /// The names, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// How long a whole job may take: the settings' `timeout`, else 120 s for images and 600 s for videos.
    pub fn timeout(&self, name: &str, kind: MediaKind) -> Duration {
        let default = match kind {
            MediaKind::Image => IMAGE_TIMEOUT,
            MediaKind::Video => VIDEO_TIMEOUT,
        };
        self.0.get(name).and_then(|entry| entry.timeout).unwrap_or(default)
    }

    /// Whether the host that is configured for `name` keeps inference in `region`. The model's own residency
    /// must say so too ([`crate::domain::catalog::Model::stays_in`]).
    pub fn stays_in(&self, name: &str, region: Region) -> bool {
        self.0.get(name).is_some_and(|entry| entry.regions.contains(&region))
    }
}

impl Default for Providers {
    /// The built-in sketches alone.
    fn default() -> Self {
        let local = Entry::everywhere(Arc::new(Local::new()), None);
        Self(Arc::new(BTreeMap::from([(LOCAL.to_owned(), local)])))
    }
}

impl Entry {
    /// A provider inside this process, so in whichever region it runs.
    fn everywhere(provider: Arc<dyn Provider>, timeout: Option<Duration>) -> Self {
        Self { provider, timeout, regions: Region::ALL.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Providers, String> {
        let configs: BTreeMap<String, ProviderConfig> =
            toml::from_str(text).map_err(|error| error.to_string())?;
        Providers::from_config(&configs)
    }

    #[test]
    fn the_sketches_are_always_there() {
        let providers = parsed("").unwrap();
        assert_eq!(providers.names(), ["local"]);
        assert_eq!(providers.timeout("local", MediaKind::Image).as_secs(), 120);
        assert_eq!(providers.timeout("local", MediaKind::Video).as_secs(), 600);
        assert!(providers.stays_in("local", Region::EuWest1));
        assert!(providers.get("bfl").is_none());
    }

    #[test]
    fn settings_make_a_provider_and_its_host_decides_the_region() {
        let providers = parsed(
            "[bfl]\nkind = \"bfl\"\nbase_url = \"https://api.eu.bfl.ai\"\napi_key = \"secret\"\ntimeout = 30\n\
             [flux]\nkind = \"bfl\"\napi_key = \"secret\"\n\
             [fal]\nkind = \"fal\"\napi_key = \"secret\"\n",
        )
        .unwrap();
        assert_eq!(providers.names(), ["bfl", "fal", "flux", "local"]);
        assert_eq!(providers.timeout("bfl", MediaKind::Video).as_secs(), 30);
        assert!(providers.stays_in("bfl", Region::EuWest1) && !providers.stays_in("bfl", Region::UsEast1));
        assert!(!providers.stays_in("flux", Region::EuWest1) && !providers.stays_in("fal", Region::UsEast1));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let cases = [
            ("[x]\nkind = \"veo\"", "veo"),
            ("[x]\nkind = \"bfl\"\nkey = \"k\"", "unknown field `key`"),
            ("[x]\nkind = \"bfl\"", "providers.x: api_key is missing"),
            ("[x]\nkind = \"bfl\"\napi_key = \"k\\n\"", "providers.x: api_key has characters"),
            (
                "[x]\nkind = \"bfl\"\napi_key = \"k\"\nbase_url = \"http://bfl.ai\"",
                "providers.x: base_url needs https",
            ),
            ("[x]\nkind = \"local\"\ntimeout = 0", "providers.x: timeout"),
        ];
        for (text, fault) in cases {
            let error = parsed(text).err().unwrap();
            assert!(error.contains(fault), "{error}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let config: ProviderConfig = toml::from_str("kind = \"fal\"\napi_key = \"hush\"").unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
