//! The model library: what each model costs, may be asked for, and where it runs.
//!
//! Vendors change prices and close models within weeks, so all of it is data (`models.toml`, or the file that
//! the setting `catalog` names). The price of a call follows from this data and the call's arguments alone;
//! it is known before the provider is asked and is the most that the call can cost (design §4).

use std::collections::BTreeSet;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::field::{self, FieldError};
use super::money::Usd;
use super::region::Region;

const BUILT_IN: &str = include_str!("models.toml");
/// What vendors bill as one megapixel: 1024 × 1024 pixels.
const MEGAPIXEL: u64 = 1024 * 1024;
/// The longest prompt that any vendor takes, in characters (OpenAI's images API).
const LONGEST_PROMPT: usize = 32_000;
/// From this many days before a shutdown it is announced at each use.
const NOTICE_DAYS: i32 = 60;

/// What a model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Still pictures.
    Image,
    /// Moving pictures.
    Video,
}

impl MediaKind {
    /// The name in JSON and in sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
        }
    }
}

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

/// One thing to be generated, complete: every default is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What is to be made.
    pub kind: MediaKind,
    /// What it is to show. Never logged.
    pub prompt: String,
    /// The [`Model::id`] in the catalogue.
    pub model: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// How many pictures or videos.
    pub count: u32,
    /// The same seed gives the same picture, where the model keeps that promise.
    pub seed: Option<u64>,
    /// Seconds of video; `None` for pictures.
    pub duration_s: Option<u32>,
}

impl Job {
    /// Width to height in smallest whole numbers: `16:9`.
    pub fn aspect_ratio(&self) -> String {
        let divisor = greatest_common_divisor(self.width, self.height).max(1);
        format!("{}:{}", self.width / divisor, self.height / divisor)
    }

    /// The seed within the 31 bits that every vendor takes.
    pub fn small_seed(&self) -> Option<u32> {
        self.seed.map(|seed| (seed & 0x7fff_ffff) as u32)
    }
}

const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// What a caller asked for, before the model's defaults are filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// What it is to show.
    pub prompt: String,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// How many; one, where not said.
    pub count: Option<u32>,
    /// For the same picture again.
    pub seed: Option<u64>,
    /// Seconds of video.
    pub duration_s: Option<u32>,
}

/// The sizes, counts and durations that a model takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The only sizes it takes, in pixels; empty where the ranges below decide.
    pub sizes: Vec<(u32, u32)>,
    /// Smallest width in pixels.
    pub min_width: u32,
    /// Largest width in pixels.
    pub max_width: u32,
    /// Smallest height in pixels.
    pub min_height: u32,
    /// Largest height in pixels.
    pub max_height: u32,
    /// Width and height are multiples of this many pixels.
    pub multiple_of: u32,
    /// Largest width × height.
    pub max_pixels: Option<u32>,
    /// Most results of one call.
    pub max_count: u32,
    /// Shortest video in seconds.
    pub min_duration_s: u32,
    /// Longest video in seconds.
    pub max_duration_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sizes: Vec::new(),
            min_width: 64,
            max_width: 4096,
            min_height: 64,
            max_height: 4096,
            multiple_of: 1,
            max_pixels: None,
            max_count: 1,
            min_duration_s: 1,
            max_duration_s: 60,
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
    fn fault(&self) -> Option<String> {
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

impl Limits {
    fn check_size(&self, width: u32, height: u32) -> Result<(), FieldError> {
        if !self.sizes.is_empty() {
            return self.check_listed(width, height);
        }
        within("width", width, self.min_width, self.max_width)?;
        within("height", height, self.min_height, self.max_height)?;
        for (name, value) in [("width", width), ("height", height)] {
            if !value.is_multiple_of(self.multiple_of) {
                let message = format!("is {value}; it needs to be a multiple of {}", self.multiple_of);
                return Err(FieldError::new(name, message));
            }
        }
        match self.max_pixels {
            Some(most) if u64::from(width) * u64::from(height) > u64::from(most) => {
                let message =
                    format!("makes {width} by {height}, more than the {most} pixels that the model takes");
                Err(FieldError::new("height", message))
            }
            _ => Ok(()),
        }
    }

    fn check_listed(&self, width: u32, height: u32) -> Result<(), FieldError> {
        if self.sizes.contains(&(width, height)) {
            return Ok(());
        }
        let field = if self.sizes.iter().any(|(listed, _)| *listed == width) { "height" } else { "width" };
        let sizes: Vec<_> = self.sizes.iter().map(|(width, height)| format!("{width}x{height}")).collect();
        Err(FieldError::new(field, format!("makes {width}x{height}; the model takes {}", sizes.join(", "))))
    }

    fn check_duration(&self, seconds: u32) -> Result<(), FieldError> {
        within("duration_s", seconds, self.min_duration_s, self.max_duration_s)
    }
}

fn within(field: &str, value: u32, least: u32, most: u32) -> Result<(), FieldError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(FieldError::new(field, format!("is {value}; the model takes {least} to {most}")))
}

/// Why a catalogue cannot be used; each names the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Not TOML, an unknown or missing key, or a value of the wrong kind; with line and key.
    #[error("the model catalogue cannot be read: {0}")]
    Unreadable(String),
    /// Two entries of one id.
    #[error("the model catalogue has two entries for {0}")]
    Twice(String),
    /// An entry that contradicts itself.
    #[error("the model catalogue's {model} {fault}")]
    Entry {
        /// Its id.
        model: String,
        /// What is wrong with it.
        fault: String,
    },
}

