//! The demo's workspaces and agents, and its calls through the gateway.

use agentframer::domain::access::Permission;
use agentframer::domain::data_requests::Match;
use agentframer::domain::ids::{AgentId, UserId};
use agentframer::domain::money::Usd;
use agentframer::domain::settings::CapsChange;
use agentframer::engine::Engine;
use agentframer::engine::access::bootstrap::Bootstrap;
use agentframer::engine::access::people::NewPerson;
use agentframer::engine::access::scope::{Origin, Principal, Scope, Workspace};
use agentframer::engine::access::settings::SettingsChange;
use agentframer::engine::data::data_requests::NewDataRequest;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::webhooks::{EndpointChange, NewEndpoint};
use serde_json::json;

use super::cast::{self, COLLEAGUES, HOUSES, Habit, House, RUNAWAY};
use super::traffic::{DAYS, MEDIA_DAYS, Plan, Planned, runaway};

/// Who signs in.
pub const EMAIL: &str = "ada@example.com";
/// What a call costs about, in micro-dollars.
const AVERAGE: u64 = 70_000;
/// In micro-dollars.
const DOLLAR: i64 = 1_000_000;
/// The day on which tokens are rotated; they are due after 90.
const ROTATION_DAY: u64 = 84;
/// What the agent that runs away may spend a day, in dollars: its hard cap stops the spending, then the loop breaker it.
const RUNAWAY_CAP: f64 = 0.5;
/// The day on whose evening an agent runs away.
const RUNAWAY_DAY: u64 = DAYS - 2;
/// How many days before the end finance forgets one workspace.
const FORGOTTEN: u64 = 20;

/// What became of the calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Answered.
    pub answered: u64,
    /// Refused by the rules or failed at the provider.
    pub refused: u64,
}

impl Tally {
    /// Every call.
    pub const fn all(&self) -> u64 {
        self.answered + self.refused
    }

    /// Both together.
    pub const fn and(self, other: Self) -> Self {
        Self { answered: self.answered + other.answered, refused: self.refused + other.refused }
    }
}

/// The demo's people, places and proofs.
pub struct Stage {
    plan: Plan,
    user: Option<UserId>,
    houses: Vec<Workspace>,
    /// The runaway is the last.
    agents: Vec<Actor>,
    colleagues: Vec<UserId>,
}

struct Actor {
    house: usize,
    id: AgentId,
    token: String,
}

impl Stage {
    /// Makes the workspaces and agents of [`cast`].
    pub async fn build(engine: &Engine, plan: Plan, password: &str) -> Result<Self> {
        let mut stage =
            Self { plan, user: None, houses: Vec::new(), agents: Vec::new(), colleagues: Vec::new() };
        for house in &HOUSES {
            stage.add_house(engine, house, password).await?;
        }
        stage.add_runaway(engine).await?;
        Ok(stage)
    }

    async fn add_house(&mut self, engine: &Engine, house: &House, password: &str) -> Result<()> {
        let number = self.houses.len();
        let [first, others @ ..] = house.agents else { return Ok(()) };
        let made = engine.bootstrap(Bootstrap {
            email: EMAIL.to_owned(),
            password: password.to_owned(),
            workspace: house.name.to_owned(),
            region: house.region.to_owned(),
            top_up: self.top_up(number),
            agent: first.name.to_owned(),
        });
        let made = made.await?;
        let origin = Origin::new(engine.new_request_id(), None);
        let admin = Principal::User(made.user_id.clone());
        let scope = engine.scope(&admin, &made.workspace_id, Permission::ChangeSettings, origin).await?;
        engine.update_policy(&scope, &made.agent_id, first.policy(self.day_cap(first))).await?;
        self.agents.push(Actor { house: number, id: made.agent_id, token: made.agent_token });
        for habit in others {
            let new =
                engine.create_agent(&scope, habit.name, Some(habit.policy(self.day_cap(habit)))).await?;
            self.agents.push(Actor { house: number, id: new.agent.id, token: new.token });
        }
        engine.set_caps(&scope, &caps(self.top_up(number))?).await?;
        let cost_centre = Some(Some(house.cost_centre.to_owned()));
        engine.set_settings(&scope, SettingsChange { cost_centre, ..SettingsChange::default() }).await?;
        if self.plan.media_days() < MEDIA_DAYS {
            engine.set_retention(&scope, Some(self.plan.media_days() as u32), None).await?;
        }
        engine.set_name(&made.user_id, "Ada King").await?;
        self.add_colleagues(engine, &scope, password).await?;
        self.user = Some(made.user_id);
        self.houses.push(scope.workspace);
        Ok(())
    }

    /// They join the first workspace as new people, the others as themselves.
    async fn add_colleagues(&mut self, engine: &Engine, scope: &Scope, password: &str) -> Result<()> {
        for (place, (email, name, role)) in COLLEAGUES.into_iter().enumerate() {
            let (_, token) = engine.make_invitation(scope, email, role).await?;
            let known = self.colleagues.get(place);
            let new = NewPerson { email: email.into(), name: name.into(), password: password.into() };
            let person = known.is_none().then_some(new);
            let origin = Origin::new(engine.new_request_id(), None);
            let (user, _) = engine.accept_invitation(&token, known, person, origin).await?;
            if place == self.colleagues.len() {
                self.colleagues.push(user.id);
            }
        }
        Ok(())
    }

    async fn add_runaway(&mut self, engine: &Engine) -> Result<()> {
        let scope = self.scope(engine, 0).await?;
        let policy = json!({
            "permissions": ["generate_image"], "denied": [], "token_rotation_days": 90, "caps": { "day_usd": RUNAWAY_CAP },
        });
        let new = engine.create_agent(&scope, RUNAWAY, Some(policy)).await?;
        self.agents.push(Actor { house: 0, id: new.agent.id, token: new.token });
        Ok(())
    }

