//! What an Admin can set for a workspace, and its limits.

use serde::{Deserialize, Deserializer, Serialize};

use super::field::FieldError;
use super::money::Usd;

/// The workspace's limits on spend: `GET|PUT /caps` (contract §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caps {
    /// At most this much a UTC month, over all agents.
    pub workspace_month_usd: Option<Usd>,
    /// At most this much a call.
    pub call_usd: Option<Usd>,
    /// Below this balance `get_credits` tells the agent to stop.
    pub floor_usd: Option<Usd>,
    /// Calls above this price are what preflight is about; 5 dollars by default (brief).
    pub preflight_usd: Usd,
    /// Whether such calls need a `get_credits` within the last ten minutes.
    pub preflight_required: bool,
    /// Per cent of the typical month at which admins are told; 75 by default (brief).
    pub soft_alert_pct: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            workspace_month_usd: None,
            call_usd: None,
            floor_usd: None,
            preflight_usd: Usd::dollars(5),
            preflight_required: false,
            soft_alert_pct: 75,
        }
    }
}

/// A change of [`Caps`]: an absent field stays, null takes a cap away (or brings its default back).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CapsChange {
    /// See [`Caps::workspace_month_usd`].
    #[serde(deserialize_with = "present")]
    pub workspace_month_usd: Option<Option<Usd>>,
    /// See [`Caps::call_usd`].
    #[serde(deserialize_with = "present")]
    pub call_usd: Option<Option<Usd>>,
    /// See [`Caps::floor_usd`].
    #[serde(deserialize_with = "present")]
    pub floor_usd: Option<Option<Usd>>,
    /// See [`Caps::preflight_usd`].
    #[serde(deserialize_with = "present")]
    pub preflight_usd: Option<Option<Usd>>,
    /// See [`Caps::preflight_required`].
    #[serde(deserialize_with = "present")]
    pub preflight_required: Option<Option<bool>>,
    /// See [`Caps::soft_alert_pct`].
    #[serde(deserialize_with = "present")]
    pub soft_alert_pct: Option<Option<u32>>,
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Caps {
    /// These caps with `change` applied.
    ///
    /// # Errors
    /// Names the field of a negative amount or a percentage outside 1 to 100.
    pub fn changed(self, change: &CapsChange) -> Result<Self, FieldError> {
        let standard = Self::default();
        let after = Self {
            workspace_month_usd: change.workspace_month_usd.unwrap_or(self.workspace_month_usd),
            call_usd: change.call_usd.unwrap_or(self.call_usd),
            floor_usd: change.floor_usd.unwrap_or(self.floor_usd),
            preflight_usd: or_standard(change.preflight_usd, self.preflight_usd, standard.preflight_usd),
            preflight_required: or_standard(change.preflight_required, self.preflight_required, false),
            soft_alert_pct: or_standard(change.soft_alert_pct, self.soft_alert_pct, standard.soft_alert_pct),
        };
        after.check().map(|()| after)
    }

    fn check(&self) -> Result<(), FieldError> {
        let amounts = [
            ("workspace_month_usd", self.workspace_month_usd),
            ("call_usd", self.call_usd),
            ("floor_usd", self.floor_usd),
            ("preflight_usd", Some(self.preflight_usd)),
        ];
        for (field, amount) in amounts {
            if amount.is_some_and(|usd| usd < Usd::ZERO) {
                return Err(FieldError::new(field, "is below zero"));
            }
        }
        if !(1..=100).contains(&self.soft_alert_pct) {
            return Err(FieldError::new("soft_alert_pct", "is not a percentage from 1 to 100"));
        }
        Ok(())
    }
}

fn or_standard<T: Copy>(change: Option<Option<T>>, now: T, standard: T) -> T {
    change.map_or(now, |value| value.unwrap_or(standard))
}

/// Where a workspace's models may infer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inference {
    /// Any provider.
    Any,
    /// Only models that infer in the workspace's own region.
    RegionOnly,
}

impl Inference {
    /// The name in JSON and storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::RegionOnly => "region_only",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_takes_a_cap_away_and_absence_leaves_it() {
        let change = |json: &str| serde_json::from_str::<CapsChange>(json).unwrap();
        let caps =
            Caps::default().changed(&change(r#"{"call_usd": 2.5, "preflight_required": true}"#)).unwrap();
        assert_eq!(caps.call_usd, Some(Usd::from_micros(2_500_000)));
        let after = caps.changed(&change(r#"{"call_usd": null, "preflight_usd": null}"#)).unwrap();
        assert_eq!((after.call_usd, after.preflight_usd), (None, Usd::dollars(5)));
        assert!(after.preflight_required);
        assert_eq!(caps.changed(&change(r#"{"floor_usd": -1}"#)).unwrap_err().field, "floor_usd");
        assert_eq!(caps.changed(&change(r#"{"soft_alert_pct": 101}"#)).unwrap_err().field, "soft_alert_pct");
    }
}
