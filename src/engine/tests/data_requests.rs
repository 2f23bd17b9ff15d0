//! Requests of data subjects, from filing to the certificate, and what is left of an erased prompt: nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::domain::access::Permission;
use crate::domain::data_requests::State;
use crate::domain::holds::HoldTarget;
use crate::domain::ids::{DataRequestId, RequestId, UserId};
use crate::domain::search::Field;
use crate::domain::time::{DAY, HOUR, SECOND};
use crate::engine::Engine;
use crate::engine::access::bootstrap::Bootstrap;
use crate::engine::access::people::NewPerson;
use crate::engine::access::scope::{Origin, Principal, Scope};
use crate::engine::calls::providers::{
    Act, Job, JobId, Null, Poll, Provider, ProviderError, Providers, Scripted, Submitted,
};
use crate::engine::data::data_requests::{DataRequestView, NewDataRequest};
use crate::engine::data::reconcile::ReconcileReport;
use crate::engine::error::Error;
use crate::engine::log::reading::{AuditFilter, Page};
use crate::engine::log::signing;
use crate::engine::store::data_requests as store;
use crate::engine::store::generations;
use crate::engine::tests::faults::Faulty;
use crate::engine::tests::support::{Databases, World, bootstrap, both_engines};

pub(super) fn asked(kind: &str, matching: Value, now: crate::domain::time::Time) -> NewDataRequest {
    serde_json::from_value(json!({
        "kind": kind, "match": matching, "received_on": now.date().to_string(), "requested_by": "Grace Hopper",
        "note": "by letter",
    }))
    .unwrap()
}

pub(super) async fn image(world: &World, prompt: &str, subject: Option<&str>) -> RequestId {
    let mut arguments = json!({ "prompt": prompt, "width": 64, "height": 64 });
    if let Some(subject) = subject {
        arguments["subject"] = subject.into();
    }
    let made = world.image(arguments).await.unwrap();
    made["request_id"].as_str().unwrap().parse().unwrap()
}

pub(super) async fn file(world: &World, kind: &str, matching: Value) -> DataRequestView {
    let new = asked(kind, matching, world.clock.now());
    world.engine.file_data_request(&world.admin().await, new).await.unwrap()
}

pub(super) async fn approved(world: &World, kind: &str, matching: Value) -> DataRequestId {
    let filed = file(world, kind, matching).await;
    assert_eq!(filed.state, State::AwaitingApproval);
    let decided =
        world.engine.approve_data_request(&world.admin().await, &filed.id, Some("passport")).await.unwrap();
    assert_eq!((decided.state, decided.four_eyes), (State::Approved, false));
    filed.id
}

pub(super) async fn view(world: &World, id: &DataRequestId) -> DataRequestView {
    world.engine.data_request(&world.admin().await, id).await.unwrap()
}

pub(super) async fn prompt(world: &World, id: &RequestId) -> Option<String> {
    world.engine.prompt(&world.admin().await, id).await.unwrap()
}

/// Another Admin of the workspace.
pub(super) async fn second_admin(world: &World) -> Scope {
    let engine: &Engine = &world.engine;
    let invited = engine.invite(&world.admin().await, "grace@example.com", "admin").await.unwrap();
    let mails = std::fs::read_dir(engine.config().data_dir.join("mail")).unwrap();
    let mails = mails.map(|mail| {
        String::from_utf8_lossy(&std::fs::read(mail.unwrap().path()).unwrap()).replace("=\r\n", "")
    });
    let mail = mails.into_iter().find(|mail| mail.contains(&invited.email)).unwrap();
    let token: String = mail
        .split("/invite/")
        .nth(1)
        .unwrap()
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let origin = Origin::new(engine.new_request_id(), None);
    let person =
        NewPerson { email: String::new(), name: "Grace".into(), password: "a long enough passphrase".into() };
    let (user, _) = engine.accept_invitation(&token, None, Some(person), origin.clone()).await.unwrap();
    let principal = Principal::User(user.id);
    engine.scope(&principal, &world.made.workspace_id, Permission::DecideDataRequests, origin).await.unwrap()
}

