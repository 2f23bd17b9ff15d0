//! The codes of refused and failed calls (contract §2).

/// Every code, what it means and what it asks of the agent.
pub const CODES: [(&str, &str); 12] = [
    (
        "insufficient_credits",
        "The balance cannot pay the call: required_usd, available_usd. Stop and ask for a top-up.",
    ),
    ("cap_exceeded", "The call would pass a cap: which one, its limit, and when it begins anew."),
    (
        "preflight_required",
        "A dear call needs get_credits within the ten minutes before it. Call that, then try again.",
    ),
    ("tool_denied", "The policy does not allow this tool."),
    ("model_not_allowed", "The policy or the workspace does not allow this model."),
    (
        "residency_violation",
        "The model infers outside the workspace’s region, which the workspace does not allow.",
    ),
    ("agent_paused", "A person or the loop breaker paused this agent. Stop until it is resumed."),
    ("workspace_suspended", "The workspace is suspended or deleted."),
    ("invalid_argument", "An argument is wrong; field names it."),
    ("provider_failed", "The provider failed. Try again later."),
    ("provider_timeout", "The provider did not answer in time. Try again later."),
    ("conflict", "The idempotency_key was used with other arguments."),
];

/// Whether the reference tells what the code means.
pub(crate) fn is_known(code: &str) -> bool {
    CODES.iter().any(|(known, _)| *known == code)
}
