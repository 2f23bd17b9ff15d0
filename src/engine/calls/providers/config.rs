//! The settings `[providers.NAME]`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

use crate::domain::region::Region;
use crate::engine::calls::providers::http::{Auth, Http};
use crate::engine::calls::providers::{Local, Null, Provider, bfl, fal, openai, replicate};

/// The longest time that a job may be given: a day.
const LONGEST_TIMEOUT_S: u64 = 86_400;

/// Which API a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The built-in sketches.
    Local,
    /// OpenAI's images.
    Openai,
    /// Black Forest Labs' FLUX.
    Bfl,
    /// The queue of fal.
    Fal,
    /// Replicate's predictions.
    Replicate,
    /// Answers each call at once with the same tiny picture. For benchmarks only.
    Null,
}

/// A text that is not shown, not even by `{:?}`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One `[providers.NAME]` table of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// The API it speaks.
    pub kind: ProviderKind,
    /// Another host than the vendor's usual one, such as a regional one.
    #[serde(default)]
    pub base_url: Option<Url>,
    /// The key of this installation; needed by every kind but `local` and `null`.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// Seconds that a whole job may take; 120 for images and 600 for videos where unset.
    #[serde(default, rename = "timeout", alias = "timeout_s")]
    pub timeout_s: Option<u64>,
}

impl ProviderConfig {
    /// A provider of `kind` with everything else as usual.
    pub const fn new(kind: ProviderKind) -> Self {
        Self { kind, base_url: None, api_key: None, timeout_s: None }
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout_s.map(Duration::from_secs)
    }

    /// The provider, or the setting that is wrong and why.
    pub(super) fn build(&self) -> Result<Arc<dyn Provider>, String> {
        if self.timeout_s.is_some_and(|seconds| !(1..=LONGEST_TIMEOUT_S).contains(&seconds)) {
            return Err(format!("timeout is in seconds, from 1 to {LONGEST_TIMEOUT_S}"));
        }
        Ok(match self.kind {
            ProviderKind::Local => Arc::new(Local::new()),
            ProviderKind::Null => Arc::new(Null),
            ProviderKind::Openai => Arc::new(openai::OpenAi::new(self.http(Auth::Bearer)?)),
            ProviderKind::Bfl => Arc::new(bfl::Bfl::new(self.http(Auth::XKey)?)),
            ProviderKind::Fal => Arc::new(fal::Fal::new(self.http(Auth::Key)?)),
            ProviderKind::Replicate => Arc::new(replicate::Replicate::new(self.http(Auth::Bearer)?)),
        })
    }

    fn http(&self, auth: Auth) -> Result<Http, String> {
        let key = self.api_key.as_ref().filter(|key| !key.expose().is_empty()).ok_or("api_key is missing")?;
        let base = self.base()?.ok_or("base_url is missing")?;
        let secure = base.scheme() == "https" || (base.scheme() == "http" && is_loopback(&base));
        if !secure {
            return Err("base_url needs https; plain http is for 127.0.0.1 only".into());
        }
        Http::new(base, auth, key, self.timeout())
    }

    /// The configured host, else the vendor's usual one; nothing for the kinds inside this process.
    fn base(&self) -> Result<Option<Url>, String> {
        let usual = match self.kind {
            ProviderKind::Local | ProviderKind::Null => return Ok(None),
            ProviderKind::Openai => openai::BASE,
            ProviderKind::Bfl => bfl::BASE,
            ProviderKind::Fal => fal::BASE,
            ProviderKind::Replicate => replicate::BASE,
        };
        match &self.base_url {
            Some(url) => Ok(Some(url.clone())),
            None => Url::parse(usual).map(Some).map_err(|error| error.to_string()),
        }
    }

    /// The regions in which the host keeps inference. Only BFL and OpenAI name regional hosts, by a part of
    /// the name (`api.eu.bfl.ai`, `eu.api.openai.com`); a global host promises nothing.
    pub(super) fn regions(&self) -> Vec<Region> {
        match self.kind {
            ProviderKind::Local | ProviderKind::Null => Region::ALL.to_vec(),
            ProviderKind::Bfl | ProviderKind::Openai => {
                self.base().ok().flatten().as_ref().and_then(host_region).into_iter().collect()
            }
            ProviderKind::Fal | ProviderKind::Replicate => Vec::new(),
        }
    }
}

/// The region that a vendor's host names: `eu`, `eu2`, `delivery-eu1`, `us`, …
pub(super) fn host_region(url: &Url) -> Option<Region> {
    url.host_str()?.split(['.', '-']).find_map(|label| {
        match label.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "eu" => Some(Region::EuWest1),
            "us" => Some(Region::UsEast1),
            _ => None,
        }
    })
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
