//! “Where your data lives”: each class of a workspace's data with its place, from the configuration in force.

use serde::Serialize;

use crate::domain::retention::{ATTEMPT_DAYS, DATA_REQUEST_YEARS, Retention};
use crate::domain::settings::Inference;
use crate::domain::time::DAY;
use crate::engine::access::scope::Scope;
use crate::engine::access::security::SIGN_IN_DAYS;
use crate::engine::config::Keys;
use crate::engine::error::Result;
use crate::engine::webhooks::DELIVERIES_KEPT;
use crate::engine::{CellNode, Engine};

/// One class of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataPlace {
    /// What.
    pub what: &'static str,
    /// In which store and region.
    pub place: String,
    /// How long.
    pub kept: String,
    /// How it is protected at rest.
    pub encryption: &'static str,
}

const DISK: &str = "that of the disk or database service";
const SEALED: &str = "XChaCha20-Poly1305, key per data subject or day";

impl Engine {
    /// Each class of a workspace's data: where it is, how long, and how it is encrypted.
    ///
    /// # Errors
    /// The database's own.
    pub async fn data_places(&self, scope: &Scope) -> Result<Vec<DataPlace>> {
        let (node, retention) = (self.cell(&scope.workspace)?, self.periods(scope).await?);
        let (settings, export) = (self.settings(scope).await?, self.daily_export(scope).await?);
        let copies = settings.replicate_to.and_then(|region| self.replica_cell(scope, region));
        let mut places = self.media_places(node, copies, retention);
        places.push(self.provider_place(scope, settings.inference));
        places.extend(self.cell_places(node, retention));
        places.extend(export.has_files().then(|| self.export_place(node, retention, export.is_on)));
        places.extend(self.control_places());
        Ok(places)
    }

    fn media_places(
        &self,
        node: &CellNode,
        copies: Option<&CellNode>,
        retention: Retention,
    ) -> Vec<DataPlace> {
        let kept = days(retention.media_retention_days);
        let at = |node: &CellNode| format!("{} · {}", node.cell.region, self.bucket_place(node));
        let media = |what, node| DataPlace { what, place: at(node), kept: kept.clone(), encryption: DISK };
        let row =
            |what, kept: &str, encryption| DataPlace { what, place: at(node), kept: kept.into(), encryption };
        let mut places = vec![media("Images, videos and their thumbnails", node)];
        places.extend(copies.map(|copies| media("Copies of the media", copies)));
        places.push(row(
            "Marks of what was erased: ids only",
            "for good, so that no restore brings it back",
            DISK,
        ));
        places.push(row(
            "The backups’ copies of the data keys",
            &format!(
                "each key until what it seals is erased or past its retention, and {} days at most",
                self.0.config.data.backup_days
            ),
            "wrapped by the master key",
        ));
        places
    }

    fn provider_place(&self, scope: &Scope, inference: Inference) -> DataPlace {
        let region = scope.workspace.region;
        let place = match inference {
            Inference::RegionOnly => format!("only models that infer in {region}"),
            Inference::Any => "the called model’s vendor, who may infer elsewhere".into(),
        };
        DataPlace {
            what: "Prompts while a model works",
            place,
            kept: "as the model’s vendor says".into(),
            encryption: "TLS on the way",
        }
    }

    fn cell_places(&self, node: &CellNode, retention: Retention) -> Vec<DataPlace> {
        let place = format!("{} · {}", node.cell.region, database(&self.0.config.cell_url(&node.cell)));
        let row = |what, kept: String, encryption| DataPlace { what, place: place.clone(), kept, encryption };
        let whole = || "as long as the workspace".to_owned();
        vec![
            row("Prompts", days(retention.media_retention_days), SEALED),
            row("Audit log and its checkpoints", days(retention.log_retention_days), DISK),
            row("Refused and failed calls", format!("{ATTEMPT_DAYS} days"), DISK),
            row("Ledger, caps and usage", whole(), DISK),
            row("Answers of calls with an idempotency key", "24 hours".into(), "the key is a salted hash"),
            row("Webhook deliveries: requests and answers", format!("{} days", DELIVERIES_KEPT / DAY), DISK),
            row("Settings, saved searches, alerts and their recipients", whole(), DISK),
            row("Legal holds", whole(), "a subject is a keyed hash"),
            row("Acceptances of the confidentiality text", whole(), DISK),
            row("Agents and REST keys", whole(), "secrets as SHA-256 only"),
            row("Webhooks’ secrets and tokens", whole(), "XChaCha20-Poly1305"),
            row(
                "Data requests and certificates",
                format!("{DATA_REQUEST_YEARS} years after their end"),
                "who asked and why: XChaCha20-Poly1305, key per request",
            ),
            row("Data keys", "as long as what they seal".into(), "wrapped by the master key"),
            DataPlace {
                what: "The master key that wraps them",
                place: key_place(&self.keys_of(node)).to_owned(),
                kept: "until it is rotated".into(),
                encryption: "stands in no database",
            },
        ]
    }

