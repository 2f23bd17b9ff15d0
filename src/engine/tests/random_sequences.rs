//! Random sequences of ledger work against both engines: what the database holds must be what the pure rules say.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::domain::audit::Entry;
use crate::domain::ids::{AgentId, Id, RequestId};
use crate::domain::ledger::{Account, Asked, Books, Command, Key, Posting, Reserve, Standing, decide};
use crate::domain::money::Usd;
use crate::domain::policy::AgentCaps;
use crate::domain::refusals::Refusal;
use crate::domain::region::Region;
use crate::domain::settings::Caps;
use crate::domain::time::{MINUTE, Time};
use crate::engine::money::ledger_writer::{CallRecord, Work};
use crate::engine::random;
use crate::engine::store::usage::Usage;
use crate::engine::tests::support::{Databases, START, World, both_engines};

/// What one step does; numbers stand for requests, agents and keys.
#[derive(Debug, Clone)]
enum Step {
    Reserve { request: u8, agent: u8, amount: i64, key: Option<(u8, u8)> },
    Settle { request: u8, cost: i64 },
    Release { request: u8 },
    TopUp { amount: i64 },
    Cap { month: Option<i64> },
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (any::<u8>(), 0u8..2, 0i64..400, prop::option::of((0u8..4, 0u8..2)))
            .prop_map(|(request, agent, amount, key)| Step::Reserve { request, agent, amount, key }),
        4 => (any::<u8>(), 0i64..500).prop_map(|(request, cost)| Step::Settle { request, cost }),
        2 => any::<u8>().prop_map(|request| Step::Release { request }),
        2 => (1i64..600).prop_map(|amount| Step::TopUp { amount }),
        1 => prop::option::of(200i64..3_000).prop_map(|month| Step::Cap { month }),
        1 => Just(Step::Expire),
    ]
}

fn request(n: u8) -> RequestId {
    RequestId::new(1, [n; 10])
}

fn agent(n: u8) -> AgentId {
    AgentId::new(1, [n; 10])
}

struct Machine<'a> {
    world: &'a World,
    model: Books,
}

impl Machine<'_> {
    async fn submit(&self, work: Work) -> Option<Result<Posting, Refusal>> {
        let cell = &self.world.engine.0.cells["eu"];
        cell.writer.submit(&self.world.made.workspace_id, work).await.unwrap().posting
    }

    fn expect(&mut self, command: &Command) -> Result<Posting, Refusal> {
        decide(&mut self.model, command, self.world.clock.now())
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Reserve { request: n, agent: who, amount, key } => {
                let request_id = request(n);
                if self.model.holds.contains_key(&request_id) {
                    return;
                }
                let reserve = Reserve {
                    request_id,
                    agent_id: agent(who),
                    amount: Usd::from_micros(amount),
                    limits: AgentCaps { day_usd: Some(Usd::from_micros(2_000)), ..AgentCaps::default() },
                    preflight_at: None,
                    key: key.map(|(key, arguments)| Key {
                        key: key.to_string(),
                        arguments: arguments.to_string(),
                    }),
                    deadline: self.world.clock.now().plus(MINUTE),
                    asked: Asked::default(),
                };
                let expected = self.expect(&Command::Reserve(reserve.clone().into()));
                assert_eq!(self.submit(Work::Reserve(reserve)).await, Some(expected));
            }
            Step::Settle { request: n, cost } => self.settle(request(n), Usd::from_micros(cost)).await,
            Step::Release { request: n } => {
                let request_id = request(n);
                let expected = self.expect(&Command::Release { request_id: request_id.clone() });
                assert_eq!(
                    self.submit(Work::Release { request_id, attempt: None, event: None }).await,
                    Some(expected)
                );
            }
            Step::TopUp { amount } => {
                let amount = Usd::from_micros(amount);
                self.expect(&Command::TopUp { amount }).unwrap();
                self.world.engine.top_up(&self.world.admin().await, amount, "test").await.unwrap();
            }
            Step::Cap { month } => {
                self.model.account.caps.workspace_month_usd = month.map(Usd::from_micros);
                let change = json!({ "workspace_month_usd": month.map(Usd::from_micros) });
                let change = serde_json::from_value(change).unwrap();
                self.world.engine.set_caps(&self.world.admin().await, &change).await.unwrap();
            }
            Step::Expire => self.expire().await,
        }
    }

    async fn settle(&mut self, request_id: RequestId, cost: Usd) {
        let expected = self.expect(&Command::Settle { request_id: request_id.clone(), cost });
        if matches!(expected, Ok(Posting::Settled { .. })) {
            let answer = json!({ "n": request_id }).to_string();
            self.model.keep_answer(&request_id, &answer);
        }
        let record = Box::new(self.record(&request_id));
        let posting = self.submit(Work::Settle { request_id, cost, record }).await;
        assert_eq!(posting, Some(expected));
    }

    async fn expire(&mut self) {
        self.world.clock.advance(2 * MINUTE);
        let now = self.world.clock.now();
        let due: Vec<RequestId> =
            self.model.holds.values().filter(|h| h.deadline <= now).map(|h| h.request_id.clone()).collect();
        for request_id in due {
            self.expect(&Command::Release { request_id }).unwrap();
        }
        self.world.engine.sweep().await.unwrap();
    }

    fn record(&self, request_id: &RequestId) -> CallRecord {
        let workspace_id = self.world.made.workspace_id.clone();
        let entry = Entry {
            ts: Time::default(),
            request_id: request_id.clone(),
            workspace_id: workspace_id.clone(),
            user_id: "agent.growth-bot".into(),
            tool: Some("generate_image".into()),
            model: Some("sketch-image-1".into()),
            prompt_hash: None,
            cost_usd: Usd::ZERO,
            result_url: None,
            region: Region::EuWest1,
            retention_days: 30,
            event: None,
            data: None,
        };
        let usage = Usage {
            workspace_id,
            user_id: "agent.growth-bot".into(),
            tool: "generate_image".into(),
            model: "sketch-image-1".into(),
            at: Time::default(),
            calls: 1,
            cost: Usd::ZERO,
            images: 1,
            video_ms: 0,
            refused: 0,
            failed: 0,
        };
        CallRecord { entry, generation: None, prompt: None, usage, answer: json!({ "n": request_id }) }
    }
}

async fn play(world: &World, steps: Vec<Step>) {
    let account = Account {
        available: Usd::from_micros(1_000),
        reserved: Usd::ZERO,
        caps: Caps::default(),
        standing: Standing::Active,
    };
    let model = Books { account, tallies: HashMap::new(), holds: HashMap::new(), keys: HashMap::new() };
    let mut machine = Machine { world, model };
    for step in steps {
        machine.step(step).await;
        let account = &machine.model.account;
        assert_eq!(world.money().await, (account.balance(), account.reserved));
    }
    world.assert_whole().await;
}

both_engines! {
    /// A new seed each run, printed, so that a failure can be repeated with `AGENTFRAMER_TEST_SEED`.
    async fn what_the_database_holds_is_what_the_rules_say(on) {
        let seed = std::env::var("AGENTFRAMER_TEST_SEED").ok().and_then(|hex| hex::decode(hex).ok());
        let seed: [u8; 32] = seed.and_then(|seed| seed.try_into().ok()).unwrap_or_else(random::bytes);
        println!("AGENTFRAMER_TEST_SEED={}", hex::encode(seed));
        let rng = proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let steps = prop::collection::vec(step(), 300..301).new_tree(&mut runner).unwrap().current();
        let world = World::with_money(on, "0.001").await;
        assert!(world.clock.now() >= START);
        play(&world, steps).await;
    }
}
