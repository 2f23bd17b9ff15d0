//! How people hear of an alert: by mail and in Slack. Each is told by one node at a time, none waits for another's slow
//! receiver, and who could not be reached is tried again for a day.

use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde_json::json;

use crate::domain::access::Role;
use crate::domain::alerts::DIGEST;
use crate::domain::time::{DAY, HOUR, MINUTE};
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store::alerts::{self, AlertRow, Told};
use crate::engine::store::own_mail::Mail;
use crate::engine::{CellNode, Engine, random};

/// For one mail or message.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an alert belongs to the node that tells it; all its ways are tried at once.
const CLAIM: i64 = 2 * MINUTE;
/// Pauses after 1, 2, … tries; the last one repeats …
const PAUSES: [i64; 5] = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR];
/// … until the alert is so old.
const GIVE_UP: i64 = DAY;
/// Alerts that a round reads, and tells at a time. Rounds overlap where receivers hang.
const BATCH: i64 = 100;
const AT_ONCE: usize = 32;

/// Someone to tell.
enum Way {
    Mail(String),
    Slack(String),
}

impl Way {
    /// Says whether it is the same again, without keeping an address.
    fn fingerprint(&self) -> String {
        let (Self::Mail(to) | Self::Slack(to)) = self;
        random::fingerprint(to)
    }
}

/// What is told.
struct Words {
    subject: String,
    text: String,
    link: String,
}

impl Engine {
    /// Tells people of what was fired, also of what a node that died did not come to tell.
    ///
    /// # Errors
    /// The database's own; the next run goes on.
    pub async fn tell_alerts(&self) -> Result<()> {
        join_all(self.0.cells.values().map(|node| self.tell_cell(node))).await.into_iter().collect()
    }

    /// The same in a task of its own: the next round tells what was fired since, while this one's receivers hang.
    pub(crate) fn tell_alerts_apart(&self) {
        let engine = self.clone();
        self.0.running.spawn(async move {
            if let Err(error) = engine.tell_alerts().await {
                tracing::error!(%error, "alerts were not told; they are tried again");
            }
        });
    }

    async fn tell_cell(&self, node: &CellNode) -> Result<()> {
        let rows = alerts::untold(&node.db, self.0.clock.now(), BATCH).await?;
        let telling = stream::iter(rows).for_each_concurrent(AT_ONCE, |row| async move {
            if let Err(error) = self.tell_alert(node, &row).await {
                tracing::error!(%error, workspace = %row.workspace_id, "an alert was not told; it is tried again");
            }
        });
        telling.await;
        Ok(())
    }

    async fn tell_alert(&self, node: &CellNode, row: &AlertRow) -> Result<()> {
        let now = self.0.clock.now();
        if !alerts::claim(&node.db, row, now, now.plus(CLAIM)).await? {
            return Ok(());
        }
        let Some(scope) = self.system_in(&row.workspace_id).await? else { return Ok(()) };
        let (ways, words) = (self.ways(&scope, row).await?, self.words(&scope, row));
        let faults = join_all(ways.iter().map(|way| self.reach(way, &words, &row.reached))).await;
        let reached = ways.iter().zip(&faults).filter(|(_, fault)| fault.is_none());
        let is_over = faults.iter().all(Option::is_none) || row.fired_at < now.plus(-GIVE_UP);
        let pause = PAUSES[usize::try_from(row.tries).unwrap_or(0).min(PAUSES.len() - 1)];
        let told = Told {
            channels: summary(&ways, &faults),
            at: is_over.then_some(now),
            next_at: now.plus(pause),
            reached: reached.map(|(way, _)| way.fingerprint()).collect(),
        };
        alerts::told(&node.db, row, told).await
    }

