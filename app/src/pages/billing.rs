//! `/w/{id}/billing`: the balance, topping it up, the monthly allowance, and every movement of money.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::money::Usd;
use agentframer::domain::time::Time;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::log::reading::Paged;
use agentframer::engine::money::billing::{Credits, LedgerFilter, LedgerRow};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{list_page, older};
use crate::actions::{SetAllowance, TopUp};
use crate::ask::Ask;
use crate::components::field::{Field, Said};
use crate::components::filter::{FilterInput, WrongFilter};
use crate::components::frame::{page, workspace_page};
use crate::flash::Flash;
use crate::words;

/// The ledger's filters as the URL has them.
struct Filters {
    kind: String,
    agent: String,
    from: String,
    to: String,
}

impl Filters {
    fn of(ask: &Ask) -> Self {
        let value = |name| ask.query(name).unwrap_or_default();
        Self { kind: value("kind"), agent: value("agent"), from: value("from"), to: value("to") }
    }

    fn read(&self) -> Result<LedgerFilter, FieldError> {
        let [kind, agent, from, to] = [&self.kind, &self.agent, &self.from, &self.to]
            .map(|text| Some(text.trim()).filter(|text| !text.is_empty()));
        LedgerFilter::read(kind, agent, from, to)
    }

    fn to_query(&self) -> String {
        let pairs = [("kind", &self.kind), ("agent", &self.agent), ("from", &self.from), ("to", &self.to)];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
    }

    fn is_set(&self) -> bool {
        !self.to_query().is_empty()
    }
}

/// Balance, forms and ledger.
#[component]
pub fn Billing() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadBilling).await?;
        let (flash, filters) = (ask.flash(), Filters::of(&ask));
        let (filter, wrong) = WrongFilter::or(filters.read(), LedgerFilter::default);
        let credits = ask.engine.credits(&scope).await?;
        let allowance = ask.engine.allowance(&scope).await?;
        let agents = ask.engine.agents(&scope).await?.into_iter().map(|agent| agent.name).collect();
        let members = ask.engine.members(&scope).await?;
        let ledger = ask.engine.ledger(&scope, &filter, list_page(&ask)).await?;
        let ledger = ledger.map(|row| LedgerRow { actor: words::name_of(&row.actor, &members), ..row });
        let body = view! {
            <Said flash=flash.clone()/>
            {wrong.note("Everything is shown.")}
            {figures(&credits).into_any()}
            {money_in(&scope, allowance, ask.engine.clock().now(), flash)}
            {ledger_card(&ask, &scope, ledger, &filters, &wrong, agents)}
        };
        let statement = format!("/w/{}/billing/statement", scope.workspace.id);
        let actions = view! { <a class="btn" href=statement>"Statements"</a> };
        Ok(workspace_page(
            &ask,
            &scope,
            "Billing",
            "Prepaid: the balance can never be overdrawn",
            actions,
            body,
        ))
    })
}

fn figures(credits: &Credits) -> impl IntoView + use<> {
    view! {
        <div class="card grid g3 figures">
            <dl class="stat"><dt>"Balance"</dt><dd>{credits.balance_usd.display()}</dd><dd class="about">"Calls are refused when it cannot pay them."</dd></dl>
            <dl class="stat"><dt>"Reserved"</dt><dd>{credits.reserved_usd.display()}</dd><dd class="about">"set aside for calls that run"</dd></dl>
            <dl class="stat"><dt>"Available"</dt><dd>{credits.available_usd.display()}</dd><dd class="about">"what the next call can use"</dd></dl>
        </div>
    }
}

fn money_in(scope: &Scope, allowance: Option<Usd>, now: Time, flash: Flash) -> AnyView {
    let id = scope.workspace.id.to_string();
    let next = words::day(now.next_month());
    let says = match allowance {
        Some(amount) => format!(
            "On {next} the balance is brought up to {}; a fuller one stays as it is.",
            amount.display()
        ),
        None => "None. With one, the balance is brought up to it on the first of each month.".to_owned(),
    };
    if !scope.role.may(Permission::ChangeBilling) {
        return view! { <section class="card"><header><h2>"Monthly allowance"</h2></header><p class="in">{says}</p></section> }.into_any();
    }
    let typed = allowance.map(|amount| amount.to_string()).unwrap_or_default();
    view! {
        <div class="grid halves">
            <section class="card">
                <header><h2>"Top up"</h2></header>
                <form method="post" action=TopUp::url() class="in stack">
                    <input type="hidden" name="workspace" value=id.clone()/>
                    <Field name="amount_usd" label="Amount in US dollars" flash=flash.clone()/>
                    <Field name="reference" label="Reference" hint="An invoice or order number; it stays in the ledger." flash=flash.clone()/>
                    {again(&flash)}
                    <div><button class="btn first">"Add to the balance"</button></div>
                </form>
            </section>
            <section class="card">
                <header><h2>"Monthly allowance"</h2></header>
                <form method="post" action=SetAllowance::url() class="in stack">
                    <p>{says}</p>
                    <input type="hidden" name="workspace" value=id/>
                    <Field name="allowance_usd" label="Balance on the first, in US dollars" hint="A new allowance begins with the next month. Empty: none." value=typed required=false flash=flash/>
                    <div><button class="btn">"Save"</button></div>
                </form>
            </section>
        </div>
    }
    .into_any()
}

