//! An endpoint's way through the log: what follows from each answer. The retry clock belongs to the endpoint, not to the
//! event, since events go in order.

use super::super::time::{DAY, HOUR, MINUTE, SECOND, Time};
use super::answer::Verdict;

/// Pauses after 1, 2, … failures in a row; the last one repeats.
const PAUSES: [i64; 7] = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR];
/// The shortest pause for a receiver that is overloaded.
const SLOW: i64 = MINUTE;
/// The longest pause that a receiver may ask for.
const LONGEST: i64 = DAY;
/// An endpoint that has only failed for so long is disabled.
pub const PATIENCE: i64 = 5 * DAY;
/// After so many events refused in a row a later one tells whose fault it is: the events' or the endpoint's.
const REFUSALS: u32 = 5;
const TOO_LARGE: &str = "the receiver says that this one event is too large";
/// Failures in a row after which the Admins are told.
pub const TELL_AFTER: u32 = 4;

/// How an endpoint stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Failures in a row.
    pub failures: u32,
    /// Since when there are only failures.
    pub failing_since: Option<Time>,
    /// Events refused in a row.
    pub refused: u32,
    /// Events that one request may carry now.
    pub batch: usize,
    /// No attempt before this.
    pub next_at: Time,
    /// The last delivery.
    pub delivered_at: Option<Time>,
}

/// What to do after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The parcel is settled.
    Advance,
    /// The parcel's one event is put aside, shown, and can be replayed.
    Park(String),
    /// A later event is tried first, and [`Progress::after_probe`] says what follows.
    Probe(String),
    /// The same events again at once, in smaller parcels.
    Split,
    /// Nothing until [`Progress::next_at`].
    Wait(String),
    /// Nothing until a person resumes it.
    Pause(String),
    /// Nothing until a person enables it.
    Disable(String),
}

impl Progress {
    /// Takes note of a verdict on a parcel of `events`; `most` is the format's limit, `random` spreads the retries.
    pub fn after(&mut self, verdict: &Verdict, events: usize, most: usize, now: Time, random: u8) -> Step {
        match verdict {
            Verdict::Delivered => {
                let batch = (self.batch * 2).clamp(1, most);
                *self = Self { batch, next_at: now, delivered_at: Some(now), ..Self::default() };
                Step::Advance
            }
            Verdict::TooLarge | Verdict::Refused(_) if events > 1 => {
                self.batch = (events / 2).max(1);
                Step::Split
            }
            Verdict::TooLarge => self.park(TOO_LARGE),
            Verdict::Refused(why) => self.park(why),
            Verdict::Later { why, slow, retry_after } => self.wait(why, *slow, *retry_after, now, random),
            Verdict::Stop(why) => Step::Pause(why.clone()),
            Verdict::Gone => Step::Disable("the receiver answered 410: it is gone for good".into()),
        }
    }

    /// As [`Progress::after`], for events that are sent once more: that one is refused again says nothing of the endpoint.
    pub fn after_replay(
        &mut self,
        verdict: &Verdict,
        events: usize,
        most: usize,
        now: Time,
        random: u8,
    ) -> Step {
        match verdict {
            Verdict::TooLarge if events <= 1 => Step::Park(TOO_LARGE.into()),
            Verdict::Refused(why) if events <= 1 => Step::Park(why.clone()),
            _ => self.after(verdict, events, most, now, random),
        }
    }

    fn park(&mut self, why: &str) -> Step {
        if self.refused >= REFUSALS {
            return Step::Probe(why.to_owned());
        }
        self.refused += 1;
        Step::Park(why.to_owned())
    }

    /// What follows where a later event was `taken`, or not: then the endpoint refuses everything, and nothing more is put
    /// aside.
    pub fn after_probe(&mut self, why: &str, taken: bool, now: Time, random: u8) -> Step {
        if taken {
            self.refused = 1;
            return Step::Park(why.to_owned());
        }
        let why = format!("{why}, as to each of the {REFUSALS} events before");
        self.wait(&why, false, None, now, random)
    }

    fn wait(&mut self, why: &str, slow: bool, retry_after: Option<i64>, now: Time, random: u8) -> Step {
        self.failures += 1;
        let since = *self.failing_since.get_or_insert(now);
        if now.micros() - since.micros() >= PATIENCE {
            return Step::Disable(format!("five days of nothing but failures; the last: {why}"));
        }
        self.next_at = now.plus(pause(self.failures, slow, retry_after, random));
        Step::Wait(why.to_owned())
    }
}

