//! `/w/{id}/billing/statement?month=2026-11`: a month's account, to be printed and filed.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::money::thousands;
use agentframer::domain::time::Time;
use agentframer::engine::access::members::Member;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::money::billing::LedgerRow;
use agentframer::engine::money::statement::{Statement, StatementPart};
use leptos::prelude::*;

use crate::ask::Ask;
use crate::components::filter::{FilterInput, WrongFilter};
use crate::components::frame::{page, workspace_page};
use crate::words;

/// Opening balance, what came in, what was charged and for what, closing balance.
#[component]
pub fn StatementPage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadBilling).await?;
        let last = ask.engine.clock().now().months_back(1);
        let (month, wrong) = WrongFilter::or(month(&ask, last), || last);
        let typed = ask.query("month").unwrap_or_else(|| month.month_key());
        let statement = ask.engine.statement(&scope, month).await?;
        let members = ask.engine.members(&scope).await?;
        let base = format!("/w/{}/billing", scope.workspace.id);
        let body = view! {
            {wrong.note("The last whole month is shown.")}
            <form method="get" class="filters">
                <FilterInput name="month" label="Month" kind="month" value=typed wrong=wrong.at("month")/>
                <button class="btn">"Show"</button>
            </form>
            {head(&statement, &scope).into_any()}
            {balance(&statement).into_any()}
            {statement.parts.iter().map(|part| charges(part).into_any()).collect_view()}
            {top_ups(&statement.top_ups, &members).into_any()}
            <p class="hint">"Amounts are exact: nothing is rounded, so each table adds up to the balance. Times in UTC."</p>
        };
        let line = format!("{} · {}", scope.workspace.name, month.date().strftime("%B %Y"));
        Ok(workspace_page(&ask, &scope, "Statement", line, actions(month, &base, &ask), body))
    })
}

/// The month that the query names; the last whole one where it names none.
fn month(ask: &Ask, last: Time) -> Result<Time, FieldError> {
    let Some(text) = ask.query("month") else { return Ok(last) };
    Time::parse_month(&text).ok_or_else(|| FieldError::new("month", "is not a month, such as 2026-11"))
}

fn actions(month: Time, base: &str, ask: &Ask) -> impl IntoView + use<> {
    let key = month.month_key();
    let other = |month: Time| format!("{base}/statement?month={}", month.month_key());
    let next = month.next_month();
    let next = (next <= ask.engine.clock().now()).then(|| other(next));
    view! {
        <a class="btn" rel="prev" href=other(month.months_back(1))>"Month before"</a>
        {next.map(|href| view! { <a class="btn" rel="next" href=href>"Month after"</a> })}
        <a class="btn" href=format!("{base}/focus?month={key}") >"FOCUS CSV"</a>
        <a class="btn" href=format!("{base}/export?from={key}-01&to={}", month.next_month().plus(-1).day_key())>"Ledger CSV"</a>
    }
}

fn head(statement: &Statement, scope: &Scope) -> impl IntoView + use<> {
    let fact = |name: &'static str, value: String| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    let is_open = statement.until < statement.month.next_month();
    let until = if is_open {
        format!("{} to {}, still running", words::day(statement.month), words::utc_minute(statement.until))
    } else {
        format!("{} to {}", words::day(statement.month), words::day(statement.until.plus(-1)))
    };
    view! {
        <section class="card"><dl class="in facts">
            {fact("Workspace", format!("{} ({})", scope.workspace.name, scope.workspace.id))}
            {fact("Cost centre", words::or_dash(statement.cost_centre.clone()))}
            {fact("Region", scope.workspace.region.to_string())}
            {fact("Period (UTC)", until)}
        </dl></section>
    }
}

fn balance(statement: &Statement) -> impl IntoView + use<> {
    let line =
        |name: &'static str, amount: String| view! { <tr><td>{name}</td><td class="num">{amount}</td></tr> };
    view! {
        <section class="card scroll" tabindex="0">
            <header><h2>"Balance"</h2></header>
            <table>
                <thead><tr><th>"What"</th><th class="num">"US dollars"</th></tr></thead>
                <tbody>
                    {line("Opening balance", words::cost(statement.opening))}
                    {line("Money in", format!("+ {}", words::cost(statement.topped_up)))}
                    {line("Charges", format!("− {}", words::cost(statement.charged)))}
                </tbody>
                <tfoot><tr><th scope="row">"Closing balance"</th><td class="num">{words::cost(statement.closing)}</td></tr></tfoot>
            </table>
        </section>
    }
}

fn charges(part: &StatementPart) -> impl IntoView + use<> {
    let total = part.total();
    let line = |(name, sums): &(String, agentframer::domain::usage::Sums)| {
        let name = if name.is_empty() { "no model".to_owned() } else { name.clone() };
        view! { <tr><td>{name}</td><td class="num">{thousands(&sums.calls.to_string())}</td><td class="num">{words::cost(sums.cost)}</td></tr> }
    };
    let lines: Vec<_> = part.lines.iter().map(line).collect();
    view! {
        <section class="card scroll" tabindex="0">
            <header><h2>{format!("Charges by {}", part.grouping.title().to_lowercase())}</h2></header>
            <table>
                <thead><tr><th>{part.grouping.title()}</th><th class="num">"Calls"</th><th class="num">"US dollars"</th></tr></thead>
                <tbody>{lines}</tbody>
                <tfoot><tr><th scope="row">"Total"</th><td class="num">{thousands(&total.calls.to_string())}</td><td class="num">{words::cost(total.cost)}</td></tr></tfoot>
            </table>
        </section>
    }
}

fn top_ups(rows: &[LedgerRow], members: &[Member]) -> impl IntoView + use<> {
    let line = |row: &LedgerRow| {
        view! { <tr><td>{words::utc_minute(row.ts)}</td><td>{words::or_dash(row.reference.clone())}</td><td>{words::name_of(&row.actor, members)}</td><td class="num">{words::cost(row.amount_usd)}</td></tr> }
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    let none = lines.is_empty();
    view! {
        <section class="card scroll" tabindex="0">
            <header><h2>"Money in"</h2></header>
            {none.then(|| view! { <p class="empty">"No money came in this month."</p> })}
            {(!none).then_some(view! {
                <table>
                    <thead><tr><th>"Time (UTC)"</th><th>"Reference"</th><th>"Who"</th><th class="num">"US dollars"</th></tr></thead>
                    <tbody>{lines}</tbody>
                </table>
            })}
        </section>
    }
}
