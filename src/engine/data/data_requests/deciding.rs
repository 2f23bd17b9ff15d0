//! What is done with a filed request: approved, rejected, withdrawn, run once more, extended.

use super::certificate;
use super::execute::Progress;
use super::{DataRequestView, Own, Private, about, seal, step, stored_day, unseal};
use crate::domain::access::{Permission, Role};
use crate::domain::data_requests::{State, Step, due_on, may_extend, needs_another};
use crate::domain::field;
use crate::domain::ids::DataRequestId;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::store::data_requests::{self as store, RequestRow};
use crate::engine::store::sql::Statement;

impl Engine {
    /// Approves a request; it is executed within seconds. `identity` says how the subject's identity was verified.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is not open to a decision, or another Admin has to decide (four eyes).
    pub async fn approve_data_request(
        &self,
        scope: &Scope,
        id: &DataRequestId,
        identity: Option<&str>,
    ) -> Result<DataRequestView> {
        let row = self.data_request_row(scope, id).await?;
        let is_alone = self.person_behind(scope).await? == row.filed_person;
        if is_alone && self.needs_another(scope, &row).await? {
            return Err(another_decides());
        }
        let decision = identity.map(|text| field::text("identity", text, 1, 500)).transpose()?;
        let decided = RequestRow { four_eyes: !is_alone, ..row.clone() };
        self.decide(scope, row.state, decided, Step::Approve, "data_request.approved", decision).await
    }

    async fn needs_another(&self, scope: &Scope, row: &RequestRow) -> Result<bool> {
        let members = self.members(scope).await?;
        let roles = members.iter().map(|member| (member.user_id.as_str(), member.role));
        Ok(needs_another(&row.filed_person, &row.admins, roles))
    }

    /// Whether the asker, an Admin, may approve a request, or another one has to (four eyes).
    ///
    /// # Errors
    /// [`Error::NotFound`] where the workspace has none of this id.
    pub async fn may_approve_data_request(&self, scope: &Scope, id: &DataRequestId) -> Result<bool> {
        let row = self.data_request_row(scope, id).await?;
        let is_filer = self.person_behind(scope).await? == row.filed_person;
        Ok(!is_filer || !self.needs_another(scope, &row).await?)
    }

    /// Rejects a request with a reason.
    ///
    /// # Errors
    /// The field `reason`; [`Error::Conflict`] where it is not open to a decision.
    pub async fn reject_data_request(
        &self,
        scope: &Scope,
        id: &DataRequestId,
        reason: &str,
    ) -> Result<DataRequestView> {
        let reason = field::text("reason", reason, 1, 2_000)?;
        let row = self.data_request_row(scope, id).await?;
        let ended = RequestRow { ended_at: Some(self.0.clock.now()), ..row.clone() };
        self.decide(scope, row.state, ended, Step::Reject, "data_request.rejected", Some(reason)).await
    }

    async fn decide(
        &self,
        scope: &Scope,
        from: State,
        mut row: RequestRow,
        way: Step,
        event: &str,
        decision: Option<String>,
    ) -> Result<DataRequestView> {
        let cell = self.cell(&scope.workspace)?;
        row.state = step(from, way)?;
        row.decided_by = Some(scope.actor.clone());
        let now = self.0.clock.now();
        row.decided_at = Some(now);
        let private = Private { decision, ..unseal(cell, &row).await? };
        seal(cell, &mut row, &private, Own::Filed, now).await?;
        self.keep_data_request(scope, &row, vec![store::update(&row, from)], event).await?;
        self.data_request_view(scope, row).await
    }

    /// Withdraws a request that has not begun. An Admin may withdraw any, others their own.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it has begun or ended; [`Error::Forbidden`] where it is another's.
    pub async fn cancel_data_request(&self, scope: &Scope, id: &DataRequestId) -> Result<DataRequestView> {
        let row = self.data_request_row(scope, id).await?;
        if scope.role != Role::Admin && self.person_behind(scope).await? != row.filed_person {
            return Err(Error::Forbidden(Permission::DecideDataRequests));
        }
        let ended = RequestRow { ended_at: Some(self.0.clock.now()), ..row.clone() };
        self.move_data_request(scope, ended, Step::Cancel, "data_request.cancelled").await
    }

    /// Lets a request run once more that failed, ended in part or was blocked by a hold.
    ///
    /// # Errors
    /// [`Error::Conflict`] in any other state.
    pub async fn retry_data_request(&self, scope: &Scope, id: &DataRequestId) -> Result<DataRequestView> {
        let row = self.data_request_row(scope, id).await?;
        let (from, state) = (row.state, step(row.state, Step::Retry)?);
        let progress = Some(Progress { earlier: certificate::runs(&row), ..Progress::default() }.json());
        let next = RequestRow { state, started_at: None, ended_at: None, progress, ..row };
        let changes = vec![store::update(&next, from), store::clear_items(id)];
        self.keep_data_request(scope, &next, changes, "data_request.retried").await?;
        self.data_request_view(scope, next).await
    }

    /// Moves the due date by two calendar months, of which the subject has to be told with the reason (GDPR article 12(3)).
    ///
    /// # Errors
    /// The field `reason`; [`Error::Conflict`] after the first month, a second time, or where the request has ended.
    pub async fn extend_data_request(
        &self,
        scope: &Scope,
        id: &DataRequestId,
        reason: &str,
    ) -> Result<DataRequestView> {
        let (reason, cell) = (field::text("reason", reason, 1, 2_000)?, self.cell(&scope.workspace)?);
        let mut row = self.data_request_row(scope, id).await?;
        let received = stored_day(&row.received_on)?;
        if !may_extend(received, row.extended, row.state, self.0.clock.now().date()) {
            let message = "A request is extended once, within its first month. Nothing was changed.";
            return Err(Error::Conflict(message.into()));
        }
        (row.extended, row.due_on) = (true, due_on(received, true).to_string());
        let private = Private { extension_reason: Some(reason), ..unseal(cell, &row).await? };
        seal(cell, &mut row, &private, Own::Filed, self.0.clock.now()).await?;
        let changes = vec![store::update(&row, row.state)];
        self.keep_data_request(scope, &row, changes, "data_request.extended").await?;
        self.data_request_view(scope, row).await
    }

    async fn move_data_request(
        &self,
        scope: &Scope,
        mut row: RequestRow,
        way: Step,
        event: &str,
    ) -> Result<DataRequestView> {
        let from = row.state;
        row.state = step(from, way)?;
        self.keep_data_request(scope, &row, vec![store::update(&row, from)], event).await?;
        self.data_request_view(scope, row).await
    }

    /// Keeps a request's change with its log entry. Of two who change at once, one does.
    pub(super) async fn keep_data_request(
        &self,
        scope: &Scope,
        row: &RequestRow,
        changes: Vec<Statement>,
        event: &str,
    ) -> Result<()> {
        let act = self.act(scope, event, about(row), changes).await?;
        self.submit_act(scope, act).await.map(|_| ()).map_err(|error| match error {
            Error::NotFound => {
                Error::Conflict("Somebody else was faster. Look again; nothing was changed.".into())
            }
            error => error,
        })
    }
}

fn another_decides() -> Error {
    let message = "Whoever filed a request does not approve it while there is another Admin, or a member who was one when it was filed. Nothing was changed; ask another Admin.";
    Error::Conflict(message.into())
}