    fn export_place(&self, node: &CellNode, retention: Retention, is_on: bool) -> DataPlace {
        let as_log = days(retention.log_retention_days);
        DataPlace {
            what: "Daily exports of the audit log",
            place: format!("{} · {}", node.cell.region, bucket(&self.0.config.cell_exports(&node.cell))),
            kept: if is_on { as_log } else { format!("{as_log}; turned off: no new ones are made") },
            encryption: DISK,
        }
    }

    fn control_places(&self) -> Vec<DataPlace> {
        let place = database(&self.0.config.control_url());
        let row = |what, place: &str, kept: String, encryption| DataPlace {
            what,
            place: place.to_owned(),
            kept,
            encryption,
        };
        let (mail, mail_kept) = match self.0.config.mail.smtp_url {
            Some(_) => ("SMTP server", "as the mail server says"),
            None => ("files on this server", "until the operator removes them"),
        };
        vec![
            row(
                "People: name, e-mail, roles",
                &place,
                "until the account is deleted".into(),
                "passwords as Argon2id",
            ),
            row("Sessions", &place, "7 days at most".into(), "ids as SHA-256 only"),
            row("Sign-ins", &place, format!("{SIGN_IN_DAYS} days"), DISK),
            row(
                "The key that signs links and checkpoints",
                key_place(&self.0.config.security.keys()),
                "until it is rotated".into(),
                "stands in no database",
            ),
            row("Mails to members", mail, mail_kept.into(), "that of the disk or mail server"),
            row(
                "The server’s own log: ids, codes and times",
                "this server’s standard output",
                "as the operator keeps it".into(),
                "that of its disk",
            ),
        ]
    }

    fn keys_of(&self, node: &CellNode) -> Keys {
        node.cell.keys.clone().unwrap_or_else(|| self.0.config.security.keys())
    }

    fn bucket_place(&self, node: &CellNode) -> String {
        bucket(&self.0.config.cell_storage(&node.cell))
    }

    /// A cell's database, as a certificate names it.
    pub(in crate::engine) fn database_of(&self, node: &CellNode) -> String {
        let (name, region) = (&node.cell.name, node.cell.region);
        format!("database of cell {name} in {region} ({})", database(&self.0.config.cell_url(&node.cell)))
    }

    /// A cell's bucket, as a certificate names it.
    pub(in crate::engine) fn storage_of(&self, node: &CellNode) -> String {
        let (name, region) = (&node.cell.name, node.cell.region);
        format!("storage of cell {name} in {region} ({})", self.bucket_place(node))
    }
}

fn key_place(keys: &Keys) -> &'static str {
    if keys.master_key.is_some() { "setting or environment" } else { "key file" }
}

fn days(days: u32) -> String {
    match days {
        days if days >= 730 && days % 365 < 4 => format!("{} years", days / 365),
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

/// A store as people name it: neither passwords nor the server's own folders.
fn database(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) if url.scheme().starts_with("postgres") => {
            format!("PostgreSQL {}{}", url.host_str().unwrap_or("on this server"), url.path())
        }
        _ => "SQLite file on this server".into(),
    }
}

fn bucket(storage: &str) -> String {
    match storage.split_once(':') {
        Some(("s3", place)) => format!("S3 bucket {}", place.trim_start_matches('/')),
        Some(("memory", _)) => "memory of this server".into(),
        _ => "folder on this server".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_no_password_and_no_folder() {
        assert_eq!(
            database("postgres://af:secret@db.example/cell?sslmode=require"),
            "PostgreSQL db.example/cell"
        );
        assert_eq!(database("sqlite:/srv/data/eu.db"), "SQLite file on this server");
        assert_eq!(bucket("s3://media-eu/a"), "S3 bucket media-eu/a");
        assert_eq!(bucket("file:/srv/data/media"), "folder on this server");
    }

    #[test]
    fn long_periods_are_told_in_years() {
        assert_eq!(
            [1, 30, 365, 2_557, 3_652].map(days),
            ["1 day", "30 days", "365 days", "7 years", "10 years"]
        );
    }
}
