//! `/account`: a person's own name, password, sessions, and the account's end.

use agentframer::domain::ids::UserId;
use agentframer::engine::access::accounts::SessionView;
use agentframer::engine::access::own_mail::MailChoices;
use agentframer::engine::error::Error;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use crate::actions::{
    ChangeEmail, ChangePassword, ConfirmEmail, DeleteAccount, EndSession, SetMailChoices, SetName, SetZone,
};
use crate::ask::Ask;
use crate::components::field::{Field, Said};
use crate::components::frame::{find, foot, page};
use crate::components::when::When;
use crate::flash::Flash;
use crate::reader;
use crate::words;

/// One's own account.
#[component]
pub fn AccountPage() -> impl IntoView {
    page(|ask| async move {
        let user = ask.engine.user(ask.user()?).await?.ok_or(Error::Unauthenticated)?;
        let (flash, sessions) = (ask.flash(), ask.engine.sessions_of(&user.id).await?);
        let choices = ask.engine.mail_choices(&user.id).await?;
        let confirm = confirmation(&ask, &user.id).await;
        Ok(view! {
            <Title text="Account"/>
            <main class="page alone" id="page">
                <div class="head"><div><h1>"Account"</h1><p class="muted">{user.email.clone()}</p></div><div class="row">{find(&ask)}<a class="btn" href="/">"All workspaces"</a></div></div>
                <div class="stack">
                    <Said flash=flash.clone()/>
                    {confirm}
                    {person(user.name, flash.clone()).into_any()}
                    {zone(flash.clone()).into_any()}
                    {email(flash.clone()).into_any()}
                    {mails(choices).into_any()}
                    {password(flash.clone()).into_any()}
                    {signed_in(sessions, ask.info.session.as_deref()).into_any()}
                    {end(flash).into_any()}
                    {foot(&ask)}
                </div>
            </main>
        }
        .into_any())
    })
}

fn person(name: String, flash: Flash) -> impl IntoView {
    view! {
        <section class="card">
            <header><h2>"Name"</h2></header>
            <form method="post" action=SetName::url() class="in stack narrow">
                <Field name="name" label="Your name" value=name autocomplete="name" hint="Members of your workspaces see it. The audit log holds an opaque id instead." flash=flash/>
                <div><button class="btn first">"Save"</button></div>
            </form>
        </section>
    }
}

/// What the link to a new address leads to: looking changes nothing.
async fn confirmation(ask: &Ask, user: &UserId) -> Option<AnyView> {
    let token = ask.query("confirm")?;
    let view = match ask.engine.email_behind(user, &token).await {
        Ok(email) => view! {
            <form method="post" action=ConfirmEmail::url() class="note">
                <input type="hidden" name="token" value=token/>
                <span>"Sign in as "<b>{email}</b>" from now on?"</span>
                <button class="btn first grow">"Use this address"</button>
            </form>
        }
        .into_any(),
        Err(error) => view! { <p class="note bad" role="alert">{error.to_string()}</p> }.into_any(),
    };
    Some(view)
}

fn email(flash: Flash) -> impl IntoView {
    view! {
        <section class="card">
            <header><h2>"E-mail address"</h2></header>
            <form method="post" action=ChangeEmail::url() class="in stack narrow">
                <Field name="email" label="New address" kind="email" autocomplete="email" hint="A link goes there. Your address changes when you follow it." flash=flash.clone()/>
                <Field name="email_password" label="Your password" kind="password" autocomplete="current-password" flash=flash/>
                <div><button class="btn first">"Send the link"</button></div>
            </form>
        </section>
    }
}

fn mails(choices: MailChoices) -> impl IntoView {
    let choice = |name: &'static str, is_on: bool, title: &'static str, about: &'static str| {
        view! {
            <label class="choice">
                <input type="checkbox" name=name value="on" checked=is_on/>
                <span><b>{title}</b><small>{about}</small></span>
            </label>
        }
    };
    view! {
        <section class="card">
            <header><h2>"Mails"</h2></header>
            <form method="post" action=SetMailChoices::url() class="in stack narrow">
                <fieldset class="field"><legend>"Send me"</legend><div class="choices">
                    {choice("alerts", choices.alerts, "Alerts", "of workspaces whose Admin you are")}
                    {choice("digest", choices.digest, "The monthly digest", "of workspaces whose Viewer you are")}
                </div></fieldset>
                <p class="muted">"Recipients that a workspace names under Caps and alerts get its alerts in any case. What concerns this account always comes."</p>
                <div><button class="btn first">"Save"</button></div>
            </form>
        </section>
    }
}

