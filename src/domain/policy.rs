//! An agent's policy: the brief's JSON, checked field by field.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::field::FieldError;
use super::money::Usd;

/// A tool of the MCP server (contract §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// Makes images; paid.
    GenerateImage,
    /// Makes a video; paid.
    GenerateVideo,
    /// Tells balance, caps and the price of a call.
    GetCredits,
    /// Lists the agent's results.
    ListRecentGenerations,
    /// Invites a person.
    InviteTeamMember,
    /// Adds money to the balance.
    TopUpBalance,
    /// Deletes the workspace.
    DeleteWorkspace,
}

impl Tool {
    /// Every tool in the fixed order of `tools/list`.
    pub const ALL: [Self; 7] = [
        Self::GenerateImage,
        Self::GenerateVideo,
        Self::GetCredits,
        Self::ListRecentGenerations,
        Self::InviteTeamMember,
        Self::TopUpBalance,
        Self::DeleteWorkspace,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GenerateImage => "generate_image",
            Self::GenerateVideo => "generate_video",
            Self::GetCredits => "get_credits",
            Self::ListRecentGenerations => "list_recent_generations",
            Self::InviteTeamMember => "invite_team_member",
            Self::TopUpBalance => "top_up_balance",
            Self::DeleteWorkspace => "delete_workspace",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tool {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == text).ok_or(())
    }
}

/// Limits of one agent, on top of the workspace's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentCaps {
    /// At most this much a UTC day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_usd: Option<Usd>,
    /// At most this much a UTC month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month_usd: Option<Usd>,
    /// At most this much a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_usd: Option<Usd>,
}

/// What an agent may do. In JSON the policy part of the brief's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Tools it may call.
    pub permissions: Vec<Tool>,
    /// Tools it may never call; wins over `permissions`.
    pub denied: Vec<Tool>,
    /// Models it may use; absent means every model of the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Networks its calls may come from; empty means any.
    pub ip_allowlist: Vec<IpNet>,
    /// Days after which a token ends, 1 to 365.
    pub token_rotation_days: u16,
    /// Limits, where set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caps: Option<AgentCaps>,
}

impl Default for Policy {
    /// The brief's sample: generate and read; never invite, top up or delete.
    fn default() -> Self {
        Self {
            permissions: Tool::ALL[..4].to_vec(),
            denied: Tool::ALL[4..].to_vec(),
            models: None,
            ip_allowlist: Vec::new(),
            token_rotation_days: 90,
            caps: None,
        }
    }
}

impl Policy {
    /// Whether the agent may call `tool`: permitted and not denied.
    pub fn allows(&self, tool: Tool) -> bool {
        self.permissions.contains(&tool) && !self.denied.contains(&tool)
    }

    /// Whether the agent may use `model`.
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }

    /// Whether a call may come from `address`; v4 written as v6 counts as v4.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        self.ip_allowlist.is_empty() || self.ip_allowlist.iter().any(|network| network.contains(&plain))
    }

    /// The caps, none where the policy has no `caps`.
    pub fn limits(&self) -> AgentCaps {
        self.caps.unwrap_or_default()
    }

    /// Reads the brief's JSON. The document's other fields (`identity`, `workspace_id`, `role`, `created_by`,
    /// `created_at`) are accepted, so that an exported document can be imported, and say nothing here.
    ///
    /// # Errors
    /// Names the first field that is unknown or wrong, such as `permissions[2]`.
    pub fn from_json(
        value: &serde_json::Value,
        known_model: impl Fn(&str) -> bool,
    ) -> Result<Self, FieldError> {
        const KNOWN: [&str; 11] = [
            "permissions",
            "denied",
            "models",
            "ip_allowlist",
            "token_rotation_days",
            "caps",
            "identity",
            "workspace_id",
            "role",
            "created_by",
            "created_at",
        ];
        let object = value.as_object().ok_or_else(|| FieldError::new("policy", "is not a JSON object"))?;
        if let Some(unknown) = object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(FieldError::new(unknown, "is not a field of a policy"));
        }
        let standard = Self::default();
        Ok(Self {
            permissions: tools(object, "permissions")?.unwrap_or(standard.permissions),
            denied: tools(object, "denied")?.unwrap_or(standard.denied),
            models: models(object, known_model)?,
            ip_allowlist: networks(object)?,
            token_rotation_days: rotation_days(object)?.unwrap_or(standard.token_rotation_days),
            caps: caps(object)?,
        })
    }
}

type Object = serde_json::Map<String, serde_json::Value>;

