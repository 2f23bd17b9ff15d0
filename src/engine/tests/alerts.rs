//! Alerts over months of a fake clock, each told once, and the loop breaker.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::access::Role;
use crate::domain::alerts::{AlertSettings, Runaway};
use crate::domain::policy::Tool;
use crate::domain::settings::CapsChange;
use crate::domain::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::Engine;
use crate::engine::access::own_mail::MailChoices;
use crate::engine::alerts::AlertChange;
use crate::engine::calls::agents::AgentState;
use crate::engine::calls::providers::{Act, ProviderError, Scripted};
use crate::engine::log::reading::{AuditFilter, EntryKind, Page};
use crate::engine::tests::receiver::{Receiver, Reply};
use crate::engine::tests::support::{Databases, World, add_member, both_engines, mails, usd};

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

async fn spend(world: &World, calls: usize) {
    for number in 0..calls {
        world.image(small(&format!("picture {number} at {}", world.clock.now()))).await.unwrap();
    }
}

both_engines! {
    async fn each_alert_is_told_once_over_months(on) {
        let world = World::with_money(on, "10").await;
        // October 2026: typical is the first 30 days' top-ups, 10 dollars. 100 images cost 4.20.
        for _ in 0..3 {
            spend(&world, 60).await;
            for _ in 0..5 {
                world.engine.watch_budgets().await.unwrap();
                world.clock.advance(20 * MINUTE);
            }
        }
        assert_eq!(alerts(&world).await, ["soft_alert/75"], "75 % of 10 dollars");
        spend(&world, 58).await;
        world.engine.watch_budgets().await.unwrap();
        let refused = world.image(small("one too many")).await.unwrap_err();
        assert_eq!(refused.code, "insufficient_credits");
        world.engine.watch_budgets().await.unwrap();
        assert_eq!(alerts(&world).await, ["soft_alert/75", "balance_exhausted"]);
        world.engine.top_up(&world.admin().await, usd("1"), "more").await.unwrap();
        spend(&world, 23).await;
        assert!(world.image(small("again too many")).await.is_err());
        assert!(world.image(small("and again")).await.is_err());
        world.engine.watch_budgets().await.unwrap();
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
                world.engine.watch_budgets().await.unwrap();
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
            world.engine.watch_budgets().await.unwrap();
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
            world.engine.watch_budgets().await.unwrap();
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
        }
        assert_eq!(alerts(&world).await.iter().filter(|alert| *alert == "soft_alert/75").count(), 1);
    }

    async fn an_agent_that_repeats_what_fails_is_paused_after_five(on) {
        let failures = (0..20).map(|_| Act::Fail(ProviderError::Failed("out of order".into())));
        let scripted = Arc::new(Scripted::new(failures));
        let world = World::scripted(on, "100", &scripted).await;
        for _ in 0..5 {
            assert_eq!(world.image(small("the same")).await.unwrap_err().code, "provider_failed");
            world.clock.advance(20 * SECOND);
        }
        let paused = world.image(small("the same")).await.unwrap_err();
        assert_eq!(paused.code, "agent_paused");
        assert!(paused.message.contains("loop breaker") && paused.message.contains("5 times within 10 minutes"), "{}", paused.message);
        let admin = world.admin().await;
        let agent = world.engine.agents(&admin).await.unwrap().remove(0);
        assert_eq!(agent.state, AgentState::Paused);
        assert_eq!(mails(&world).await.iter().filter(|mail| mail.contains("An agent was paused")).count(), 1);
        world.engine.resume_agent(&admin, &agent.id).await.unwrap();
        world.clock.advance(11 * MINUTE);
        assert_eq!(world.image(small("the same")).await.unwrap_err().code, "provider_failed");
        assert_eq!(world.money().await, (usd("100"), usd("0")));
        world.assert_whole().await;
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
        let failures = (0..20).map(|_| Act::Fail(ProviderError::Failed("out of order".into())));
        let scripted = Arc::new(Scripted::new(failures));
        let world = World::scripted(on, "100", &scripted).await;
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
            world.engine.watch_budgets().await.unwrap();
            world.clock.advance(HOUR);
        }
        assert_eq!(world.engine.agents(&world.admin().await).await.unwrap()[0].state, AgentState::Active);
        spend(&world, 40).await;
        world.engine.watch_budgets().await.unwrap();
        let refused = world.call(Tool::GenerateImage, small("more")).await.unwrap_err();
        assert_eq!(refused.code, "agent_paused");
        assert!(refused.message.contains("more than 5 times its typical hour"), "{}", refused.message);
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
        world.engine.watch_budgets().await.unwrap();
        assert!(slack.all().last().unwrap().text().contains("75 %"));
        assert!(mails(&world).await.iter().any(|mail| mail.contains("finance@example.com") && mail.contains("75 %")));
        let history = world.engine.alerts(&admin).await.unwrap().history;
        assert!(history.iter().all(|alert| alert.channels.as_deref() == Some("1 mail; Slack")), "{history:?}");
        let log = world.engine.audit(&admin, &AuditFilter::default(), Page::default()).await.unwrap();
        assert!(!format!("{log:?}").contains(&slack.url), "the Slack URL is a secret");
    }

    async fn who_wants_no_mail_gets_none_and_named_recipients_do(on) {
        let world = World::with_money(on, "10").await;
        let told = async || {
            world.engine.tell_admins(&world.admin().await, "Look", "here").await.unwrap();
            mails(&world).await.into_iter().filter(|mail| mail.contains("Subject: Look")).count()
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
            world.engine.watch_budgets().await.unwrap();
            world.clock.advance(DAY);
        }
        let digests: Vec<_> = mails(&world).await.into_iter().filter(|mail| mail.contains("vera@example.com") && mail.contains("spent by")).collect();
        assert!(!digests.is_empty() && digests[0].contains("$0.126"), "{digests:?}");
        assert_eq!(digests.len(), 1, "one month ended");
        assert!(!digests[0].contains("Balance"), "Viewers have no billing: {digests:?}");
    }
}
