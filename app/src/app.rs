//! The document and its routes.

use leptos::config::LeptosOptions;
use leptos::hydration::HydrationScripts;
use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::{SsrMode, path};

use crate::ask::Ask;
use crate::components::problem::NotFound;
use crate::pages::{
    account::AccountPage,
    agent::AgentPage,
    agents::Agents,
    audit::Audit,
    audit::entry::AuditEntry,
    audit::proof::Proof,
    billing::Billing,
    caps::CapsPage,
    data_requests::{CertificatePage, DataRequestPage, DataRequests},
    generations::Generations,
    home::Home,
    invite::Invite,
    login::Login,
    members::Members,
    models::Models,
    models::model::ModelPage,
    overview::Overview,
    reference::Reference,
    retention::Retention,
    security::Security,
    settings::SettingsPage,
    setup::Setup,
    statement::StatementPage,
    usage::Usage,
    webhooks::{WebhookPage, Webhooks},
};

/// The HTML around each page.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let theme = Ask::here().and_then(|ask| ask.cookie("theme").map(str::to_owned));
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="preload" href="/fonts/inter-latin-wght-normal.woff2" r#as="font" type="font/woff2" crossorigin="anonymous"/>
                <link rel="stylesheet" href="/pkg/agentframer.css"/>
                <HydrationScripts options islands=true/>
                <MetaTags/>
            </head>
            <body>
                <a class="skip" href="#page">"Skip to the page"</a>
                <App/>
            </body>
        </html>
    }
}

/// Every page. Each is rendered whole before its first byte goes out, so that its status is right.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title formatter=|title: String| if title.is_empty() { "AgentFramer".into() } else { format!("{title} · AgentFramer") }/>
        <Router>
            <Routes fallback=NotFound>
                <Route path=path!("/") view=Home ssr=SsrMode::Async/>
                <Route path=path!("/setup") view=Setup ssr=SsrMode::Async/>
                <Route path=path!("/login") view=Login ssr=SsrMode::Async/>
                <Route path=path!("/invite/:token") view=Invite ssr=SsrMode::Async/>
                <Route path=path!("/reference") view=Reference ssr=SsrMode::Async/>
                <Route path=path!("/account") view=AccountPage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace") view=Overview ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/agents") view=Agents ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/agents/:agent") view=AgentPage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/audit") view=Audit ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/audit/proof") view=Proof ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/audit/:request") view=AuditEntry ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/generations") view=Generations ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/billing") view=Billing ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/billing/statement") view=StatementPage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/usage") view=Usage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/members") view=Members ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/caps") view=CapsPage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/webhooks") view=Webhooks ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/webhooks/:webhook") view=WebhookPage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/settings") view=SettingsPage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/models") view=Models ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/data-requests") view=DataRequests ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/data-requests/:data_request") view=DataRequestPage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/data-requests/:data_request/certificate") view=CertificatePage ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/retention") view=Retention ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/security") view=Security ssr=SsrMode::Async/>
                <Route path=path!("/w/:workspace/models/*model") view=ModelPage ssr=SsrMode::Async/>
            </Routes>
        </Router>
    }
}
