//! The log as comma-separated values (RFC 4180), harmless in a spreadsheet.

use agentframer::domain::audit::Linked;
use serde_json::Value;

/// The columns: the brief's fields in its order, then an act's, then the chain's.
const COLUMNS: [&str; 16] = [
    "ts",
    "request_id",
    "workspace_id",
    "user_id",
    "tool",
    "model",
    "prompt_hash",
    "cost_usd",
    "result_url",
    "region",
    "retention_days",
    "event",
    "data",
    "seq",
    "prev_hash",
    "hash",
];

/// The first line.
pub fn head() -> String {
    format!("{}\r\n", COLUMNS.join(","))
}

/// One entry as a line.
pub fn line(row: &Linked) -> String {
    let fields = serde_json::to_value(row).unwrap_or_default();
    let cells: Vec<String> = COLUMNS.into_iter().map(|column| cell(&fields[column])).collect();
    format!("{}\r\n", cells.join(","))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => quoted(&defused(text)),
        Value::Number(number) => number.to_string(),
        other => quoted(&other.to_string()),
    }
}

/// A spreadsheet would run what begins so as a formula (ASVS 1.2.10).
fn defused(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

fn quoted(text: &str) -> String {
    let needs_quotes = text.contains([',', '"', '\r', '\n']);
    if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_defused() {
        assert_eq!(cell(&json!("=HYPERLINK(\"x\")")), "\"'=HYPERLINK(\"\"x\"\")\"");
        for text in ["+1", "-1", "@x", "\tx"] {
            assert!(cell(&json!(text)).starts_with('\''), "{text}");
        }
        assert_eq!(cell(&json!("\rx")), "\"'\rx\"");
    }

    #[test]
    fn other_cells_keep_their_value() {
        assert_eq!(cell(&json!("agent.growth-bot")), "agent.growth-bot");
        assert_eq!(cell(&json!(-0.5)), "-0.5");
        assert_eq!(cell(&json!(null)), "");
        assert_eq!(cell(&json!("a,b")), "\"a,b\"");
        assert_eq!(cell(&json!({"from": 1})), "\"{\"\"from\"\":1}\"");
    }
}
