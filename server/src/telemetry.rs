//! The log of the process: where it goes, in which form, and what never enters it.

use std::io::{self, Write};

use agentframer::engine::config::{Config, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What begins with one of these is a secret; agents' tokens and keys carry them for this purpose.
const SECRETS: [&[u8]; 4] = [b"af_agent_", b"af_key_", b"whsec_", b"setup?token="];

/// Starts logging to standard error.
///
/// # Errors
/// A sentence where the setting `log` is not a filter.
pub fn start(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| format!("Setting “log”: “{}” is not a filter such as info: {error}.", config.log))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Redacted);
    let started = match config.log_format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("Logging cannot start: {error}."))
}

/// Standard error without secrets.
#[derive(Debug, Clone, Copy)]
struct Redacted;

impl<'a> MakeWriter<'a> for Redacted {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Redacted {
    /// The subscriber hands over each event in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(&without_secrets(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn without_secrets(event: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(event.len());
    let mut rest = event;
    while let Some(byte) = rest.first() {
        match SECRETS.into_iter().find(|prefix| rest.starts_with(prefix)) {
            Some(prefix) => {
                clean.extend_from_slice(prefix);
                clean.extend_from_slice(b"***");
                let secret = rest[prefix.len()..].iter().take_while(|byte| is_secret_letter(**byte)).count();
                rest = &rest[prefix.len() + secret..];
            }
            None => {
                clean.push(*byte);
                rest = &rest[1..];
            }
        }
    }
    clean
}

const fn is_secret_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_reach_the_log() {
        let line = b"path=/mcp token=\"af_agent_0a1b2c\" key=af_key_zz, GET /setup?token=abc HTTP";
        let clean = String::from_utf8(without_secrets(line)).unwrap();
        assert_eq!(clean, "path=/mcp token=\"af_agent_***\" key=af_key_***, GET /setup?token=*** HTTP");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let line = "Größe af_agen t 1".as_bytes();
        assert_eq!(without_secrets(line), line);
    }
}
