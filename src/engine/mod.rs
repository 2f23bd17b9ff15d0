//! Storage, gateway and jobs around the domain's rules. Pages, REST and MCP all call one [`Engine`].

pub mod access;
pub mod alerts;
pub mod calls;
pub mod check;
pub mod clock;
pub mod config;
pub mod data;
pub mod error;
pub mod jobs;
mod leases;
pub mod log;
pub mod mail;
pub mod money;
mod outbound;
pub mod random;
pub mod store;
pub mod views;
pub mod webhooks;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::access::identify::Identities;
use self::access::passwords::Passwords;
use self::access::people::SignInGuard;
use self::calls::media::{Bucket, UrlSigner};
use self::calls::providers::Providers;
use self::clock::Clock;
use self::config::{Cell, Config, Keys};
use self::data::sealing::{MasterKey, MasterKeys, Sealer};
use self::error::{Error, Result};
use self::log::signing::Signer;
use self::mail::Mailer;
use self::money::ledger_writer::LedgerWriter;
use self::store::workspaces::Workspace;
use self::store::{CellDb, ControlDb, Db};
use crate::domain::catalog::Catalog;
use crate::domain::ids::{Id, RequestId};

/// The product behind its doors. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: Config,
    clock: Clock,
    catalog: Catalog,
    providers: Providers,
    control: ControlDb,
    cells: BTreeMap<String, CellNode>,
    identities: Identities,
    sign_ins: SignInGuard,
    passwords: Passwords,
    mailer: Mailer,
    urls: UrlSigner,
    signer: Signer,
    sender: webhooks::Sender,
    /// Calls that run on although their client hung up, and jobs.
    running: TaskTracker,
    stopping: CancellationToken,
    writers: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

/// One cell that this node serves.
#[derive(Clone)]
pub(crate) struct CellNode {
    pub(crate) cell: Cell,
    pub(crate) db: CellDb,
    pub(crate) bucket: Bucket,
    /// Where daily exports of logs go.
    pub(crate) exports: Bucket,
    pub(crate) writer: LedgerWriter,
    pub(crate) sealer: Sealer,
}

/// Why the engine did not start: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong, or a file that it names.
    #[error("{0}")]
    Settings(String),
    /// What the settings name does not work now.
    #[error("{0}")]
    Failed(String),
}

impl Engine {
    /// Opens databases and buckets, brings tables up to date and starts the ledger writers.
    ///
    /// # Errors
    /// A sentence that names what could not be opened.
    pub async fn open(config: Config, clock: Clock) -> std::result::Result<Self, StartError> {
        let providers = Providers::from_config(&config.providers).map_err(StartError::Settings)?;
        Self::open_with(config, clock, providers).await
    }

    /// As [`Engine::open`], with these providers: tests hand in scripted ones.
    ///
    /// # Errors
    /// A sentence that names what could not be opened.
    pub async fn open_with(
        config: Config,
        clock: Clock,
        providers: Providers,
    ) -> std::result::Result<Self, StartError> {
        let keys = server_keys(&config)?;
        let control = open_control(&config).await?;
        let signer = open_signer(&control, &keys, &clock).await?;
        let (mut cells, mut writers) = (BTreeMap::new(), Vec::new());
        for cell in config.cells() {
            let (node, writer) = open_cell(&config, cell, &keys, &clock).await?;
            cells.insert(node.cell.name.clone(), node);
            writers.push(writer);
        }
        let passwords = Passwords::new(config.limits.concurrent_password_hashes).await;
        let engine = Self(Arc::new(Inner {
            catalog: catalog(&config)?,
            mailer: Mailer::new(&config).map_err(StartError::Settings)?,
            urls: UrlSigner::new(&keys),
            signer,
            sender: webhooks::Sender::new(config.webhooks.allow_private_addresses)
                .map_err(StartError::Failed)?,
            identities: Identities::new(config.limits.calls_per_minute_per_agent),
            sign_ins: SignInGuard::default(),
            passwords: passwords
                .map_err(|_| StartError::Failed("Passwords cannot be hashed on this machine.".into()))?,
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
            writers: std::sync::Mutex::new(writers),
            config,
            clock,
            providers,
            control,
            cells,
        }));
        for node in engine.0.cells.values() {
            if let Err(error) = engine.rewrap_kept_keys(node).await {
                let cell = &node.cell.name;
                tracing::warn!(%error, cell, "the backups' copies of the keys do not follow the new master key yet; the reconciler tries it again. Keep the previous key until then");
            }
        }
        Ok(engine)
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The model library.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The media providers.
    pub fn providers(&self) -> &Providers {
        &self.0.providers
    }

    /// An id for a call or an act.
    pub fn new_request_id(&self) -> RequestId {
        RequestId::new(self.0.clock.now().millis(), random::bytes())
    }

    /// The address under which agents of this workspace connect.
    pub fn mcp_url(&self, workspace: &Workspace) -> String {
        format!("{}/mcp/{}/{}", self.base_url(workspace), workspace.id, workspace.url_key)
    }

    /// Where the workspace's cell is reached, without a slash at the end.
    pub(crate) fn base_url(&self, workspace: &Workspace) -> String {
        let own = self.0.cells.get(&workspace.cell).and_then(|node| node.cell.mcp_url.as_ref());
        own.map_or_else(|| self.0.config.public_url(), |url| url.as_str().trim_end_matches('/').to_owned())
    }

    /// The cell in which the workspace lives.
    ///
    /// # Errors
    /// [`Error::WrongRegion`] when another node serves it.
    pub(crate) fn cell(&self, workspace: &Workspace) -> Result<&CellNode> {
        self.0.cells.get(&workspace.cell).ok_or(Error::WrongRegion(workspace.region))
    }

    /// Every database of this node, whatever is in it.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &Db> {
        let cells = self.0.cells.values().map(|node| -> &Db { &node.db });
        cells.chain(std::iter::once::<&Db>(&self.0.control))
    }

