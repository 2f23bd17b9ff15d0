//! What the reader can do with a request, by role and state.

use agentframer::domain::access::Permission;
use agentframer::domain::data_requests::{State, Step};
use agentframer::engine::access::scope::Scope;
use agentframer::engine::data::data_requests::DataRequestView;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{
    ApproveDataRequest, CancelDataRequest, ExtendDataRequest, RejectDataRequest, RetryDataRequest,
};
use crate::components::field::Field;
use crate::flash::Flash;

/// Who looks.
pub struct Reader {
    pub scope: Scope,
    pub is_filer: bool,
    /// Whether no other Admin has to approve it (four eyes).
    pub may_approve: bool,
    /// Admins of the workspace.
    pub admins: usize,
}

impl Reader {
    fn decides(&self) -> bool {
        self.scope.role.may(Permission::DecideDataRequests)
    }
}

/// The forms that lead on from here.
pub fn decide(reader: &Reader, request: &DataRequestView, flash: Flash) -> impl IntoView + use<> {
    let leads = |step| request.state.after(step).is_ok();
    let names = Names { workspace: reader.scope.workspace.id.to_string(), request: request.id.to_string() };
    let approve = (leads(Step::Approve)).then(|| approval(reader, &names, &flash).into_any());
    let reject = (reader.decides() && leads(Step::Reject)).then(|| rejection(&names, &flash).into_any());
    let extend = (reader.decides() && request.may_extend).then(|| extension(&names, &flash).into_any());
    let retry = (reader.decides() && leads(Step::Retry)).then(|| {
        view! { <form method="post" action=RetryDataRequest::url()>{names.inputs()}<button class="btn">"Run once more"</button></form> }
    });
    let cancel = ((reader.decides() || reader.is_filer) && leads(Step::Cancel)).then(|| {
        view! { <form method="post" action=CancelDataRequest::url()>{names.inputs()}<button class="btn">"Withdraw"</button></form> }
    });
    let buttons =
        (retry.is_some() || cancel.is_some()).then(|| view! { <div class="row">{retry}{cancel}</div> });
    let running = (request.state == State::Running || request.state == State::Approved)
        .then(|| view! { <p class="muted">"Load this page again to see how far it is. It goes on without you."</p> });
    view! { {running} {approve} {reject} {extend} {buttons} }
}

struct Names {
    workspace: String,
    request: String,
}

impl Names {
    fn inputs(&self) -> impl IntoView + use<> {
        view! {
            <input type="hidden" name="workspace" value=self.workspace.clone()/>
            <input type="hidden" name="request" value=self.request.clone()/>
        }
    }
}

fn approval(reader: &Reader, names: &Names, flash: &Flash) -> impl IntoView + use<> {
    if !reader.decides() {
        return view! { <p class="note">"An Admin decides about this request."</p> }.into_any();
    }
    if !reader.may_approve {
        return view! { <p class="note"><span class="tag warn">"four eyes"</span>"You filed this request: another Admin has to approve it, as long as somebody belongs to the workspace who is one or was one then."</p> }.into_any();
    }
    let alone = (reader.admins == 1).then(|| {
        view! { <p class="note"><span class="tag warn">"one Admin"</span>"This workspace has one Admin: nobody else can look at your decision. The certificate says whether one person or two stood behind it."</p> }
    });
    view! {
        <section class="card">
            <header><h2>"Approve"</h2></header>
            <form method="post" action=ApproveDataRequest::url() class="in stack narrow">
                {names.inputs()}
                {alone}
                <Field name="identity" label="How the person’s identity was verified" required=false hint="Such as: passport seen on 3 May. Kept encrypted." flash=flash.clone()/>
                <div><button class="btn first">"Approve and run"</button></div>
            </form>
        </section>
    }
    .into_any()
}

fn rejection(names: &Names, flash: &Flash) -> impl IntoView + use<> {
    let is_open = flash.is_about(&["reason"]);
    view! {
        <details class="card" open=is_open>
            <summary class="in"><b>"Reject"</b></summary>
            <form method="post" action=RejectDataRequest::url() class="in stack narrow">
                {names.inputs()}
                <Field name="reason" label="Reason" hint="Tell it to the person too, with the right to complain to an authority." flash=flash.clone()/>
                <div><button class="btn">"Reject"</button></div>
            </form>
        </details>
    }
}

fn extension(names: &Names, flash: &Flash) -> impl IntoView + use<> {
    let is_open = flash.is_about(&["extension"]);
    view! {
        <details class="card" open=is_open>
            <summary class="in"><b>"Extend the due date by two months"</b></summary>
            <form method="post" action=ExtendDataRequest::url() class="in stack narrow">
                {names.inputs()}
                <Field name="extension" label="Reason" hint="Once, within the first month; the person has to be told (GDPR article 12(3))." flash=flash.clone()/>
                <div><button class="btn">"Extend"</button></div>
            </form>
        </details>
    }
}
