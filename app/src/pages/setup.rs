//! `/setup`: the first account, by the link that the server prints.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use crate::actions::SetUp;
use crate::components::field::{Field, RegionChoice, Said};
use crate::components::frame::page;

/// The first account and its workspace.
#[component]
pub fn Setup() -> impl IntoView {
    page(|ask| async move {
        let (flash, token) = (ask.flash(), ask.query("token").unwrap_or_default());
        ask.engine.check_setup_token(&token).await?;
        Ok(view! {
            <Title text="Set up"/>
            <main class="alone" id="page">
                <h1>"Set up AgentFramer"</h1>
                <p class="muted">"You become the first Admin. This link works once."</p>
                <Said flash=flash.clone()/>
                <form method="post" action=SetUp::url() class="stack">
                    <input type="hidden" name="token" value=token/>
                    <Field name="name" label="Your name" autocomplete="name" flash=flash.clone()/>
                    <Field name="email" label="E-mail" kind="email" autocomplete="username" flash=flash.clone()/>
                    <Field name="password" label="Password" kind="password" autocomplete="new-password" hint="At least 12 characters. A sentence is fine." flash=flash.clone()/>
                    <Field name="workspace_name" label="First workspace" hint="One for each team or budget, such as Growth." flash=flash.clone()/>
                    <RegionChoice flash=flash/>
                    <button class="btn first">"Create account and workspace"</button>
                </form>
            </main>
        }
        .into_any())
    })
}
