//! `demo`: fills an empty data folder with believable traffic. Every call goes through the engine's own gateway, on a
//! clock that begins in the past, so that balances, log and figures are what real use would have left.

mod cast;
mod dice;
mod stage;
mod traffic;
mod vendor;

use agentframer::domain::time::DAY;
use agentframer::engine::Engine;
use agentframer::engine::clock::Clock;
use agentframer::engine::config::Config;
use agentframer::engine::error::Result;
use agentframer::engine::random;
use futures::future::try_join_all;

use self::cast::COLLEAGUES;
use self::stage::{EMAIL, Stage, Tally};
use self::traffic::{DAYS, Plan};
use self::vendor::Vendor;
use crate::cli::{DemoArgs, Failure, say};

/// Media of older calls would be gone by their retention of 30 days.
const DRAWN_DAYS: u64 = 30;
/// Nobody looks at more pictures than the newest so many.
const DRAWN: u64 = 1_000;
/// Calls at which the demo begins to make several at a time; below, their order is exact.
const MANY: u64 = 20_000;
/// Calls at a time then: enough to fill the ledger writer's batches.
const AT_A_TIME: usize = 256;

/// What happened.
struct Story {
    tally: Tally,
    /// Agents that were paused, and why.
    stopped: Vec<(String, String)>,
}

/// Prints where to sign in.
pub async fn demo(config: Config, args: DemoArgs) -> std::result::Result<(), Failure> {
    let config = unlimited(config);
    let plan = Plan { seed: args.seed, calls: args.calls, end: Clock::System.now() };
    let (clock, vendor) = (Clock::manual(plan.begins(0)), Vendor::default());
    let password = hex::encode(random::bytes::<8>());
    let engine =
        Engine::open_with(config.clone(), clock, vendor.providers()).await.map_err(Failure::failed)?;
    let filled = fill(&engine, plan, &vendor, &password).await;
    engine.shutdown().await;
    tell(&config, &password, &filled?);
    Ok(())
}

/// The traffic of months comes in minutes, and nobody gets its mails.
fn unlimited(mut config: Config) -> Config {
    config.limits.calls_per_minute_per_agent = u32::MAX;
    config.mail.smtp_url = None;
    config
}

async fn fill(
    engine: &Engine,
    plan: Plan,
    vendor: &Vendor,
    password: &str,
) -> std::result::Result<Story, Failure> {
    if !engine.setup_pending().await.map_err(Failure::failed)? {
        let message = "The demo fills an empty installation, and this one has accounts. Choose another folder with --data.";
        return Err(Failure::failed(message));
    }
    let mut stage = Stage::build(engine, plan, password).await.map_err(Failure::failed)?;
    let tally = play(engine, plan, vendor, &mut stage).await.map_err(Failure::failed)?;
    let stopped = stage.stopped(engine).await.map_err(Failure::failed)?;
    Ok(Story { tally, stopped })
}

async fn play(engine: &Engine, plan: Plan, vendor: &Vendor, stage: &mut Stage) -> Result<Tally> {
    let together = if plan.calls < MANY { 1 } else { AT_A_TIME };
    let mut tally = Tally::default();
    for day in 0..DAYS {
        wait_until(engine, plan.begins(day).micros());
        stage.morning(engine, day).await?;
        for calls in plan.day(day).chunks(together) {
            if day + DRAWN_DAYS >= DAYS && plan.calls.saturating_sub(tally.all()) <= DRAWN {
                vendor.draw();
            }
            wait_until(engine, calls[0].at.micros());
            let made = try_join_all(calls.iter().map(|call| stage.call(engine, call))).await?;
            made.iter().for_each(|one| tally.add(one));
        }
        for call in stage.evening(engine, day) {
            wait_until(engine, call.at.micros());
            stage.call(engine, &call).await?;
        }
    }
    Ok(tally)
}

/// The clock never goes back.
fn wait_until(engine: &Engine, micros: i64) {
    let clock = engine.clock();
    clock.advance((micros - clock.now().micros()).clamp(0, DAYS as i64 * DAY));
}

fn tell(config: &Config, password: &str, story: &Story) {
    let tally = story.tally;
    say(format_args!(
        "Made {} calls of the last {DAYS} days: {} answered, {} refused. Pictures are sketches, also those of the vendors' models.",
        tally.all(),
        tally.answered,
        tally.refused
    ));
    for (name, reason) in &story.stopped {
        say(format_args!("{name} ran away and was {reason}."));
    }
    say(format_args!("Sign in at {}/login as {EMAIL} with the password {password}", config.public_url()));
    for (email, name, role) in COLLEAGUES {
        say(format_args!("{name} ({role}) signs in as {email} with the same password."));
    }
}
