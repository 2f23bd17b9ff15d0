//! Usage, statements and allowances: whatever happens in a month, ledger, roll-ups, log and statement say the same.

use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::domain::ids::WorkspaceId;
use crate::domain::money::Usd;
use crate::domain::policy::Tool;
use crate::domain::time::{DAY, HOUR, Time};
use crate::domain::usage::{Grouping, Interval, Span, Sums};
use crate::engine::access::bootstrap::Bootstrap;
use crate::engine::access::identify::AgentCaller;
use crate::engine::access::scope::Workspace;
use crate::engine::calls::providers::Providers;
use crate::engine::clock::Clock;
use crate::engine::log::reading::{AuditFilter, EntryKind, Page};
use crate::engine::money::billing::{LedgerFilter, LedgerKind};
use crate::engine::money::portfolio::{Unknown, names_apart};
use crate::engine::money::usage::{UsageQuery, read_query};
use crate::engine::tests::support::{Databases, START, World, bootstrap, both_engines, usd};

/// What one step of a random quarter does.
#[derive(Debug, Clone)]
enum Step {
    Image { agent: usize, count: u32 },
    Video { agent: usize, seconds: u32 },
    Refused { agent: usize },
    TopUp { micros: i64 },
    Wait { hours: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0usize..2, 1u32..4).prop_map(|(agent, count)| Step::Image { agent, count }),
        2 => (0usize..2, 1u32..3).prop_map(|(agent, seconds)| Step::Video { agent, seconds }),
        1 => (0usize..2).prop_map(|agent| Step::Refused { agent }),
        1 => (1i64..3_000_000).prop_map(|micros| Step::TopUp { micros }),
        4 => (1i64..90).prop_map(|hours| Step::Wait { hours }),
    ]
}

async fn agents(world: &World) -> [AgentCaller; 2] {
    let made = world.engine.create_agent(&world.admin().await, "copy-bot", None).await.unwrap();
    let key = world.made.mcp_url.rsplit('/').next().unwrap();
    let id = world.made.workspace_id.as_str();
    let second = world.engine.identify(Some(&made.token), id, key, None).await.unwrap();
    [world.caller().await, second]
}

async fn take(world: &World, agents: &[AgentCaller; 2], step: Step) {
    let call = async |agent: usize, tool, arguments| {
        let id = world.engine.new_request_id();
        let _ = world.engine.call_tool(&agents[agent], tool, arguments, id).await;
    };
    match step {
        Step::Image { agent, count } => {
            let arguments = json!({ "prompt": "a fox", "width": 64, "height": 64, "count": count });
            call(agent, Tool::GenerateImage, arguments).await;
        }
        Step::Video { agent, seconds } => {
            let arguments = json!({ "prompt": "a fox", "width": 64, "height": 64, "duration_s": seconds });
            call(agent, Tool::GenerateVideo, arguments).await;
        }
        Step::Refused { agent } => call(agent, Tool::DeleteWorkspace, json!({ "confirm": "Growth" })).await,
        Step::TopUp { micros } => {
            world.engine.top_up(&world.admin().await, Usd::from_micros(micros), "test").await.unwrap();
        }
        Step::Wait { hours } => world.clock.advance(hours * HOUR),
    }
}

async fn usage_of(world: &World, span: Span, interval: Interval, grouping: Option<Grouping>) -> Sums {
    let query = UsageQuery { span, interval, grouping };
    let usage = world.engine.usage(&world.admin().await, query).await.unwrap();
    assert_eq!(usage.groups().iter().map(|(_, sums)| *sums).sum::<Sums>(), usage.total());
    usage.total()
}

/// Charges and money in, as the ledger has them.
async fn moved(world: &World, span: Span) -> (Usd, Usd, i64) {
    let filter = LedgerFilter { span: Some(span), ..LedgerFilter::default() };
    let rows: Vec<_> =
        world.engine.ledger_stream(&world.admin().await, &filter).unwrap().try_collect().await.unwrap();
    let of = |kind: &str| rows.iter().filter(|row| row.kind == kind).map(|row| row.amount_usd).sum::<Usd>();
    let charges = rows.iter().filter(|row| row.kind == "charge").count();
    (Usd::ZERO.saturating_sub(of("charge")), of("top_up"), charges as i64)
}

async fn logged(world: &World, span: Span) -> Usd {
    let search = format!("after:{} before:{}", span.from, span.to).parse().unwrap();
    let filter = AuditFilter { kind: Some(EntryKind::Calls), search };
    let rows: Vec<_> =
        world.engine.audit_stream(&world.admin().await, &filter).unwrap().try_concat().await.unwrap();
    rows.iter().map(|row| row.entry.cost_usd).sum()
}

