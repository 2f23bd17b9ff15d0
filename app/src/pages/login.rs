//! `/login`

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use crate::actions::SignIn;
use crate::components::field::{Field, Said};
use crate::components::frame::page;

/// Signing in with e-mail and password.
#[component]
pub fn Login() -> impl IntoView {
    page(|ask| async move {
        if ask.engine.setup_pending().await? {
            return Ok(no_account());
        }
        let (flash, next) = (ask.flash(), ask.query("next"));
        let is_sent_here = next.is_some() && flash.problem.is_none();
        Ok(view! {
            <Title text="Sign in"/>
            <main class="alone" id="page">
                <h1>"Sign in"</h1>
                <Said flash=flash.clone()/>
                {is_sent_here.then(|| view! { <p class="muted">"Sign in to go on. A session ends after 12 hours without use."</p> })}
                <form method="post" action=SignIn::url() class="stack">
                    {next.map(|next| view! { <input type="hidden" name="next" value=next/> })}
                    <input type="hidden" name="kept" value=flash.value("kept")/>
                    <Field name="email" label="E-mail" kind="email" autocomplete="username" flash=flash.clone()/>
                    <Field name="password" label="Password" kind="password" autocomplete="current-password" flash=flash/>
                    <button class="btn first">"Sign in"</button>
                </form>
                <p class="muted">"No account? An Admin of your team invites you by e-mail."</p>
            </main>
        }
        .into_any())
    })
}

fn no_account() -> AnyView {
    view! {
        <Title text="Not set up"/>
        <main class="alone" id="page">
            <h1>"Nobody has an account yet"</h1>
            <p>"The server printed a set-up link when it started. Open that link to make the first account."</p>
        </main>
    }
    .into_any()
}