/// Typed or chosen: the list offers every zone.
fn zone(flash: Flash) -> impl IntoView {
    let now = reader::zone_name();
    let wrong = flash.error_at("zone", "This");
    let typed = flash.kept.get("zone").cloned().unwrap_or(now);
    let offers = reader::zones().map(|name| view! { <option value=name></option> }).collect_view();
    view! {
        <section class="card">
            <header><h2>"Time zone"</h2></header>
            <form method="post" action=SetZone::url() class="in stack narrow">
                <div class="field">
                    <label for="zone">"Times are shown in"</label>
                    <input id="zone" name="zone" list="zones" value=typed required autocomplete="off" aria-invalid=wrong.is_some().then_some("true") aria-describedby="zone-error" autofocus=wrong.is_some()/>
                    <datalist id="zones">{offers}</datalist>
                    <p class="hint">"Wherever you sign in. UTC stands behind each time; days and months of budgets are UTC’s."</p>
                    <p class="error" id="zone-error">{wrong}</p>
                </div>
                <div><button class="btn first">"Save"</button></div>
            </form>
        </section>
    }
}

fn password(flash: Flash) -> impl IntoView {
    view! {
        <section class="card">
            <header><h2>"Password"</h2></header>
            <form method="post" action=ChangePassword::url() class="in stack narrow">
                <Field name="current_password" label="Password now" kind="password" autocomplete="current-password" flash=flash.clone()/>
                <Field name="new_password" label="New password" kind="password" autocomplete="new-password" hint="12 characters or more; a sentence is good." flash=flash/>
                <p class="muted">"Every other session of yours ends."</p>
                <div><button class="btn first">"Change password"</button></div>
            </form>
        </section>
    }
}

fn signed_in(sessions: Vec<SessionView>, here: Option<&str>) -> impl IntoView + use<> {
    let line = |session: SessionView| {
        let is_here = here == Some(session.id.as_str());
        view! {
            <tr>
                <td>{words::or_dash(session.user_agent.map(|agent| browser(&agent)))}{is_here.then(|| view! { " " <span class="tag">"this one"</span> })}</td>
                <td class="mono">{words::or_dash(session.address)}</td>
                <td><When at=session.created_at/></td>
                <td><When at=session.last_seen_at/></td>
                <td class="num"><form method="post" action=EndSession::url()><input type="hidden" name="session" value=session.id/><button class="quiet">"End"</button></form></td>
            </tr>
        }
    };
    view! {
        <section class="card scroll">
            <header><h2>"Where you are signed in"</h2></header>
            <table>
                <thead><tr><th>"Browser"</th><th>"Address"</th><th>"Since"</th><th>"Last used"</th><th></th></tr></thead>
                <tbody>{sessions.into_iter().map(line).collect_view()}</tbody>
            </table>
        </section>
    }
}

/// The part of a browser's name that tells people something.
fn browser(agent: &str) -> String {
    const KNOWN: [&str; 5] = ["Edg/", "OPR/", "Firefox/", "Chrome/", "Safari/"];
    const NAMES: [&str; 5] = ["Edge", "Opera", "Firefox", "Chrome", "Safari"];
    let known = KNOWN.iter().zip(NAMES).find(|(sign, _)| agent.contains(*sign));
    known.map_or_else(|| agent.chars().take(40).collect(), |(_, name)| name.to_owned())
}

fn end(flash: Flash) -> impl IntoView {
    let is_open = flash.is_about(&["password"]);
    view! {
        <details class="card" open=is_open>
            <summary class="in"><b>"Delete this account"</b></summary>
            <form method="post" action=DeleteAccount::url() class="in stack narrow">
                <p>"You leave every workspace, your API keys end, and your name and e-mail are deleted. Logs keep an opaque id. It cannot be undone."</p>
                <Field name="password" label="Your password" kind="password" autocomplete="current-password" flash=flash/>
                <div><button class="btn bad">"Delete for good"</button></div>
            </form>
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_named_as_people_know_them() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        assert_eq!(browser(chrome), "Chrome");
        assert_eq!(browser("curl/8.5"), "curl/8.5");
    }
}
