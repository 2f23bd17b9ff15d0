//! Alerts over months of a fake clock, each told once, and the loop breaker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::domain::access::Role;
use crate::domain::alerts::{AlertSettings, Runaway};
use crate::domain::money::Usd;
use crate::domain::policy::Tool;
use crate::domain::settings::CapsChange;
use crate::domain::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::Engine;
use crate::engine::access::own_mail::MailChoices;
use crate::engine::access::scope::Scope;
use crate::engine::alerts::AlertChange;
use crate::engine::calls::agents::{AgentState, AgentView};
use crate::engine::calls::providers::{Act, ProviderError, Scripted};
use crate::engine::log::reading::{AuditFilter, EntryKind, Page};
use crate::engine::tests::mail_server::MailServer;
use crate::engine::tests::receiver::{Receiver, Reply};
use crate::engine::tests::support::{Databases, World, add_member, both_engines, mails, usd};
use crate::engine::webhooks::NewEndpoint;

fn small(prompt: &str) -> Value {
    json!({ "prompt": prompt, "width": 64, "height": 64 })
}

/// The alerts in the log, oldest first: event and what it is about.
async fn alerts(world: &World) -> Vec<String> {
    let filter = AuditFilter { kind: Some(EntryKind::Administration), ..AuditFilter::default() };
    let page = Page { limit: Some(200), cursor: None };
    let rows = world.engine.audit(&world.admin().await, &filter, page).await.unwrap().items;
    let mut told: Vec<String> =
        rows.iter().filter_map(|row| row.entry.data.as_ref()?["alert"].as_str().map(str::to_owned)).collect();
    told.reverse();
    told
}

/// Looks, and tells.
async fn watch(world: &World) {
    world.engine.watch_budgets().await.unwrap();
    world.engine.tell_alerts().await.unwrap();
}

/// The keys of the alerts that fired, the oldest first.
async fn history(world: &World) -> Vec<String> {
    let history = world.engine.alerts(&world.admin().await).await.unwrap().history;
    history.into_iter().rev().map(|alert| alert.key).collect()
}

async fn agent(world: &World) -> AgentView {
    world.engine.agents(&world.admin().await).await.unwrap().remove(0)
}

/// The same prompt so many times, 20 seconds apart; each answers with `code`.
async fn fail(world: &World, times: usize, code: &str) {
    for _ in 0..times {
        assert_eq!(world.image(small("the same")).await.unwrap_err().code, code);
        world.clock.advance(20 * SECOND);
    }
}

/// A provider that fails in these ways, one after the other, for ever.
fn failing(ways: &[ProviderError]) -> Arc<Scripted> {
    Arc::new(Scripted::new((0..40).map(|n| Act::Fail(ways[n % ways.len()].clone()))))
}

fn out_of_order() -> ProviderError {
    ProviderError::Failed("out of order".into())
}

async fn spend(world: &World, calls: usize) {
    for number in 0..calls {
        world.image(small(&format!("picture {number} at {}", world.clock.now()))).await.unwrap();
    }
}

/// A floor that the empty balance is below, and the alert that fires for it.
async fn fall_below_floor(world: &World, scope: &Scope, floor: i32) {
    let caps = CapsChange { floor_usd: Some(Some(Usd::dollars(floor))), ..CapsChange::default() };
    world.engine.set_caps(scope, &caps).await.unwrap();
    assert_eq!(world.engine.watch_budgets().await.unwrap(), 1);
}

/// Waits until it is so; a test that waits in vain fails.
async fn until(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
}

