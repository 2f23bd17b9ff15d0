//! Webhook endpoints: made, changed, looked at and deleted, and their secrets rotated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::field::FieldError;
use crate::domain::ids::WebhookId;
use crate::domain::time::{HOUR, Time};
use crate::domain::webhooks::endpoint::{self, Format, in_log};
use crate::domain::webhooks::progress::Progress;
use crate::domain::webhooks::signature;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
pub use crate::engine::store::webhooks::EndpointState;
use crate::engine::store::webhooks::{self, EndpointRow};
use crate::engine::webhooks::health::Health;
use crate::engine::webhooks::secrets::Secrets;
use crate::engine::{Engine, random};

/// Endpoints that a workspace may have.
const MOST: usize = 50;
/// Stands for a header's value, which may be secret.
const HIDDEN: &str = "••••";
/// The longest overlap of a secret's rotation in hours.
const LONGEST_OVERLAP: i64 = 168;

/// An endpoint to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// Where to: https, unless the operator allows private addresses.
    pub url: String,
    /// `generic`, `datadog` or `splunk_hec`.
    pub format: String,
    /// With what the receiver knows us; needed by Datadog and Splunk.
    #[serde(default)]
    pub token: Option<String>,
    /// Names of events; all, where empty or absent.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// Headers of your own.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
}

/// A change of an endpoint: an absent field stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointChange {
    /// See [`NewEndpoint::url`].
    pub url: Option<String>,
    /// See [`NewEndpoint::token`].
    pub token: Option<String>,
    /// See [`NewEndpoint::events`].
    pub events: Option<Vec<String>>,
    /// See [`NewEndpoint::headers`]; takes the place of all headers.
    pub headers: Option<BTreeMap<String, String>>,
    /// `active` or `paused`.
    pub state: Option<String>,
}

/// An endpoint as people see it: nothing secret.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointView {
    /// Its id.
    pub id: WebhookId,
    /// Where to.
    pub url: String,
    /// How.
    pub format: Format,
    /// Names of events; empty for all.
    pub events: Vec<String>,
    /// The user's own headers; their values only in the answer that makes the endpoint.
    pub headers: BTreeMap<String, String>,
    /// Whether events go out.
    pub state: EndpointState,
    /// Why they do not.
    pub reason: Option<String>,
    /// When the secret before a rotation stops signing.
    pub previous_secret_ends_at: Option<Time>,
    /// How it does.
    pub health: Health,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Time,
}

/// A new endpoint with its secret, which is shown once.
#[derive(Debug, Clone, Serialize)]
pub struct MadeEndpoint {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// `whsec_…`
    pub secret: String,
}

/// A rotation's answer.
#[derive(Debug, Clone, Serialize)]
pub struct RotatedSecret {
    /// The new secret, shown once.
    pub secret: String,
    /// Until when the one before it signs too.
    pub previous_ends_at: Time,
}

impl Engine {
    /// A workspace's endpoints.
    ///
    /// # Errors
    /// The database's own.
    pub async fn webhooks(&self, scope: &Scope) -> Result<Vec<EndpointView>> {
        let db = &self.cell(&scope.workspace)?.db;
        let mut views = Vec::new();
        for row in webhooks::list(db, &scope.workspace.id).await? {
            views.push(self.endpoint_view(scope, row).await?);
        }
        Ok(views)
    }

