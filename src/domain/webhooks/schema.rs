//! The JSON schemas of all events, served at `/reference/events.json` (contract §4).

use serde_json::{Map, Value, json};

use super::event::{CALL_COMPLETED, EVENTS, GENERATION_COMPLETED, GENERATION_FAILED};

/// One schema that holds each event under its name in `$defs`.
pub fn schemas() -> Value {
    let definitions: Map<String, Value> =
        EVENTS.iter().map(|(name, about)| ((*name).to_owned(), schema(name, about))).collect();
    let any: Vec<Value> =
        EVENTS.iter().map(|(name, _)| json!({ "$ref": format!("#/$defs/{name}") })).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events that AgentFramer delivers",
        "oneOf": any,
        "$defs": definitions,
    })
}

fn schema(name: &str, about: &str) -> Value {
    let mut properties = envelope(name);
    let mut required = vec!["event", "version", "ts", "request_id", "workspace_id", "user_id", "region"];
    match name {
        GENERATION_COMPLETED => {
            add(&mut properties, &["tool", "model", "cost_usd", "balance_after_usd", "result_url"]);
            required.extend(["tool", "model", "cost_usd", "balance_after_usd", "result_url"]);
        }
        CALL_COMPLETED => {
            add(&mut properties, &["tool", "cost_usd", "balance_after_usd"]);
            required.extend(["tool", "cost_usd"]);
        }
        GENERATION_FAILED => {
            add(&mut properties, &["tool", "model", "data"]);
            required.push("data");
        }
        _ => {
            add(&mut properties, &["data"]);
            required.push("data");
        }
    }
    json!({
        "description": about, "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

fn envelope(name: &str) -> Map<String, Value> {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let fields = [
        ("event", json!({ "const": name })),
        ("version", json!({ "const": "1" })),
        ("ts", json!({ "type": "string", "format": "date-time", "description": "UTC with milliseconds" })),
        ("request_id", text("The call or the act")),
        ("workspace_id", text("The workspace")),
        ("user_id", text("agent.NAME, or the opaque id of a person or key, or system")),
        ("region", text("The workspace's region")),
    ];
    fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn add(properties: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        properties.insert((*name).to_owned(), property(name));
    }
}

fn property(name: &str) -> Value {
    match name {
        "cost_usd" | "balance_after_usd" => {
            json!({ "type": "number", "minimum": 0, "description": "US dollars, at most six decimals" })
        }
        "result_url" => {
            json!({ "type": "string", "format": "uri", "description": "Where the result is; needs a signature or a session" })
        }
        "data" => {
            json!({ "type": "object", "description": "What the act changed, from what to what; nothing secret" })
        }
        _ => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::generation;
    use super::*;

    #[test]
    fn a_generation_has_exactly_the_fields_that_its_schema_requires() {
        let body: Value = serde_json::from_slice(&generation(1).body()).unwrap();
        let schema = &schemas()["$defs"]["generation.completed"];
        let mut required: Vec<&str> =
            schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        required.sort_unstable();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), required);
        assert_eq!(schema["properties"].as_object().unwrap().len(), required.len());
    }
}