    /// The recipients that the workspace chose, its Admins by default, and its Slack channel; for a digest its Viewers.
    async fn ways(&self, scope: &Scope, row: &AlertRow) -> Result<Vec<Way>> {
        if row.event == DIGEST {
            let viewers = self.addresses(scope, Role::Viewer, Mail::Digest).await?;
            return Ok(viewers.into_iter().map(Way::Mail).collect());
        }
        let (settings, _) = alerts::settings(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await?;
        let recipients = match settings.recipients {
            chosen if !chosen.is_empty() => chosen,
            _ => self.addresses(scope, Role::Admin, Mail::Alerts).await?,
        };
        let slack = self.slack_url(scope).await?.map(Way::Slack);
        Ok(recipients.into_iter().map(Way::Mail).chain(slack).collect())
    }

    fn words(&self, scope: &Scope, row: &AlertRow) -> Words {
        let home = format!("{}/w/{}", self.0.config.public_url(), scope.workspace.id);
        let name = &scope.workspace.name;
        match row.key.strip_prefix(DIGEST).and_then(|rest| rest.strip_prefix('/')) {
            Some(month) => Words {
                subject: format!("{month} in {name}"),
                text: row.message.clone(),
                link: format!("{home}/usage"),
            },
            None => Words {
                subject: format!("{}: {name}", subject(&row.event)),
                text: row.message.clone(),
                link: home,
            },
        }
    }

    /// What went wrong; nothing for who was reached, now or before.
    async fn reach(&self, way: &Way, words: &Words, reached: &[String]) -> Option<String> {
        if reached.contains(&way.fingerprint()) {
            return None;
        }
        let Words { subject, text, link } = words;
        match way {
            Way::Mail(to) => {
                let sending = self.0.mailer.send(to, subject, format!("{text}\n\n{link}\n"));
                match tokio::time::timeout(PATIENCE, sending).await {
                    Ok(sent) => sent.err().map(|error| error.to_string()),
                    Err(_) => Some(too_slow()),
                }
            }
            Way::Slack(url) => self.post_to_slack(url, &format!("*{subject}*\n{text}\n{link}")).await.err(),
        }
    }

    /// The workspace's Slack webhook.
    pub(super) async fn slack_url(&self, scope: &Scope) -> Result<Option<String>> {
        let (cell, id) = (self.cell(&scope.workspace)?, &scope.workspace.id);
        let (_, Some((key, sealed))) = alerts::settings(&cell.db, id).await? else { return Ok(None) };
        cell.sealer.open_prompt(id, &key, "slack", &sealed).await
    }

    /// Posts one message to Slack's incoming webhook.
    pub(super) async fn post_to_slack(&self, url: &str, text: &str) -> std::result::Result<(), String> {
        let message = json!({ "text": for_slack(text) });
        let posting = self.0.sender.post_json(url, &message);
        match tokio::time::timeout(PATIENCE, posting).await {
            Ok(Ok(200)) => Ok(()),
            Ok(Ok(status)) => Err(format!("it answered {status}")),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(too_slow()),
        }
    }
}

fn too_slow() -> String {
    format!("no answer within {} seconds", PATIENCE.as_secs())
}

/// The characters that mean something in Slack's messages: a name could otherwise mention everybody.
fn for_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn subject(event: &str) -> &'static str {
    match event {
        "balance.exhausted" => "The balance is used up",
        "agent.token_expiring" => "A token is due for rotation",
        "agent.paused" => "An agent was paused",
        "webhook.failing" => "A webhook is failing",
        "webhook.paused" => "A webhook was paused",
        "webhook.disabled" => "A webhook is disabled",
        _ => "A budget alert",
    }
}

/// `3 mails; Slack`, `1 mail; 1 mail failed; Slack failed: it answered 404`.
fn summary(ways: &[Way], faults: &[Option<String>]) -> String {
    let told: Vec<_> = ways.iter().zip(faults).collect();
    let mails = |failed| {
        told.iter().filter(|(way, fault)| matches!(way, Way::Mail(_)) && fault.is_some() == failed).count()
    };
    let slack = told.iter().filter_map(|(way, fault)| match (way, fault) {
        (Way::Slack(_), Some(why)) => Some(format!("Slack failed: {why}")),
        (Way::Slack(_), None) => Some("Slack".to_owned()),
        _ => None,
    });
    let counted = [(mails(false), ""), (mails(true), " failed")].into_iter().filter(|(count, _)| *count > 0);
    let counted =
        counted.map(|(count, how)| format!("{count} mail{}{how}", if count > 1 { "s" } else { "" }));
    counted.chain(slack).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_to_slack_mentions_nobody() {
        assert_eq!(for_slack("<!channel> & <https://x|y>"), "&lt;!channel&gt; &amp; &lt;https://x|y&gt;");
    }

    #[test]
    fn people_read_who_was_reached() {
        let ways = [Way::Mail("a".into()), Way::Mail("b".into()), Way::Slack("c".into())];
        assert_eq!(summary(&ways, &[None, None, None]), "2 mails; Slack");
        let faults = [None, Some("no".into()), Some("it answered 404".into())];
        assert_eq!(summary(&ways, &faults), "1 mail; 1 mail failed; Slack failed: it answered 404");
        assert_eq!(summary(&[], &[]), "");
    }
}
