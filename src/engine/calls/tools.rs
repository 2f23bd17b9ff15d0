//! The tools as `tools/list` and the reference page describe them (contract §2).

use serde_json::{Value, json};

use crate::domain::policy::Tool;

/// A tool's description.
#[derive(Debug, Clone)]
pub struct ToolDefinition {
    /// Which.
    pub tool: Tool,
    /// For people.
    pub title: &'static str,
    /// For the model.
    pub description: &'static str,
    /// JSON Schema 2020-12 of the arguments.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of `structuredContent`; admits the `error` of a refusal.
    pub output_schema: Value,
    /// Changes nothing.
    pub read_only: bool,
    /// Can destroy.
    pub destructive: bool,
    /// A repeat changes nothing more.
    pub idempotent: bool,
    /// Reaches outside systems.
    pub open_world: bool,
}

/// All seven, in the fixed order of `tools/list`.
pub fn definitions() -> Vec<ToolDefinition> {
    Tool::ALL.into_iter().map(definition).collect()
}

/// One tool.
pub fn definition(tool: Tool) -> ToolDefinition {
    match tool {
        Tool::GenerateImage => generate_image(),
        Tool::GenerateVideo => generate_video(),
        Tool::GetCredits => get_credits(),
        Tool::ListRecentGenerations => list_recent_generations(),
        Tool::InviteTeamMember => invite_team_member(),
        Tool::TopUpBalance => top_up_balance(),
        Tool::DeleteWorkspace => delete_workspace(),
    }
}

fn input(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// The answer's fields, or `error`: some clients check refusals against the schema too.
fn output(properties: Value, required: &[&str]) -> Value {
    let mut all = properties;
    all["error"] = error();
    json!({
        "type": "object", "properties": all, "anyOf": [{ "required": required }, { "required": ["error"] }]
    })
}

/// A refusal: the first three always, the others where the code has them.
fn error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "code": text("What it is, such as insufficient_credits"),
            "message": text("What happened and what to do next"),
            "retryable": { "type": "boolean", "description": "Whether the same call can succeed later" },
            "field": text("invalid_argument: the argument"),
            "required_usd": usd("insufficient_credits: the call's price"),
            "available_usd": usd("insufficient_credits: what there is"),
            "cap": text("cap_exceeded: which"),
            "limit_usd": usd("cap_exceeded: the cap"),
            "used_usd": usd("cap_exceeded: what is used of it"),
            "resets_at": { "type": ["string", "null"], "description": "cap_exceeded: when it begins anew" },
            "preflight_usd": usd("preflight_required: calls above it need get_credits first"),
            "model": text("model_not_allowed, residency_violation: the model"),
            "region": text("residency_violation: where the workspace must stay"),
            "reason": text("agent_paused: why")
        },
        "required": ["code", "message", "retryable"]
    })
}

fn usd(description: &str) -> Value {
    json!({ "type": "number", "description": format!("{description}, in US dollars with at most six decimals") })
}

fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn whole(description: &str, least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

fn key() -> Value {
    json!({
        "type": "string", "maxLength": 200,
        "description": "Choose one for each thing you want and repeat it when you retry: within 24 hours the first answer is given again and nothing is charged."
    })
}

fn prompt() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 32000, "description": "What to make" })
}

fn subject() -> Value {
    json!({
        "type": "string", "maxLength": 200,
        "description": "An opaque id of the person whom the prompt is about, so that a GDPR request can find and erase it"
    })
}

fn generated() -> Value {
    let fields = json!({
        "request_id": text("The call's id, as the audit log has it"),
        "generation_id": text("The result's id"),
        "tool": text("The tool"),
        "model": text("The model that was used"),
        "result_url": { "type": "string", "format": "uri", "description": "A signed link to the file" },
        "result_urls": { "type": "array", "items": { "type": "string", "format": "uri" }, "description": "All files, where count is above 1" },
        "expires_at": time("When the links end"),
        "cost_usd": usd("What was charged"),
        "balance_after_usd": usd("The balance afterwards"),
        "region": text("Where the result is stored")
    });
    let required = [
        "request_id",
        "generation_id",
        "tool",
        "model",
        "result_url",
        "expires_at",
        "cost_usd",
        "balance_after_usd",
        "region",
    ];
    output(fields, &required)
}

fn generate_image() -> ToolDefinition {
    let properties = json!({
        "prompt": prompt(),
        "model": text("A model of the library; sketch-image-1 where not said"),
        "width": whole("Pixels across", 1, 65536),
        "height": whole("Pixels down", 1, 65536),
        "count": whole("How many images; each is charged", 1, 1000),
        "seed": whole("For the same picture again", 0, u64::MAX),
        "subject": subject(),
        "idempotency_key": key()
    });
    ToolDefinition {
        tool: Tool::GenerateImage,
        title: "Generate an image",
        description: "Makes images from a prompt and charges the workspace's balance: the price is known before the call, and a refusal or failure charges nothing. Call get_credits first when the call may cost more than a few dollars.",
        input_schema: input(properties, &["prompt"]),
        output_schema: generated(),
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: true,
    }
}

fn generate_video() -> ToolDefinition {
    let properties = json!({
        "prompt": prompt(),
        "model": text("A model of the library; sketch-video-1 where not said"),
        "duration_s": whole("Seconds; each is charged", 1, 3600),
        "width": whole("Pixels across", 1, 65536),
        "height": whole("Pixels down", 1, 65536),
        "subject": subject(),
        "idempotency_key": key()
    });
    ToolDefinition {
        tool: Tool::GenerateVideo,
        title: "Generate a video",
        description: "Makes a video from a prompt and charges the workspace's balance by the second: the price is known before the call, and a refusal or failure charges nothing. Takes up to some minutes; if the connection is lost, call again with the same idempotency_key.",
        input_schema: input(properties, &["prompt"]),
        output_schema: generated(),
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: true,
    }
}

