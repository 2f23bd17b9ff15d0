//! Pages for what cannot be shown.

use agentframer::engine::error::Error;
use http::{Method, StatusCode};
use leptos::prelude::*;
use leptos_meta::Title;

use crate::ask::{Ask, login};

/// The page of an unknown path, and of one that the reader may not know of.
#[component]
pub fn NotFound() -> impl IntoView {
    if Ask::here().is_some_and(|ask| ask.parts.method == Method::POST) {
        return view! { <NotDone/> }.into_any();
    }
    view! {
        <Title text="Not found"/>
        <main class="alone" id="page">
            <h1>"There is no such page"</h1>
            <p class="muted">"It does not exist, or your account has no access to it. If somebody sent you here, ask an Admin of that workspace."</p>
            <a class="btn first" href="/">"To your workspaces"</a>
        </main>
    }
    .into_any()
}

/// The answer to a form that the reader may not send, or whose thing is gone.
#[component]
fn NotDone() -> impl IntoView {
    view! {
        <Title text="Not done"/>
        <main class="alone" id="page">
            <h1>"This was not done"</h1>
            <p class="muted">"Your role may have changed since you opened the page, or what it was about is gone. Nothing was changed and no money moved. If you need it, ask an Admin of that workspace; the page before still has what you typed."</p>
            <a class="btn first" href="/">"To your workspaces"</a>
        </main>
    }
}

/// What a page shows instead of itself.
pub fn problem(ask: &Ask, error: &Error) -> AnyView {
    match error {
        Error::Unauthenticated => {
            let path = ask.parts.uri.path_and_query().map_or("/", |path| path.as_str());
            ask.redirect(&login(path));
            ().into_any()
        }
        Error::NotFound | Error::Forbidden(_) => {
            ask.response.set_status(StatusCode::NOT_FOUND);
            view! { <NotFound/> }.into_any()
        }
        Error::Field(_) | Error::Ended(_) | Error::Conflict(_) => broken(ask, StatusCode::BAD_REQUEST, error),
        Error::WrongRegion(_) => broken(ask, StatusCode::MISDIRECTED_REQUEST, error),
        Error::TooMany { .. } => broken(ask, StatusCode::TOO_MANY_REQUESTS, error),
        Error::Unavailable(_) => broken(ask, StatusCode::SERVICE_UNAVAILABLE, error),
        Error::Internal => broken(ask, StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

fn broken(ask: &Ask, status: StatusCode, error: &Error) -> AnyView {
    ask.response.set_status(status);
    let request = ask.info.request_id.to_string();
    view! {
        <Title text="Problem"/>
        <main class="alone" id="page">
            <h1>"This page cannot be shown"</h1>
            <p>{error.to_string()}</p>
            <p class="muted">"No money moved. Request " <code class="mono">{request}</code></p>
            <a class="btn first" href="/">"To your workspaces"</a>
        </main>
    }
    .into_any()
}

/// A whole document for what is refused before, or fails outside, the app.
pub fn refusal(title: &str, detail: &str, request: Option<&str>) -> String {
    let (title, detail) = (title.to_owned(), detail.to_owned());
    let request =
        request.map(|id| view! { <p class="muted">"Request " <code class="mono">{id.to_owned()}</code></p> });
    let page = view! {
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <title>{format!("{title} · AgentFramer")}</title>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="stylesheet" href="/pkg/agentframer.css"/>
            </head>
            <body>
                <main class="alone" id="page">
                    <h1>{title.clone()}</h1>
                    <p>{detail}</p>
                    {request}
                    <a class="btn first" href="/">"To your workspaces"</a>
                </main>
            </body>
        </html>
    };
    format!("<!DOCTYPE html>{}", page.to_html())
}
