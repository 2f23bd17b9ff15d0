//! Who may do what: one table of roles and permissions (contract §6).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::field::FieldError;

/// A person's role in one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads generations, audit log, usage and members.
    Viewer,
    /// Configures agents and makes API keys; reads what an Admin changes.
    Developer,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, the strongest first, as forms offer them.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Developer, Self::Viewer];

    /// The name in JSON and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Developer => "Developer",
            Self::Viewer => "Viewer",
        }
    }

    /// Whether the role may use `permission`.
    pub const fn may(self, permission: Permission) -> bool {
        self as u8 >= permission.least_role() as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| FieldError::new("role", "is not a role; choose admin, developer or viewer"))
    }
}

/// One right. Pages, server functions and REST routes each name the one that they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Open the workspace at all: its name, region, models.
    ReadWorkspace,
    /// Generations, audit log, usage; export them.
    ReadActivity,
    /// Balance, ledger, caps.
    ReadBilling,
    /// Top up, set caps.
    ChangeBilling,
    /// See members.
    ReadMembers,
    /// Invite, remove, change roles.
    ChangeMembers,
    /// See agents, their policies and tokens' ages.
    ReadAgents,
    /// Make and change agents, tokens, API keys.
    ChangeAgents,
    /// See the MCP URL.
    ReadMcpUrl,
    /// Rotate the MCP URL.
    RotateMcpUrl,
    /// See settings, retention, residency.
    ReadSettings,
    /// Change settings, retention, residency.
    ChangeSettings,
    /// See webhooks, their deliveries and alerts.
    ReadWebhooks,
    /// Change webhooks and alerts.
    ChangeWebhooks,
    /// Read decrypted prompts.
    ReadPrompts,
    /// File requests of data subjects, see them, and withdraw one's own.
    FileDataRequests,
    /// Approve, reject and extend them.
    DecideDataRequests,
    /// Delete the workspace.
    DeleteWorkspace,
}

impl Permission {
    /// Every permission, for tests that walk the table.
    pub const ALL: [Self; 18] = [
        Self::ReadWorkspace,
        Self::ReadActivity,
        Self::ReadBilling,
        Self::ChangeBilling,
        Self::ReadMembers,
        Self::ChangeMembers,
        Self::ReadAgents,
        Self::ChangeAgents,
        Self::ReadMcpUrl,
        Self::RotateMcpUrl,
        Self::ReadSettings,
        Self::ChangeSettings,
        Self::ReadWebhooks,
        Self::ChangeWebhooks,
        Self::ReadPrompts,
        Self::FileDataRequests,
        Self::DecideDataRequests,
        Self::DeleteWorkspace,
    ];

    /// The weakest role that has it; roles are a ladder in contract §6.
    pub const fn least_role(self) -> Role {
        match self {
            Self::ReadWorkspace | Self::ReadActivity | Self::ReadMembers | Self::FileDataRequests => {
                Role::Viewer
            }
            Self::ReadBilling
            | Self::ReadAgents
            | Self::ChangeAgents
            | Self::ReadMcpUrl
            | Self::ReadSettings
            | Self::ReadWebhooks
            | Self::ReadPrompts => Role::Developer,
            Self::ChangeBilling
            | Self::ChangeMembers
            | Self::RotateMcpUrl
            | Self::ChangeSettings
            | Self::ChangeWebhooks
            | Self::DecideDataRequests
            | Self::DeleteWorkspace => Role::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_what_the_contract_says() {
        let rights = |role: Role| Permission::ALL.into_iter().filter(|right| role.may(*right)).count();
        assert_eq!((rights(Role::Viewer), rights(Role::Developer), rights(Role::Admin)), (4, 11, 18));
        assert!(!Role::Viewer.may(Permission::ReadBilling) && !Role::Viewer.may(Permission::ReadPrompts));
        assert!(
            Role::Developer.may(Permission::ChangeAgents) && !Role::Developer.may(Permission::ChangeBilling)
        );
    }
}
