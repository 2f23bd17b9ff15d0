//! One model: what it costs, what it takes, until when it is open.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::date;
use super::job::{Ask, Job, MediaKind};
use super::limits::{Limits, within};
use crate::domain::field::{self, FieldError};
use crate::domain::money::Usd;
use crate::domain::region::Region;

/// What vendors bill as one megapixel: 1024 × 1024 pixels.
const MEGAPIXEL: u64 = 1024 * 1024;
/// The longest prompt that any vendor takes, in characters (OpenAI's images API).
const LONGEST_PROMPT: usize = 32_000;
/// From this many days before a shutdown it is announced at each use.
const NOTICE_DAYS: i32 = 60;

/// What a price counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// One picture of any size.
    Image,
    /// 1024 × 1024 pixels of one picture; a begun one counts whole.
    Megapixel,
    /// One second of one video.
    Second,
}

impl Unit {
    /// The name in JSON and after "per".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Megapixel => "megapixel",
            Self::Second => "second",
        }
    }
}

/// What is made where the caller does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Seconds of video; `None` for pictures.
    #[serde(default)]
    pub duration_s: Option<u32>,
}

/// The terms under which a model's results may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// Its name, for people.
    pub name: String,
    /// Where it is written.
    pub url: String,
}

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The provider's own name for it, which is also ours.
    pub id: String,
    /// The name for people.
    pub title: String,
    /// The name of the configured provider that runs it (`[providers.NAME]`).
    pub provider: String,
    /// What it makes.
    pub kind: MediaKind,
    /// What the price counts.
    pub unit: Unit,
    /// The price of a unit; with [`Unit::Megapixel`] and `price_further`, of the first one.
    #[serde(rename = "price_usd")]
    pub price: Usd,
    /// The price of each megapixel after the first.
    #[serde(rename = "price_further_usd", default, skip_serializing_if = "Option::is_none")]
    pub price_further: Option<Usd>,
    /// Where the price was found.
    pub source_url: String,
    /// The day from which the price is in force.
    #[serde(with = "date")]
    pub effective_from: Date,
    /// The regions in which the vendor says it keeps the inference; empty means none or unknown.
    #[serde(default)]
    pub residency: Vec<Region>,
    /// What it takes.
    #[serde(default)]
    pub limits: Limits,
    /// What it makes where the caller does not say.
    pub defaults: Defaults,
    /// The terms of its results.
    pub licence: Licence,
    /// The day on which the vendor closes it; refused from then on.
    #[serde(with = "date::optional", default, skip_serializing_if = "Option::is_none")]
    pub shutdown_on: Option<Date>,
    /// The id of the model to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute: Option<String>,
    /// Whether its results are sketches drawn by this program.
    #[serde(default)]
    pub sketch: bool,
    /// What a person choosing it should know.
    #[serde(default)]
    pub note: String,
}

/// Why no price can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Beyond any amount that can be booked.
    #[error("the price is beyond any amount that can be booked")]
    TooLarge,
    /// A price by the second needs a duration.
    #[error("the price needs duration_s")]
    NoDuration,
}

impl Model {
    /// What `job` costs at most, exactly, in whole micro-dollars.
    ///
    /// # Errors
    /// [`PriceError`] where the amount cannot be booked or the duration is missing.
    pub fn price(&self, job: &Job) -> Result<Usd, PriceError> {
        let one = match self.unit {
            Unit::Image => Some(self.price),
            Unit::Megapixel => self.price_by_size(job.width, job.height),
            Unit::Second => self.price.checked_mul_u32(job.duration_s.ok_or(PriceError::NoDuration)?),
        };
        one.and_then(|price| price.checked_mul_u32(job.count)).ok_or(PriceError::TooLarge)
    }

    /// What its smallest job costs: one image of at most a megapixel, or the shortest video.
    pub fn least_price(&self) -> Usd {
        let units = if self.unit == Unit::Second { self.limits.min_duration_s } else { 1 };
        self.price.checked_mul_u32(units).unwrap_or(self.price)
    }

    fn price_by_size(&self, width: u32, height: u32) -> Option<Usd> {
        let megapixels = (u64::from(width) * u64::from(height)).div_ceil(MEGAPIXEL).max(1);
        let further = u32::try_from(megapixels - 1).ok()?;
        let each = self.price_further.unwrap_or(self.price);
        self.price.checked_add(each.checked_mul_u32(further)?)
    }

