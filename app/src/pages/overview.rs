//! `/w/{id}`: how the workspace stands, what is wrong, what to do next.

use agentframer::domain::access::Permission;
use agentframer::domain::money::{Usd, thousands};
use agentframer::domain::time::Time;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::views::notices::{Notice, Severity};
use agentframer::engine::views::overview::{LatestCall, Overview as View, Tops};
use leptos::prelude::*;

use super::models::page_of;
use crate::components::chart::SpendByDay;
use crate::components::checklist::checklist;
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::components::meter::Meter;
use crate::components::outcome::OutcomeTag;
use crate::components::when::stamp;
use crate::words;

/// The workspace's first page.
#[component]
pub fn Overview() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadWorkspace).await?;
        let view = ask.engine.overview(&scope).await?;
        let now = ask.engine.clock().now();
        let base = format!("/w/{}", scope.workspace.id);
        let line = format!("{} · days in UTC", now.date().strftime("%B %Y"));
        let mcp_url = scope.role.may(Permission::ReadMcpUrl).then(|| ask.engine.mcp_url(&scope.workspace));
        let figures = figures(&view, scope.role.may(Permission::ReadBilling), now).into_any();
        let notices: Vec<_> = view.notices.iter().map(|notice| notice_line(notice, &base, &scope)).collect();
        let notices =
            (!notices.is_empty()).then(|| view! { <div class="stack" id="notices">{notices}</div> });
        let body = view! {
            <Said flash=ask.flash()/>
            {notices}
            {view.checklist.map(|steps| checklist(steps, &scope).into_any())}
            {figures}
            {mcp_url.filter(|_| view.agents == 0 || view.latest.is_empty()).map(|url| first_steps(&base, url, view.agents).into_any())}
            <section class="card">
                <header><h2>"Spend by day"</h2></header>
                <div class="in"><SpendByDay days=view.spend_by_day month=now.month_start()/></div>
            </section>
            {tops(&view.tops, &base).into_any()}
            {latest(view.latest, &base).into_any()}
        };
        let actions = actions(&scope, &base);
        Ok(workspace_page(&ask, &scope, &scope.workspace.name, line, actions, body))
    })
}

fn actions(scope: &Scope, base: &str) -> impl IntoView + use<> {
    let connect = scope.role.may(Permission::ChangeAgents).then(|| format!("{base}/agents"));
    let top_up = scope.role.may(Permission::ChangeBilling).then(|| format!("{base}/billing"));
    view! {
        {connect.map(|href| view! { <a class="btn" href=href>"Connect an agent"</a> })}
        {top_up.map(|href| view! { <a class="btn first" href=href>"Top up"</a> })}
    }
}

fn notice_line(notice: &Notice, base: &str, scope: &Scope) -> impl IntoView + use<> {
    let class = if notice.severity == Severity::Bad { "bad" } else { "warn" };
    let may = |place: &str| {
        let needed = match place.split('/').next() {
            Some("billing") => Permission::ChangeBilling,
            Some("webhooks") => Permission::ReadWebhooks,
            _ => Permission::ReadAgents,
        };
        scope.role.may(needed)
    };
    let action = notice.action.as_ref().filter(|(_, place)| may(place));
    let action = action.map(|(label, place)| (*label, format!("{base}/{place}")));
    view! {
        <div class=format!("note {class}") role="status">
            <span class=format!("tag {class}")>{notice.tag}</span>
            <span>{notice.text.clone()}</span>
            {action.map(|(label, href)| view! { <a class="btn grow" href=href>{label}</a> })}
        </div>
    }
}

fn figures(view: &View, with_balance: bool, now: Time) -> impl IntoView + use<> {
    let credits = &view.credits;
    let (balance, columns) = if with_balance { (Some(balance(view, now)), "g4") } else { (None, "g2") };
    let typical = credits.typical_month_usd.map(|typical| format!("of ~{}", words::cents(typical)));
    let alert = credits.soft_alert.threshold_pct;
    let bar = month_bar(credits.month_to_date_usd, credits.typical_month_usd, alert);
    let number = |count: i64| thousands(&count.to_string());
    let today =
        format!("{} refused · {} failed, not charged", number(view.refused_today), number(view.failed_today));
    view! {
        <div class=format!("card grid {columns} figures")>
            {balance}
            <dl class="stat"><dt>"Spent this month"</dt><dd>{credits.month_to_date_usd.display()} " " <small>{typical}</small></dd>
                {bar.map(|bar| view! { <dd class="about">{bar}{format!("alert at {alert} %")}</dd> })}
            </dl>
            <dl class="stat"><dt>"Calls today"</dt><dd>{number(view.calls_today)}</dd><dd class="about">{today}</dd></dl>
        </div>
    }
}

