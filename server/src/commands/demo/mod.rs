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
use agentframer::engine::config::{Cell, Config};
use agentframer::engine::error::{Error, Result};
use agentframer::engine::random;
use futures::future::try_join_all;
use futures::try_join;

use self::cast::COLLEAGUES;
use self::stage::{EMAIL, Stage, Tally};
use self::traffic::{DAYS, Plan};
use self::vendor::Vendor;
use crate::cli::{DemoArgs, Failure, say};

/// Nobody looks at more pictures than the newest so many.
const DRAWN: u64 = 1_000;

/// What happened.
struct Story {
    tally: Tally,
    /// Agents that were paused, and why.
    stopped: Vec<(String, String)>,
}

/// Prints where to sign in.
pub async fn demo(config: Config, args: DemoArgs) -> std::result::Result<(), Failure> {
    let config = hurried(config);
    let plan = Plan { seed: args.seed, calls: args.calls, end: Clock::System.now() };
    let password = hex::encode(random::bytes::<8>());
    let story = fill(&config, plan, &password).await?;
    tell(&config, &password, &story);
    Ok(())
}

/// The traffic of months comes in minutes, and nobody gets its mails. Who loses power meanwhile begins again.
fn hurried(mut config: Config) -> Config {
    config.limits.calls_per_minute_per_agent = u32::MAX;
    config.mail.smtp_url = None;
    config.filling = true;
    config
}

/// Files in memory.
fn forgetful(config: &Config) -> Config {
    let cells = config.cells().into_iter().map(|cell| Cell { storage: Some("memory:".into()), ..cell });
    Config { cells: cells.collect(), ..config.clone() }
}

/// Plays the months in two parts: media that will be past their retention at the end need never reach the disk.
async fn fill(config: &Config, plan: Plan, password: &str) -> std::result::Result<Story, Failure> {
    let (clock, vendor) = (Clock::manual(plan.begins(0)), Vendor::default());
    let open = |config| Engine::open_with(config, clock.clone(), vendor.providers());
    let first_kept = DAYS - plan.media_days();

    let engine = open(forgetful(config)).await.map_err(Failure::start)?;
    let begun = async {
        let mut stage = begin(&engine, plan, password).await?;
        let tally = play(&engine, plan, 0..first_kept, &vendor, &mut stage).await?;
        Ok::<_, Error>((stage, tally))
    };
    let begun = begun.await;
    engine.shutdown().await;
    let (mut stage, tally) = begun.map_err(Failure::failed)?;

    let engine = open(config.clone()).await.map_err(Failure::start)?;
    let ended = end(&engine, plan, first_kept, &vendor, &mut stage).await;
    engine.shutdown().await;
    let (kept, stopped) = ended.map_err(Failure::failed)?;
    Ok(Story { tally: tally.and(kept), stopped })
}

async fn begin(engine: &Engine, plan: Plan, password: &str) -> Result<Stage> {
    if engine.setup_pending().await? {
        return Stage::build(engine, plan, password).await;
    }
    let message =
        "The demo fills an empty installation, and this one has accounts. Choose another folder with --data.";
    Err(Error::Conflict(message.into()))
}

/// The days whose media are kept, and what was stopped in all.
async fn end(
    engine: &Engine,
    plan: Plan,
    first: u64,
    vendor: &Vendor,
    stage: &mut Stage,
) -> Result<(Tally, Vec<(String, String)>)> {
    let tally = play(engine, plan, first..DAYS, vendor, stage).await?;
    wait_until(engine, plan.end.micros());
    engine.purge().await?;
    stage.today(engine).await?;
    Ok((tally, stage.stopped(engine).await?))
}

/// Plays days; what is due is purged meanwhile, as on a node that runs.
async fn play(
    engine: &Engine,
    plan: Plan,
    days: std::ops::Range<u64>,
    vendor: &Vendor,
    stage: &mut Stage,
) -> Result<Tally> {
    let mut tally = Tally::default();
    for day in days {
        wait_until(engine, plan.begins(day).micros());
        stage.morning(engine, day).await?;
        let (made, _) = try_join!(calls(engine, plan, day, vendor, stage), engine.purge())?;
        tally = tally.and(made);
        for call in stage.evening(engine, day) {
            wait_until(engine, call.at.micros());
            stage.call(engine, &call).await?;
        }
        engine.watch_budgets().await?;
        engine.tell_alerts().await?;
    }
    Ok(tally)
}

async fn calls(engine: &Engine, plan: Plan, day: u64, vendor: &Vendor, stage: &Stage) -> Result<Tally> {
    let mut tally = Tally::default();
    for calls in plan.day(day).chunks(plan.at_a_time()) {
        if plan.left(day) <= DRAWN + tally.all() {
            vendor.draw();
        }
        wait_until(engine, calls[0].at.micros());
        let made = try_join_all(calls.iter().map(|call| stage.call(engine, call))).await?;
        tally = made.into_iter().fold(tally, Tally::and);
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
