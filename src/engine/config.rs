//! Settings: `agentframer.toml`, overridden by `AGENTFRAMER_…` variables (contract §1).

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::region::Region;
use crate::engine::calls::providers::ProviderConfig;

/// Every setting. Each has a working default; an unknown key is an error that names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// How people reach it; `http://LISTEN` where unset. Links in mails and answers begin with it.
    pub public_url: Option<Url>,
    /// The folder of everything embedded: databases, media, mails, the generated key.
    pub data_dir: PathBuf,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Networks that may read `/metrics`, besides loopback.
    pub metrics_allow: Vec<IpNet>,
    /// The log's filter, such as `info`.
    pub log: String,
    /// The log's form.
    pub log_format: LogFormat,
    /// A model library to use instead of the built-in one.
    pub catalog: Option<PathBuf>,
    /// The control database.
    pub control: Control,
    /// The cells; one embedded cell per region where none is named.
    pub cells: Vec<Cell>,
    /// Outgoing mail.
    pub mail: Mail,
    /// Media providers by the name that the model library uses.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Limits on what clients may send.
    pub limits: Limits,
    /// Outgoing webhooks.
    pub webhooks: Webhooks,
    /// Keys.
    pub security: Security,
    /// How long backups and the operator's own copies are kept.
    pub data: Data,
    /// Whether an empty installation is being filled: commits may be lost with the power, and the purger does not rest, for
    /// no calls are served. No setting says so.
    #[serde(skip)]
    pub filling: bool,
}

/// The log's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The control database.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// `sqlite:FILE` or `postgres://…`; a file under the data folder where unset.
    pub database_url: Option<String>,
}

/// One database and one bucket in one region.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Its name in the directory; never changes once workspaces live in it.
    pub name: String,
    /// Its region.
    pub region: Region,
    /// `sqlite:FILE` or `postgres://…`; a file under the data folder where unset.
    #[serde(default)]
    pub database_url: Option<String>,
    /// `file:FOLDER` or `s3://bucket/prefix`; a folder under the data folder where unset.
    #[serde(default)]
    pub storage: Option<String>,
    /// Where daily exports of logs go, as `storage`, which it is where unset. In the cell's region as well.
    #[serde(default)]
    pub exports: Option<String>,
    /// The address under which agents of this cell connect; `public_url` where unset.
    #[serde(default)]
    pub mcp_url: Option<Url>,
    /// A master key of its own, which no other cell's server needs; the server's where unset.
    #[serde(default)]
    pub keys: Option<Keys>,
}

/// Where a master key comes from, and the one before it.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// 64 hex digits. Wins over the file.
    pub master_key: Option<String>,
    /// A file with them; made at the first start where it does not exist.
    pub master_key_file: Option<PathBuf>,
    /// The key before a rotation, 64 hex digits: what it wraps is wrapped anew at the start.
    pub previous_master_key: Option<String>,
    /// A file with it.
    pub previous_master_key_file: Option<PathBuf>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("master_key_file", &self.master_key_file).finish_non_exhaustive()
    }
}

/// Outgoing mail. Without `smtp_url`, mails are files under `data/mail`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// Such as `smtps://user:password@mail.example.com`.
    pub smtp_url: Option<String>,
    /// The certificate (PEM) of an authority of your own, trusted besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// The sender.
    pub from: String,
}

/// Limits on what clients may send.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// MCP calls a minute for each agent; more answer 429.
    pub calls_per_minute_per_agent: u32,
    /// The largest body of a request in bytes; more answer 413.
    pub body_bytes: usize,
    /// Password hashes computed at a time; each holds 19 MiB.
    pub concurrent_password_hashes: usize,
    /// How long a signed result URL lives, in hours; never beyond the media's retention.
    pub result_url_hours: u32,
}

/// Outgoing webhooks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Lets endpoints be on private networks.
    pub allow_private_addresses: bool,
}

/// Backups, and copies of the data that the operator makes by other means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The most days for which one is kept. A backup can be restored with its prompts and secrets for as long; a copy that
    /// was made by other means can hold what was erased until then, which certificates say.
    pub backup_days: u32,
}

impl Default for Data {
    fn default() -> Self {
        Self { backup_days: 35 }
    }
}

/// Keys, and what is shown of the operator's own controls.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// The master key: 64 hex digits. Wins over the file.
    pub master_key: Option<String>,
    /// A file with the master key; `master.key` in the data folder, made at the first start, where unset.
    pub master_key_file: Option<PathBuf>,
    /// The master key before a rotation, 64 hex digits: cells that still have it are wrapped anew at the start.
    pub previous_master_key: Option<String>,
    /// A file with it.
    pub previous_master_key_file: Option<PathBuf>,
    /// A PDF, the SOC 2 Type II report: offered to Admins who accept `nda`. A relative path begins at the settings file.
    pub soc2_report: Option<PathBuf>,
    /// The confidentiality text, plain; a built-in one where unset.
    pub nda: Option<PathBuf>,
}

impl Security {
    /// The server's keys.
    pub fn keys(&self) -> Keys {
        Keys {
            master_key: self.master_key.clone(),
            master_key_file: self.master_key_file.clone(),
            previous_master_key: self.previous_master_key.clone(),
            previous_master_key_file: self.previous_master_key_file.clone(),
        }
    }