fn get_credits() -> ToolDefinition {
    let properties = json!({
        "tool": { "type": "string", "enum": ["generate_image", "generate_video"], "description": "Estimates a call of this tool" },
        "model": text("The call's model"),
        "prompt": text("The call's prompt"),
        "width": whole("The call's width", 1, 65536),
        "height": whole("The call's height", 1, 65536),
        "count": whole("The call's count", 1, 1000),
        "duration_s": whole("The call's duration", 1, 3600),
        "seed": whole("The call's seed", 0, u64::MAX),
        "subject": subject(),
        "idempotency_key": text("The call's idempotency_key; changes no price")
    });
    let maybe_usd = |description: &str| json!({ "type": ["number", "null"], "description": description });
    let fields = json!({
        "balance_usd": usd("Available and reserved"),
        "reserved_usd": usd("Set aside for calls that run"),
        "available_usd": usd("What a call can still spend"),
        "floor_usd": maybe_usd("Stop and ask for a top-up when available_usd is below it"),
        "below_floor": { "type": "boolean", "description": "Whether it is" },
        "month_to_date_usd": usd("Spent this UTC month"),
        "typical_month_usd": maybe_usd("What a month usually costs"),
        "soft_alert": {
            "type": "object",
            "properties": { "threshold_pct": { "type": "integer" }, "reached": { "type": "boolean" } },
            "required": ["threshold_pct", "reached"]
        },
        "caps": { "type": "array", "items": {
            "type": "object",
            "properties": {
                "cap": { "type": "string" }, "agent": { "type": "string" }, "limit_usd": { "type": "number" },
                "used_usd": { "type": "number" }, "resets_at": { "type": ["string", "null"] }
            },
            "required": ["cap", "limit_usd", "used_usd"]
        } },
        "estimate_usd": usd("The price of the call that was described")
    });
    let required = [
        "balance_usd",
        "reserved_usd",
        "available_usd",
        "floor_usd",
        "below_floor",
        "month_to_date_usd",
        "typical_month_usd",
        "soft_alert",
        "caps",
    ];
    ToolDefinition {
        tool: Tool::GetCredits,
        title: "Get credits",
        description: "Tells the balance, the caps and, for a described call, its price. Free. Call it before anything expensive; if below_floor is true, stop and ask for a top-up.",
        input_schema: input(properties, &[]),
        output_schema: output(fields, &required),
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    }
}

fn list_recent_generations() -> ToolDefinition {
    let properties = json!({
        "limit": whole("Rows; 20 where not said", 1, 200),
        "cursor": text("next_cursor of the page before"),
        "tool": { "type": "string", "enum": ["generate_image", "generate_video"], "description": "Only results of this tool" }
    });
    let fields = json!({
        "items": { "type": "array", "items": { "type": "object" }, "description": "Your results, newest first, with fresh links" },
        "next_cursor": { "type": ["string", "null"], "description": "The way to the next page" }
    });
    ToolDefinition {
        tool: Tool::ListRecentGenerations,
        title: "List recent generations",
        description: "Lists your own results, newest first, with links that work. Free. Use it after a lost connection before you pay again.",
        input_schema: input(properties, &[]),
        output_schema: output(fields, &["items", "next_cursor"]),
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    }
}

fn invite_team_member() -> ToolDefinition {
    let properties = json!({
        "email": { "type": "string", "format": "email", "description": "Whom to invite" },
        "role": { "type": "string", "enum": ["admin", "developer", "viewer"], "description": "As what" }
    });
    let fields = json!({
        "invitation_id": text("The invitation"), "email": text("Whom"), "role": text("As what"),
        "expires_at": time("Until when the link works")
    });
    ToolDefinition {
        tool: Tool::InviteTeamMember,
        title: "Invite a team member",
        description: "Sends a person a link to join the workspace, valid for seven days.",
        input_schema: input(properties, &["email", "role"]),
        output_schema: output(fields, &["invitation_id", "email", "role", "expires_at"]),
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: true,
    }
}

fn top_up_balance() -> ToolDefinition {
    let properties = json!({
        "amount_usd": { "type": "number", "exclusiveMinimum": 0, "description": "US dollars with at most six decimals" },
        "reference": { "type": "string", "minLength": 1, "maxLength": 200, "description": "What finance finds it by, such as an order number" }
    });
    let fields = json!({
        "id": text("The ledger entry"), "ts": time("When"), "amount_usd": usd("How much came in"),
        "reference": text("What finance finds it by"), "balance_usd": usd("The balance afterwards")
    });
    ToolDefinition {
        tool: Tool::TopUpBalance,
        title: "Top up the balance",
        description: "Adds money to the workspace's prepaid balance. Not idempotent: each call adds.",
        input_schema: input(properties, &["amount_usd", "reference"]),
        output_schema: output(fields, &["id", "ts", "amount_usd", "reference", "balance_usd"]),
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: false,
    }
}

fn delete_workspace() -> ToolDefinition {
    let properties = json!({ "confirm": text("The workspace's name, to the letter") });
    let fields = json!({ "workspace_id": text("The workspace"), "deleted": { "type": "boolean" } });
    ToolDefinition {
        tool: Tool::DeleteWorkspace,
        title: "Delete the workspace",
        description: "Deletes the workspace: calls end at once, media and prompts go, the log stays until its retention ends. Cannot be undone.",
        input_schema: input(properties, &["confirm"]),
        output_schema: output(fields, &["workspace_id", "deleted"]),
        read_only: false,
        destructive: true,
        idempotent: false,
        open_world: false,
    }
}
