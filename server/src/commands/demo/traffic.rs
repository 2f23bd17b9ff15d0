//! The calls of the demo, day by day: office hours, quiet weekends, a business that grows.

use agentframer::domain::policy::Tool;
use agentframer::domain::time::{DAY, HOUR, SECOND, Time};
use serde_json::{Value, json};

use super::cast::{self, Habit};
use super::dice::Dice;

/// How far back the traffic reaches.
pub const DAYS: u64 = 120;
/// How long media are kept where nobody chose otherwise.
pub const MEDIA_DAYS: u64 = 30;
/// A business that makes more pictures than so many in that time keeps them for fewer days.
const KEPT: u64 = 400_000;
/// Calls of the whole demo for each that is made at the same time as another: few stand apart, many fill batches.
const CALLS_APART: u64 = 10_000;
/// Calls at a time at most: enough to fill the ledger writer's batches.
const MOST_AT_A_TIME: u64 = 256;
/// How busy each hour of a day is, in UTC.
const HOURS: [u64; 24] = [1, 1, 1, 1, 1, 2, 4, 8, 12, 16, 18, 18, 14, 16, 18, 17, 14, 10, 7, 5, 4, 3, 2, 1];

const SUBJECTS: [&str; 12] = [
    "a running shoe",
    "a glass teapot",
    "a red bicycle",
    "a wool scarf",
    "a desk lamp",
    "a bar of soap",
    "a hiking boot",
    "a ceramic bowl",
    "a rain jacket",
    "a fountain pen",
    "a picnic basket",
    "a paper kite",
];
const PLACES: [&str; 8] = [
    "on a beach at dawn",
    "on a marble table",
    "in a forest after rain",
    "in front of a yellow wall",
    "on a city roof at night",
    "in the snow",
    "in a sunlit kitchen",
    "on a wooden pier",
];
const STYLES: [&str; 6] =
    ["studio photo", "flat illustration", "watercolour", "isometric drawing", "film still", "line art"];
/// What the vendors' moderation turns away.
pub const FORBIDDEN: &str = "in the hands of a famous actor";
/// How many of 1000 pictures are made for one customer, and how many customers there are.
const PERSONAL: u64 = 60;
const CUSTOMERS: u64 = 40;
/// How often the runaway agent tries.
const RETRIES: i64 = 60;
/// What its loop waits between two tries.
const PAUSE: i64 = 9 * SECOND;

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// When.
    pub at: Time,
    /// Whose, by place in [`cast::agents`].
    pub agent: usize,
    /// What.
    pub tool: Tool,
    /// With what.
    pub arguments: Value,
}

/// The same calls for the same seed, counted back from the same end.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What chance begins with.
    pub seed: u64,
    /// How many calls there are in all.
    pub calls: u64,
    /// The end of the last day.
    pub end: Time,
}

impl Plan {
    /// When a day begins; day [`DAYS`] begins at the end.
    pub fn begins(&self, day: u64) -> Time {
        self.end.plus(-((DAYS - day.min(DAYS)) as i64 * DAY))
    }

    /// How many calls there are from a day on.
    pub fn left(&self, day: u64) -> u64 {
        self.calls - self.before(day)
    }

    /// For how many days media are kept.
    pub fn media_days(&self) -> u64 {
        (KEPT * DAYS / self.calls.max(1)).clamp(1, MEDIA_DAYS)
    }

    /// How many calls are made at a time.
    pub fn at_a_time(&self) -> usize {
        (self.calls / CALLS_APART).clamp(1, MOST_AT_A_TIME) as usize
    }

    /// How many calls come before a day: they add up to all of them, whatever their number.
    fn before(&self, day: u64) -> u64 {
        let weight = |days: u64| (0..days).map(|day| self.weight(day)).sum::<u64>();
        (u128::from(self.calls) * u128::from(weight(day)) / u128::from(weight(DAYS))) as u64
    }

    fn weight(&self, day: u64) -> u64 {
        let growth = 60 + 80 * day / DAYS;
        let is_weekend = self.begins(day).date().weekday().to_monday_zero_offset() >= 5;
        growth * if is_weekend { 35 } else { 100 }
    }

    /// A day's calls in their order.
    pub fn day(&self, day: u64) -> Vec<Planned> {
        let mut dice = Dice::new(self.seed, day);
        let count = self.before(day + 1) - self.before(day);
        let mut calls: Vec<Planned> = (0..count).map(|_| call(self.begins(day), &mut dice)).collect();
        calls.sort_by_key(|call| call.at);
        calls
    }
}

/// A loop that pays for the same picture again and again, and never gives up: the brief's $4,000 story.
pub fn runaway(agent: usize, from: Time) -> impl Iterator<Item = Planned> {
    let arguments = json!({
        "prompt": "a running shoe in the snow, film still", "model": "flux-2-pro", "width": 768, "height": 512,
    });
    let tool = Tool::GenerateImage;
    (1..=RETRIES).map(move |round| {
        let at = from.plus(round * PAUSE).to_millis();
        Planned { at, agent, tool, arguments: arguments.clone() }
    })
}

