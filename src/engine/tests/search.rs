//! Searches against the rule itself: what the store finds is what the search matches, whatever it combines.

use futures::TryStreamExt;

use crate::domain::access::Role;
use crate::domain::audit::{Entry, Linked, link};
use crate::domain::ids::{Id, RequestId};
use crate::domain::money::Usd;
use crate::domain::region::Region;
use crate::domain::search::Search;
use crate::domain::time::{HOUR, MINUTE};
use crate::domain::webhooks::event::GENERATION_FAILED;
use crate::engine::error::Error;
use crate::engine::log::reading::{AuditFilter, EntryKind, Page};
use crate::engine::log::saved_searches::NewSearch;
use crate::engine::store::log::{self, LogRow};
use crate::engine::tests::support::{Databases, START, World, both_engines};

const AGENTS: [&str; 4] = ["agent.growth-bot", "agent.poster", "agent.rare", "user_0000000001"];
const MODELS: [Option<&str>; 4] = [Some("flux-pro-1.1"), Some("sketch-image-1"), Some("veo"), None];
const COSTS: [i64; 6] = [0, 42_000, 126_000, 41_943, 500_000, 1_234_567];

/// Small numbers that look random and are the same each time.
fn dice(seed: &mut u64, below: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize % below
}

fn entry(world: &World, n: i64, seed: &mut u64) -> Entry {
    // One agent stops early: what is common elsewhere is rare at the end.
    let who = if n > 300 { dice(seed, 3) + 1 } else { dice(seed, 4) };
    let is_act = dice(seed, 10) == 0;
    let call = |text: Option<&str>| text.filter(|_| !is_act).map(str::to_owned);
    Entry {
        ts: START.plus(n * MINUTE),
        request_id: RequestId::new(START.plus(n).millis(), [n as u8; 10]),
        workspace_id: world.made.workspace_id.clone(),
        user_id: AGENTS[who].into(),
        tool: call(Some(["generate_image", "generate_video", "get_credits"][dice(seed, 3)])),
        model: call(MODELS[dice(seed, 4)]),
        prompt_hash: call(Some(["sha256:aa", "sha256:bb", "sha256:cc"][dice(seed, 3)]))
            .filter(|_| n % 7 != 0),
        cost_usd: Usd::from_micros(if is_act { 0 } else { COSTS[dice(seed, 6)] }),
        result_url: None,
        region: Region::EuWest1,
        retention_days: 30,
        event: is_act.then(|| ["member.invited", "settings.changed"][dice(seed, 2)].to_owned()),
        data: None,
    }
}

/// Puts `count` entries behind the log as the writer would.
async fn fill(world: &World, count: i64) -> Vec<Linked> {
    let node = &world.engine.0.cells["eu"];
    let end = log::end(&node.db, &world.made.workspace_id).await.unwrap().unwrap();
    let (mut seq, mut head, mut seed, mut rows) = (end.seq, end.head, 7, Vec::new());
    for n in 1..=count {
        let linked = link(seq, &head, entry(world, n, &mut seed));
        (seq, head) = (linked.seq, linked.hash.clone());
        rows.push(linked);
    }
    let mut transaction = node.db.begin().await.unwrap();
    let written = rows.iter().map(|linked| LogRow { linked: linked.clone(), balance_after: None }).collect();
    log::insert(&mut transaction, written).await.unwrap();
    sqlx::query("UPDATE accounts SET log_seq = $1, log_head = $2 WHERE workspace_id = $3")
        .bind(seq)
        .bind(head)
        .bind(world.made.workspace_id.as_str())
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    rows
}

async fn pages(world: &World, filter: &AuditFilter, limit: u32) -> Vec<i64> {
    let (admin, mut cursor, mut found) = (world.admin().await, None, Vec::new());
    loop {
        let page = Page { limit: Some(limit), cursor };
        let page = world.engine.audit(&admin, filter, page).await.unwrap();
        found.extend(page.items.into_iter().map(|row| row.seq));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return found;
        }
    }
}