fn strings<'a>(object: &'a Object, field: &str) -> Result<Option<Vec<&'a str>>, FieldError> {
    let Some(value) = object.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
    let list = value.as_array().ok_or_else(|| FieldError::new(field, "is not a list"))?;
    list.iter()
        .enumerate()
        .map(|(index, item)| {
            item.as_str().ok_or_else(|| FieldError::new(format!("{field}[{index}]"), "is not a text"))
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

fn tools(object: &Object, field: &str) -> Result<Option<Vec<Tool>>, FieldError> {
    let Some(names) = strings(object, field)? else { return Ok(None) };
    let mut listed = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let tool = name.parse::<Tool>().map_err(|()| {
            FieldError::new(format!("{field}[{index}]"), format!("“{name}” is not a tool of this server"))
        })?;
        if !listed.contains(&tool) {
            listed.push(tool);
        }
    }
    Ok(Some(listed))
}

fn models(object: &Object, known: impl Fn(&str) -> bool) -> Result<Option<Vec<String>>, FieldError> {
    let Some(names) = strings(object, "models")? else { return Ok(None) };
    match names.iter().position(|name| !known(name)) {
        Some(index) => {
            let message = format!("“{}” is not in the model library", names[index]);
            Err(FieldError::new(format!("models[{index}]"), message))
        }
        None => Ok(Some(names.into_iter().map(str::to_owned).collect())),
    }
}

fn networks(object: &Object) -> Result<Vec<IpNet>, FieldError> {
    let names = strings(object, "ip_allowlist")?.unwrap_or_default();
    names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let message = format!("“{name}” is not a network such as 10.0.0.0/8 or 2001:db8::/32");
            network(name).ok_or_else(|| FieldError::new(format!("ip_allowlist[{index}]"), message))
        })
        .collect()
}

/// A network, or a single address as a network of one.
fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn rotation_days(object: &Object) -> Result<Option<u16>, FieldError> {
    let Some(value) = object.get("token_rotation_days").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    match value.as_u64() {
        Some(days) if (1..=365).contains(&days) => Ok(Some(days as u16)),
        _ => Err(FieldError::new("token_rotation_days", "is not a number of days from 1 to 365")),
    }
}

fn caps(object: &Object) -> Result<Option<AgentCaps>, FieldError> {
    let Some(value) = object.get("caps").filter(|value| !value.is_null()) else { return Ok(None) };
    let caps = value.as_object().ok_or_else(|| FieldError::new("caps", "is not a JSON object"))?;
    for (name, amount) in caps {
        let field = format!("caps.{name}");
        if !["day_usd", "month_usd", "call_usd"].contains(&name.as_str()) {
            return Err(FieldError::new(field, "is not a cap; known are day_usd, month_usd and call_usd"));
        }
        if amount.is_null() {
            continue;
        }
        let limit: Usd = serde_json::from_value(amount.clone()).map_err(|_| {
            FieldError::new(&field, "is not an amount in US dollars with at most six decimals")
        })?;
        if limit < Usd::ZERO {
            return Err(FieldError::new(field, "is below zero"));
        }
    }
    let parsed = serde_json::from_value::<AgentCaps>(value.clone());
    parsed.map(Some).map_err(|_| FieldError::new("caps", "holds something that is not an amount"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Policy, FieldError> {
        Policy::from_json(&value, |model| model == "flux-pro-1.1")
    }

    #[test]
    fn the_briefs_document_reads_and_writes_the_same_fields() {
        let brief = json!({
            "identity": "agent.growth-bot", "workspace_id": "ws_4kP9x2", "role": "developer",
            "permissions": ["generate_image", "generate_video", "get_credits", "list_recent_generations"],
            "denied": ["invite_team_member", "top_up_balance", "delete_workspace"],
            "token_rotation_days": 90, "ip_allowlist": ["10.0.0.0/8"],
            "created_by": "user_admin_192", "created_at": "2026-04-12T09:14:00Z"
        });
        let policy = read(brief.clone()).unwrap();
        let written = serde_json::to_value(&policy).unwrap();
        for field in ["permissions", "denied", "token_rotation_days", "ip_allowlist"] {
            assert_eq!(written[field], brief[field]);
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        let cases = [
            (json!({"permissions": ["generate_image", "fly"]}), "permissions[1]"),
            (json!({"ip_allowlist": ["10.0.0.0/33"]}), "ip_allowlist[0]"),
            (json!({"models": ["nope"]}), "models[0]"),
            (json!({"token_rotation_days": 0}), "token_rotation_days"),
            (json!({"caps": {"day_usd": -1}}), "caps.day_usd"),
            (json!({"caps": {"year_usd": 1}}), "caps.year_usd"),
            (json!({"surprise": 1}), "surprise"),
            (json!([]), "policy"),
        ];
        for (value, field) in cases {
            assert_eq!(read(value).unwrap_err().field, field);
        }
    }

    #[test]
    fn deny_wins_and_addresses_are_unfolded() {
        let policy = read(json!({
            "permissions": ["generate_image"], "denied": ["generate_image"], "ip_allowlist": ["10.0.0.0/8"]
        }))
        .unwrap();
        assert!(!policy.allows(Tool::GenerateImage));
        assert!(policy.allows_address("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!policy.allows_address("192.0.2.1".parse().unwrap()));
    }
}
