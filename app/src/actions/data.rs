//! Requests of data subjects: filed after a look at what they match, decided, withdrawn, tried again.
#![expect(clippy::too_many_arguments, reason = "a form's fields are its function's arguments")]

use agentframer::domain::access::Permission;
use agentframer::domain::data_requests::Match;
use agentframer::domain::field::FieldError;
use agentframer::domain::ids::DataRequestId;
use agentframer::domain::time::{DAY, Time};
use agentframer::engine::access::scope::Scope;
use agentframer::engine::data::data_requests::NewDataRequest;
use agentframer::engine::error::{Error, Result};
use leptos::prelude::server;

use super::{Answer, Next, answer, at_input, here};
use crate::ask::Ask;
use crate::flash::Flash;

/// The button that only looks.
pub const PREVIEW: &str = "preview";

/// A request as the form has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestForm {
    pub kind: String,
    pub subject: String,
    pub user_id: String,
    pub request_ids: String,
    pub prompt_text: String,
    pub from: String,
    pub to: String,
    pub received_on: String,
    pub requested_by: String,
    pub note: String,
}

impl RequestForm {
    /// What was typed, with the names of the inputs.
    fn kept(&self) -> [(&'static str, &str); 10] {
        [
            ("kind", &self.kind),
            ("subject", &self.subject),
            ("user_id", &self.user_id),
            ("request_ids", &self.request_ids),
            ("prompt_text", &self.prompt_text),
            ("from", &self.from),
            ("to", &self.to),
            ("received_on", &self.received_on),
            ("requested_by", &self.requested_by),
            ("note", &self.note),
        ]
    }

    /// What the form before this page kept.
    pub fn of(flash: &Flash) -> Self {
        Self {
            kind: flash.value("kind"),
            subject: flash.value("subject"),
            user_id: flash.value("user_id"),
            request_ids: flash.value("request_ids"),
            prompt_text: flash.value("prompt_text"),
            from: flash.value("from"),
            to: flash.value("to"),
            received_on: flash.value("received_on"),
            requested_by: flash.value("requested_by"),
            note: flash.value("note"),
        }
    }

    /// As the engine takes it. Days are whole days in UTC, the last one included.
    pub fn read(&self) -> Result<NewDataRequest> {
        let ids: Vec<String> = self.request_ids.split([',', ' ', '\n', '\r']).map(str::to_owned).collect();
        let ids: Vec<String> = ids.into_iter().filter(|id| !id.is_empty()).collect();
        Ok(NewDataRequest {
            kind: self.kind.clone(),
            matching: Match {
                subject: given(&self.subject),
                user_id: given(&self.user_id),
                request_ids: Some(ids).filter(|ids| !ids.is_empty()),
                prompt_text: given(&self.prompt_text).map(|text| text.replace("\r\n", "\n")),
                from: day("from", &self.from)?,
                to: day("to", &self.to)?.map(|day| day.plus(DAY)),
            },
            received_on: self.received_on.clone(),
            requested_by: self.requested_by.clone(),
            note: given(&self.note),
        })
    }
}

fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.trim().is_empty())
}

fn day(field: &str, text: &str) -> Result<Option<Time>> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = Time::parse(&format!("{text}T00:00:00Z"));
    Ok(Some(day.ok_or_else(|| FieldError::new(field, "is not a day such as 2026-01-31"))?))
}

/// Files a request, or with `step` = `preview` shows what it matches and stores nothing.
#[server(endpoint = "file_data_request")]
pub async fn file_data_request(
    workspace: String,
    step: String,
    kind: String,
    subject: String,
    user_id: String,
    request_ids: String,
    prompt_text: String,
    from: String,
    to: String,
    received_on: String,
    requested_by: String,
    note: String,
) -> Answer {
    let ask = here()?;
    let form = RequestForm {
        kind,
        subject,
        user_id,
        request_ids,
        prompt_text,
        from,
        to,
        received_on,
        requested_by,
        note,
    };
    let done = async {
        let scope = ask.scope(&workspace, Permission::FileDataRequests).await?;
        if step == PREVIEW { look(&ask, &scope, &form).await } else { file(&ask, &scope, &form).await }
    };
    answer(&ask, done.await, &form.kept())
}

/// The page looks once more, with what was typed; nothing about a subject stands in a URL or is stored.
async fn look(ask: &Ask, scope: &Scope, form: &RequestForm) -> Result<Next> {
    ask.engine.preview_data_request(scope, form.read()?).await?;
    let kept = form.kept().into_iter().chain([("step", PREVIEW)]);
    let flash = Flash {
        kept: kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..Flash::default()
    };
    if !flash.fits() {
        let message = "is too long to be looked at first; give the calls’ request ids, or file it by REST";
        return Err(FieldError::new("prompt_text", message).into());
    }
    Ok(Next::saying(format!("/w/{}/data-requests", scope.workspace.id), flash))
}