fn call(day: Time, dice: &mut Dice) -> Planned {
    let agent = dice.weighted(cast::agents().map(|(_, habit)| habit.weight));
    let at = moment(day, dice);
    let (tool, arguments) = match cast::agents().nth(agent) {
        Some((_, habit)) if dice.falls(habit.strays) => stray(dice),
        Some((_, habit)) => usual(habit, dice),
        None => (Tool::GetCredits, json!({})),
    };
    Planned { at, agent, tool, arguments }
}

fn moment(day: Time, dice: &mut Dice) -> Time {
    let first = (day.micros() / HOUR).rem_euclid(24) as usize;
    let hour = dice.weighted((0..24).map(|hour| HOURS[(first + hour) % 24]));
    day.plus(hour as i64 * HOUR + dice.below(HOUR.unsigned_abs()) as i64).to_millis()
}

fn usual(habit: &Habit, dice: &mut Dice) -> (Tool, Value) {
    match dice.below(100) {
        0..6 => (Tool::GetCredits, json!({})),
        6..9 => (Tool::ListRecentGenerations, json!({ "limit": 10 })),
        _ => generation(habit, dice),
    }
}

fn generation(habit: &Habit, dice: &mut Dice) -> (Tool, Value) {
    let (model, sizes) = dice.pick(habit.models);
    let (width, height) = dice.pick(sizes);
    let mut arguments = json!({ "prompt": prompt(dice), "model": model, "width": width, "height": height });
    if dice.falls(PERSONAL) {
        arguments["subject"] = format!("customer-{}", 1 + dice.below(CUSTOMERS)).into();
    }
    if habit.films {
        arguments["duration_s"] = (1 + dice.below(4)).into();
        return (Tool::GenerateVideo, arguments);
    }
    arguments["seed"] = dice.below(1 << 32).into();
    (Tool::GenerateImage, arguments)
}

fn prompt(dice: &mut Dice) -> String {
    let place = if dice.falls(5) { FORBIDDEN } else { dice.pick(&PLACES) };
    format!("{} {place}, {}", dice.pick(&SUBJECTS), dice.pick(&STYLES))
}

/// What agents try although they should know better.
fn stray(dice: &mut Dice) -> (Tool, Value) {
    let strays = [
        (Tool::TopUpBalance, json!({ "amount_usd": 500, "reference": "urgent" })),
        (Tool::InviteTeamMember, json!({ "email": "friend@example.com", "role": "admin" })),
        (Tool::GenerateImage, json!({ "prompt": "a wall of posters", "width": 16_384, "height": 16_384 })),
        (Tool::GenerateImage, json!({ "prompt": "a paper kite", "model": "flux-9-ultra" })),
        (Tool::GenerateImage, json!({ "prompt": "a rain jacket", "model": "gpt-image-2.5" })),
        (Tool::GenerateImage, json!({ "prompt": " " })),
    ];
    dice.pick(&strays).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Time = Time(1_792_000_000_000_000);

    fn all(seed: u64, calls: u64) -> Vec<Planned> {
        let plan = Plan { seed, calls, end: END };
        (0..DAYS).flat_map(|day| plan.day(day)).collect()
    }

    #[test]
    fn a_seed_gives_the_same_calls_again() {
        assert_eq!(all(1, 500), all(1, 500));
        assert_ne!(all(1, 500), all(2, 500));
    }

    #[test]
    fn the_calls_are_as_many_as_asked_for_and_in_order() {
        for calls in [0, 1, 77, 5_000] {
            let planned = all(1, calls);
            assert_eq!(planned.len() as u64, calls);
            assert!(planned.is_sorted_by_key(|call| call.at));
            assert!(planned.iter().all(|call| call.at < END && call.at >= END.plus(-(DAYS as i64) * DAY)));
        }
    }

    #[test]
    fn the_more_calls_the_shorter_media_are_kept() {
        let days = |calls| Plan { seed: 1, calls, end: END }.media_days();
        assert_eq!([0, 4_000, 1_600_000, 4_800_000, 10_000_000].map(days), [30, 30, 30, 10, 4]);
    }

    #[test]
    fn every_agent_calls_and_nights_are_quiet() {
        let planned = all(1, 5_000);
        for (agent, (_, habit)) in cast::agents().enumerate() {
            assert!(planned.iter().any(|call| call.agent == agent), "{}", habit.name);
        }
        let hour = |call: &&Planned| (call.at.micros() / HOUR).rem_euclid(24);
        let night = planned.iter().filter(|call| hour(call) < 5).count();
        assert!(night * 10 < planned.len(), "{night}");
    }
}
