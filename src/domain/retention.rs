//! How long each class of data is kept, and when it goes.

use serde::{Deserialize, Serialize};

use super::audit::Entry;
use super::field::FieldError;
use super::time::{DAY, Time};

/// Days for which refused and failed calls are kept (design §2).
pub const ATTEMPT_DAYS: i64 = 90;
/// Years for which data requests are kept as evidence (GDPR article 5(2); the reference's default).
pub const DATA_REQUEST_YEARS: i32 = 3;
/// A shortened retention takes effect within this time (issue “Data”, 2).
pub const EFFECT: i64 = super::time::HOUR;

const MEDIA_DAYS: std::ops::RangeInclusive<u32> = 1..=3_650;
const LOG_DAYS: std::ops::RangeInclusive<u32> = 365..=3_652;

/// How long a workspace keeps its data, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Media and prompts: 1 to 3650.
    pub media_retention_days: u32,
    /// The log: one to ten years, never below the media's.
    pub log_retention_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        // Seven years, and no less where two leap days are among them.
        Self { media_retention_days: 30, log_retention_days: 2_557 }
    }
}

impl Retention {
    /// These periods with the given ones changed.
    ///
    /// # Errors
    /// Names the field that is out of its range, or the log's where it would be kept shorter than the media.
    pub fn changed(self, media: Option<u32>, log: Option<u32>) -> Result<Self, FieldError> {
        let after = Self {
            media_retention_days: media.unwrap_or(self.media_retention_days),
            log_retention_days: log.unwrap_or(self.log_retention_days),
        };
        if !MEDIA_DAYS.contains(&after.media_retention_days) {
            return Err(FieldError::new("media_retention_days", "is not a number of days from 1 to 3650"));
        }
        if !LOG_DAYS.contains(&after.log_retention_days) {
            let message = "is not a number of days from 365 to 3652 (one to ten years)";
            return Err(FieldError::new("log_retention_days", message));
        }
        if after.log_retention_days < after.media_retention_days {
            let message = format!("is below the media's {} days", after.media_retention_days);
            return Err(FieldError::new("log_retention_days", message));
        }
        Ok(after)
    }

    /// The shortest time in days for which an entry says that the log is, or was, to be kept; `None` where it says nothing
    /// of that. No log may be kept shorter than a year.
    pub fn told_by(entry: &Entry) -> Option<u32> {
        let data = entry.data.as_ref().filter(|_| entry.event.as_deref() == Some("settings.changed"))?;
        let days = ["from", "to"].map(|side| data[side]["log_retention_days"].as_u64());
        days.into_iter().flatten().min().map(|days| u32::try_from(days).unwrap_or(u32::MAX))
    }

    /// Whether rows written before `to` were due at `now`, where the log was kept for `days`, at least a year.
    pub const fn was_due(days: u32, to: Time, now: Time) -> bool {
        let days = if days < *LOG_DAYS.start() { *LOG_DAYS.start() } else { days };
        to.micros() <= now.plus(-(days as i64) * DAY).micros()
    }

    /// Media and prompts made before this moment go.
    pub const fn media_cut(self, now: Time) -> Time {
        now.plus(-(self.media_retention_days as i64) * DAY)
    }

    /// Log rows written before this moment go: whole months only, so that a month is there or is not.
    pub fn log_cut(self, now: Time) -> Time {
        now.plus(-i64::from(self.log_retention_days) * DAY).month_start()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_stay_in_their_ranges_and_the_log_outlives_the_media() {
        let standard = Retention::default();
        let field = |media, log| standard.changed(media, log).unwrap_err().field;
        for wrong in [0, 3_651, u32::MAX] {
            assert_eq!(field(Some(wrong), None), "media_retention_days");
        }
        for wrong in [0, 364, 3_653] {
            assert_eq!(field(None, Some(wrong)), "log_retention_days");
        }
        assert_eq!(field(Some(400), Some(365)), "log_retention_days");
        assert_eq!(standard.changed(Some(400), Some(400)).unwrap().media_retention_days, 400);
    }

    #[test]
    fn the_log_goes_by_whole_months() {
        let year = Retention { media_retention_days: 30, log_retention_days: 365 };
        let cut = |now| year.log_cut(Time::parse(now).unwrap()).to_string();
        assert_eq!(cut("2027-03-31T23:59:59Z"), "2026-03-01T00:00:00.000Z");
        assert_eq!(cut("2027-04-01T00:00:00Z"), "2026-04-01T00:00:00.000Z");
    }
}
