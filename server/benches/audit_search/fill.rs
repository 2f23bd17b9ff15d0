//! A long log of one workspace, as a busy year would leave it, written straight into the table.

use std::time::Instant;

use agentframer::domain::access::Permission;
use agentframer::domain::audit::{Entry, link};
use agentframer::domain::ids::{Id, RequestId};
use agentframer::domain::money::Usd;
use agentframer::domain::region::Region;
use agentframer::domain::time::{DAY, Time};
use agentframer::engine::Engine;
use agentframer::engine::access::bootstrap::Bootstrapped;
use agentframer::engine::access::scope::{Origin, Principal, Scope};
use agentframer::engine::clock::Clock;
use agentframer::engine::store::log::{self, LogRow};
use agentframer::engine::store::{CellDb, Db};

use super::common::place::{Place, bootstrap, statement};

/// When the log begins: it covers a year from here.
const BEGIN: Time = Time(1_767_225_600_000_000);
const BATCH: i64 = 8_192;
/// What the calls cost: prices, and one model whose price follows the pixels.
const PRICES: [i64; 8] = [0, 42_000, 42_000, 60_000, 126_000, 250_000, 600_000, 1_200_000];

/// The filled log.
pub struct Log {
    pub engine: Engine,
    pub scope: Scope,
    pub made: Bootstrapped,
    pub rows_per_s: f64,
    request: String,
}

impl Log {
    /// The search with the log's own hashes and requests.
    pub fn named(&self, text: &str) -> String {
        text.replace("{common}", &hash(0)).replace("{rare}", &hash(4_321)).replace("{request}", &self.request)
    }
}

pub async fn fill(place: &Place, rows: i64) -> Log {
    let clock = Clock::manual(BEGIN.plus(366 * DAY));
    let engine = Engine::open(place.config(), clock).await.unwrap();
    let made = engine.bootstrap(bootstrap(Usd::dollars(1))).await.unwrap();
    let scope = scope(&engine, &made).await;
    let db = Db::open_unsynced(&place.config().cell_url(&place.config().cells[0])).await.unwrap();
    let (db, began) = (CellDb::over(db).await.unwrap(), Instant::now());
    let request = write_rows(&db, &made, rows).await;
    let rows_per_s = rows as f64 / began.elapsed().as_secs_f64();
    // What the server's autovacuum does by itself, a little later.
    if let Some(urls) = &place.urls {
        statement(&urls[1], &["VACUUM ANALYZE".into()]).await;
    }
    db.close().await;
    Log { engine, scope, made, rows_per_s, request }
}

async fn scope(engine: &Engine, made: &Bootstrapped) -> Scope {
    let origin = Origin::new(engine.new_request_id(), None);
    let user = Principal::User(made.user_id.clone());
    engine.scope(&user, &made.workspace_id, Permission::ReadActivity, origin).await.unwrap()
}

/// Writes the rows behind what the log has; answers a request in their middle.
pub async fn write_rows(db: &CellDb, made: &Bootstrapped, rows: i64) -> String {
    let end = log::end(db, &made.workspace_id).await.unwrap().unwrap();
    let (mut seq, mut head, mut dice) = (end.seq, end.head, Dice(7));
    let mut request = String::new();
    for first in (0..rows).step_by(BATCH as usize) {
        let mut batch = Vec::new();
        for n in first..(first + BATCH).min(rows) {
            let linked = link(seq, &head, entry(made, n, rows, &mut dice));
            (seq, head) = (linked.seq, linked.hash.clone());
            if n == rows / 2 {
                request = linked.entry.request_id.to_string();
            }
            batch.push(LogRow { linked, balance_after: Some(Usd::ZERO) });
        }
        let mut transaction = db.begin().await.unwrap();
        log::insert(&mut transaction, batch).await.unwrap();
        sqlx::query("UPDATE accounts SET log_seq = $1, log_head = $2 WHERE workspace_id = $3")
            .bind(seq)
            .bind(&head)
            .bind(made.workspace_id.as_str())
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
    request
}

/// 24 agents, the first ones busier; one that stopped after a tenth of the time, one that hardly ever calls.
fn agent(n: i64, rows: i64, dice: &mut Dice) -> String {
    match dice.below(1_000) {
        0..400 if n < rows / 10 => "agent.retired".into(),
        0 if dice.below(1_000) == 0 => "agent.rare".into(),
        number => format!("agent.bot-{:02}", number * number / 43_500),
    }
}

fn entry(made: &Bootstrapped, n: i64, rows: i64, dice: &mut Dice) -> Entry {
    let ts = BEGIN.plus(n * (365 * DAY / rows));
    let is_act = dice.below(1_000) == 0;
    let model = dice.below(8);
    let cost = if model == 7 { 38_000 + dice.below(40_000) as i64 } else { PRICES[model] };
    let tool = if model == 0 {
        "get_credits"
    } else if model == 6 {
        "generate_video"
    } else {
        "generate_image"
    };
    let prompt = if dice.below(3) == 0 { 0 } else { dice.below(5_000) };
    let mut random = [0; 10];
    random[..8].copy_from_slice(&dice.next().to_be_bytes());
    Entry {
        ts: ts.to_millis(),
        request_id: RequestId::new(ts.millis(), random),
        workspace_id: made.workspace_id.clone(),
        user_id: agent(n, rows, dice),
        tool: (!is_act).then(|| tool.to_owned()),
        model: (!is_act && model > 0).then(|| format!("model-{model}")),
        prompt_hash: (!is_act && model > 0).then(|| hash(prompt)),
        cost_usd: Usd::from_micros(if is_act { 0 } else { cost }),
        result_url: (!is_act && model > 0)
            .then(|| "https://media.example.com/ws/2026/01/01/g_0123456789.png".to_owned()),
        region: Region::EuWest1,
        retention_days: 30,
        event: is_act.then(|| "settings.changed".to_owned()),
        data: is_act.then(|| serde_json::json!({ "setting": "name", "from": "a", "to": "b" })),
    }
}

fn hash(prompt: usize) -> String {
    format!("sha256:{prompt:064x}")
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ (self.0 >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) % end as u64) as usize
    }
}