async fn assert_month_adds_up(world: &World, month: Time, opening: Usd) -> Usd {
    let span = Span { from: month, to: month.next_month() };
    let (charged, topped_up, charges) = moved(world, span).await;
    let statement = world.engine.statement(&world.admin().await, month).await.unwrap();
    assert_eq!((statement.opening, statement.charged, statement.topped_up), (opening, charged, topped_up));
    let closing = opening.saturating_add(topped_up).saturating_sub(charged);
    assert_eq!(statement.closing, closing, "opening and movements make the closing balance");
    assert!(statement.parts.iter().all(|part| part.total().cost == charged), "{statement:?}");
    assert_eq!(logged(world, span).await, charged);
    for interval in [Interval::Hour, Interval::Day, Interval::Month] {
        for grouping in
            [None, Some(Grouping::User), Some(Grouping::Tool), Some(Grouping::Model), Some(Grouping::Kind)]
        {
            let sums = usage_of(world, span, interval, grouping).await;
            assert_eq!((sums.cost, sums.calls), (charged, charges), "{interval:?} {grouping:?}");
        }
    }
    let (_, lines) = world.engine.charges(&world.admin().await, month).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.sums.cost).sum::<Usd>(), charged);
    closing
}

both_engines! {
    async fn usage_by_workspace_is_of_all_that_the_reader_belongs_to(on) {
        let world = World::with_money(on, "100").await;
        let small = json!({ "prompt": "a fox", "width": 64, "height": 64 });
        world.image(small.clone()).await.unwrap();
        let second = Bootstrap { workspace: "Brand".into(), region: "us-east-1".into(), ..bootstrap("5") };
        let stranger = Bootstrap { email: "eve@example.com".into(), workspace: "Strange".into(), ..bootstrap("5") };
        for other in [second, stranger] {
            let other = world.engine.bootstrap(other).await.unwrap();
            let caller = crate::engine::tests::support::caller(&world.engine, &other).await;
            let id = world.engine.new_request_id();
            world.engine.call_tool(&caller, Tool::GenerateImage, json!({ "prompt": "a fox", "count": 2 }), id).await.unwrap();
        }
        let query = read_query(None, None, None, Some("workspace"), world.clock.now()).unwrap();
        let previous = query.span.previous();
        let report = world.engine.usage_report(&world.admin().await, query, previous).await.unwrap();
        let groups: Vec<_> = report.groups.iter().map(|line| (line.group.as_str(), line.sums.cost, line.sums.images)).collect();
        assert_eq!(groups, [("Brand", usd("0.084"), 2), ("Growth", usd("0.042"), 1)]);
    }

    async fn a_random_quarter_adds_up_to_the_micro_dollar(on) {
        let world = World::with_money(on, "20").await;
        let agents = agents(&world).await;
        let mut runner = TestRunner::new(Config { cases: 1, ..Config::default() });
        let steps = prop::collection::vec(step(), 160).new_tree(&mut runner).unwrap().current();
        for step in steps {
            take(&world, &agents, step).await;
        }
        let (mut month, mut balance) = (START.month_start(), Usd::ZERO);
        while month <= world.clock.now() {
            balance = assert_month_adds_up(&world, month, balance).await;
            month = month.next_month();
        }
        assert_eq!(balance, world.money().await.0);
        world.assert_whole().await;
    }

    async fn odd_hours_at_the_ends_are_counted_once(on) {
        let world = World::with_money(on, "20").await;
        let agents = agents(&world).await;
        for _ in 0..70 {
            take(&world, &agents, Step::Image { agent: 0, count: 1 }).await;
            world.clock.advance(HOUR);
        }
        let span = Span::new(START.plus(5 * HOUR), START.plus(64 * HOUR)).unwrap();
        let by_hour = usage_of(&world, span, Interval::Hour, Some(Grouping::User)).await;
        assert_eq!(by_hour.calls, (span.to.micros() - span.from.micros()) / HOUR);
        assert_eq!(usage_of(&world, span, Interval::Day, Some(Grouping::Tool)).await, by_hour);
        assert_eq!(usage_of(&world, span, Interval::Month, None).await, by_hour);
        let today = Span::new(world.clock.now().day_start(), world.clock.now()).unwrap();
        let sums = usage_of(&world, today, Interval::Day, None).await;
        assert_eq!(usage_of(&world, today, Interval::Hour, None).await, sums);
    }

    async fn the_report_compares_and_says_what_stands_out(on) {
        let world = World::with_money(on, "500").await;
        let agents = agents(&world).await;
        world.clock.advance(2 * DAY);
        for day in 0..15 {
            let calls = if day == 14 { 30 } else { 2 };
            for _ in 0..calls {
                take(&world, &agents, Step::Image { agent: day % 2, count: 1 }).await;
            }
            world.clock.advance(if day == 14 { 0 } else { DAY });
        }
        let now = world.clock.now();
        let span = Span::new(now.day_start().plus(-6 * DAY), now).unwrap();
        let query = UsageQuery { span, interval: Interval::Day, grouping: Some(Grouping::User) };
        let previous = query.span.previous();
        let report = world.engine.usage_report(&world.admin().await, query, previous).await.unwrap();
        assert_eq!(report.standouts.iter().map(|found| found.at).collect::<Vec<_>>(), [now.day_start()]);
        assert_eq!(report.usage.total().calls, 6 * 2 + 30);
        assert_eq!(report.groups.len(), 2);
        assert_eq!(report.groups.iter().map(|line| line.before).sum::<Sums>(), report.before);
        assert_eq!(report.before.calls, 2 * 7);
        let outlook = report.outlook.unwrap();
        assert_eq!(outlook.per_day, usd("0.084"), "the last fortnight, without today");
        assert!(outlook.month > report.usage.total().cost);
        assert_eq!(report.typical_day, usd("0.084"));
    }

    async fn the_ledgers_filters_find_what_they_name(on) {
        let world = World::with_money(on, "20").await;
        let agents = agents(&world).await;
        for agent in [0, 1, 1] {
            take(&world, &agents, Step::Image { agent, count: 1 }).await;
            world.clock.advance(DAY);
        }
        take(&world, &agents, Step::TopUp { micros: 5 }).await;
        let count = async |filter: LedgerFilter| {
            let page = world.engine.ledger(&world.admin().await, &filter, Page::default()).await.unwrap();
            page.items.len()
        };
        let kind = |kind| LedgerFilter { kind: Some(kind), ..LedgerFilter::default() };
        let of = |actor: &str| LedgerFilter { actor: Some(actor.into()), ..LedgerFilter::default() };
        let within = |from: i64, to: i64| LedgerFilter {
            span: Some(Span::new(START.plus(from * DAY), START.plus(to * DAY - HOUR)).unwrap()),
            ..LedgerFilter::default()
        };
        assert_eq!((count(kind(LedgerKind::TopUp)).await, count(kind(LedgerKind::Charge)).await), (2, 3));
        assert_eq!((count(of("agent.copy-bot")).await, count(of("agent.nobody")).await), (2, 0));
        assert_eq!((count(within(1, 2)).await, count(within(-9, -3)).await, count(within(-9, 9)).await), (1, 0, 5));
    }

    async fn an_allowance_is_given_once_a_month_and_only_what_is_missing(on) {
        let world = World::with_money(on, "20").await;
        let admin = world.admin().await;
        world.engine.set_allowance(&admin, Some(usd("30"))).await.unwrap();
        assert_eq!(world.engine.give_allowances().await.unwrap(), 0, "not in the month in which it was set");
        let mut months = 0;
        while months < 3 {
            let before = world.clock.now().month_start();
            world.clock.advance(10 * DAY);
            months += i32::from(world.clock.now().month_start() != before);
            world.image(json!({ "prompt": "a fox", "width": 64, "height": 64 })).await.unwrap();
            let (first, second) = tokio::join!(world.engine.give_allowances(), world.engine.give_allowances());
            first.unwrap();
            second.unwrap();
            world.engine.give_allowances().await.unwrap();
        }
        let tops = LedgerFilter { kind: Some(LedgerKind::TopUp), ..LedgerFilter::default() };
        let rows = world.engine.ledger(&admin, &tops, Page::default()).await.unwrap().items;
        let given: Vec<_> = rows.iter().filter(|row| row.actor == "system").collect();
        assert_eq!(given.len(), 3, "{rows:?}");
        assert!(given.iter().all(|row| row.balance_after_usd == usd("30")), "{rows:?}");
        assert!(given[0].reference.as_deref().unwrap().starts_with("Monthly allowance 20"));
        world.assert_whole().await;
    }

    async fn a_full_balance_gets_no_allowance_and_taking_it_away_ends_it(on) {
        let world = World::with_money(on, "20").await;
        let admin = world.admin().await;
        world.engine.set_allowance(&admin, Some(usd("10"))).await.unwrap();
        world.clock.advance(31 * DAY);
        assert_eq!(world.engine.give_allowances().await.unwrap(), 1, "looked after, nothing missing");
        assert_eq!(world.money().await.0, usd("20"));
        world.engine.set_allowance(&admin, None).await.unwrap();
        world.engine.set_allowance(&admin, Some(usd("50"))).await.unwrap();
        assert_eq!(world.engine.give_allowances().await.unwrap(), 0, "a new one begins with the next month");
        world.engine.set_allowance(&admin, None).await.unwrap();
        world.clock.advance(31 * DAY);
        assert_eq!(world.engine.give_allowances().await.unwrap(), 0);
        assert_eq!(world.money().await.0, usd("20"));
        assert_eq!(world.engine.set_allowance(&admin, Some(Usd::ZERO)).await.unwrap_err().to_string().split(':').next(), Some("allowance_usd"));
    }

    async fn a_person_sees_all_workspaces_side_by_side(on) {
        let world = World::with_money(on, "20").await;
        world.engine.bootstrap(Bootstrap { workspace: "Second".into(), region: "us-east-1".into(), ..bootstrap("5") }).await.unwrap();
        world.image(json!({ "prompt": "a fox", "width": 64, "height": 64 })).await.unwrap();
        let rows = world.engine.portfolio(&world.made.user_id).await.unwrap();
        let standings: Vec<_> = rows.iter().map(|row| row.standing.as_ref().unwrap()).collect();
        assert_eq!(standings.iter().map(|standing| standing.month.cost).sum::<Usd>(), usd("0.042"));
        assert_eq!(standings.iter().filter_map(|standing| standing.balance).sum::<Usd>(), usd("24.958"));
        assert_eq!(standings.iter().flat_map(|standing| &standing.days).map(|(_, cost)| *cost).sum::<Usd>(), usd("0.042"));
    }

    async fn a_cell_that_is_down_hides_its_own_workspaces_only(on) {
        let world = World::with_money(on, "20").await;
        let second = Bootstrap { workspace: "Second".into(), region: "us-east-1".into(), ..bootstrap("5") };
        let second = world.engine.bootstrap(second).await.unwrap().workspace_id;
        world.engine.0.cells["us"].db.read.close().await;
        let rows = world.engine.portfolio(&world.made.user_id).await.unwrap();
        let standing = |id: &WorkspaceId| rows.iter().find(|row| &row.workspace.id == id).unwrap().standing.as_ref();
        assert_eq!(standing(&second).unwrap_err(), &Unknown::Unreachable);
        assert_eq!(standing(&world.made.workspace_id).unwrap().balance, Some(usd("20")));
    }

    async fn workspaces_of_one_name_stay_two(on) {
        let world = World::with_money(on, "20").await;
        let own = world.admin().await.workspace;
        let named = |id: &str, name: &str| Workspace { id: id.parse().unwrap(), name: name.into(), ..own.clone() };
        let all = [named("ws_11aaaa", "Growth"), named("ws_22bbbb", "Growth"), named("ws_33cccc", "Labs")];
        let names: Vec<String> = names_apart(all.iter()).into_values().collect();
        assert_eq!(names, ["Growth …aaaa", "Growth …bbbb", "Labs"]);
    }
}

#[tokio::test]
async fn roll_ups_that_differ_are_found() {
    let (clock, databases) = (Clock::manual(START), Databases::sqlite());
    let engine = databases.node(&clock, Providers::default()).await;
    engine.bootstrap(bootstrap("1")).await.unwrap();
    let mut transaction = engine.0.cells["eu"].db.begin().await.unwrap();
    let text = "INSERT INTO usage_hours (workspace_id, hour_us, user_id, tool, model, refused, calls) VALUES ('w', 0, 'a', 't', '', 1, 1)";
    sqlx::query(text).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let faults = engine.check().await.unwrap();
    assert!(faults.iter().any(|fault| fault.contains("by hour and by day differ")), "{faults:?}");
}

#[test]
fn a_query_names_the_parameter_that_is_wrong() {
    let wrong = |from, interval, group| read_query(from, None, interval, group, START).unwrap_err().field;
    assert_eq!(wrong(Some("soon"), None, None), "from");
    assert_eq!(wrong(None, Some("week"), None), "interval");
    assert_eq!(wrong(None, None, Some("price")), "group_by");
}