/// The words that queries are made of.
fn words(rows: &[Linked]) -> Vec<String> {
    let some = &rows[17].entry.request_id;
    let fixed = "agent:growth-bot agent:rare,poster user:user_0000000001 agent:p* tool:generate_* tool:get_credits \
                 model:flux-pro-1.1 model:veo,sketch-image-1 model:*x hash:sha256:aa hash:sha256:aa,sha256:bb hash:sha256:none \
                 cost:>0.042 cost:>=0.042 cost:<0.1 cost:0.0419..0.0420 cost:>0.0415 cost:1.234567 cost:0 cost:>99 \
                 region:eu-west-1 region:us-east-1 status:paid status:free,done status:refused event:member.* \
                 event:settings.changed code:tool_denied after:3h after:2h before:4h before:90m";
    fixed.split_whitespace().map(str::to_owned).chain([format!("request:{some}")]).collect()
}

both_engines! {
    async fn every_search_finds_exactly_what_it_matches(on) {
        let world = World::with_money(on, "1").await;
        world.clock.advance(9 * HOUR);
        let (rows, mut seed) = (fill(&world, 500).await, 3);
        let all: Vec<Linked> = world.engine.audit_stream(&world.admin().await, &AuditFilter::default()).unwrap().try_concat().await.unwrap();
        assert_eq!(all.len(), *all.last().map(|row| row.seq as usize).as_ref().unwrap());
        let words = words(&rows);
        let mut searches: Vec<String> = words.iter().flat_map(|word| [word.clone(), format!("-{word}")]).collect();
        for _ in 0..60 {
            let mut word = || {
                let not = if dice(&mut seed, 3) == 0 { "-" } else { "" };
                format!("{not}{}", words[dice(&mut seed, words.len())])
            };
            searches.push(format!("{} {} {}", word(), word(), word()));
        }
        let (now, mut checked) = (world.clock.now(), 0);
        for text in searches {
            let Ok(search) = text.parse::<Search>() else { continue };
            for kind in [None, Some(EntryKind::Calls), Some(EntryKind::Administration)] {
                let of_tab = |row: &&Linked| kind.is_none_or(|kind| kind_of(row) == Some(kind));
                let matching = all.iter().filter(of_tab).filter(|row| search.matches(&(&row.entry).into(), now));
                let expected: Vec<i64> = matching.map(|row| row.seq).collect();
                let filter = AuditFilter { kind, search: search.clone() };
                let stream = world.engine.audit_stream(&world.admin().await, &filter).unwrap();
                let streamed: Vec<i64> = stream.try_concat().await.unwrap().iter().map(|row: &Linked| row.seq).collect();
                assert_eq!(streamed, expected, "stream of {text} {kind:?}");
                let newest: Vec<i64> = expected.iter().rev().copied().collect();
                let limit = [1, 7, 50, 200][checked % 4];
                assert_eq!(pages(&world, &filter, limit).await, newest, "pages of {limit} of {text} {kind:?}");
                checked += 1;
            }
        }
        assert!(checked > 250, "{checked}");
    }

    async fn refused_calls_are_found_by_the_same_words(on) {
        let world = World::with_money(on, "0.01").await;
        world.image(serde_json::json!({ "prompt": "a fox" })).await.unwrap_err();
        let admin = world.admin().await;
        let found = async |text: &str| {
            let search = text.parse().unwrap();
            let page = world.engine.attempts(&admin, &search, Page::default()).await.unwrap().items;
            let streamed: Vec<_> = world.engine.attempts_stream(&admin, &search).unwrap().try_concat().await.unwrap();
            assert_eq!(page.len(), streamed.len(), "{text}");
            page.len()
        };
        let hashes = world.engine.hashes_of_prompt(&admin, " a fox\r\n").await.unwrap();
        let by_prompt = format!("hash:{}", hashes.join(","));
        for text in ["", "agent:growth-bot", "tool:generate_*", "code:insufficient_credits", "status:refused", "cost:0 -event:*", "region:eu-west-1", "after:1h", &by_prompt] {
            assert_eq!(found(text).await, 1, "{text}");
        }
        for text in ["agent:other", "status:failed", "status:paid", "cost:>0", "event:*", "before:1h", "-code:insufficient_credits", "region:us-east-1"] {
            assert_eq!(found(text).await, 0, "{text}");
        }
    }

    async fn a_search_by_prompt_finds_its_calls(on) {
        let world = World::with_money(on, "1").await;
        let made = world.image(serde_json::json!({ "prompt": "a fox\nin snow", "width": 64, "height": 64 })).await.unwrap();
        let admin = world.admin().await;
        let hashes = world.engine.hashes_of_prompt(&admin, "a fox\r\nin snow ").await.unwrap();
        let search: Search = format!("hash:{}", hashes.join(",")).parse().unwrap();
        let found = world.engine.audit(&admin, &AuditFilter { kind: None, search }, Page::default()).await.unwrap().items;
        assert_eq!(found.iter().map(|row| row.entry.request_id.as_str()).collect::<Vec<_>>(), [made["request_id"].as_str().unwrap()]);
        let made = world.image(serde_json::json!({ "prompt": "a fox\r\nin rain", "width": 64, "height": 64 })).await.unwrap();
        let hashes = world.engine.hashes_of_prompt(&admin, "a fox\r\nin rain").await.unwrap();
        let search: Search = format!("hash:{}", hashes.join(",")).parse().unwrap();
        let found = world.engine.audit(&admin, &AuditFilter { kind: None, search }, Page::default()).await.unwrap().items;
        assert_eq!(found.iter().map(|row| row.entry.request_id.as_str()).collect::<Vec<_>>(), [made["request_id"].as_str().unwrap()]);
    }

    async fn saved_searches_are_ones_own_or_everybodys(on) {
        let world = World::with_money(on, "1").await;
        let (admin, engine) = (world.admin().await, &world.engine);
        let new = |name: &str, shared| NewSearch { name: name.into(), tab: "calls".into(), query: "cost:>0.5".into(), shared };
        let own = engine.save_search(&admin, new("Dear calls", false)).await.unwrap();
        let shared = engine.save_search(&admin, new("For the auditor", true)).await.unwrap();
        let mut other = admin.clone();
        (other.actor, other.role) = ("user_0000000002".into(), Role::Viewer);
        let names = async |scope| engine.saved_searches(scope).await.unwrap().into_iter().map(|saved| saved.name).collect::<Vec<_>>();
        assert_eq!(names(&admin).await, ["Dear calls", "For the auditor"]);
        assert_eq!(names(&other).await, ["For the auditor"]);
        assert_eq!(engine.delete_search(&other, &own.id).await.unwrap_err(), Error::NotFound);
        assert!(engine.delete_search(&other, &shared.id).await.is_err());
        for (wrong, field) in [
            (NewSearch { query: "modle:x".into(), ..new("a", false) }, "query"),
            (NewSearch { tab: "x".into(), ..new("a", false) }, "tab"),
            (new(" ", false), "name"),
            (new("Dear calls", false), "name"),
        ] {
            let error = engine.save_search(&admin, wrong).await.unwrap_err();
            assert!(matches!(&error, Error::Field(fault) if fault.field == field), "{error:?}");
        }
        engine.delete_search(&admin, &own.id).await.unwrap();
        engine.delete_search(&admin, &shared.id).await.unwrap();
        assert!(names(&admin).await.is_empty());
        let acts = AuditFilter { kind: None, search: "event:saved_search.*".parse().unwrap() };
        let log = engine.audit(&admin, &acts, Page::default()).await.unwrap().items;
        assert_eq!(log.iter().map(|row| row.entry.event.as_deref().unwrap()).collect::<Vec<_>>(), ["saved_search.removed", "saved_search.created"]);
        world.assert_whole().await;
    }
}

/// A failed generation is on neither tab: its attempt is on the third.
fn kind_of(row: &Linked) -> Option<EntryKind> {
    match row.entry.event.as_deref() {
        None => Some(EntryKind::Calls),
        Some(GENERATION_FAILED) => None,
        Some(_) => Some(EntryKind::Administration),
    }
}
