//! How people hear of alerts: by mail and in Slack, tried again, and nobody held up by another's receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::domain::access::Role;
use crate::domain::alerts::AlertSettings;
use crate::domain::money::Usd;
use crate::domain::settings::CapsChange;
use crate::domain::time::{DAY, HOUR, MINUTE};
use crate::engine::Engine;
use crate::engine::access::own_mail::MailChoices;
use crate::engine::access::scope::Scope;
use crate::engine::alerts::AlertChange;
use crate::engine::log::reading::{AuditFilter, Page};
use crate::engine::tests::alerts::{agent, alerts, small, spend, watch};
use crate::engine::tests::mail_server::MailServer;
use crate::engine::tests::receiver::{Receiver, Reply};
use crate::engine::tests::support::{Databases, World, add_member, both_engines, mails};

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