/// What an equal top-up within a day asks for first.
fn again(flash: &Flash) -> Option<impl IntoView + use<>> {
    let wrong = flash.error_at("again", "The same top-up")?;
    Some(view! {
        <div class="field">
            <p class="error" id="again-error">{wrong}</p>
            <label class="choice">
                <input type="checkbox" id="again" name="again" value="yes" aria-invalid="true" aria-describedby="again-error" autofocus/>
                <span>"Add it once more"</span>
            </label>
        </div>
    })
}

fn ledger_card(
    ask: &Ask,
    scope: &Scope,
    ledger: Paged<LedgerRow>,
    filters: &Filters,
    wrong: &WrongFilter,
    agents: Vec<String>,
) -> AnyView {
    let base = format!("/w/{}", scope.workspace.id);
    let audit = format!("{base}/audit");
    // What is not shown is not saved either.
    let query = if wrong.is_some() { String::new() } else { filters.to_query() };
    let csv = format!("{base}/billing/export?{query}");
    let is_empty = ledger.items.is_empty();
    let next = older(ask, ledger.next_cursor);
    view! {
        <section class="card scroll" id="ledger">
            <header><h2>"Ledger"</h2><a class="btn grow" href=csv>"CSV"</a></header>
            {filter_form(filters, wrong, &base, agents)}
            {is_empty.then(|| view! { <p class="empty">"No entry matches. Take a filter away to see more."</p> })}
            <table class="opens">
                <thead><tr><th>{words::time_head()}</th><th>"What"</th><th>"Who"</th><th>"Reference"</th><th class="num">"Amount"</th><th class="num">"Balance"</th></tr></thead>
                <tbody>{ledger.items.into_iter().map(|row| line(row, &audit)).collect_view()}</tbody>
            </table>
            <footer class="row"><span>"Newest first; the balance is the one after each entry"</span>{next.map(|href| view! { <a class="btn grow" rel="next" href=href>"Older"</a> })}</footer>
        </section>
    }
    .into_any()
}

fn filter_form(filters: &Filters, wrong: &WrongFilter, base: &str, agents: Vec<String>) -> AnyView {
    let option = |value: &str, label: &str, chosen: &str| {
        view! { <option value=value.to_owned() selected=value == chosen>{label.to_owned()}</option> }
    };
    const KINDS: [(&str, &str); 3] = [("", "Everything"), ("charge", "Charges"), ("top_up", "Money in")];
    let mut kinds = KINDS.map(|(value, label)| option(value, label, &filters.kind)).to_vec();
    let other = KINDS.iter().all(|(value, _)| *value != filters.kind);
    kinds.extend(other.then(|| option(&filters.kind, &filters.kind, &filters.kind)));
    let kind_error = wrong.at("kind");
    let mut everybody = vec![option("", "Everybody", &filters.agent)];
    everybody.extend(agents.iter().map(|name| option(name, name, &filters.agent)));
    // A link may name somebody who is no agent.
    let other = !filters.agent.is_empty() && !agents.contains(&filters.agent);
    everybody.extend(other.then(|| option(&filters.agent, &filters.agent, &filters.agent)));
    let path = format!("{base}/billing");
    let clear = filters.is_set().then(|| view! { <a class="link" href=path.clone()>"Clear"</a> });
    view! {
        <form method="get" action=path class="filters in">
            <label>"What" <select id="kind" name="kind" aria-invalid=kind_error.is_some().then_some("true") aria-describedby="kind-error" autofocus=kind_error.is_some()>{kinds}</select></label>
            <p class="error" id="kind-error">{kind_error}</p>
            <label>"Who" <select name="agent">{everybody}</select></label>
            <FilterInput name="from" label="From (UTC)" kind="date" value=filters.from.clone() wrong=wrong.at("from")/>
            <FilterInput name="to" label="To (UTC)" kind="date" value=filters.to.clone() wrong=wrong.at("to")/>
            <button class="btn">"Filter"</button>
            {clear}
        </form>
    }
    .into_any()
}

fn line(row: LedgerRow, audit: &str) -> impl IntoView + use<> {
    view! {
        <tr>
            <td><a href=format!("{audit}/{}", row.request_id)>{crate::components::when::stamp(row.ts, words::minute(row.ts))}</a></td>
            <td>{row.kind.replace('_', "-")}</td>
            <td>{row.actor}</td>
            <td>{words::or_dash(row.reference)}</td>
            <td class="num">{words::cost(row.amount_usd)}</td>
            <td class="num">{words::cost(row.balance_after_usd)}</td>
        </tr>
    }
}
