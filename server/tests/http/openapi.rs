//! The OpenAPI document is right: what the server answers is what it describes.

use agentframer_server::rest::document;
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Databases, TestServer, both_engines, read};

/// Follows `$ref`.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => resolved(document, document.pointer(path.trim_start_matches('#')).unwrap()),
        None => schema,
    }
}

/// Every way in which `value` is not what `schema` says.
pub fn faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let schema = resolved(document, schema);
    for combined in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[combined].as_array() {
            let fits = choices.iter().any(|choice| faults(document, choice, value, place).is_empty());
            return if fits { Vec::new() } else { vec![format!("{place} fits none of its schemas")] };
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return joined_faults(document, parts, value, place);
    }
    if !is_of_type(&schema["type"], value) {
        return vec![format!("{place} is {value}, not {}", schema["type"])];
    }
    match value {
        Value::Object(_) => object_faults(document, schema, value, place),
        Value::Array(items) => {
            items.iter().flat_map(|item| faults(document, &schema["items"], item, place)).collect()
        }
        _ => Vec::new(),
    }
}

/// Flattened schemas: their properties together describe the object.
fn joined_faults(document: &Value, parts: &[Value], value: &Value, place: &str) -> Vec<String> {
    let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
    for part in parts {
        let part = resolved(document, part);
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    let joined = json!({ "type": "object", "properties": properties, "required": required });
    object_faults(document, &joined, value, place)
}

fn object_faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let missing = required.iter().filter(|name| value.get(name.as_str().unwrap()).is_none());
    let mut found: Vec<String> = missing.map(|name| format!("{place} lacks {name}")).collect();
    for (name, value) in value.as_object().unwrap() {
        let place = format!("{place}.{name}");
        match properties.get(name) {
            Some(schema) => found.extend(faults(document, schema, value, &place)),
            None => found.push(format!("{place} is not described")),
        }
    }
    found
}

fn is_of_type(kind: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match kind {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

/// Sends the request and compares its answer with the document.
pub async fn assert_described(
    server: &TestServer,
    method: Method,
    below: &str,
    template: &str,
    body: Option<Value>,
) -> Value {
    let document = serde_json::to_value(document()).unwrap();
    let (status, answer) = server.rest_json(method.clone(), below, body).await;
    assert!(status.is_success(), "{template}: {answer}");
    let path = &document["paths"][format!("/api/v1/workspaces/{{ws}}{template}")];
    let responses = &path[method.as_str().to_lowercase()]["responses"];
    let schema = &responses[status.as_str()]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{template} does not describe {status}: {responses}");
    assert_eq!(faults(&document, schema, &answer, template), Vec::<String>::new(), "{answer}");
    answer
}

both_engines! {
    async fn the_answers_are_as_described(on) {
        let server = TestServer::start(on).await;
        server.mcp().image().await;
        let (get, post) = (Method::GET, Method::POST);
        for list in ["", "/credits", "/ledger", "/caps", "/agents", "/audit", "/generations", "/models", "/members", "/settings", "/retention", "/holds", "/data-requests", "/audit/checkpoints"] {
            assert_described(&server, get.clone(), list, list, None).await;
        }
        let top_up = json!({ "amount_usd": 1.5, "reference": "x" });
        assert_described(&server, post.clone(), "/top-ups", "/top-ups", Some(top_up)).await;
        assert_described(&server, Method::PUT, "/caps", "/caps", Some(json!({ "call_usd": 3 }))).await;
        assert_described(&server, get.clone(), "/credits", "/credits", None).await;
        let invited = json!({ "email": "vi@example.com", "role": "viewer" });
        assert_described(&server, post.clone(), "/members", "/members", Some(invited)).await;
        let policy = json!({ "caps": { "day_usd": 1 }, "models": ["sketch-image-1"] });
        let new = json!({ "name": "copy-bot", "policy": policy });
        let made = assert_described(&server, post.clone(), "/agents", "/agents", Some(new)).await;
        let path = format!("/agents/{}", made["id"].as_str().unwrap());
        assert_described(&server, get, &path, "/agents/{id}", None).await;
        assert_described(&server, Method::PATCH, &path, "/agents/{id}", Some(json!({ "policy": {} }))).await;
        for act in ["pause", "resume"] {
            assert_described(&server, post.clone(), &format!("{path}/{act}"), &format!("/agents/{{id}}/{act}"), None).await;
        }
        let rotate = format!("{path}/rotate");
        assert_described(&server, post, &rotate, "/agents/{id}/rotate", Some(json!({}))).await;
        assert_described(&server, Method::DELETE, &path, "/agents/{id}", None).await;
    }

    async fn the_served_document_is_the_printed_one(on) {
        let server = TestServer::start(on).await;
        let (_, served) = read(server.http.get(server.url("/api/v1/openapi.json")).send().await.unwrap()).await;
        assert_eq!(served, serde_json::to_value(document()).unwrap());
    }
}

#[test]
fn references_lead_somewhere_and_operations_have_one_name() {
    let document = serde_json::to_value(document()).unwrap();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let path = reference.split('"').next().unwrap();
        assert!(document.pointer(path).is_some(), "{path}");
    }
    let mut names: Vec<&str> =
        text.split("\"operationId\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), count >= 18), (count, true), "{names:?}");
}