    /// One endpoint.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn webhook(&self, scope: &Scope, id: &WebhookId) -> Result<EndpointView> {
        let row = self.endpoint_row(scope, id).await?;
        self.endpoint_view(scope, row).await
    }

    /// Makes an endpoint; it gets what happens from now on.
    ///
    /// # Errors
    /// Names the field.
    pub async fn create_webhook(&self, scope: &Scope, new: NewEndpoint) -> Result<MadeEndpoint> {
        let (cell, now) = (self.cell(&scope.workspace)?, self.0.clock.now());
        if webhooks::list(&cell.db, &scope.workspace.id).await?.len() >= MOST {
            return Err(Error::Conflict(format!(
                "A workspace has at most {MOST} webhooks. Delete one first."
            )));
        }
        let format: Format = new.format.parse()?;
        let url = endpoint::url(&new.url, format, self.0.config.webhooks.allow_private_addresses)?;
        let token = new.token.filter(|token| !token.is_empty());
        endpoint::token(format, token.as_deref())?;
        let headers = new.headers.unwrap_or_default();
        check_headers(&headers)?;
        let id: WebhookId = random::id(now);
        let secrets =
            Secrets { secret: signature::secret(random::bytes()), old_secret: None, token, headers };
        let (key_id, sealed) = secrets.seal(cell, &scope.workspace.id, &id, now).await?;
        let row = EndpointRow {
            id,
            workspace_id: scope.workspace.id.clone(),
            url: url.into(),
            format,
            events: endpoint::events(&new.events.unwrap_or_default())?,
            key_id,
            sealed,
            old_secret_ends_at: None,
            state: EndpointState::Active,
            reason: None,
            cursor: 0,
            progress: Progress { batch: format.limits().events, ..Progress::default() },
            retry_to: None,
            revision: 0,
            created_by: scope.actor.clone(),
            created_at: now,
        };
        let data = json!({ "id": row.id, "url": in_log(&row.url), "format": format, "events": row.events });
        let act = self.act(scope, "webhook.created", data, vec![webhooks::insert(&row)]).await?;
        self.submit_act(scope, act).await?;
        let endpoint = self.webhook(scope, &row.id).await?;
        let endpoint = EndpointView { headers: secrets.headers, ..endpoint };
        Ok(MadeEndpoint { endpoint, secret: secrets.secret })
    }

    /// Changes, pauses or resumes an endpoint; its next attempt is now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where somebody else changed it meanwhile; names the field.
    pub async fn change_webhook(
        &self,
        scope: &Scope,
        id: &WebhookId,
        change: EndpointChange,
    ) -> Result<EndpointView> {
        let (cell, before) = (self.cell(&scope.workspace)?, self.endpoint_row(scope, id).await?);
        let mut row = before.clone();
        if let Some(url) = &change.url {
            row.url = endpoint::url(url, row.format, self.0.config.webhooks.allow_private_addresses)?.into();
        }
        if let Some(events) = &change.events {
            row.events = endpoint::events(events)?;
        }
        if let Some(state) = &change.state {
            row.state = read_state(state)?;
            row.reason = (row.state == EndpointState::Paused).then(|| "paused by an Admin".to_owned());
        }
        let mut changed_secrets = Vec::new();
        if change.token.is_some() || change.headers.is_some() {
            let mut secrets = Secrets::open(cell, &row).await?;
            if let Some(token) = change.token.filter(|token| !token.is_empty()) {
                endpoint::token(row.format, Some(&token))?;
                secrets.token = Some(token);
                changed_secrets.push("token");
            }
            if let Some(headers) = change.headers {
                check_headers(&headers)?;
                secrets.headers = headers;
                changed_secrets.push("headers");
            }
            (row.key_id, row.sealed) = secrets.seal(cell, &row.workspace_id, id, self.0.clock.now()).await?;
        }
        let told =
            |row: &EndpointRow| json!({ "url": in_log(&row.url), "events": row.events, "state": row.state });
        let data = json!({ "id": id, "from": told(&before), "to": told(&row), "changed": changed_secrets });
        let act = self.act(scope, "webhook.changed", data, vec![webhooks::update(&row)]).await?;
        self.submit_act(scope, act).await.map_err(changed_meanwhile)?;
        self.webhook(scope, id).await
    }

    /// Deletes an endpoint with its delivery log, of which nothing is shown any more; a job removes its rows.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_webhook(&self, scope: &Scope, id: &WebhookId) -> Result<()> {
        let row = self.endpoint_row(scope, id).await?;
        let data = json!({ "id": id, "url": in_log(&row.url) });
        let act =
            self.act(scope, "webhook.deleted", data, vec![webhooks::delete(&scope.workspace.id, id)]).await?;
        self.submit_act(scope, act).await.map(drop)
    }

    /// Makes a new secret; the one before it signs too for `overlap_hours` (0 to 168, 24 where absent).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where somebody else changed it meanwhile; the field `overlap_hours`.
    pub async fn rotate_webhook_secret(
        &self,
        scope: &Scope,
        id: &WebhookId,
        overlap_hours: Option<i64>,
    ) -> Result<RotatedSecret> {
        let hours = overlap_hours.unwrap_or(24);
        if !(0..=LONGEST_OVERLAP).contains(&hours) {
            let message = format!("is not a number of hours from 0 to {LONGEST_OVERLAP}");
            return Err(FieldError::new("overlap_hours", message).into());
        }
        let (cell, mut row) = (self.cell(&scope.workspace)?, self.endpoint_row(scope, id).await?);
        let (now, mut secrets) = (self.0.clock.now(), Secrets::open(cell, &row).await?);
        let fresh = signature::secret(random::bytes());
        secrets.old_secret = Some(std::mem::replace(&mut secrets.secret, fresh.clone()));
        let ends_at = now.plus(hours * HOUR);
        row.old_secret_ends_at = Some(ends_at);
        (row.key_id, row.sealed) = secrets.seal(cell, &row.workspace_id, id, now).await?;
        let data = json!({ "id": id, "url": in_log(&row.url), "previous_ends_at": ends_at });
        let act = self.act(scope, "webhook.secret_rotated", data, vec![webhooks::update(&row)]).await?;
        self.submit_act(scope, act).await.map_err(changed_meanwhile)?;
        Ok(RotatedSecret { secret: fresh, previous_ends_at: ends_at })
    }

    pub(super) async fn endpoint_row(&self, scope: &Scope, id: &WebhookId) -> Result<EndpointRow> {
        let db = &self.cell(&scope.workspace)?.db;
        webhooks::get(db, &scope.workspace.id, id).await?.ok_or(Error::NotFound)
    }

    async fn endpoint_view(&self, scope: &Scope, row: EndpointRow) -> Result<EndpointView> {
        let (cell, now) = (self.cell(&scope.workspace)?, self.0.clock.now());
        let headers = Secrets::open(cell, &row).await?.headers;
        let headers = headers.into_keys().map(|name| (name, HIDDEN.to_owned())).collect();
        let health = self.health(scope, &row).await?;
        Ok(EndpointView {
            headers,
            health,
            previous_secret_ends_at: row.old_secret_ends_at.filter(|end| *end > now),
            id: row.id,
            url: row.url,
            format: row.format,
            events: row.events,
            state: row.state,
            reason: row.reason,
            created_by: row.created_by,
            created_at: row.created_at,
        })
    }
}

/// The endpoint was there when it was read.
fn changed_meanwhile(error: Error) -> Error {
    match error {
        Error::NotFound => Error::Conflict(
            "Somebody else, or the receiver’s answer, changed this webhook at the same moment. Nothing was changed; look at it and try again."
                .into(),
        ),
        error => error,
    }
}

fn check_headers(headers: &BTreeMap<String, String>) -> std::result::Result<(), FieldError> {
    if headers.len() > 20 {
        return Err(FieldError::new("headers", "has more than 20 headers"));
    }
    headers.iter().try_for_each(|(name, value)| endpoint::header(name, value))
}

fn read_state(text: &str) -> std::result::Result<EndpointState, FieldError> {
    match text {
        "active" => Ok(EndpointState::Active),
        "paused" => Ok(EndpointState::Paused),
        _ => Err(FieldError::new("state", "is not a state; choose active or paused")),
    }
}