/// The pause after `failures` in a row, spread by a fifth to either side; only upwards where the receiver is overloaded
/// or asks for a pause, so that it is never asked again before its time.
fn pause(failures: u32, slow: bool, retry_after: Option<i64>, random: u8) -> i64 {
    let step = (failures.max(1) as usize - 1).min(PAUSES.len() - 1);
    let planned = PAUSES[step].max(if slow { SLOW } else { 0 });
    let asked = retry_after.map_or(planned, |asked| asked.clamp(planned, LONGEST.max(planned)));
    let (least, spread) = if slow || retry_after.is_some() { (1_000, 200) } else { (800, 400) };
    asked / 1_000 * (least + i64::from(random) * spread / 255)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn later() -> Verdict {
        Verdict::Later { why: "no".into(), slow: false, retry_after: None }
    }

    #[test]
    fn retries_follow_the_schedule_and_end_after_five_days() {
        let (mut progress, mut now, mut pauses) = (Progress::default(), Time(0), Vec::new());
        loop {
            match progress.after(&later(), 1, 1, now, 128) {
                Step::Wait(_) => pauses.push((progress.next_at.micros() - now.micros()) / SECOND),
                Step::Disable(_) => break,
                step => panic!("{step:?}"),
            }
            now = progress.next_at;
        }
        assert_eq!(pauses[..6], [5, 300, 1_800, 7_200, 18_000, 36_000]);
        assert!(pauses[6..].iter().all(|pause| *pause == 36_000));
        assert!(now.micros() >= PATIENCE && now.micros() < PATIENCE + 11 * HOUR);
    }

    #[test]
    fn an_overloaded_receiver_gets_a_minute_and_whoever_asks_for_a_pause_gets_it() {
        assert_eq!(pause(1, true, None, 0), SLOW);
        for (failures, slow) in [(1, false), (1, true)] {
            assert_eq!(pause(failures, slow, Some(120 * SECOND), 0), 120 * SECOND);
            assert_eq!(pause(failures, slow, Some(120 * SECOND), 255), 144 * SECOND);
        }
        assert_eq!(pause(2, false, Some(0), 0), 5 * MINUTE, "never sooner than planned");
        assert_eq!(pause(2, false, Some(365 * DAY), 0), DAY, "nor for ever");
    }

    #[test]
    fn a_batch_that_is_refused_is_halved_until_one_event_is_parked() {
        let (mut progress, mut events, mut splits) =
            (Progress { batch: 1_000, ..Progress::default() }, 1_000, 0);
        while progress.after(&Verdict::TooLarge, events, 1_000, Time(0), 0) == Step::Split {
            assert!(progress.batch < events);
            (events, splits) = (progress.batch, splits + 1);
        }
        assert_eq!((events, splits), (1, 9));
        progress.after(&Verdict::Delivered, 1, 1_000, Time(0), 0);
        assert_eq!(progress.batch, 2);
    }

    #[test]
    fn an_endpoint_that_refuses_everything_waits_instead_of_parking_everything() {
        let mut progress = Progress::default();
        let refused = Verdict::Refused("400".into());
        for _ in 0..REFUSALS {
            assert!(matches!(progress.after(&refused, 1, 1, Time(0), 0), Step::Park(_)));
        }
        for _ in 0..3 {
            let Step::Probe(why) = progress.after(&refused, 1, 1, Time(0), 0) else { panic!("a probe") };
            assert!(matches!(progress.after_probe(&why, false, Time(0), 0), Step::Wait(_)));
        }
        progress.after(&Verdict::Delivered, 1, 1, Time(0), 0);
        assert!(matches!(progress.after(&refused, 1, 1, Time(0), 0), Step::Park(_)));
    }

    #[test]
    fn where_a_later_event_is_taken_the_refused_ones_are_put_aside() {
        let mut progress = Progress { refused: REFUSALS, ..Progress::default() };
        assert_eq!(progress.after_probe("400", true, Time(0), 0), Step::Park("400".into()));
        assert_eq!((progress.refused, progress.failures, progress.next_at), (1, 0, Time(0)));
    }

    #[test]
    fn what_is_refused_again_on_a_replay_says_nothing_of_the_endpoint() {
        let mut progress = Progress { batch: 1, ..Progress::default() };
        for verdict in [Verdict::Refused("400".into()), Verdict::TooLarge] {
            for _ in 0..20 {
                assert!(matches!(progress.after_replay(&verdict, 1, 1, Time(0), 0), Step::Park(_)));
            }
        }
        assert_eq!(progress, Progress { batch: 1, ..Progress::default() });
        assert!(matches!(progress.after_replay(&later(), 1, 1, Time(0), 0), Step::Wait(_)));
    }

    proptest! {
        #[test]
        fn pauses_stay_within_a_fifth_of_the_plan(failures in 1u32..50, random: u8) {
            let planned = PAUSES[(failures as usize - 1).min(PAUSES.len() - 1)];
            let pause = pause(failures, false, None, random);
            prop_assert!((planned * 8 / 10..=planned * 12 / 10).contains(&pause));
        }
    }
}
