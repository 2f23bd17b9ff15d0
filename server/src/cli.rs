//! The command line (contract §1).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use agentframer::domain::money::Usd;
use agentframer::engine::StartError;
use agentframer::engine::config::{Config, Overrides};
use clap::{Args, Parser, Subcommand};

use crate::commands::{audit, backup, bootstrap, certificate, demo, maintenance, serve};
use crate::telemetry;

/// The thing asked for failed.
const FAILED: u8 = 1;
/// Wrong usage or configuration; clap ends with the same for wrong usage.
const WRONG_CONFIGURATION: u8 = 2;

/// Governance of agents that spend money: policy, prepaid balance, provable log.
#[derive(Debug, Parser)]
#[command(
    name = "agentframer",
    version,
    about = "Governance of agents that spend money: policy, prepaid balance, provable log"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// The settings file; agentframer.toml of the current folder is read where it is there
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The address to listen on, such as 127.0.0.1:3000
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// Make an Admin, a workspace, an agent and an API key; prints one JSON object
    Bootstrap(BootstrapArgs),
    /// Fill an empty data folder with 120 days of believable traffic, and say where to sign in
    Demo(DemoArgs),
    /// Bring the databases' tables up to date
    Migrate,
    /// Check the books and logs of the databases, while they serve
    Check,
    /// Work with the settings
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print the OpenAPI document of the REST API
    Openapi,
    /// Write every table but the data keys into a new folder, while the databases serve
    Backup {
        /// The folder, which must be empty or new
        folder: PathBuf,
    },
    /// Bring a backup back into empty databases; what was erased since stays erased
    Restore {
        /// The folder that a backup was written to
        folder: PathBuf,
    },
    /// Work with certificates of data requests
    Certificate {
        #[command(subcommand)]
        command: CertificateCommand,
    },
    /// Work with exported audit logs
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings and say where the server will be
    Check,
}

#[derive(Debug, Subcommand)]
enum CertificateCommand {
    /// Check a certificate's signature offline; exit code 0 good, 1 not believed, 2 unreadable
    Verify {
        /// The certificate's JSON; - reads standard input
        file: PathBuf,
        /// The public keys that are believed, as /reference/keys.json serves them
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check the hash chain of an exported log; exit code 0 whole, 1 broken, 2 unreadable
    Verify {
        /// The export: NDJSON or a JSON array, oldest row first; - reads standard input
        file: PathBuf,
        /// A signed checkpoint that the log must agree with
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// The public keys that are believed, as /reference/keys.json serves them: one of them must have signed the checkpoint
        #[arg(long, value_name = "FILE", requires = "checkpoint")]
        keys: Option<PathBuf>,
    },
}

/// Arguments of `bootstrap`.
#[derive(Debug, Args)]
pub(crate) struct BootstrapArgs {
    /// The Admin's e-mail address; an account is made where there is none
    #[arg(long)]
    pub(crate) email: String,
    /// Read the Admin's password from standard input
    #[arg(long, required = true)]
    pub(crate) password_stdin: bool,
    /// The workspace's name; one of this name is used again
    #[arg(long, value_name = "NAME")]
    pub(crate) workspace: String,
    /// Where the workspace lives: eu-west-1 or us-east-1
    #[arg(long, default_value = "eu-west-1")]
    pub(crate) region: String,
    /// US dollars that a new workspace starts with
    #[arg(long, value_name = "USD", default_value = "0", allow_negative_numbers = true)]
    pub(crate) top_up: Usd,
    /// The agent's name, such as growth-bot
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: String,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many calls the agents make
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(..=100_000_000))]
    pub(crate) calls: u64,
    /// The same seed makes the same traffic, counted back from now
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Why a command did not do what was asked: an exit code and a sentence.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The thing asked for failed.
    pub(crate) fn failed(message: impl ToString) -> Self {
        Self { code: FAILED, message: message.to_string() }
    }

    /// The engine did not start.
    pub(crate) fn start(error: StartError) -> Self {
        match error {
            StartError::Settings(message) => Self::wrong(message),
            StartError::Failed(message) => Self::failed(message),
        }
    }

    /// Wrong usage, configuration or input.
    pub(crate) fn wrong(message: impl ToString) -> Self {
        Self { code: WRONG_CONFIGURATION, message: message.to_string() }
    }
}

/// Runs the process's command line.
pub fn main() -> ExitCode {
    // Fails only where a provider is installed already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("agentframer: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Openapi => maintenance::openapi(),
        Command::Audit { command: AuditCommand::Verify { file, checkpoint, keys } } => {
            audit::verify(&file, checkpoint.as_deref(), keys.as_deref())
        }
        Command::Certificate { command: CertificateCommand::Verify { file, keys } } => {
            certificate::verify(&file, keys.as_deref())
        }
        command => {
            let config = cli.global.config()?;
            telemetry::start(&config).map_err(Failure::wrong)?;
            let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
            runtime.block_on(on_databases(command, config))
        }
    }
}

async fn on_databases(command: Command, config: Config) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::serve(config).await,
        Command::Bootstrap(args) => bootstrap::bootstrap(config, args).await,
        Command::Demo(args) => demo::demo(config, args).await,
        Command::Migrate => maintenance::migrate(config).await,
        Command::Check => maintenance::check(config).await,
        Command::Config { command: ConfigCommand::Check } => maintenance::config(&config),
        Command::Backup { folder } => backup::backup(config, &folder).await,
        Command::Restore { folder } => backup::restore(config, &folder).await,
        Command::Openapi | Command::Audit { .. } | Command::Certificate { .. } => Ok(()),
    }
}

impl Global {
    fn config(&self) -> Result<Config, Failure> {
        let overrides = Overrides { listen: self.listen, data_dir: self.data.clone() };
        Config::load(self.config.as_deref(), &overrides).map_err(Failure::wrong)
    }
}

/// Prints what was asked for; a reader that has gone away is no fault of ours.
pub(crate) fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_arguments_stand_before_or_after_the_command() {
        let read = |args: &[&str]| Cli::try_parse_from(args).unwrap().global.data;
        assert_eq!(read(&["agentframer", "serve", "--data", "x"]), Some("x".into()));
        assert_eq!(read(&["agentframer", "--data", "x", "serve"]), Some("x".into()));
    }

    #[test]
    fn a_password_is_never_an_argument() {
        let args = ["agentframer", "bootstrap", "--email", "a@b.c", "--workspace", "w", "--agent", "a"];
        assert!(Cli::try_parse_from(args).is_err());
        assert!(Cli::try_parse_from(args.into_iter().chain(["--password-stdin"])).is_ok());
    }
}