/// What there is to spend, for who may read billing.
fn balance(view: &View, now: Time) -> impl IntoView + use<> {
    let credits = &view.credits;
    let reserved = match view.running {
        0 => "nothing reserved".to_owned(),
        calls => format!("{} reserved by {}", credits.reserved_usd.display(), words::count(calls, "call")),
    };
    let pace = if view.per_day.is_positive() {
        format!("at {} a day", words::cents(view.per_day))
    } else {
        "no spend in the last 14 days".to_owned()
    };
    view! {
            <dl class="stat"><dt>"Balance"</dt><dd>{credits.balance_usd.display()}</dd><dd class="about">{reserved}</dd></dl>
            <dl class="stat"><dt>"Runs out"</dt><dd>{words::runway(view.runway, now)}</dd><dd class="about">{pace}</dd></dl>
    }
}

/// The month against the typical one, with the soft alert's line.
fn month_bar(spent: Usd, typical: Option<Usd>, alert: u32) -> Option<impl IntoView> {
    let percent = spent.percent_of(typical?)?;
    let text = format!("{percent} % of a typical month; the soft alert is at {alert} %");
    Some(view! { <Meter percent=percent text=text mark=alert/> })
}

fn first_steps(base: &str, url: String, agents: usize) -> impl IntoView + use<> {
    let href = format!("{base}/agents");
    let step = if agents == 0 {
        "Create an agent and copy its token"
    } else {
        "Give your client the URL and the token, and make the first call"
    };
    view! {
        <section class="card">
            <header><h2>"Connect your first agent"</h2></header>
            <div class="in stack">
                <p><a class="link" href=href>{step}</a>". Every MCP client connects to this address:"</p>
                <div class="secret"><code class="mono">{url.clone()}</code><crate::islands::CopyButton text=url/></div>
            </div>
        </section>
    }
}

/// What cost the most this month; nothing before anything did.
fn tops(tops: &Tops, base: &str) -> Option<impl IntoView + use<>> {
    if tops.agents.is_empty() {
        return None;
    }
    let search = |field: &'static str| {
        let base = base.to_owned();
        move |name: &str| {
            format!("{base}/audit?tab=calls&q={field}:{}", name.strip_prefix("agent.").unwrap_or(name))
        }
    };
    let models = base.to_owned();
    Some(view! {
        <div class="grid g3 tops">
            {top("Top agents", &tops.agents, search("agent"))}
            {top("Top models", &tops.models, move |name| page_of(&models, name))}
            {top("Top tools", &tops.tools, search("tool"))}
        </div>
    })
}

fn top(title: &'static str, lines: &[(String, i64, Usd)], href: impl Fn(&str) -> String) -> AnyView {
    let line = |(name, calls, cost): &(String, i64, Usd)| {
        view! { <tr><td><a href=href(name)>{name.clone()}</a></td><td class="num muted">{thousands(&calls.to_string())}</td><td class="num">{cost.display()}</td></tr> }
    };
    let lines: Vec<_> = lines.iter().map(line).collect();
    view! {
        <section class="card scroll">
            <header><h2>{title}</h2></header>
            <table class="opens">
                <thead><tr><th>"Name"</th><th class="num">"Calls"</th><th class="num">"Spent"</th></tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </section>
    }
    .into_any()
}

/// The last calls, refused and failed ones too.
pub fn latest(calls: Vec<LatestCall>, base: &str) -> impl IntoView + use<> {
    let audit = format!("{base}/audit");
    let rows = calls.into_iter().map(|call| latest_line(call, &audit)).collect_view();
    let is_empty = rows.is_empty();
    view! {
        <section class="card scroll">
            <header><h2>"Latest calls"</h2><a class="link grow" href=audit>"Open the audit log"</a></header>
            {is_empty.then(|| view! { <p class="empty">"No call yet."</p> })}
            {(!is_empty).then_some(view! {
                <table class="opens">
                    <thead><tr><th>{words::time_head()}</th><th>"Who"</th><th>"Tool"</th><th>"Model"</th><th>"Outcome"</th><th class="num">"Cost"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            })}
        </section>
    }
}

fn latest_line(call: LatestCall, audit: &str) -> impl IntoView + use<> {
    let href = format!("{audit}/{}", call.request_id);
    let times = (call.count > 1).then(|| format!(" × {}", call.count));
    view! {
        <tr>
            <td><a href=href>{stamp(call.ts, words::to_the_second(call.ts))}</a></td>
            <td>{call.user_id}</td>
            <td>{call.tool}</td>
            <td>{words::or_dash(call.model)}</td>
            <td><OutcomeTag outcome=call.outcome/>{times}</td>
            <td class="num">{words::or_dash(call.cost.map(words::cost))}</td>
        </tr>
    }
}