    /// The databases and buckets by name, and whether each answers.
    pub async fn ready(&self) -> Vec<(String, bool)> {
        let mut parts = vec![("control database".to_owned(), self.0.control.answers().await)];
        for (name, node) in &self.0.cells {
            parts.push((format!("cell {name} database"), node.db.answers().await));
            parts.push((format!("cell {name} storage"), node.bucket.answers().await));
        }
        parts
    }

    /// Whether this node is stopping: what waits for news should end.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    /// Stops taking work, finishes what runs (calls settle, though their clients are gone) and closes the databases.
    pub async fn shutdown(&self) {
        self.0.stopping.cancel();
        self.0.running.close();
        self.0.running.wait().await;
        for node in self.0.cells.values() {
            node.db.close().await;
        }
        self.0.control.close().await;
        let writers =
            self.0.writers.lock().map(|mut writers| std::mem::take(&mut *writers)).unwrap_or_default();
        writers.iter().for_each(JoinHandle::abort);
    }
}

/// Whether the engine would take these settings, as far as can be told without opening or making anything.
///
/// # Errors
/// [`StartError::Settings`] names the wrong one.
pub fn check_settings(config: &Config) -> std::result::Result<(), StartError> {
    Providers::from_config(&config.providers).map_err(StartError::Settings)?;
    Mailer::new(config).map_err(StartError::Settings)?;
    catalog(config)?;
    check_keys(&config.security.keys(), "security")?;
    for cell in config.cells() {
        cell.keys
            .as_ref()
            .map_or(Ok(()), |keys| check_keys(keys, &format!("keys of the cell {}", cell.name)))?;
        for storage in [config.cell_storage(&cell), config.cell_exports(&cell)] {
            Bucket::check(&storage, cell.region).map_err(StartError::Settings)?;
        }
    }
    Ok(())
}

/// A key file that is not there is made at the first start.
fn check_keys(keys: &Keys, place: &str) -> std::result::Result<(), StartError> {
    let is_there = keys.master_key_file.as_ref().is_some_and(|file| file.exists());
    if keys.master_key.is_some() || is_there { master_keys(keys, place).map(drop) } else { Ok(()) }
}

fn server_keys(config: &Config) -> std::result::Result<MasterKeys, StartError> {
    let mut keys = config.security.keys();
    keys.master_key_file.get_or_insert_with(|| config.data_dir.join("master.key"));
    master_keys(&keys, "security")
}

/// A cell's own keys, or the server's.
fn cell_keys(cell: &Cell, server: &MasterKeys) -> std::result::Result<MasterKeys, StartError> {
    match &cell.keys {
        Some(keys) => master_keys(keys, &format!("keys of the cell {}", cell.name)),
        None => Ok(server.clone()),
    }
}

