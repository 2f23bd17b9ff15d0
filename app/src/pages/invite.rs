//! `/invite/{token}`: joining a workspace.

use agentframer::engine::access::members::InvitationView;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use crate::actions::AcceptInvitation;
use crate::components::field::{Field, Said};
use crate::components::frame::page;
use crate::components::when::When;
use crate::flash::Flash;

/// What the invitation is for, and the way in.
#[component]
pub fn Invite() -> impl IntoView {
    page(|ask| async move {
        let (flash, token) = (ask.flash(), ask.segment(1).to_owned());
        let invitation = ask.engine.invitation(&token).await?;
        let signed_in = match &ask.info.user {
            Some(id) => ask.engine.user(id).await?.is_some_and(|user| user.email == invitation.email),
            None => false,
        };
        let line = format!("You join as {} with {}.", invitation.role.title(), invitation.email);
        let ends = invitation.expires_at;
        Ok(view! {
            <Title text="Invitation"/>
            <main class="alone" id="page">
                <h1>{format!("Join {}", invitation.workspace_name)}</h1>
                <p class="muted">{line}" The link works until "<When at=ends/>"."</p>
                <Said flash=flash.clone()/>
                {way_in(&invitation, &token, signed_in, flash)}
            </main>
        }
        .into_any())
    })
}

fn way_in(invitation: &InvitationView, token: &str, signed_in: bool, flash: Flash) -> AnyView {
    if invitation.has_account && !signed_in {
        let href = format!("/login?next=/invite/{token}");
        return view! { <a class="btn first" href=href>{format!("Sign in as {}", invitation.email)}</a> }
            .into_any();
    }
    let fields = (!invitation.has_account).then(|| view! {
        <Field name="name" label="Your name" autocomplete="name" flash=flash.clone()/>
        <Field name="password" label="Password" kind="password" autocomplete="new-password" hint="At least 12 characters. A sentence is fine." flash=flash/>
    });
    view! {
        <form method="post" action=AcceptInvitation::url() class="stack">
            <input type="hidden" name="token" value=token.to_owned()/>
            {fields}
            <button class="btn first">"Join"</button>
        </form>
    }
    .into_any()
}