    /// Relative paths of documents begin at the settings file.
    fn beside(&mut self, folder: &Path) {
        for file in [&mut self.soc2_report, &mut self.nda].into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").field("master_key_file", &self.master_key_file).finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            public_url: None,
            data_dir: "data".into(),
            trusted_proxies: Vec::new(),
            metrics_allow: Vec::new(),
            log: "info".into(),
            log_format: LogFormat::Text,
            catalog: None,
            control: Control::default(),
            cells: Vec::new(),
            mail: Mail::default(),
            providers: BTreeMap::new(),
            limits: Limits::default(),
            webhooks: Webhooks::default(),
            security: Security::default(),
            data: Data::default(),
            filling: false,
        }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self { smtp_url: None, ca_file: None, from: "AgentFramer <agentframer@localhost>".into() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_per_minute_per_agent: 600,
            body_bytes: 4 * 1024 * 1024,
            concurrent_password_hashes: 4,
            result_url_hours: 168,
        }
    }
}

/// Why the settings cannot be used: the key, where it was set, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Variables with the prefix that belong to the build and the tests.
const NOT_SETTINGS: [&str; 2] = ["test_postgres", "site"];

/// What the command line says, which wins over file and environment.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Overrides {
    /// `--listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
}

impl Config {
    /// Reads `file` (which must exist when it is named; `agentframer.toml` is read where it is there), then the
    /// environment, then `overrides`.
    ///
    /// # Errors
    /// Names the key and its place.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let path = file.unwrap_or_else(|| Path::new("agentframer.toml"));
        if file.is_some() && !path.is_file() {
            return Err(ConfigError(format!("The settings file {} does not exist.", path.display())));
        }
        let environment = Env::prefixed("AGENTFRAMER_").split("__").ignore(&NOT_SETTINGS);
        let file = if path.is_file() { Figment::from(Toml::file_exact(path)) } else { Figment::new() };
        let mut config: Self = file
            .merge(environment)
            .merge(Serialized::defaults(overrides))
            .extract()
            .map_err(|error| ConfigError(sentence(&error)))?;
        config.security.beside(path.parent().unwrap_or(Path::new("")));
        config.check().map(|()| config)
    }

    /// What is of one workspace is in its cell only, so no two cells share anything.
    fn check(&self) -> Result<(), ConfigError> {
        let (cells, control) = (self.cells(), self.control_url());
        if cells.is_empty() {
            return Err(ConfigError("At least one cell is needed.".into()));
        }
        for (index, cell) in cells.iter().enumerate() {
            let (before, name, database) = (&cells[..index], &cell.name, self.cell_url(cell));
            let message = if before.iter().any(|other| other.name == *name) {
                format!("Two cells are named “{name}”; a cell's name is unique.")
            } else if database == control || before.iter().any(|other| self.cell_url(other) == database) {
                format!(
                    "The cell “{name}” has another's database. Each cell and the directory need one of their own."
                )
            } else if before
                .iter()
                .any(|other| self.stores(other).iter().any(|one| self.stores(cell).contains(one)))
            {
                format!(
                    "The cell “{name}” has another's storage. Each cell needs a folder or bucket of its own."
                )
            } else if cell
                .keys
                .as_ref()
                .is_some_and(|keys| keys.master_key.is_none() && keys.master_key_file.is_none())
            {
                format!(
                    "The cell “{name}” has keys without a master key. Set “master_key” or “master_key_file” in its keys, or leave the keys out."
                )
            } else {
                continue;
            };
            return Err(ConfigError(message));
        }
        Ok(())
    }

    /// How people reach the server, without a slash at the end.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }

    /// The control database's URL.
    pub fn control_url(&self) -> String {
        self.control.database_url.clone().unwrap_or_else(|| self.embedded("control.db"))
    }

    /// The cells: those named, or one embedded cell per region.
    pub fn cells(&self) -> Vec<Cell> {
        if !self.cells.is_empty() {
            return self.cells.clone();
        }
        let embedded = |region: Region| Cell {
            name: region.as_str().to_owned(),
            region,
            database_url: None,
            storage: None,
            exports: None,
            mcp_url: None,
            keys: None,
        };
        Region::ALL.into_iter().map(embedded).collect()
    }

    /// The database of `cell`.
    pub fn cell_url(&self, cell: &Cell) -> String {
        cell.database_url.clone().unwrap_or_else(|| self.embedded(&format!("{}.db", cell.name)))
    }

    /// The bucket of `cell`.
    pub fn cell_storage(&self, cell: &Cell) -> String {
        let folder = || format!("file:{}", self.data_dir.join("media").join(&cell.name).display());
        cell.storage.clone().unwrap_or_else(folder)
    }

    /// Where the daily exports of `cell` go.
    pub fn cell_exports(&self, cell: &Cell) -> String {
        cell.exports.clone().unwrap_or_else(|| self.cell_storage(cell))
    }

    fn stores(&self, cell: &Cell) -> [String; 2] {
        [self.cell_storage(cell), self.cell_exports(cell)]
    }

    fn embedded(&self, file: &str) -> String {
        format!("sqlite:{}", self.data_dir.join(file).display())
    }
}

fn sentence(error: &figment::Error) -> String {
    let first = error.clone().into_iter().next().unwrap_or_else(|| error.clone());
    let place = first.metadata.as_ref().map_or_else(String::new, |found| match &found.source {
        Some(source) => format!(" (in {source})"),
        None => format!(" (in {})", found.name),
    });
    let key = if first.path.is_empty() {
        String::new()
    } else {
        format!("Setting “{}”: ", first.path.join("."))
    };
    format!("{key}{}{place}.", first.kind)
}
