//! A call from token to answer, and every way in which it ends.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::domain::access::Permission;
use crate::domain::audit::{Linked, Verifier};
use crate::domain::ids::WorkspaceId;
use crate::domain::money::Usd;
use crate::domain::policy::Tool;
use crate::domain::search::{Field, Search};
use crate::domain::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::access::bootstrap::Bootstrap;
use crate::engine::access::identify::Refused;
use crate::engine::access::scope::{Origin, Principal};
use crate::engine::calls::providers::{Act, ProviderError, Scripted};
use crate::engine::error::Error;
use crate::engine::log::reading::{AuditFilter, GenerationFilter, Page};
use crate::engine::money::billing::LedgerFilter;
use crate::engine::tests::killed::killed_after;
use crate::engine::tests::support::{Databases, World, bootstrap, both_engines, usd};

fn small(prompt: &str) -> Value {
    json!({ "prompt": prompt, "width": 64, "height": 64 })
}

fn link_parts(url: &str) -> (String, String, String) {
    let url = url::Url::parse(url).unwrap();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    let key = url.path().trim_start_matches("/media/").to_owned();
    (key, query["expires"].clone(), query["signature"].clone())
}

both_engines! {
    async fn an_image_is_paid_logged_stored_and_shown(on) {
        let world = World::with_money(on, "100").await;
        let answer = world.image(small("a fox")).await.unwrap();
        assert_eq!((&answer["cost_usd"], &answer["balance_after_usd"]), (&json!(0.042), &json!(99.958)));
        assert_eq!((&answer["model"], &answer["region"]), (&json!("sketch-image-1"), &json!("eu-west-1")));

        let scope = world.admin().await;
        let request_id = answer["request_id"].as_str().unwrap().to_owned();
        let filter = AuditFilter::of(Field::Request, request_id.clone());
        let row = world.engine.audit(&scope, &filter, Page::default()).await.unwrap().items.remove(0).entry;
        assert_eq!((row.user_id.as_str(), row.tool.as_deref()), ("agent.growth-bot", Some("generate_image")));
        assert_eq!((row.cost_usd, row.retention_days), (usd("0.042"), 30));
        assert!(row.prompt_hash.unwrap().starts_with("sha256:") && row.event.is_none());

        let (key, expires, signature) = link_parts(answer["result_url"].as_str().unwrap());
        let media = world.engine.open_media(&key, &expires, &signature, None).await.unwrap();
        let bytes = media.bytes.try_collect::<Vec<_>>().await.unwrap().concat();
        assert_eq!((&bytes[1..4], media.content_type.as_str()), (b"PNG".as_slice(), "image/png"));
        let shown = world.engine.generations(&scope, &GenerationFilter::default(), Page::default()).await.unwrap();
        assert_eq!((shown.items.len(), shown.items[0].request_id.as_str()), (1, request_id.as_str()));
        assert!(shown.items[0].thumbnail_url.is_some());
        let prompt = world.engine.prompt(&scope, &request_id.parse().unwrap()).await.unwrap();
        assert_eq!(prompt.as_deref(), Some("a fox"));
        let ledger = world.engine.ledger(&scope, &LedgerFilter::default(), Page::default()).await.unwrap().items;
        let amounts: Vec<Usd> = ledger.iter().map(|row| row.amount_usd).collect();
        assert_eq!(amounts, [usd("-0.042"), usd("100")]);
        world.assert_whole().await;
    }

    async fn a_signed_link_is_for_its_object_and_its_time(on) {
        let world = World::with_money(on, "1").await;
        let answer = world.image(small("a fox")).await.unwrap();
        let (key, expires, signature) = link_parts(answer["result_url"].as_str().unwrap());
        let open = async |key: &str, expires: &str, signature: &str| {
            world.engine.open_media(key, expires, signature, None).await.err()
        };
        assert_eq!(open(&key, &expires, &"0".repeat(64)).await, Some(Error::NotFound));
        assert_eq!(open(&key.replace("/g_", "/g_0"), &expires, &signature).await, Some(Error::NotFound));
        assert_eq!(open(&key, "9999999999", &signature).await, Some(Error::NotFound));
        world.clock.advance(8 * DAY);
        assert!(matches!(open(&key, &expires, &signature).await, Some(Error::Ended(_))));
    }

    async fn a_failure_gives_the_money_back_and_leaves_a_trace(on) {
        let scripted = Arc::new(Scripted::new([Act::Fail(ProviderError::Failed("the oven is cold".into())), Act::Succeed]));
        let world = World::scripted(on, "1", &scripted).await;
        let failed = world.image(small("a fox")).await.unwrap_err();
        assert_eq!(failed.code, "provider_failed");
        assert_eq!(world.money().await, (usd("1"), Usd::ZERO));
        let attempts = world.engine.attempts(&world.admin().await, &Search::default(), Page::default()).await.unwrap().items;
        assert_eq!((attempts.len(), attempts[0].code.as_str(), attempts[0].failed), (1, "provider_failed", true));
        world.image(small("a fox")).await.unwrap();
        world.assert_whole().await;
    }

    async fn repeats_within_a_minute_are_one_attempt(on) {
        let world = World::with_money(on, "0.01").await;
        for _ in 0..4 {
            assert_eq!(world.image(small("a fox")).await.unwrap_err().code, "insufficient_credits");
        }
        let attempts = world.engine.attempts(&world.admin().await, &Search::default(), Page::default()).await.unwrap().items;
        assert_eq!((attempts.len(), attempts[0].count), (1, 4));
        world.assert_whole().await;
    }

    async fn a_key_gives_the_first_answer_again_and_charges_nothing(on) {
        let world = World::with_money(on, "1").await;
        let keyed = |prompt: &str| json!({ "prompt": prompt, "width": 64, "height": 64, "idempotency_key": "k1" });
        let first = world.image(keyed("a fox")).await.unwrap();
        assert_eq!(world.image(keyed("a fox")).await.unwrap(), first);
        assert_eq!(world.image(keyed("a cat")).await.unwrap_err().code, "conflict");
        assert_eq!(world.money().await.0, usd("0.958"));
        world.clock.advance(25 * HOUR);
        assert_ne!(world.image(keyed("a fox")).await.unwrap(), first);
        world.assert_whole().await;
    }

    async fn two_calls_of_one_key_at_once_are_one_call(on) {
        let scripted = Arc::new(Scripted::new([Act::Delay(Duration::from_millis(400))]));
        let world = World::scripted(on, "1", &scripted).await;
        let keyed = json!({ "prompt": "a fox", "idempotency_key": "k1" });
        let (one, two) = tokio::join!(world.image(keyed.clone()), world.image(keyed.clone()));
        assert_eq!(one.unwrap(), two.unwrap());
        assert_eq!((scripted.submits().len(), world.money().await.0), (1, usd("0.958")));
        world.assert_whole().await;
    }

    async fn a_client_that_hangs_up_still_pays_for_what_was_made(on) {
        let scripted = Arc::new(Scripted::new([Act::Delay(Duration::from_millis(300))]));
        let world = World::scripted(on, "1", &scripted).await;
        let gone = tokio::time::timeout(Duration::from_millis(100), world.image(small("a fox"))).await;
        assert!(gone.is_err());
        world.engine.0.running.close();
        world.engine.0.running.wait().await;
        assert_eq!(world.money().await, (usd("0.958"), Usd::ZERO));
        world.assert_whole().await;
    }

    async fn whenever_a_client_hangs_up_no_money_waits_for_the_sweeper(on) {
        let world = World::with_money(on, "10").await;
        let mut answered = 0;
        for polls in 1..40 {
            let prompt = format!("a fox, and away after {polls}");
            answered += usize::from(killed_after(polls, world.image(small(&prompt))).await.is_some());
        }
        assert!(answered < 39, "some hung up before their answer");
        world.engine.0.running.close();
        world.engine.0.running.wait().await;
        assert_eq!(world.money().await.1, Usd::ZERO, "nothing is set aside");
        world.assert_whole().await;
    }

    async fn a_reservation_ends_at_its_deadline_and_a_late_success_is_kept_not_charged(on) {
        let scripted = Arc::new(Scripted::new([Act::Delay(Duration::from_millis(500))]));
        let world = World::scripted(on, "1", &scripted).await;
        let call = async {
            let late = world.image(small("a fox")).await.unwrap();
            assert_eq!((&late["cost_usd"], &late["balance_after_usd"]), (&json!(0), &json!(1)));
        };
        let deadline = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(world.money().await, (usd("1"), usd("0.042")));
            world.clock.advance(2 * MINUTE);
            assert_eq!(world.engine.sweep().await.unwrap(), 1);
            assert_eq!(world.money().await, (usd("1"), Usd::ZERO));
        };
        tokio::join!(call, deadline);
        let (scope, all) = (world.admin().await, GenerationFilter::default());
        let kept = world.engine.generations(&scope, &all, Page::default()).await.unwrap().items;
        assert_eq!((kept.len(), kept[0].late, kept[0].cost_usd), (1, true, Usd::ZERO));
        let log = world.engine.audit(&scope, &AuditFilter::default(), Page::default()).await.unwrap().items;
        let failed = log.iter().find(|row| row.entry.event.as_deref() == Some("generation.failed")).unwrap();
        let delivered = log.iter().find(|row| row.entry.event.is_none()).unwrap();
        let told = |row: &Linked| [&row.entry.tool, &row.entry.model, &row.entry.prompt_hash].map(Clone::clone);
        assert_eq!((told(failed), &failed.entry.user_id), (told(delivered), &delivered.entry.user_id));
        let attempt = world.engine.attempts(&scope, &Search::default(), Page::default()).await.unwrap().items.remove(0);
        assert_eq!([Some(attempt.tool), attempt.model, attempt.prompt_hash], told(failed));
        world.assert_whole().await;
    }

    async fn preflight_needs_get_credits_within_ten_minutes(on) {
        let world = World::with_money(on, "100").await;
        let change = serde_json::from_value(json!({ "preflight_required": true, "preflight_usd": 0.01 })).unwrap();
        world.engine.set_caps(&world.admin().await, &change).await.unwrap();
        assert_eq!(world.image(small("a fox")).await.unwrap_err().code, "preflight_required");
        let asked = json!({ "tool": "generate_image", "count": 3 });
        let credits = world.call(Tool::GetCredits, asked).await.unwrap();
        assert_eq!(credits["estimate_usd"], json!(0.126));
        world.image(small("a fox")).await.unwrap();
        world.clock.advance(11 * MINUTE);
        assert_eq!(world.image(small("a fox")).await.unwrap_err().code, "preflight_required");
        world.assert_whole().await;
    }

    async fn policy_pause_and_revocation_work_on_the_next_call(on) {
        let world = World::with_money(on, "100").await;
        let (scope, id) = (world.admin().await, world.made.agent_id.clone());
        let only_credits = json!({ "permissions": ["get_credits"], "denied": [] });
        world.engine.update_policy(&scope, &id, only_credits).await.unwrap();
        assert_eq!(world.image(small("a fox")).await.unwrap_err().code, "tool_denied");
        let one_model = json!({ "models": ["sketch-video-1"] });
        world.engine.update_policy(&scope, &id, one_model).await.unwrap();
        assert_eq!(world.image(small("a fox")).await.unwrap_err().code, "model_not_allowed");
        world.engine.update_policy(&scope, &id, json!({})).await.unwrap();
        world.engine.pause_agent(&scope, &id).await.unwrap();
        assert_eq!(world.image(small("a fox")).await.unwrap_err().code, "agent_paused");
        world.engine.resume_agent(&scope, &id).await.unwrap();
        world.image(small("a fox")).await.unwrap();
        world.engine.revoke_agent(&scope, &id).await.unwrap();
        let key = world.made.mcp_url.rsplit('/').next().unwrap();
        let refused = world.engine.identify(Some(&world.made.agent_token), world.made.workspace_id.as_str(), key, None);
        assert_eq!(refused.await.unwrap_err(), Refused::Unauthorized);
        world.assert_whole().await;
    }

    async fn a_token_ends_after_rotation_days_and_seven_days_of_grace(on) {
        let world = World::with_money(on, "1").await;
        let key = world.made.mcp_url.rsplit('/').next().unwrap().to_owned();
        let identify = async |token: &str| {
            world.engine.identify(Some(token), world.made.workspace_id.as_str(), &key, None).await
        };
        world.clock.advance(91 * DAY);
        assert_eq!(identify(&world.made.agent_token).await.unwrap().grace_days_left, Some(6));
        let overview = world.engine.overview(&world.admin().await).await.unwrap();
        assert!(overview.notices.iter().any(|notice| notice.text.contains("overdue")));
        let rotated = world.engine.rotate_agent(&world.admin().await, &world.made.agent_id, Some(1)).await.unwrap();
        identify(&world.made.agent_token).await.unwrap();
        identify(&rotated.token).await.unwrap();
        world.clock.advance(HOUR + SECOND);
        assert_eq!(identify(&world.made.agent_token).await.unwrap_err(), Refused::Unauthorized);
        world.clock.advance(97 * DAY);
        assert_eq!(identify(&rotated.token).await.unwrap_err(), Refused::Unauthorized);
    }

    async fn a_wrong_argument_is_named_and_nothing_is_charged(on) {
        let world = World::with_money(on, "1").await;
        let cases = [
            (json!({}), "prompt"),
            (json!({ "prompt": "" }), "prompt"),
            (json!({ "prompt": 7 }), "prompt"),
            (json!({ "prompt": "x".repeat(1_000_000) }), "prompt"),
            (json!({ "prompt": "a", "width": 0 }), "width"),
            (json!({ "prompt": "a", "width": 100_000 }), "width"),
            (json!({ "prompt": "a", "height": -1 }), "height"),
            (json!({ "prompt": "a", "count": 0 }), "count"),
            (json!({ "prompt": "a", "count": 1.5 }), "count"),
            (json!({ "prompt": "a", "seed": -1 }), "seed"),
            (json!({ "prompt": "a", "model": "nope" }), "model"),
            (json!({ "prompt": "a", "model": "sketch-video-1" }), "model"),
            (json!({ "prompt": "a", "surprise": 1 }), "surprise"),
            (json!({ "prompt": "a", "idempotency_key": "" }), "idempotency_key"),
            (json!([]), "arguments"),
        ];
        for (arguments, field) in cases {
            let error = world.image(arguments).await.unwrap_err();
            assert_eq!((error.code, error.details["field"].as_str()), ("invalid_argument", Some(field)));
        }
        assert_eq!(world.money().await, (usd("1"), Usd::ZERO));
        world.assert_whole().await;
    }

    async fn a_stranger_learns_nothing_of_a_workspace(on) {
        let world = World::with_money(on, "1").await;
        let other = Bootstrap { workspace: "Other".into(), ..bootstrap("1") };
        let other = world.engine.bootstrap(other).await.unwrap();
        let at = async |token: &str, workspace: &str, key: &str| {
            world.engine.identify(Some(token), workspace, key, None).await.unwrap_err()
        };
        let key = |url: &str| url.rsplit('/').next().unwrap().to_owned();
        let (mine, theirs) = (&world.made, &other);
        assert_eq!(at(&mine.agent_token, theirs.workspace_id.as_str(), &key(&theirs.mcp_url)).await, Refused::NotFound);
        assert_eq!(at(&mine.agent_token, "ws_00000000", &key(&theirs.mcp_url)).await, Refused::NotFound);
        assert_eq!(at(&mine.agent_token, mine.workspace_id.as_str(), "wrong").await, Refused::NotFound);
        assert_eq!(at("af_agent_unknown", mine.workspace_id.as_str(), &key(&mine.mcp_url)).await, Refused::Unauthorized);
        let refused = async |principal: Principal, workspace: &WorkspaceId| {
            let origin = Origin::new(world.engine.new_request_id(), None);
            world.engine.scope(&principal, workspace, Permission::ReadWorkspace, origin).await.unwrap_err()
        };
        let own = world.engine.key_principal(&mine.api_key).await.unwrap().unwrap();
        assert_eq!(refused(own, &theirs.workspace_id).await, Error::NotFound);
        assert_eq!(world.engine.key_principal("af_key_unknown").await.unwrap(), None);
        let stranger = Principal::User("user_00000000".parse().unwrap());
        assert_eq!(refused(stranger, &mine.workspace_id).await, Error::NotFound);
    }

    async fn the_whole_log_streams_in_order_and_verifies(on) {
        let world = World::with_money(on, "1").await;
        for n in 0..5 {
            world.image(small(&format!("fox {n}"))).await.unwrap();
        }
        world.call(Tool::GetCredits, json!({})).await.unwrap();
        let rows = world.engine.audit_stream(&world.admin().await, &AuditFilter::default()).unwrap();
        let rows: Vec<_> = rows.try_concat().await.unwrap();
        let mut verifier = Verifier::default();
        rows.iter().for_each(|row| verifier.next(row).unwrap());
        let calls = rows.iter().filter(|row| row.entry.event.is_none()).count();
        assert_eq!((calls, rows[0].seq, rows.len() as u64), (6, 1, verifier.rows()));
    }

    async fn bootstrap_twice_makes_one_workspace_and_moves_no_money(on) {
        let world = World::with_money(on, "7").await;
        let again = world.engine.bootstrap(bootstrap("7")).await.unwrap();
        assert_eq!((&again.workspace_id, &again.agent_id), (&world.made.workspace_id, &world.made.agent_id));
        assert_eq!(world.money().await.0, usd("7"));
        let wrong = Bootstrap { region: "us-east-1".into(), ..bootstrap("7") };
        assert!(matches!(world.engine.bootstrap(wrong).await, Err(Error::Field(fault)) if fault.field == "region"));
    }

    async fn a_deleted_workspace_answers_nobody_and_keeps_its_log(on) {
        let world = World::with_money(on, "1").await;
        world.image(small("a fox")).await.unwrap();
        let scope = world.admin().await;
        assert!(world.engine.delete_workspace(&scope, "Wrong").await.is_err());
        world.engine.delete_workspace(&scope, "Growth").await.unwrap();
        let key = world.made.mcp_url.rsplit('/').next().unwrap();
        let refused = world.engine.identify(Some(&world.made.agent_token), world.made.workspace_id.as_str(), key, None);
        assert_eq!(refused.await.unwrap_err(), Refused::Unauthorized);
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn a_bad_top_up_or_name_is_refused_with_its_field() {
    let world = World::with_money(Databases::sqlite(), "1").await;
    let scope = world.admin().await;
    let field = |error: Error| match error {
        Error::Field(fault) => fault.field,
        other => panic!("{other:?}"),
    };
    for amount in ["0", "-5", "999999999"] {
        assert_eq!(field(world.engine.top_up(&scope, usd(amount), "x").await.unwrap_err()), "amount_usd");
    }
    assert_eq!(field(world.engine.top_up(&scope, usd("1"), " ").await.unwrap_err()), "reference");
    for name in ["", "Growth Bot", "growth-bot", "agent.growth-bot"] {
        assert_eq!(field(world.engine.create_agent(&scope, name, None).await.unwrap_err()), "name");
    }
    let rotated = world.engine.rotate_agent(&scope, &world.made.agent_id, Some(169)).await;
    assert_eq!(field(rotated.unwrap_err()), "overlap_hours");
    assert_eq!(world.money().await.0, usd("1"));
    world.assert_whole().await;
}