    /// What finance pays in at a time, in whole dollars: a month's spend, or a week's where it is careless.
    fn top_up(&self, house: usize) -> Usd {
        let days = if HOUSES[house].runs_dry { 7 } else { 30 };
        Usd::from_micros(DOLLAR * (days * self.daily(house) / DOLLAR.unsigned_abs() + 1) as i64)
    }

    /// About a day's spend of a workspace in micro-dollars.
    fn daily(&self, house: usize) -> u64 {
        let weight = |of: &dyn Fn(usize) -> bool| {
            cast::agents().filter(|(house, _)| of(*house)).map(|(_, habit)| habit.weight).sum::<u64>()
        };
        self.plan.calls * AVERAGE / DAYS * weight(&|found| found == house) / weight(&|_| true).max(1)
    }

    /// What a capped agent may spend a day, in dollars: its busiest days are too much.
    fn day_cap(&self, habit: &Habit) -> f64 {
        let all: u64 = cast::agents().map(|(_, habit)| habit.weight).sum();
        let cents = self.plan.calls * AVERAGE / DAYS * habit.weight / all.max(1) / 10_000;
        (cents.max(10) as f64) / 100.0
    }

    /// What people do in the morning of `day`: top up, and rotate tokens when they are nearly due.
    pub async fn morning(&mut self, engine: &Engine, day: u64) -> Result<()> {
        for (house, found) in HOUSES.iter().enumerate() {
            let is_forgotten = found.runs_dry && day + FORGOTTEN > DAYS;
            if !is_forgotten {
                self.keep_liquid(engine, house, day).await?;
            }
        }
        if day == ROTATION_DAY {
            for agent in 0..self.agents.len() {
                let (scope, id) =
                    (self.scope(engine, self.agents[agent].house).await?, self.agents[agent].id.clone());
                self.agents[agent].token = engine.rotate_agent(&scope, &id, Some(24)).await?.token;
            }
        }
        Ok(())
    }

    async fn keep_liquid(&self, engine: &Engine, house: usize, day: u64) -> Result<()> {
        let scope = self.scope(engine, house).await?;
        let low = Usd::from_micros(2 * self.daily(house) as i64);
        if engine.credits(&scope).await?.available_usd < low {
            let reference = format!("INV-{}-{:03}", engine.clock().now().day_key(), 100 * house as u64 + day);
            engine.top_up(&scope, self.top_up(house), &reference).await?;
        }
        Ok(())
    }

    async fn scope(&self, engine: &Engine, house: usize) -> Result<Scope> {
        let admin = Principal::User(self.user.clone().ok_or(Error::Internal)?);
        let origin = Origin::new(engine.new_request_id(), None);
        engine.scope(&admin, &self.houses[house].id, Permission::ChangeBilling, origin).await
    }

    /// What happens after the calls of `day`: one evening an agent runs away, and the loop breaker stops it.
    pub fn evening(&self, engine: &Engine, day: u64) -> Vec<Planned> {
        match day == RUNAWAY_DAY {
            true => runaway(self.agents.len() - 1, engine.clock().now()).collect(),
            false => Vec::new(),
        }
    }

    /// What waits for somebody today: an invitation, a data request, a webhook that is not switched on yet.
    pub async fn today(&self, engine: &Engine) -> Result<()> {
        let scope = self.scope(engine, 0).await?;
        engine.make_invitation(&scope, "noor@example.com", "developer").await?;
        let request = NewDataRequest {
            kind: "erasure".into(),
            matching: Match { subject: Some("customer-7".into()), ..Match::default() },
            received_on: engine.clock().now().date().to_string(),
            requested_by: "Rosa Lind".into(),
            note: Some("By letter; her passport was seen.".into()),
        };
        engine.file_data_request(&scope, request).await?;
        let endpoint = NewEndpoint {
            url: "https://siem.example.com/agentframer".into(),
            format: "generic".into(),
            token: None,
            events: None,
            headers: None,
        };
        let made = engine.create_webhook(&scope, endpoint).await?;
        let paused = EndpointChange { state: Some("paused".into()), ..EndpointChange::default() };
        engine.change_webhook(&scope, &made.endpoint.id, paused).await.map(drop)
    }

    /// Agents of the first workspace that were paused, each with the reason.
    pub async fn stopped(&self, engine: &Engine) -> Result<Vec<(String, String)>> {
        let agents = engine.agents(&self.scope(engine, 0).await?).await?;
        Ok(agents.into_iter().filter_map(|agent| Some((agent.name, agent.paused_reason?))).collect())
    }

    /// One call, as the MCP transport would make it.
    pub async fn call(&self, engine: &Engine, planned: &Planned) -> Result<Tally> {
        let actor = &self.agents[planned.agent];
        let house = &self.houses[actor.house];
        let known = engine.identify(Some(&actor.token), house.id.as_str(), &house.url_key, None).await;
        let caller = known.map_err(|_| Error::Internal)?;
        let arguments = planned.arguments.clone();
        let answer = engine.call_tool(&caller, planned.tool, arguments, engine.new_request_id()).await;
        Ok(match answer {
            Ok(_) => Tally { answered: 1, refused: 0 },
            Err(_) => Tally { answered: 0, refused: 1 },
        })
    }
}

/// Generous, but there; the floor warns the agents.
fn caps(month: Usd) -> Result<CapsChange> {
    let micros = month.micros();
    let caps = json!({
        "workspace_month_usd": Usd::from_micros(5 * micros), "floor_usd": Usd::from_micros(micros / 10),
    });
    serde_json::from_value(caps).map_err(|_| Error::Internal)
}
