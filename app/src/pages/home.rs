//! `/`: every workspace that the reader belongs to, side by side; where finance does its charge-back.

use agentframer::domain::money::{Usd, thousands};
use agentframer::domain::time::Time;
use agentframer::engine::money::portfolio::{PortfolioRow, Standing, Unknown, names_apart};
use agentframer::engine::views::notices::{Notice, Severity};
use agentframer::engine::views::overview::DaySpend;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use super::usage::table::change;
use crate::actions::CreateWorkspace;
use crate::components::chart::SpendByDay;
use crate::components::field::{Field, RegionChoice, Said};
use crate::components::frame::{find, foot, page};
use crate::words;

/// The workspaces with their figures, the totals, a chart, and a form for a new one.
#[component]
pub fn Home() -> impl IntoView {
    page(|ask| async move {
        let flash = ask.flash();
        let rows = ask.engine.portfolio(ask.user()?).await?;
        let now = ask.engine.clock().now();
        let is_open = rows.is_empty() || flash.problem.is_some();
        let colours = foot(&ask);
        let line =
            format!("{} so far, beside the same days of {} · UTC", month(now), month(now.months_back(1)));
        Ok(view! {
            <Title text="Workspaces"/>
            <main class="page wide" id="page">
                <div class="head"><div><h1>"Workspaces"</h1><p class="muted">{line}</p></div><div class="row">{find(&ask)}{colours}</div></div>
                <div class="stack">
                    <Said flash=flash.clone()/>
                    {(rows.len() > 1).then(|| chart(&rows, now).into_any())}
                    {table(rows, now)}
                    <details class="card" open=is_open>
                        <summary class="in"><b>"New workspace"</b></summary>
                        <form method="post" action=CreateWorkspace::url() class="in stack narrow">
                            <Field name="workspace_name" label="Name" flash=flash.clone()/>
                            <RegionChoice flash=flash/>
                            <button class="btn first">"Create workspace"</button>
                        </form>
                    </details>
                </div>
            </main>
        }
        .into_any())
    })
}

fn month(time: Time) -> String {
    time.date().strftime("%B").to_string()
}

fn chart(rows: &[PortfolioRow], now: Time) -> impl IntoView + use<> {
    let names = names_apart(rows.iter().map(|row| &row.workspace));
    let name = |row: &PortfolioRow| names.get(&row.workspace.id).cloned().unwrap_or_default();
    let mut days = std::collections::BTreeMap::<Time, Vec<(String, Usd)>>::new();
    for row in rows {
        for (day, cost) in row.standing.iter().flat_map(|standing| &standing.days) {
            days.entry(*day).or_default().push((name(row), *cost));
        }
    }
    let total = |parts: &[(String, Usd)]| parts.iter().map(|(_, cost)| *cost).sum();
    let days = days.into_iter().map(|(day, by_agent)| DaySpend { day, total: total(&by_agent), by_agent });
    view! {
        <section class="card">
            <header><h2>"Spend by day and workspace"</h2></header>
            <div class="in"><SpendByDay days=days.collect() month=now.month_start() by="workspace"/></div>
        </section>
    }
}

fn table(rows: Vec<PortfolioRow>, now: Time) -> AnyView {
    if rows.is_empty() {
        return view! { <p class="card empty">"You belong to no workspace yet. Create one, or ask an Admin to invite you."</p> }.into_any();
    }
    let totals = totals(&rows);
    view! {
        <div class="card scroll">
            <header><h2>"All workspaces"</h2><a class="btn grow" href="/workspaces/export" download="">"CSV"</a></header>
            <table class="opens">
                <thead><tr>
                    <th>"Workspace"</th><th>"Region"</th><th>"Cost centre"</th><th>"Now"</th><th class="num">"Calls"</th><th class="num">"Spent"</th>
                    <th class="num">"Change"</th><th class="num">"Forecast"</th><th class="num">"Balance"</th><th class="num">"Runs out"</th>
                </tr></thead>
                <tbody>{rows.into_iter().map(|row| line(row, now)).collect_view()}</tbody>
                {totals}
            </table>
            <footer><p>"Change: against the same days of last month. Balances are shown to those who may read billing."</p></footer>
        </div>
    }
    .into_any()
}

