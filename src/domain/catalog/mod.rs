//! The model library: what each model costs, may be asked for, and where it runs.
//!
//! Vendors change prices and close models within weeks, so all of it is data (`models.toml`, or the file that
//! the setting `catalog` names). The price of a call follows from this data and the call's arguments alone;
//! it is known before the provider is asked and is the most that the call can cost (design §4).

mod date;
mod job;
mod limits;
mod model;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::job::{Ask, Job, MediaKind};
pub use self::limits::Limits;
pub use self::model::{Defaults, Licence, Model, PriceError, Unit};

const BUILT_IN: &str = include_str!("models.toml");

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

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn without_a_provider_the_sketches_are_the_defaults() {
        let catalog = Catalog::built_in();
        let image = catalog.default_for(MediaKind::Image).unwrap();
        let video = catalog.default_for(MediaKind::Video).unwrap();
        assert_eq!((image.id.as_str(), image.price.to_string().as_str()), ("sketch-image-1", "0.042"));
        assert_eq!((video.id.as_str(), video.price.to_string().as_str()), ("sketch-video-1", "0.05"));
        assert_eq!(catalog.available(&["local"]).count(), 2);
        let ask = Ask { prompt: "a lighthouse".into(), ..Ask::default() };
        let (image, video) = (image.job(ask.clone()).unwrap(), video.job(ask).unwrap());
        assert_eq!((image.width, image.height, image.count, image.duration_s), (1024, 1024, 1, None));
        assert_eq!((video.width, video.height, video.count, video.duration_s), (640, 360, 1, Some(5)));
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

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in any::<String>()) {
            let _ = Catalog::parse(&text);
        }
    }
}