/// A request's archive, behind the link that is shown now.
async fn archive(world: &World, id: &DataRequestId) -> Result<Vec<u8>, Error> {
    let link = url::Url::parse(&view(world, id).await.archive_url.unwrap()).unwrap();
    let query: std::collections::HashMap<_, _> = link.query_pairs().into_owned().collect();
    let key = link.path().trim_start_matches("/media/");
    let pieces = world.engine.open_archive(key, &query["expires"], &query["signature"]).await?;
    Ok(pieces.try_collect::<Vec<_>>().await.unwrap().concat())
}

/// Makes pictures that carry these words.
struct Marked(&'static str);

#[async_trait::async_trait]
impl Provider for Marked {
    async fn submit(&self, job: &Job, request_id: &str) -> Result<Submitted, ProviderError> {
        let Submitted::Done(mut made) = Null.submit(job, request_id).await? else {
            panic!("it is done at once")
        };
        for output in &mut made {
            output.bytes = [&output.bytes, self.0.as_bytes()].concat().into();
        }
        Ok(Submitted::Done(made))
    }

    async fn poll(&self, id: &JobId) -> Result<Poll, ProviderError> {
        Null.poll(id).await
    }

    async fn cancel(&self, id: &JobId) -> Result<(), ProviderError> {
        Null.cancel(id).await
    }
}

/// A file's bytes; those that were compressed, of a compressed one.
fn content(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let compressed = std::mem::take(&mut bytes);
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(compressed.as_slice()), &mut bytes)
            .unwrap();
    }
    bytes
}

/// Every file below `folder` that holds `text`, compressed ones too.
pub(super) fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if content(&path).windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