fn totals(rows: &[PortfolioRow]) -> impl IntoView + use<> {
    let standings = || rows.iter().filter_map(|row| row.standing.as_ref().ok());
    let spent: Usd = standings().map(|standing| standing.month.cost).sum();
    let before = standings().map(|standing| standing.before).sum();
    let forecast: Usd = standings().map(|standing| standing.forecast).sum();
    let balances: Vec<Usd> = standings().filter_map(|standing| standing.balance).collect();
    let calls: i64 = standings().map(|standing| standing.month.calls).sum();
    let known = standings().count();
    view! {
        <tfoot><tr>
            <th scope="row" colspan="4">{total_of(known, rows.len())}</th><td class="num">{thousands(&calls.to_string())}</td><td class="num">{spent.display()}</td>
            <td class="num">{change(spent, before)}</td><td class="num">{words::cents(forecast)}</td><td class="num">{balance(&balances, known)}</td><td></td>
        </tr></tfoot>
    }
}

/// What the last line is the total of: the figures of a workspace may not be known now.
fn total_of(known: usize, workspaces: usize) -> String {
    match known == workspaces {
        true => "Total".to_owned(),
        false => format!("Total of {known} of {workspaces} workspaces"),
    }
}

/// The sum of the balances that the reader may know, which may be none or not all of them.
fn balance(known: &[Usd], workspaces: usize) -> String {
    let total: Usd = known.iter().copied().sum();
    match known.len() {
        0 => "–".to_owned(),
        all if all == workspaces => total.display(),
        some => format!("{} in {some} of {workspaces}", total.display()),
    }
}

fn line(row: PortfolioRow, now: Time) -> impl IntoView {
    let (workspace, role) = (row.workspace, row.role.title());
    let figures = match row.standing {
        Ok(standing) => figures(standing, &format!("/w/{}#notices", workspace.id), now),
        Err(unknown) => view! { <td colspan="8" class="muted">{why(unknown)}</td> }.into_any(),
    };
    view! {
        <tr>
            <td><a href=format!("/w/{}", workspace.id)><b>{workspace.name}</b></a>" "<span class="muted">{role}</span></td>
            <td>{workspace.region.as_str()}</td>
            {figures}
        </tr>
    }
}

fn why(unknown: Unknown) -> &'static str {
    match unknown {
        Unknown::Elsewhere => "served by another node",
        Unknown::Unreachable => "cannot be reached now; load the page again in a minute",
    }
}

fn figures(standing: Standing, notices: &str, now: Time) -> AnyView {
    let reserved =
        standing.reserved.filter(|usd| usd.is_positive()).map(|usd| format!("{} reserved", usd.display()));
    view! {
        <td>{words::or_dash(standing.cost_centre.clone())}</td>
        <td>{alerts(&standing, notices)}</td>
        <td class="num">{thousands(&standing.month.calls.to_string())}</td>
        <td class="num">{standing.month.cost.display()}</td>
        <td class="num">{change(standing.month.cost, standing.before)}</td>
        <td class="num">{words::cents(standing.forecast)}</td>
        <td class="num"><span title=reserved>{words::or_dash(standing.balance.map(Usd::display))}</span></td>
        <td class="num">{words::or_dash(standing.runway.map(|runway| words::runway(runway, now)))}</td>
    }
    .into_any()
}

/// Notices that a line has room for.
const SHOWN: usize = 3;

/// What is wrong, each by its word; the sentence on hover, in the link's name and where the link leads.
fn alerts(standing: &Standing, href: &str) -> AnyView {
    if standing.notices.is_empty() {
        return view! { <span class="muted">"–"</span> }.into_any();
    }
    let tag = |notice: &Notice| {
        let class = if notice.severity == Severity::Bad { "tag bad" } else { "tag warn" };
        let name = format!("{}: {}", notice.tag, notice.text);
        view! { <a class=class href=href.to_owned() title=notice.text.clone() aria-label=name>{notice.tag}</a>" " }
    };
    let more = standing.notices.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| {
        let name = format!("{more} more notices");
        view! { <a class="tag" href=href.to_owned() aria-label=name>{format!("+{more}")}</a> }
    });
    let tags: Vec<_> = standing.notices.iter().take(SHOWN).map(tag).collect();
    view! { <span class="alarms">{tags}{more}</span> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_says_what_it_leaves_out() {
        assert_eq!(total_of(2, 2), "Total");
        assert_eq!(total_of(2, 3), "Total of 2 of 3 workspaces");
    }
}