both_engines! {
    async fn each_alert_is_told_once_over_months(on) {
        let world = World::with_money(on, "10").await;
        // October 2026: typical is the first 30 days' top-ups, 10 dollars. 100 images cost 4.20.
        for _ in 0..3 {
            spend(&world, 60).await;
            for _ in 0..5 {
                watch(&world).await;
                world.clock.advance(20 * MINUTE);
            }
        }
        assert_eq!(alerts(&world).await, ["soft_alert/75"], "75 % of 10 dollars");
        spend(&world, 58).await;
        watch(&world).await;
        let refused = world.image(small("one too many")).await.unwrap_err();
        assert_eq!(refused.code, "insufficient_credits");
        watch(&world).await;
        assert_eq!(alerts(&world).await, ["soft_alert/75", "balance_exhausted"]);
        world.engine.top_up(&world.admin().await, usd("1"), "more").await.unwrap();
        spend(&world, 23).await;
        assert!(world.image(small("again too many")).await.is_err());
        assert!(world.image(small("and again")).await.is_err());
        watch(&world).await;
        let told = alerts(&world).await;
        assert_eq!(told.iter().filter(|alert| *alert == "balance_exhausted").count(), 2, "once after each top-up: {told:?}");
        let mails = mails(&world).await;
        assert_eq!(mails.iter().filter(|mail| mail.contains("is used up")).count(), 2);
        assert_eq!(mails.iter().filter(|mail| mail.contains("75 %")).count(), 1);
        world.assert_whole().await;
    }

    async fn four_months_of_spend_tell_each_alert_once_a_month(on) {
        let world = World::with_money(on, "10").await;
        let caps = CapsChange {
            workspace_month_usd: Some(Some(usd("10.248"))),
            floor_usd: Some(Some(usd("2"))),
            ..CapsChange::default()
        };
        world.engine.set_caps(&world.admin().await, &caps).await.unwrap();
        // To the middle of January 2027; $0.336 a day, and three times that in the new year.
        for day in 0..86 {
            let calls = if world.clock.now().to_string().starts_with("2027") { 6 } else { 2 };
            for call in 0..calls {
                let picture = json!({ "prompt": format!("day {day}, call {call}"), "width": 64, "height": 64, "count": 4 });
                let _ = world.image(picture).await;
            }
            for _ in 0..3 {
                watch(&world).await;
                world.clock.advance(8 * HOUR);
            }
            if world.clock.now().to_string()[8..10] == *"10" {
                world.engine.top_up(&world.admin().await, usd("12"), "monthly").await.unwrap();
            }
        }
        let history = world.engine.alerts(&world.admin().await).await.unwrap().history;
        let told: Vec<_> = history.iter().rev().map(|row| (row.fired_at.day_key(), row.key.as_str())).collect();
        let expected = [
            ("2026-11-01", "forecast/2026-11/"),
            ("2026-11-06", "below_floor/"),
            ("2026-12-01", "forecast/2026-12/"),
            // November, the first full month, cost $10.08: 75 % of it are 22.5 days, and all of it are 30.
            ("2026-12-23", "soft_alert/75/2026-12"),
            ("2026-12-29", "token_due/14/"),
            ("2026-12-30", "soft_alert/100/2026-12"),
            ("2026-12-31", "cap_reached/workspace_month//2026-12"),
            ("2027-01-01", "forecast/2027-01/"),
            ("2027-01-06", "below_floor/"),
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for ((day, key), (on_day, begins)) in told.iter().zip(expected) {
            assert!(day == on_day && key.starts_with(begins), "{day} {key}, not {on_day} {begins}");
        }
        let sent = mails(&world).await.iter().filter(|mail| mail.contains("Subject: ")).count();
        assert_eq!(sent, expected.len(), "one mail each to the one Admin");
    }

    async fn a_token_that_is_due_is_told_in_each_stage_once(on) {
        let world = World::with_money(on, "10").await;
        for _ in 0..(24 * 98) {
            watch(&world).await;
            world.clock.advance(HOUR + SECOND);
        }
        let told = alerts(&world).await;
        let tokens: Vec<_> = told.iter().filter(|alert| alert.starts_with("token")).collect();
        assert_eq!(tokens, ["token_due/14", "token_due/3", "token_due/0", "token_overdue"]);
        let viewers = mails(&world).await;
        assert!(viewers.iter().all(|mail| !mail.contains("spent by")), "no Viewer, no digest");
    }

    async fn caps_and_floor_are_told_when_they_are_reached(on) {
        let world = World::with_money(on, "10").await;
        let caps = CapsChange { workspace_month_usd: Some(Some(usd("0.084"))), floor_usd: Some(Some(usd("9.95"))), ..CapsChange::default() };
        world.engine.set_caps(&world.admin().await, &caps).await.unwrap();
        spend(&world, 2).await;
        for _ in 0..3 {
            assert_eq!(world.image(small("beyond")).await.unwrap_err().code, "cap_exceeded");
            watch(&world).await;
        }
        let mut told = alerts(&world).await;
        told.sort_unstable();
        assert_eq!(told, ["below_floor", "cap_reached/workspace_month/"]);
    }

    async fn two_nodes_tell_an_alert_once(on) {
        let world = World::with_money(on, "1").await;
        spend(&world, 20).await;
        let other = Engine::open(world._databases.config(), world.clock.clone()).await.unwrap();
        for _ in 0..3 {
            let (one, two) = tokio::join!(world.engine.watch_budgets(), other.watch_budgets());
            one.and(two).unwrap();
            let (one, two) = tokio::join!(world.engine.tell_alerts(), other.tell_alerts());
            one.and(two).unwrap();
        }
        assert_eq!(alerts(&world).await.iter().filter(|alert| *alert == "soft_alert/75").count(), 1);
        assert_eq!(mails(&world).await.iter().filter(|mail| mail.contains("75 %")).count(), 1, "and one mail");
    }

    async fn an_agent_that_repeats_what_fails_is_paused_after_five(on) {
        let world = World::scripted(on, "100", &failing(&[out_of_order()])).await;
        fail(&world, 5, "provider_failed").await;
        let paused = world.image(small("the same")).await.unwrap_err();
        assert_eq!(paused.code, "agent_paused");
        assert!(paused.message.contains("loop breaker") && paused.message.contains("5 times within 10 minutes"), "{}", paused.message);
        let (admin, agent) = (world.admin().await, agent(&world).await);
        assert_eq!(agent.state, AgentState::Paused);
        watch(&world).await;
        assert_eq!(mails(&world).await.iter().filter(|mail| mail.contains("An agent was paused")).count(), 1);
        world.engine.resume_agent(&admin, &agent.id).await.unwrap();
        world.clock.advance(11 * MINUTE);
        assert_eq!(world.image(small("the same")).await.unwrap_err().code, "provider_failed");
        assert_eq!(world.money().await, (usd("100"), usd("0")));
        world.assert_whole().await;
    }

    async fn a_resumed_agent_begins_anew(on) {
        let world = World::scripted(on, "100", &failing(&[out_of_order()])).await;
        fail(&world, 5, "provider_failed").await;
        let id = agent(&world).await.id;
        world.engine.resume_agent(&world.admin().await, &id).await.unwrap();
        world.clock.advance(SECOND);
        fail(&world, 1, "provider_failed").await;
        assert_eq!(agent(&world).await.state, AgentState::Active, "one failure is no loop, though five came before");
        fail(&world, 3, "provider_failed").await;
        assert_eq!(agent(&world).await.state, AgentState::Active);
        fail(&world, 1, "provider_failed").await;
        assert_eq!(agent(&world).await.state, AgentState::Paused, "the fifth since then");
    }

    async fn whatever_the_refusals_say_five_of_one_prompt_are_a_loop(on) {
        let world = World::scripted(on, "100", &failing(&[out_of_order(), ProviderError::Timeout])).await;
        for code in ["provider_failed", "provider_timeout", "provider_failed", "provider_timeout", "provider_failed"] {
            assert_eq!(agent(&world).await.state, AgentState::Active);
            fail(&world, 1, code).await;
        }
        assert_eq!(agent(&world).await.state, AgentState::Paused);
    }

    async fn a_tool_that_is_denied_again_and_again_is_a_loop(on) {
        let world = World::with_money(on, "10").await;
        let (admin, id) = (world.admin().await, agent(&world).await.id);
        let only_credits = json!({ "permissions": ["get_credits"], "denied": [] });
        world.engine.update_policy(&admin, &id, only_credits).await.unwrap();
        fail(&world, 4, "tool_denied").await;
        assert_eq!(agent(&world).await.state, AgentState::Active);
        fail(&world, 1, "tool_denied").await;
        assert_eq!(agent(&world).await.state, AgentState::Paused);
        fail(&world, 3, "tool_denied").await;
        assert_eq!(history(&world).await.len(), 1, "it is paused already");
    }

    async fn each_pause_and_each_failing_webhook_is_told_once_also_after_a_crash(on) {
        let world = World::with_config(on, "0", |config| config.webhooks.allow_private_addresses = true).await;
        let (admin, receiver) = (world.admin().await, Receiver::start().await);
        let hook = NewEndpoint { url: receiver.url.clone(), format: "generic".into(), token: None, events: None, headers: None };
        world.engine.create_webhook(&admin, hook).await.unwrap();
        fail(&world, 5, "insufficient_credits").await;
        let id = agent(&world).await.id;
        world.engine.resume_agent(&admin, &id).await.unwrap();
        world.engine.pause_agent(&admin, &id).await.unwrap();
        world.engine.pause_agent(&admin, &id).await.unwrap();
        receiver.always(Some(Reply::status(500)));
        for _ in 0..8 {
            world.engine.deliver_webhooks().await.unwrap();
            world.clock.advance(3 * HOUR);
        }
        // Nobody was told yet, and this process ends here; another one goes on.
        let next = Engine::open(world._databases.config(), world.clock.clone()).await.unwrap();
        let world = World { engine: next, ..world };
        for _ in 0..3 {
            watch(&world).await;
            world.clock.advance(HOUR);
        }
        let history = history(&world).await;
        let count = |of: &str| history.iter().filter(|key| key.starts_with(of)).count();
        assert_eq!((count("agent_paused/"), count("webhook_failing/")), (2, 1), "{history:?}");
        let mails = mails(&world).await;
        let sent = |of: &str| mails.iter().filter(|mail| mail.contains(of)).count();
        assert_eq!(sent("Subject: An agent was paused"), 2, "the loop breaker’s, and the person’s");
        assert_eq!(sent("Subject: A webhook is failing"), 1);
    }

    async fn a_burst_at_once_or_other_prompts_are_no_loop(on) {
        let world = World::with_money(on, "0").await;
        for number in 0..8 {
            let refused = world.image(small(&format!("number {number}"))).await.unwrap_err();
            assert_eq!(refused.code, "insufficient_credits");
            world.clock.advance(SECOND);
        }
        for _ in 0..4 {
            assert_eq!(world.image(small("slowly")).await.unwrap_err().code, "insufficient_credits");
            world.clock.advance(3 * MINUTE);
        }
        assert_eq!(world.image(small("slowly")).await.unwrap_err().code, "insufficient_credits");
    }

    async fn the_loop_breakers_limits_are_the_workspaces(on) {
        let world = World::scripted(on, "100", &failing(&[out_of_order()])).await;
        let runaway = Runaway { repeats: 3, minutes: 60, times_typical: 5 };
        let settings = AlertSettings { runaway, ..AlertSettings::default() };
        world.engine.set_alerts(&world.admin().await, AlertChange { settings, slack_url: None }).await.unwrap();
        for _ in 0..3 {
            assert_eq!(world.image(small("the same")).await.unwrap_err().code, "provider_failed");
            world.clock.advance(15 * MINUTE);
        }
        let paused = world.image(small("the same")).await.unwrap_err();
        assert_eq!(paused.code, "agent_paused");
        assert!(paused.message.contains("3 times within 60 minutes"), "{}", paused.message);
    }

    async fn an_hour_far_above_the_typical_one_pauses_the_agent(on) {
        let world = World::with_money(on, "100").await;
        for _ in 0..30 {
            spend(&world, 5).await;
            watch(&world).await;
            world.clock.advance(HOUR);
        }
        assert_eq!(world.engine.agents(&world.admin().await).await.unwrap()[0].state, AgentState::Active);
        spend(&world, 40).await;
        watch(&world).await;
        let refused = world.call(Tool::GenerateImage, small("more")).await.unwrap_err();
        assert_eq!(refused.code, "agent_paused");
        assert!(refused.message.contains("more than 5 times its typical hour"), "{}", refused.message);
    }

    async fn a_spender_that_was_resumed_is_not_paused_for_what_it_spent_before(on) {
        let world = World::with_money(on, "100").await;
        for _ in 0..30 {
            spend(&world, 5).await;
            watch(&world).await;
            world.clock.advance(HOUR);
        }
        spend(&world, 40).await;
        watch(&world).await;
        let paused = agent(&world).await;
        assert_eq!(paused.state, AgentState::Paused);
        world.engine.resume_agent(&world.admin().await, &paused.id).await.unwrap();
        world.clock.advance(MINUTE);
        watch(&world).await;
        spend(&world, 10).await;
        watch(&world).await;
        assert_eq!(agent(&world).await.state, AgentState::Active, "a person looked at that hour");
        spend(&world, 30).await;
        watch(&world).await;
        assert_eq!(agent(&world).await.state, AgentState::Paused, "it went on in the same way");
    }

    async fn a_dear_call_that_is_refused_does_not_use_up_the_balance(on) {
        let world = World::with_money(on, "0.1").await;
        let dear = json!({ "prompt": "four", "width": 64, "height": 64, "count": 4 });
        assert_eq!(world.image(dear).await.unwrap_err().code, "insufficient_credits");
        watch(&world).await;
        assert!(!alerts(&world).await.contains(&"balance_exhausted".to_owned()));
        spend(&world, 2).await;
        assert_eq!(world.image(small("a third")).await.unwrap_err().code, "insufficient_credits");
        watch(&world).await;
        assert_eq!(alerts(&world).await.iter().filter(|alert| *alert == "balance_exhausted").count(), 1, "$0.016 pay nothing");
    }

    async fn months_without_spend_leave_the_first_top_ups_as_the_measure(on) {
        let world = World::with_money(on, "1").await;
        world.clock.advance(60 * DAY);
        spend(&world, 18).await;
        watch(&world).await;
        assert!(alerts(&world).await.contains(&"soft_alert/75".to_owned()), "75 % of the dollar that was paid in");
    }

    async fn a_cap_that_was_raised_is_told_again(on) {
        let world = World::with_money(on, "10").await;
        for cap in ["0.084", "0.126"] {
            let caps = CapsChange { workspace_month_usd: Some(Some(usd(cap))), ..CapsChange::default() };
            world.engine.set_caps(&world.admin().await, &caps).await.unwrap();
            while world.image(small(&format!("up to {cap} at {:?}", world.money().await))).await.is_ok() {}
            watch(&world).await;
        }
        assert_eq!(alerts(&world).await, ["cap_reached/workspace_month/"; 2]);
    }

    async fn who_was_not_reached_is_tried_again_and_nobody_else(on) {
        let world = World::with_config(on, "1", |config| config.webhooks.allow_private_addresses = true).await;
        let (admin, slack) = (world.admin().await, Receiver::start().await);
        let change = AlertChange { settings: AlertSettings::default(), slack_url: Some(slack.url.clone()) };
        world.engine.set_alerts(&admin, change).await.unwrap();
        slack.then([Reply::status(500)]);
        spend(&world, 18).await;
        watch(&world).await;
        let now = async || world.engine.alerts(&admin).await.unwrap().history.remove(0);
        let waiting = now().await;
        assert_eq!(waiting.channels.as_deref(), Some("1 mail; Slack failed: it answered 500"));
        assert_eq!(waiting.told_at, None);
        watch(&world).await;
        assert_eq!(slack.all().len(), 1, "not at once");
        world.clock.advance(2 * MINUTE);
        watch(&world).await;
        let told = now().await;
        assert_eq!((told.channels.as_deref(), told.told_at.is_some()), (Some("1 mail; Slack"), true));
        assert_eq!((slack.all().len(), mails(&world).await.len()), (2, 1), "the mail had come");
    }

    async fn a_mail_server_that_refuses_is_asked_for_a_day(on) {
        let server = MailServer::start().await;
        let url = server.url.clone();
        let world = World::with_config(on, "1", |config| config.mail.smtp_url = Some(url)).await;
        server.refuse(true);
        spend(&world, 18).await;
        watch(&world).await;
        assert_eq!((server.taken(), server.refused()), (0, 1));
        server.refuse(false);
        world.clock.advance(2 * MINUTE);
        watch(&world).await;
        watch(&world).await;
        assert_eq!((server.taken(), server.refused()), (1, 1));
        server.refuse(true);
        spend(&world, 5).await;
        assert!(world.image(small("one too many")).await.is_err());
        for _ in 0..40 {
            watch(&world).await;
            world.clock.advance(HOUR);
        }
        let tried = server.refused();
        let history = world.engine.alerts(&world.admin().await).await.unwrap().history;
        assert!(history.iter().all(|alert| alert.told_at.is_some()), "nobody waits for ever: {history:?}");
        assert!(tried > 8, "{tried}");
    }

    async fn alerts_go_to_slack_and_to_chosen_people(on) {
        let world = World::with_config(on, "1", |config| config.webhooks.allow_private_addresses = true).await;
        let slack = Receiver::start().await;
        let admin = world.admin().await;
        let settings = AlertSettings { recipients: vec!["finance@example.com".into()], ..AlertSettings::default() };
        let change = AlertChange { settings, slack_url: Some(slack.url.clone()) };
        assert!(world.engine.set_alerts(&admin, change).await.unwrap().slack);
        world.engine.test_slack(&admin).await.unwrap();
        slack.then([Reply::status(404)]);
        assert!(world.engine.test_slack(&admin).await.is_err());
        spend(&world, 20).await;
        watch(&world).await;
        assert!(slack.all().last().unwrap().text().contains("75 %"));
        assert!(mails(&world).await.iter().any(|mail| mail.contains("finance@example.com") && mail.contains("75 %")));
        let history = world.engine.alerts(&admin).await.unwrap().history;
        assert!(history.iter().all(|alert| alert.channels.as_deref() == Some("1 mail; Slack")), "{history:?}");
        let log = world.engine.audit(&admin, &AuditFilter::default(), Page::default()).await.unwrap();
        assert!(!format!("{log:?}").contains(&slack.url), "the Slack URL is a secret");
        let set = log.items.iter().find_map(|row| row.entry.data.as_ref().filter(|data| data["setting"] == "alerts"));
        let changed = set.map(|data| (data["slack_changed"].clone(), data["recipients_changed"].clone()));
        assert_eq!(changed, Some((json!(true), json!(true))));
    }

    async fn a_slack_that_hangs_holds_up_nobody_else(on) {
        let world = World::with_config(on, "1", |config| config.webhooks.allow_private_addresses = true).await;
        let (hanging, healthy) = (Receiver::start().await, Receiver::start().await);
        let came = Arc::new(AtomicUsize::new(0));
        let count = came.clone();
        hanging.judge(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Some(Reply::Slow(Duration::from_secs(60)))
        });
        let (first, second) = (world.another_workspace("Hanging").await, world.another_workspace("Healthy").await);
        for (scope, slack) in [(&first, &hanging), (&second, &healthy)] {
            let change = AlertChange { settings: AlertSettings::default(), slack_url: Some(slack.url.clone()) };
            world.engine.set_alerts(scope, change).await.unwrap();
            fall_below_floor(&world, scope, 1).await;
        }
        let began = Instant::now();
        world.engine.tell_alerts_apart();
        until(async || came.load(Ordering::SeqCst) == 1 && healthy.all().len() == 1).await;
        // The first round still hangs, and what is fired now is told in the next.
        fall_below_floor(&world, &second, 2).await;
        world.engine.tell_alerts_apart();
        let told = async || world.engine.alerts(&second).await.unwrap().history;
        until(async || told().await.iter().filter(|alert| alert.told_at.is_some()).count() == 2).await;
        assert!(began.elapsed() < Duration::from_secs(10), "sooner than the first round's patience: {:?}", began.elapsed());
        assert_eq!(came.load(Ordering::SeqCst), 1, "it is asked once meanwhile");
        assert_eq!(mails(&world).await.iter().filter(|mail| mail.contains("below the floor")).count(), 3, "nor its own mail");
        let channels: Vec<_> = told().await.into_iter().filter_map(|alert| alert.channels).collect();
        assert_eq!((channels.as_slice(), healthy.all().len()), (["1 mail; Slack", "1 mail; Slack"].map(String::from).as_slice(), 2));
    }

    async fn who_wants_no_mail_gets_none_and_named_recipients_do(on) {
        let world = World::with_money(on, "10").await;
        let id = agent(&world).await.id;
        let told = async || {
            world.engine.pause_agent(&world.admin().await, &id).await.unwrap();
            watch(&world).await;
            world.engine.resume_agent(&world.admin().await, &id).await.unwrap();
            mails(&world).await.into_iter().filter(|mail| mail.contains("Subject: An agent was paused")).count()
        };
        assert_eq!(told().await, 1);
        let ada = &world.made.user_id;
        world.engine.set_mail_choices(ada, MailChoices { alerts: false, digest: true }).await.unwrap();
        assert_eq!(world.engine.mail_choices(ada).await.unwrap(), MailChoices { alerts: false, digest: true });
        assert_eq!(told().await, 1);
        let settings = AlertSettings { recipients: vec!["ada@example.com".into()], ..AlertSettings::default() };
        let change = AlertChange { settings, slack_url: None };
        world.engine.set_alerts(&world.admin().await, change).await.unwrap();
        assert_eq!(told().await, 2, "the workspace names the address");
    }

    async fn the_month_ends_with_a_digest_for_viewers(on) {
        let world = World::with_money(on, "10").await;
        add_member(&world, "vera@example.com", Role::Viewer).await;
        spend(&world, 3).await;
        for _ in 0..40 {
            watch(&world).await;
            world.clock.advance(DAY);
        }
        let digests: Vec<_> = mails(&world).await.into_iter().filter(|mail| mail.contains("vera@example.com") && mail.contains("spent by")).collect();
        assert!(!digests.is_empty() && digests[0].contains("$0.126"), "{digests:?}");
        assert_eq!(digests.len(), 1, "one month ended");
        assert!(!digests[0].contains("Balance"), "Viewers have no billing: {digests:?}");
    }
}