/// `place` names where in the settings they stand.
fn master_keys(keys: &Keys, place: &str) -> std::result::Result<MasterKeys, StartError> {
    let hex_key = |name: &str, hex: Option<&str>| {
        let wrong = || StartError::Settings(format!("Setting “{place}.{name}” is not 64 hex digits."));
        hex.map(|hex| MasterKey::from_hex(hex).ok_or_else(wrong)).transpose()
    };
    let current = match (hex_key("master_key", keys.master_key.as_deref())?, &keys.master_key_file) {
        (Some(key), _) => key,
        (None, Some(file)) => MasterKey::from_file(file).map_err(StartError::Settings)?,
        (None, None) => return Err(StartError::Settings(format!("Setting “{place}” names no master key."))),
    };
    let previous = match hex_key("previous_master_key", keys.previous_master_key.as_deref())? {
        Some(key) => Some(key),
        None => previous_key(keys.previous_master_key_file.as_deref())?,
    };
    Ok(MasterKeys { current, previous })
}

fn previous_key(file: Option<&Path>) -> std::result::Result<Option<MasterKey>, StartError> {
    match file {
        Some(file) if !file.exists() => {
            Err(StartError::Settings(format!("The key file {} does not exist.", file.display())))
        }
        Some(file) => MasterKey::from_file(file).map(Some).map_err(StartError::Settings),
        None => Ok(None),
    }
}

fn catalog(config: &Config) -> std::result::Result<Catalog, StartError> {
    let Some(file) = &config.catalog else { return Ok(Catalog::built_in()) };
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| StartError::Settings(format!("Cannot read the model library {place}: {error}.")))?;
    Catalog::parse(&text)
        .map_err(|error| StartError::Settings(format!("The model library {place} cannot be used: {error}")))
}

async fn open_control(config: &Config) -> std::result::Result<ControlDb, StartError> {
    let url = config.control_url();
    let db = open_database(config, &url).await?;
    ControlDb::over(db).await.map_err(|error| not_up_to_date(&url, &error))
}

async fn open_database(config: &Config, url: &str) -> std::result::Result<Db, StartError> {
    let opened = if config.filling { Db::open_unsynced(url).await } else { Db::open(url).await };
    opened.map_err(|error| {
        StartError::Failed(format!("Cannot open the database {}: {error}.", without_password(url)))
    })
}

fn not_up_to_date(url: &str, error: &sqlx::migrate::MigrateError) -> StartError {
    StartError::Failed(format!("Cannot bring the database {} up to date: {error}.", without_password(url)))
}

fn without_password(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return url.to_owned() };
    // Fails only for URLs that cannot have a password.
    let _ = parsed.set_password(None);
    parsed.to_string()
}

async fn open_signer(
    control: &ControlDb,
    keys: &MasterKeys,
    clock: &Clock,
) -> std::result::Result<Signer, StartError> {
    let opened = log::signing::open(control, keys, clock.now()).await;
    opened.map_err(|error| StartError::Failed(error.to_string()))
}

async fn open_cell(
    config: &Config,
    cell: Cell,
    keys: &MasterKeys,
    clock: &Clock,
) -> std::result::Result<(CellNode, JoinHandle<()>), StartError> {
    let url = config.cell_url(&cell);
    let db = CellDb::over(open_database(config, &url).await?).await;
    let db = db.map_err(|error| not_up_to_date(&url, &error))?;
    let sealer = open_sealer(&db, &cell, &cell_keys(&cell, keys)?).await?;
    let bucket = Bucket::open(&config.cell_storage(&cell), cell.region).map_err(StartError::Settings)?;
    let exports = match cell.exports {
        Some(_) => Bucket::open(&config.cell_exports(&cell), cell.region).map_err(StartError::Settings)?,
        None => bucket.clone(),
    };
    let (writer, task) = LedgerWriter::start(db.clone(), clock.clone());
    Ok((CellNode { cell, db, bucket, exports, writer, sealer }, task))
}

/// A node with another master key could neither read prompts nor check links: it must not start.
async fn open_sealer(db: &CellDb, cell: &Cell, keys: &MasterKeys) -> std::result::Result<Sealer, StartError> {
    let opened = Sealer::open(db.clone(), keys).await;
    opened.map_err(|why| StartError::Failed(format!("Cell “{}” {why}.", cell.name)))
}

#[cfg(test)]
mod tests;