both_engines! {
    async fn an_erased_subject_is_gone_and_the_certificate_says_so(on) {
        let world = World::with_money(on, "100").await;
        let keyed = json!({ "prompt": "a portrait of Rosalind at the window", "subject": "customer-42", "width": 64,
            "height": 64, "idempotency_key": "order 7 of Rosalind Franklin" });
        let hers = world.image(keyed.clone()).await.unwrap();
        let again = world.image(keyed).await.unwrap();
        assert_eq!(hers["request_id"], again["request_id"], "the key counts");
        let hers: RequestId = hers["request_id"].as_str().unwrap().parse().unwrap();
        assert_eq!(world.tables_with("Rosalind").await, Vec::<String>::new(), "not even before");
        let other = image(&world, "a fox", None).await;
        let before = world.engine.preview_data_request(
            &world.admin().await, asked("erasure", json!({ "subject": "customer-42" }), world.clock.now())).await.unwrap();
        assert_eq!((before.matches.prompts, before.matches.media, before.matches.rows), (1, 1, 1));
        assert_eq!((before.everything, before.one_admin, before.samples.len()), (false, true, 1));
        let id = approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);

        let done = view(&world, &id).await;
        assert_eq!((done.state, done.has_certificate, done.subject), (State::Done, true, None));
        assert_eq!((prompt(&world, &hers).await, prompt(&world, &other).await.as_deref()), (None, Some("a fox")));
        let again = world.engine.preview_data_request(
            &world.admin().await, asked("erasure", json!({ "subject": "customer-42" }), world.clock.now())).await.unwrap();
        assert_eq!((again.matches.prompts, again.matches.media), (0, 0));
        let folder = world.engine.config().data_dir.clone();
        for text in ["Rosalind", "customer-42"] {
            assert_eq!(files_with(&folder, text), Vec::<String>::new(), "{text}");
            assert_eq!(world.tables_with(text).await, Vec::<String>::new(), "{text}");
        }

        let certificate = world.engine.data_request_certificate(&world.admin().await, &id).await.unwrap();
        let keys = world.engine.public_keys().await.unwrap();
        signing::verify(&certificate, Some(&keys)).unwrap();
        assert_eq!(certificate["state"], "done");
        let counts: Vec<&Value> = certificate["deleted"].as_array().unwrap().iter().map(|line| &line["count"]).collect();
        assert_eq!(counts, [1, 1, 0, 1, 1]);
        assert_eq!(certificate["second_search"]["prompts"], 0);
        assert_eq!(certificate["providers"][0]["provider"], "local");
        let places: Vec<_> = certificate["deleted"].as_array().unwrap().iter().map(|line| line["place"].as_str().unwrap()).collect();
        assert!(places[0].starts_with("database of cell eu in eu-west-1 (") && places[1].starts_with("storage of cell eu in eu-west-1 ("), "{places:?}");
        assert_eq!((certificate["deleted"][1]["files"].as_i64(), places[2]), (Some(1), "no other cell held copies"));
        let until = world.clock.now().plus(35 * DAY);
        assert_eq!(certificate["backups"]["other_copies_until"], json!(until));
        assert!(certificate["log"]["seq"].is_number() && !certificate.to_string().contains("customer-42"));
        let log = world.engine.audit(&world.admin().await, &AuditFilter::default(), Page::default()).await.unwrap().items;
        let events: Vec<_> = log.iter().filter_map(|row| row.entry.event.as_deref()).take(4).collect();
        assert_eq!(events, ["data_request.completed", "data_request.started", "data_request.approved", "data_request.filed"]);
        let audit = AuditFilter::of(Field::Request, hers.to_string());
        let rows = world.engine.audit(&world.admin().await, &audit, Page::default()).await.unwrap().items;
        assert_eq!(rows.len(), 1, "the audit row stays");

        let back = image(&world, "a second portrait", Some("customer-42")).await;
        assert_eq!(prompt(&world, &back).await.as_deref(), Some("a second portrait"));
        world.clock.advance(3 * HOUR);
        assert_eq!(world.engine.reconcile().await.unwrap(), ReconcileReport::default());
        world.assert_whole().await;
    }

    async fn the_bytes_of_a_file_are_found_before_an_erasure_and_not_after(on) {
        let marked = Arc::new(Marked("the marker in the file"));
        let providers = Providers::default().with("local", marked.clone(), Duration::from_secs(5));
        let world = World::new(on, "100", providers).await;
        image(&world, "a portrait", Some("customer-42")).await;
        let folder = world.engine.config().data_dir.clone();
        assert_eq!(files_with(&folder, marked.0).len(), 2, "the file, and a thumbnail of the same bytes as it is small");
        approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        assert_eq!(files_with(&folder, marked.0), Vec::<String>::new());
    }

    async fn a_prompt_of_a_shared_day_key_goes_and_its_neighbours_stay(on) {
        let world = World::with_money(on, "100").await;
        let mine = image(&world, "the secret of the fox", None).await;
        let neighbour = image(&world, "a harmless cat", None).await;
        let node = world.engine.0.cells["eu"].clone();
        let old = generations::prompt(&node.db, &world.made.workspace_id, &mine).await.unwrap().unwrap();
        approved(&world, "erasure", json!({ "prompt_text": "the secret of the fox" })).await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        assert_eq!(prompt(&world, &mine).await, None);
        assert_eq!(prompt(&world, &neighbour).await.as_deref(), Some("a harmless cat"));
        let opened = node.sealer.open_prompt(&world.made.workspace_id, &old.0, mine.as_str(), &old.1).await.unwrap();
        assert_eq!(opened, None, "bytes from an old backup have no key any more");
        let later = image(&world, "a third one", None).await;
        assert_eq!(prompt(&world, &later).await.as_deref(), Some("a third one"));
        world.assert_whole().await;
    }

    async fn an_access_request_gives_one_archive_behind_a_link_that_ends(on) {
        let world = World::with_money(on, "100").await;
        let hers = image(&world, "a portrait", Some("customer-42")).await;
        image(&world, "a fox", None).await;
        let id = approved(&world, "access", json!({ "subject": "customer-42" })).await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        let done = view(&world, &id).await;
        assert_eq!(done.state, State::Done);
        let link = url::Url::parse(&done.archive_url.unwrap()).unwrap();
        let query: std::collections::HashMap<_, _> = link.query_pairs().into_owned().collect();
        let key = link.path().trim_start_matches("/media/").to_owned();
        let open = async || world.engine.open_archive(&key, &query["expires"], &query["signature"]).await;
        let bytes = open().await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("\"prompt\": \"a portrait\"") && text.contains(hers.as_str()) && !text.contains("a fox"));
        assert_eq!((bytes.len() % 512, &bytes[257..262]), (0, b"ustar".as_slice()));
        let certificate = world.engine.data_request_certificate(&world.admin().await, &id).await.unwrap();
        assert_eq!((&certificate["delivered"]["prompts"], certificate["deleted"].as_array().unwrap().len()), (&json!(1), 0));
        world.engine.set_retention(&world.admin().await, Some(1), None).await.unwrap();
        world.clock.advance(2 * DAY);
        world.engine.purge().await.unwrap();
        let purged = String::from_utf8(open().await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat()).unwrap();
        assert!(!purged.contains("a portrait") && purged.contains("gone_meanwhile") && purged.contains("\"what\": \"results\""), "{purged}");
        world.clock.advance(6 * DAY);
        assert!(matches!(open().await.err(), Some(Error::Ended(_))));
        assert_eq!(view(&world, &id).await.archive_url, None);
    }

    async fn an_erasure_of_many_calls_ends_and_spares_what_came_after_it_began(on) {
        let eu = Faulty::new();
        let world = World::with_buckets(on, "100", &[("eu", &eu)]).await;
        let world = &world;
        futures::future::join_all((0..250).map(async |n| image(world, &format!("fox {n}"), None).await)).await;
        let id = approved(world, "erasure", json!({ "user_id": "agent.growth-bot" })).await;
        eu.fail_after(0);
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 0);
        assert_eq!(view(world, &id).await.state, State::Running);
        eu.mend();
        let of_that_moment = image(world, "written while the others were noted", None).await;
        world.clock.advance(SECOND);
        let later = image(world, "a later one", None).await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 0, "one more is to be erased");
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);

        let done = view(world, &id).await;
        let progress = done.progress.unwrap();
        assert_eq!((done.state, progress.total, progress.done), (State::Done, 251, 251));
        assert_eq!((prompt(world, &of_that_moment).await, prompt(world, &later).await.as_deref()), (None, Some("a later one")));
        let certificate = world.engine.data_request_certificate(&world.admin().await, &id).await.unwrap();
        assert_eq!((&certificate["deleted"][0]["count"], &certificate["second_search"]["media"]), (&json!(251), &json!(0)));
        world.assert_whole().await;
    }

    async fn a_retry_that_is_refused_changes_nothing(on) {
        let eu = Faulty::new();
        let world = World::with_buckets(on, "100", &[("eu", &eu)]).await;
        let hers = image(&world, "a portrait", Some("customer-42")).await;
        let copy = approved(&world, "access", json!({ "subject": "customer-42" })).await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        let before = archive(&world, &copy).await.unwrap();
        let admin = world.admin().await;
        let refused = world.engine.retry_data_request(&admin, &copy).await;
        assert!(matches!(&refused, Err(Error::Conflict(why)) if why.contains("Nothing was changed")), "{refused:?}");
        assert!(before == archive(&world, &copy).await.unwrap() && String::from_utf8_lossy(&before).contains("a portrait"));

        let erasure = approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        eu.fail_after(0);
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 0);
        eu.mend();
        assert!(matches!(world.engine.retry_data_request(&admin, &erasure).await, Err(Error::Conflict(_))));
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        assert_eq!((view(&world, &erasure).await.state, prompt(&world, &hers).await), (State::Done, None));
        let certificate = world.engine.data_request_certificate(&admin, &erasure).await.unwrap();
        assert_eq!(certificate["deleted"][0]["count"], 1);
    }

    async fn what_is_cancelled_while_another_runs_is_left_alone(on) {
        let eu = Faulty::new();
        let world = World::with_buckets(on, "100", &[("eu", &eu)]).await;
        image(&world, "a portrait", Some("a")).await;
        let first = approved(&world, "erasure", json!({ "subject": "a" })).await;
        world.clock.advance(SECOND);
        let second = approved(&world, "erasure", json!({ "subject": "b" })).await;
        let gate = eu.gate.lock().await;
        let cancelling = async {
            eu.reached.notified().await;
            world.engine.cancel_data_request(&world.admin().await, &second).await.unwrap();
            drop(gate);
        };
        let (ended, ()) = tokio::join!(world.engine.execute_data_requests(), cancelling);
        assert_eq!((ended.unwrap(), view(&world, &first).await.state), (1, State::Done));
        let (second_row, node) = (view(&world, &second).await, &world.engine.0.cells["eu"]);
        assert_eq!((second_row.state, second_row.progress), (State::Cancelled, None));
        store::set_progress(&node.db, &second, "{}").await.unwrap();
        assert_eq!(view(&world, &second).await.progress, None, "of a run that does not know it yet");
    }

    async fn words_of_a_prompt_that_a_provider_repeats_are_kept_nowhere(on) {
        let scripted = Arc::new(Scripted::default());
        let world = World::scripted(on, "100", &scripted).await;
        for prompt in ["Rosalind Franklin", "窓辺の肖像"] {
            for act in [ProviderError::Refused(format!("“{prompt}” is a real person")), ProviderError::Failed(prompt.into())] {
                scripted.push(Act::Fail(act));
                let error = world.image(json!({ "prompt": prompt, "width": 64, "height": 64 })).await.unwrap_err();
                assert!(error.message.contains(prompt), "the agent, who wrote it, is told: {error:?}");
            }
            assert_eq!(world.places_with(prompt).await, Vec::<String>::new(), "{prompt}");
        }
        let log = world.engine.audit(&world.admin().await, &AuditFilter::default(), Page::default()).await.unwrap().items;
        let told: Vec<Value> = log.into_iter().filter_map(|row| row.entry.data).filter(|data| data["code"] == "provider_failed").collect();
        assert_eq!((told.len(), &told[0]["message"]), (4, &json!("The provider failed. Nothing was charged.")));
        let long = "a".repeat(200);
        let error = world.image(json!({ "prompt": "a fox", "model": long })).await.unwrap_err();
        assert!(error.message.contains(&long[..80]) && !error.message.contains(&long[..81]), "{error:?}");
    }

    async fn whoever_files_does_not_approve_where_there_is_another_admin(on) {
        let world = World::with_money(on, "1").await;
        let other = second_admin(&world).await;
        let filed = file(&world, "erasure", json!({ "subject": "x" })).await;
        let own = world.engine.approve_data_request(&world.admin().await, &filed.id, None).await;
        assert!(matches!(own, Err(Error::Conflict(_))));
        let (first, second) = tokio::join!(
            world.engine.approve_data_request(&other, &filed.id, None),
            world.engine.reject_data_request(&other, &filed.id, "not ours"),
        );
        assert!(first.is_ok() != second.is_ok(), "one decision counts");
        assert!(world.engine.reject_data_request(&other, &filed.id, "again").await.is_err());
        let filed = file(&world, "erasure", json!({ "subject": "x" })).await;
        let approved = world.engine.approve_data_request(&other, &filed.id, None).await.unwrap();
        assert!(approved.four_eyes);
        assert_eq!(world.engine.cancel_data_request(&world.admin().await, &filed.id).await.unwrap().state, State::Cancelled);
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), usize::from(first.is_ok()));
    }

    async fn no_role_that_a_filer_gives_gets_round_the_other_admin(on) {
        let world = World::with_money(on, "1").await;
        let grace: UserId = second_admin(&world).await.actor.parse().unwrap();
        let (admin, filed) = (world.admin().await, file(&world, "erasure", json!({ "subject": "x" })).await);
        world.engine.change_role(&admin, &grace, "viewer").await.unwrap();
        let alone = world.engine.approve_data_request(&admin, &filed.id, None).await;
        assert!(matches!(&alone, Err(Error::Conflict(why)) if why.contains("ask another Admin")), "{alone:?}");
        assert!(!world.engine.may_approve_data_request(&admin, &filed.id).await.unwrap());
        world.engine.remove_member(&admin, &grace).await.unwrap();
        assert!(world.engine.may_approve_data_request(&admin, &filed.id).await.unwrap());
        let approved = world.engine.approve_data_request(&admin, &filed.id, None).await.unwrap();
        let told = world.acts().await.pop().unwrap().data.unwrap();
        assert_eq!((approved.four_eyes, &told["four_eyes"]), (false, &json!(false)));
        assert_eq!(told["admins_at_filing"], 2);
    }

    async fn a_due_date_is_extended_once_within_the_first_month(on) {
        let world = World::with_money(on, "1").await;
        let filed = file(&world, "access", json!({ "subject": "x" })).await;
        let admin = world.admin().await;
        assert!(world.engine.extend_data_request(&admin, &filed.id, " ").await.is_err());
        let extended = world.engine.extend_data_request(&admin, &filed.id, "many files").await.unwrap();
        assert!(extended.due_on > filed.due_on && extended.extension_reason.as_deref() == Some("many files"));
        assert!(world.engine.extend_data_request(&admin, &filed.id, "again").await.is_err());
        let late = file(&world, "access", json!({ "subject": "y" })).await;
        world.clock.advance(40 * DAY);
        assert!(world.engine.extend_data_request(&admin, &late.id, "too late").await.is_err());
        let late = view(&world, &late.id).await;
        assert!(late.overdue && !late.may_extend);
    }

    async fn a_hold_blocks_an_erasure_or_leaves_it_in_part(on) {
        let world = World::with_money(on, "100").await;
        image(&world, "one", Some("a")).await;
        image(&world, "two", Some("b")).await;
        let admin = world.admin().await;
        let hold = world.engine.place_hold(&admin, HoldTarget::Subject("a".into()), "case 7").await.unwrap();
        world.engine.place_hold(&admin, HoldTarget::Subject("c".into()), "case 8").await.unwrap();
        let blocked = approved(&world, "erasure", json!({ "subject": "a" })).await;
        let both = approved(&world, "erasure", json!({ "user_id": "agent.growth-bot" })).await;
        world.engine.execute_data_requests().await.unwrap();
        assert_eq!(view(&world, &blocked).await.state, State::BlockedByHold);
        let partial = view(&world, &both).await;
        assert_eq!((partial.state, partial.progress.unwrap().held), (State::Partial, 1));
        let certificate = world.engine.data_request_certificate(&admin, &both).await.unwrap();
        let held = &certificate["held_back"][0];
        assert_eq!((&held["results"], &held["holds"][0]["reason"]), (&json!(1), &json!("case 7")));
        assert_eq!(held["holds"].as_array().unwrap().len(), 1, "the other hold keeps nothing of this");
        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        for id in [&blocked, &both] {
            world.engine.retry_data_request(&admin, id).await.unwrap();
        }
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 2);
        assert_eq!((view(&world, &blocked).await.state, view(&world, &both).await.state), (State::Done, State::Done));
        // The second run's certificate tells of the first: together they deleted both pictures.
        let last = world.engine.data_request_certificate(&admin, &both).await.unwrap();
        let earlier = &last["earlier_runs"][0];
        assert_eq!((&earlier["state"], &earlier["deleted"]), (&certificate["state"], &certificate["deleted"]));
        let prompts = |run: &Value| run["deleted"][0]["count"].as_i64().unwrap();
        assert_eq!((prompts(earlier), last["held_back"].as_array().unwrap().len()), (1, 0));
        assert!(last["log"]["seq"].as_i64() > certificate["log"]["seq"].as_i64());
        assert_eq!(last["backups"]["readable_until"], last["executed"]["to"]);
    }

    async fn bad_input_names_its_field_and_strangers_ids_match_nothing(on) {
        let world = World::with_money(on, "100").await;
        let admin = world.admin().await;
        let now = world.clock.now();
        for (matching, field) in [
            (json!({}), "match"),
            (json!({ "subject": "x".repeat(10_000) }), "subject"),
            (json!({ "request_ids": [] }), "request_ids"),
            (json!({ "request_ids": ["the portrait of Grace"] }), "request_ids"),
            (json!({ "user_id": "Grace Hopper" }), "user_id"),
            (json!({ "from": "2026-02-02T00:00:00Z", "to": "2026-02-01T00:00:00Z" }), "to"),
        ] {
            let error = world.engine.file_data_request(&admin, asked("erasure", matching, now)).await.unwrap_err();
            assert!(matches!(&error, Error::Field(fault) if fault.field == field), "{error:?}");
        }
        let mut new = asked("erasure", json!({ "subject": "x" }), now);
        new.received_on = "2030-01-01".into();
        assert!(matches!(world.engine.file_data_request(&admin, new).await, Err(Error::Field(fault)) if fault.field == "received_on"));
        let other = Bootstrap { workspace: "Other".into(), ..bootstrap("5") };
        let other = world.engine.bootstrap(other).await.unwrap();
        let mine = image(&world, "a fox", None).await;
        let principal = Principal::User(other.user_id.clone());
        let origin = Origin::new(world.engine.new_request_id(), None);
        let theirs = world.engine.scope(&principal, &other.workspace_id, Permission::FileDataRequests, origin).await.unwrap();
        let strange = asked("erasure", json!({ "request_ids": [mine] }), now);
        assert_eq!(world.engine.preview_data_request(&theirs, strange).await.unwrap().matches, Default::default());
        let nothing = approved(&world, "erasure", json!({ "subject": "nobody" })).await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        assert_eq!(view(&world, &nothing).await.state, State::Done);
        let everything = asked("erasure", json!({ "user_id": "agent.growth-bot" }), now);
        assert!(world.engine.preview_data_request(&admin, everything).await.unwrap().everything);
        assert_eq!(world.engine.data_request(&theirs, &nothing).await.unwrap_err(), Error::NotFound);
    }
}