/// The models that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    #[serde(rename = "model", default)]
    models: Vec<Model>,
}

impl Catalog {
    /// The catalogue inside the program.
    ///
    /// # Panics
    /// Never: a test reads the same file.
    pub fn built_in() -> Self {
        #[allow(clippy::expect_used, reason = "the text is a constant that a test parses")]
        Self::parse(BUILT_IN).expect("the built-in catalogue is whole")
    }

    /// Reads a catalogue.
    ///
    /// # Errors
    /// [`CatalogError`] names the key, entry or contradiction.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let catalog: Self =
            toml::from_str(text).map_err(|error| CatalogError::Unreadable(error.to_string()))?;
        let mut seen = BTreeSet::new();
        for model in &catalog.models {
            if !seen.insert(model.id.as_str()) {
                return Err(CatalogError::Twice(model.id.clone()));
            }
            if let Some(fault) = model.fault().or_else(|| catalog.substitute_fault(model)) {
                return Err(CatalogError::Entry { model: model.id.clone(), fault });
            }
        }
        Ok(catalog)
    }

    fn substitute_fault(&self, model: &Model) -> Option<String> {
        let id = model.substitute.as_ref()?;
        match self.get(id) {
            None => Some(format!("names a substitute that is not listed: {id}")),
            Some(other) if other.kind != model.kind => {
                Some(format!("names a substitute of another kind: {id}"))
            }
            Some(_) => None,
        }
    }

    /// The model of this id.
    pub fn get(&self, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id)
    }

    /// Every model, in the file's order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model for calls that name none: the first of its kind in the file that is not closed.
    pub fn default_for(&self, kind: MediaKind) -> Option<&Model> {
        self.models.iter().find(|model| model.kind == kind && model.shutdown_on.is_none())
    }

    /// The models whose provider is among `providers`, in the file's order.
    pub fn available<'a, S: AsRef<str>>(&'a self, providers: &'a [S]) -> impl Iterator<Item = &'a Model> {
        self.models.iter().filter(|model| providers.iter().any(|name| name.as_ref() == model.provider))
    }
}

/// Dates as `2026-09-24`; written here, as jiff is built without serde.
mod date {
    use serde::{Deserializer, Serializer};

    use super::{Date, Deserialize, FromStr};

    pub(super) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let text = String::deserialize(deserializer)?;
        Date::from_str(&text)
            .map_err(|_| serde::de::Error::custom(format!("{text} is not a date, such as 2026-09-24")))
    }

    pub(super) mod optional {
        use super::{Date, Deserializer, Serializer};

        pub(in super::super) fn serialize<S: Serializer>(
            date: &Option<Date>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match date {
                Some(date) => super::serialize(date, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            de: D,
        ) -> Result<Option<Date>, D::Error> {
            super::deserialize(de).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    fn model(id: &str) -> Model {
        Catalog::built_in().get(id).unwrap().clone()
    }

    fn ask() -> Ask {
        Ask { prompt: "a lighthouse".into(), ..Ask::default() }
    }

    #[test]
    fn without_a_provider_the_sketches_are_the_defaults() {
        let catalog = Catalog::built_in();
        let image = catalog.default_for(MediaKind::Image).unwrap();
        let video = catalog.default_for(MediaKind::Video).unwrap();
        assert_eq!((image.id.as_str(), image.price.to_string().as_str()), ("sketch-image-1", "0.042"));
        assert_eq!((video.id.as_str(), video.price.to_string().as_str()), ("sketch-video-1", "0.05"));
        assert_eq!(catalog.available(&["local"]).count(), 2);
        let (image, video) = (image.job(ask()).unwrap(), video.job(ask()).unwrap());
        assert_eq!((image.width, image.height, image.count, image.duration_s), (1024, 1024, 1, None));
        assert_eq!((video.width, video.height, video.count, video.duration_s), (640, 360, 1, Some(5)));
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
    fn what_cannot_be_right_is_refused_by_name() {
        let changed =
            |from: &str, to: &str| Catalog::parse(&BUILT_IN.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(changed("sketch = true", "sketchy = true").contains("unknown field `sketchy`"));
        assert!(changed("max_count = 10", "max_counts = 10").contains("max_counts"));
        assert!(changed("sketch-video-1", "sketch-image-1").contains("two entries for sketch-image-1"));
        assert!(changed("price_usd = 0.042", "price_usd = 0").contains("sketch-image-1 needs a price"));
        assert!(changed("price_usd = 0.042", "price_usd = 0.0000001").contains("more than six decimals"));
        assert!(
            changed("effective_from = \"2026-01-01\"", "effective_from = \"soon\"").contains("is not a date")
        );
        assert!(changed("width = 1024", "width = 1").contains("does not take: width"));
        assert!(changed("substitute = \"gpt-image-2.5\"", "substitute = \"x\"").contains("not listed: x"));
        assert!(
            changed("substitute = \"gpt-image-2.5\"", "substitute = \"sora-2\"").contains("another kind")
        );
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

        #[test]
        fn no_text_makes_reading_panic(text in any::<String>()) {
            let _ = Catalog::parse(&text);
        }
    }
}
