//! Legal holds: what one stops from being purged or erased.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::field::{self, FieldError};

/// What a hold keeps. It beats retention and erasure until it is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "target", rename_all = "lowercase")]
pub enum HoldTarget {
    /// Everything of the workspace.
    Workspace,
    /// What this agent made: `agent.NAME`.
    Agent(String),
    /// What concerns this data subject. Outside the engine the name that agents pass as `subject`, in storage its
    /// keyed hash.
    Subject(String),
}

impl HoldTarget {
    /// Reads a form's two fields.
    ///
    /// # Errors
    /// Names `kind` or `target`.
    pub fn read(kind: &str, target: Option<&str>) -> Result<Self, FieldError> {
        let target = || field::text("target", target.unwrap_or_default(), 1, 200);
        match kind {
            "workspace" => Ok(Self::Workspace),
            "agent" => target().map(|name| Self::Agent(full_agent_name(&name))),
            "subject" => target().map(Self::Subject),
            _ => Err(FieldError::new("kind", "is not workspace, agent or subject")),
        }
    }

    /// The kind's name in storage and JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Agent(_) => "agent",
            Self::Subject(_) => "subject",
        }
    }

    /// Whom, where it is not everyone.
    pub fn target(&self) -> &str {
        match self {
            Self::Workspace => "",
            Self::Agent(target) | Self::Subject(target) => target,
        }
    }
}

impl fmt::Display for HoldTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace => f.write_str("the whole workspace"),
            Self::Agent(name) => f.write_str(name),
            Self::Subject(name) => write!(f, "subject {name}"),
        }
    }
}

/// `agent.NAME`, whether the prefix was written or not.
fn full_agent_name(name: &str) -> String {
    format!("agent.{}", name.trim_start_matches("agent."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_names_what_it_keeps() {
        assert_eq!(HoldTarget::read("workspace", None), Ok(HoldTarget::Workspace));
        assert_eq!(HoldTarget::read("agent", Some("bot")), Ok(HoldTarget::Agent("agent.bot".into())));
        assert_eq!(HoldTarget::read("subject", None).unwrap_err().field, "target");
        assert_eq!(HoldTarget::read("subject", Some(&"x".repeat(10_000))).unwrap_err().field, "target");
        assert_eq!(HoldTarget::read("planet", Some("x")).unwrap_err().field, "kind");
    }
}
