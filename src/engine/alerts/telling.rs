//! How people hear of something: by mail and in Slack.

use std::time::Duration;

use serde_json::json;

use crate::domain::access::Role;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store::alerts;
use crate::engine::store::own_mail::Mail;

/// To answer.
const PATIENCE: Duration = Duration::from_secs(15);

impl Engine {
    /// Tells the recipients that the workspace chose, its Admins by default, and its Slack channel. What fails is said in
    /// the answer, way by way, and does not fail the rest.
    pub(in crate::engine) async fn tell(
        &self,
        scope: &Scope,
        subject: &str,
        text: &str,
    ) -> Result<Vec<String>> {
        let (settings, _) = alerts::settings(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await?;
        let recipients = match settings.recipients {
            chosen if !chosen.is_empty() => chosen,
            _ => self.addresses(scope, Role::Admin, Mail::Alerts).await?,
        };
        let mut ways = Vec::new();
        let subject = format!("{subject}: {}", scope.workspace.name);
        let link = format!("{}/w/{}", self.0.config.public_url(), scope.workspace.id);
        for to in &recipients {
            let sent = self.0.mailer.send(to, &subject, format!("{text}\n\n{link}\n")).await;
            ways.push(if sent.is_ok() { "mail" } else { "mail failed" });
        }
        let mut told = summary(&ways);
        if let Some(url) = self.slack_url(scope).await? {
            let posted = self.post_to_slack(&url, &format!("*{subject}*\n{text}\n{link}")).await;
            told.push(posted.map_or_else(|why| format!("Slack failed: {why}"), |()| "Slack".to_owned()));
        }
        Ok(told)
    }

    /// As [`Engine::tell`], where nobody looks at the ways.
    pub(in crate::engine) async fn tell_admins(
        &self,
        scope: &Scope,
        subject: &str,
        text: &str,
    ) -> Result<()> {
        self.tell(scope, subject, text).await.map(drop)
    }

    /// The workspace's Slack webhook.
    pub(super) async fn slack_url(&self, scope: &Scope) -> Result<Option<String>> {
        let (cell, id) = (self.cell(&scope.workspace)?, &scope.workspace.id);
        let (_, Some((key, sealed))) = alerts::settings(&cell.db, id).await? else { return Ok(None) };
        cell.sealer.open_prompt(id, &key, "slack", &sealed).await
    }

    /// Posts one message to Slack's incoming webhook.
    pub(super) async fn post_to_slack(&self, url: &str, text: &str) -> std::result::Result<(), String> {
        let message = json!({ "text": text });
        let posting = self.0.sender.post_json(url, &message);
        match tokio::time::timeout(PATIENCE, posting).await {
            Ok(Ok(200)) => Ok(()),
            Ok(Ok(status)) => Err(format!("it answered {status}")),
            Ok(Err(why)) => Err(why),
            Err(_) => Err("no answer within 15 seconds".into()),
        }
    }
}

/// `3 mails`, `1 mail failed`.
fn summary(ways: &[&str]) -> Vec<String> {
    let count = |way: &str| ways.iter().filter(|other| **other == way).count();
    let said = ["mail", "mail failed"].into_iter().filter(|way| count(way) > 0);
    said.map(|way| format!("{} {}", count(way), if way == "mail" && count(way) > 1 { "mails" } else { way }))
        .collect()
}
