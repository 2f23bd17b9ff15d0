//! A JSON schema as a table of its fields.

use leptos::prelude::*;
use serde_json::Value;

use super::plain;

/// The fields of an object's schema: name, type, whether it must be there, and what it means.
pub fn fields(schema: &Value) -> impl IntoView + use<> {
    let required = names(&schema["required"]);
    let rows = schema["properties"].as_object().cloned().unwrap_or_default().into_iter().map(move |(name, field)| {
        let needed = if required.contains(&name) { "" } else { "optional" };
        let about = plain(field["description"].as_str().unwrap_or_default());
        view! { <tr><td class="mono">{name}</td><td>{kind(&field)}</td><td class="muted">{needed}</td><td class="wrap">{about}</td></tr> }
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| {
        view! {
            <div class="scroll" tabindex="0"><table>
                <thead><tr><th>"Field"</th><th>"Type"</th><th></th><th>"Meaning"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
        }
    })
}

/// A type in words; one that has a name of its own leads to it.
pub fn kind(schema: &Value) -> AnyView {
    if let Some(name) = named(schema) {
        return match name.strip_prefix("List_") {
            Some(item) => view! { "page of " {link(item)} }.into_any(),
            None => link(name).into_any(),
        };
    }
    let one_of = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    if let Some(choices) = one_of {
        let choice = |(at, choice): (usize, &Value)| {
            let or = if at > 0 { " or " } else { "" };
            view! { {or} {kind(choice)} }
        };
        return choices.iter().enumerate().map(choice).collect_view().into_any();
    }
    if schema["type"] == "array" {
        return view! { "list of " {kind(&schema["items"])} }.into_any();
    }
    words(schema).into_any()
}

fn words(schema: &Value) -> String {
    if let Some(constant) = schema["const"].as_str() {
        return format!("“{constant}”");
    }
    let choices = names(&schema["enum"]);
    if !choices.is_empty() {
        return choices.join(" | ");
    }
    let types = match &schema["type"] {
        Value::String(name) => name.clone(),
        types => names(types).join(" or "),
    };
    match schema["format"].as_str() {
        Some(format @ ("date-time" | "date" | "uri" | "email")) => format!("{types}, {format}"),
        _ => types,
    }
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The name of a schema that stands elsewhere.
fn named(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().and_then(|path| path.rsplit('/').next())
}

fn link(name: &str) -> impl IntoView + use<> {
    view! { <a class="link" href=format!("#schema-{name}")>{name.to_owned()}</a> }
}