async fn file(ask: &Ask, scope: &Scope, form: &RequestForm) -> Result<Next> {
    let filed = ask.engine.file_data_request(scope, form.read()?).await?;
    let text = "Filed. An Admin decides; nothing was changed so far.";
    Ok(Next::saying(own_page(scope, &filed.id), Flash::done(text)))
}

fn own_page(scope: &Scope, id: &DataRequestId) -> String {
    format!("/w/{}/data-requests/{id}", scope.workspace.id)
}

async fn right(ask: &Ask, workspace: &str, request: &str, to: Permission) -> Result<(Scope, DataRequestId)> {
    let scope = ask.scope(workspace, to).await?;
    Ok((scope, request.parse().map_err(|_| Error::NotFound)?))
}

/// Approves a request.
#[server(endpoint = "approve_data_request")]
pub async fn approve_data_request(workspace: String, request: String, identity: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = right(&ask, &workspace, &request, Permission::DecideDataRequests).await?;
        ask.engine.approve_data_request(&scope, &id, given(&identity).as_deref()).await?;
        let text = "Approved. It runs within seconds; load this page again to see how far it is.";
        Ok(Next::saying(own_page(&scope, &id), Flash::done(text)))
    };
    answer(&ask, done.await, &[("identity", &identity)])
}

/// Rejects a request with a reason.
#[server(endpoint = "reject_data_request")]
pub async fn reject_data_request(workspace: String, request: String, reason: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = right(&ask, &workspace, &request, Permission::DecideDataRequests).await?;
        ask.engine.reject_data_request(&scope, &id, &reason).await?;
        Ok(Next::saying(own_page(&scope, &id), Flash::done("Rejected. Nothing was deleted or handed out.")))
    };
    answer(&ask, done.await, &[("reason", &reason)])
}

/// Moves the due date by two months.
#[server(endpoint = "extend_data_request")]
pub async fn extend_data_request(workspace: String, request: String, extension: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = right(&ask, &workspace, &request, Permission::DecideDataRequests).await?;
        // The page has two reasons; each error stands at its own.
        let extended = ask.engine.extend_data_request(&scope, &id, &extension).await;
        let extended = extended.map_err(|error| at_input(error, "reason", "extension"))?;
        let text = format!("Due on {} now. Tell the person, with the reason.", extended.due_on);
        Ok(Next::saying(own_page(&scope, &id), Flash::done(text)))
    };
    answer(&ask, done.await, &[("extension", &extension)])
}

/// Withdraws a request that has not begun.
#[server(endpoint = "cancel_data_request")]
pub async fn cancel_data_request(workspace: String, request: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = right(&ask, &workspace, &request, Permission::FileDataRequests).await?;
        ask.engine.cancel_data_request(&scope, &id).await?;
        Ok(Next::saying(own_page(&scope, &id), Flash::done("Withdrawn. Nothing was deleted or handed out.")))
    };
    answer(&ask, done.await, &[])
}

/// Lets a request run once more.
#[server(endpoint = "retry_data_request")]
pub async fn retry_data_request(workspace: String, request: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = right(&ask, &workspace, &request, Permission::DecideDataRequests).await?;
        ask.engine.retry_data_request(&scope, &id).await?;
        Ok(Next::saying(own_page(&scope, &id), Flash::done("It runs once more within seconds.")))
    };
    answer(&ask, done.await, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_rest_takes_it() {
        let form = RequestForm {
            request_ids: "req_1, req_2\r\nreq_3".into(),
            prompt_text: "two\r\nlines".into(),
            from: "2026-01-01".into(),
            to: "2026-01-31".into(),
            subject: " ".into(),
            ..RequestForm::default()
        };
        let matching = form.read().unwrap().matching;
        assert_eq!(matching.request_ids.unwrap(), ["req_1", "req_2", "req_3"]);
        assert_eq!((matching.subject, matching.prompt_text.as_deref()), (None, Some("two\nlines")));
        assert_eq!(matching.to.unwrap(), Time::parse("2026-02-01T00:00:00Z").unwrap());
        let wrong = RequestForm { from: "soon".into(), ..RequestForm::default() };
        assert!(matches!(wrong.read(), Err(Error::Field(fault)) if fault.field == "from"));
    }
}
