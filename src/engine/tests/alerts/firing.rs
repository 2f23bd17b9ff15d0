//! Alerts over months of a fake clock: each fires once for its threshold and period.

use serde_json::json;

use crate::domain::settings::CapsChange;
use crate::domain::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::Engine;
use crate::engine::tests::alerts::{agent, alerts, fail, history, small, spend, watch};
use crate::engine::tests::receiver::{Receiver, Reply};
use crate::engine::tests::support::{Databases, World, both_engines, mails, usd};
use crate::engine::webhooks::NewEndpoint;

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
}