    /// The complete job for what a caller asked, checked.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn job(&self, ask: Ask) -> Result<Job, FieldError> {
        if self.kind == MediaKind::Image && ask.duration_s.is_some() {
            return Err(FieldError::new("duration_s", format!("does not apply: {} makes images", self.id)));
        }
        let job = Job {
            kind: self.kind,
            prompt: ask.prompt,
            model: self.id.clone(),
            width: ask.width.unwrap_or(self.defaults.width),
            height: ask.height.unwrap_or(self.defaults.height),
            count: ask.count.unwrap_or(1),
            seed: ask.seed,
            duration_s: ask.duration_s.or(self.defaults.duration_s),
        };
        self.check(&job)?;
        Ok(job)
    }

    /// Whether the model takes `job`.
    ///
    /// # Errors
    /// Names the first field that it does not take, and what it takes instead.
    pub fn check(&self, job: &Job) -> Result<(), FieldError> {
        if job.kind != self.kind {
            let message = format!("{} makes {}s, not {}s", self.id, self.kind.as_str(), job.kind.as_str());
            return Err(FieldError::new("model", message));
        }
        field::text("prompt", &job.prompt, 1, LONGEST_PROMPT)?;
        self.limits.check_size(job.width, job.height)?;
        within("count", job.count, 1, self.limits.max_count)?;
        match (self.kind, job.duration_s) {
            (MediaKind::Image, None) => Ok(()),
            (MediaKind::Image, Some(_)) => Err(FieldError::new("duration_s", "does not apply to images")),
            (MediaKind::Video, None) => Err(FieldError::new("duration_s", "is missing")),
            (MediaKind::Video, Some(seconds)) => self.limits.check_duration(seconds),
        }
    }

    /// Whether the model may still be used on `today`.
    ///
    /// # Errors
    /// Names `model`, says since when it is closed and which model to use instead.
    pub fn check_open(&self, today: Date) -> Result<(), FieldError> {
        match self.shutdown_on {
            Some(day) if day <= today => {
                let message = format!("{} was closed by its vendor on {day}{}", self.id, self.instead());
                Err(FieldError::new("model", message))
            }
            _ => Ok(()),
        }
    }

    /// The announcement of a shutdown within the next sixty days, as a sentence.
    pub fn shutdown_notice(&self, today: Date) -> Option<String> {
        let day = self.shutdown_on?;
        let from = day.checked_sub(NOTICE_DAYS.days()).ok()?;
        (from <= today && today < day)
            .then(|| format!("{} will be closed by its vendor on {day}{}.", self.id, self.instead()))
    }

    /// Whether the vendor says that inference stays in `region`.
    pub fn stays_in(&self, region: Region) -> bool {
        self.residency.contains(&region)
    }

    fn instead(&self) -> String {
        self.substitute.as_ref().map(|id| format!("; use {id} instead")).unwrap_or_default()
    }

    /// The first fault of an entry, as the rest of a sentence that begins with its id.
    pub(super) fn fault(&self) -> Option<String> {
        if self.id.is_empty() || self.id.chars().any(|c| !c.is_ascii_alphanumeric() && !"-_./".contains(c)) {
            return Some("has an id with other characters than letters, digits and -_./".into());
        }
        if !self.price.is_positive() || self.price_further.is_some_and(|price| !price.is_positive()) {
            return Some("needs a price above zero".into());
        }
        if self.price_further.is_some() && self.unit != Unit::Megapixel {
            return Some("has price_further_usd, which goes with the unit megapixel only".into());
        }
        if (self.unit == Unit::Second) != (self.kind == MediaKind::Video) {
            return Some("has a unit that does not go with its kind: a video costs by the second".into());
        }
        self.default_fault().map(|error| format!("has defaults that it does not take: {error}"))
    }

    fn default_fault(&self) -> Option<FieldError> {
        self.job(Ask { prompt: "any".into(), ..Ask::default() }).err()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;
    use crate::domain::catalog::Catalog;

    fn model(id: &str) -> Model {
        Catalog::built_in().get(id).unwrap().clone()
    }

    fn ask() -> Ask {
        Ask { prompt: "a lighthouse".into(), ..Ask::default() }
    }

    #[test]
    fn prices_follow_the_unit() {
        let price = |id: &str, ask: Ask| {
            let model = model(id);
            model.price(&model.job(ask).unwrap()).unwrap().to_string()
        };
        assert_eq!(price("sketch-image-1", Ask { count: Some(3), ..ask() }), "0.126");
        assert_eq!(price("sketch-video-1", Ask { duration_s: Some(8), ..ask() }), "0.4");
        assert_eq!(price("flux-2-pro", ask()), "0.03");
        assert_eq!(price("flux-2-pro", Ask { width: Some(1040), ..ask() }), "0.045");
        assert_eq!(price("flux-2-pro", Ask { width: Some(2048), height: Some(2048), ..ask() }), "0.075");
        let second = model("sketch-video-1");
        let job = Job { duration_s: None, ..second.job(ask()).unwrap() };
        assert_eq!(second.price(&job), Err(PriceError::NoDuration));
    }

    #[test]
    fn a_wrong_argument_is_named_with_what_is_right() {
        let cases = [
            ("sketch-image-1", Ask { width: Some(10), ..ask() }, "width: is 10; the model takes 64 to 2048"),
            ("sketch-image-1", Ask { count: Some(0), ..ask() }, "count: is 0; the model takes 1 to 10"),
            ("sketch-image-1", Ask { duration_s: Some(3), ..ask() }, "duration_s: does not apply"),
            ("sketch-image-1", Ask { prompt: " ".into(), ..ask() }, "prompt: is missing"),
            (
                "sketch-image-1",
                Ask { width: Some(2048), height: Some(2048), ..ask() },
                "height: makes 2048 by 2048",
            ),
            (
                "sketch-video-1",
                Ask { duration_s: Some(21), ..ask() },
                "duration_s: is 21; the model takes 1 to 20",
            ),
            (
                "flux-pro-1.1",
                Ask { height: Some(1000), ..ask() },
                "height: is 1000; it needs to be a multiple of 32",
            ),
            (
                "gpt-image-2.5",
                Ask { height: Some(768), ..ask() },
                "height: makes 1024x768; the model takes 1024x1024",
            ),
        ];
        for (id, ask, message) in cases {
            let error = model(id).job(ask).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn a_closed_model_is_announced_then_refused_with_a_substitute() {
        let sora = model("sora-2");
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(sora.shutdown_notice(day("2026-07-01")), None);
        assert!(sora.shutdown_notice(day("2026-07-26")).unwrap().contains("on 2026-09-24"));
        assert!(sora.check_open(day("2026-09-23")).is_ok());
        assert_eq!(sora.shutdown_notice(day("2026-09-24")), None);
        let error = sora.check_open(day("2026-09-24")).unwrap_err();
        assert!(error.message.ends_with("use blackforestlabs/flux-3-max/text-to-video instead"), "{error}");
    }

    #[test]
    fn a_model_survives_json() {
        for model in Catalog::built_in().models() {
            let json = serde_json::to_string(model).unwrap();
            assert_eq!(&serde_json::from_str::<Model>(&json).unwrap(), model);
        }
    }

    proptest! {
        #[test]
        fn a_price_never_overflows_and_never_falls(
            index in 0..Catalog::built_in().models().len(), micros in 1..i64::MAX,
            width in any::<u32>(), height in any::<u32>(), count in any::<u32>(), seconds in any::<u32>(),
            more in 0..1000_u32,
        ) {
            let catalog = Catalog::built_in();
            let listed = &catalog.models()[index];
            let costly = Model { price: Usd::from_micros(micros), ..listed.clone() };
            for model in [listed, &costly] {
                let job = Job {
                    kind: model.kind, prompt: String::new(), model: model.id.clone(),
                    width, height, count, seed: None, duration_s: Some(seconds),
                };
                let larger = Job {
                    width: width.saturating_add(more), height: height.saturating_add(more),
                    count: count.saturating_add(more), duration_s: Some(seconds.saturating_add(more)), ..job.clone()
                };
                if let Ok(price) = model.price(&larger) {
                    let smaller = model.price(&job).unwrap();
                    prop_assert!(Usd::ZERO <= smaller && smaller <= price);
                }
            }
        }
    }
}
