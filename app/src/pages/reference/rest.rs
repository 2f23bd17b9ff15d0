//! The REST API, from its OpenAPI document.

use leptos::prelude::*;
use serde_json::Value;

use super::fields::{fields, kind};
use super::plain;

/// Every operation by its part of the API, then every shape.
pub fn rest(base: &str, api: &Value) -> impl IntoView + use<> {
    let example =
        format!("curl -H 'Authorization: Bearer af_key_…' {base}/api/v1/workspaces/WORKSPACE/credits");
    view! {
        <section class="card" id="rest">
            <header><h2>"REST"</h2></header>
            <div class="in stack">
                <p>"JSON under /api/v1, with an API key of the workspace. Lists take limit and cursor. Every error is a "<a class="link" href="#schema-Problem">"Problem"</a>" with the field’s name. The same as an "<a class="link" href="/api/v1/openapi.json" rel="external">"OpenAPI document"</a>"."</p>
                <pre class="mono">{example}</pre>
            </div>
            {parts(api).into_iter().map(part).collect_view()}
            {shapes(api)}
        </section>
    }
}

/// An operation as the document tells it.
#[derive(Clone)]
struct Operation {
    method: String,
    path: String,
    told: Value,
}

/// The operations of each part, in the document's order.
fn parts(api: &Value) -> Vec<(String, Vec<Operation>)> {
    let mut parts: Vec<(String, Vec<Operation>)> = Vec::new();
    for (path, item) in api["paths"].as_object().into_iter().flatten() {
        for (method, told) in item.as_object().into_iter().flatten() {
            let name = told["tags"][0].as_str().unwrap_or("other").to_owned();
            let operation =
                Operation { method: method.to_uppercase(), path: path.clone(), told: told.clone() };
            match parts.iter_mut().find(|(part, _)| *part == name) {
                Some((_, operations)) => operations.push(operation),
                None => parts.push((name, vec![operation])),
            }
        }
    }
    parts
}

fn part((name, operations): (String, Vec<Operation>)) -> impl IntoView {
    let title = name.replace('_', " ");
    view! {
        <div class="in">
            <h3 class="part">{title}</h3>
            <div class="clients">{operations.into_iter().map(operation).collect_view()}</div>
        </div>
    }
}

fn operation(Operation { method, path, told }: Operation) -> impl IntoView {
    let summary = plain(told["summary"].as_str().unwrap_or_default());
    let body = &told["requestBody"]["content"]["application/json"]["schema"];
    let body = (!body.is_null()).then(|| view! { <p><span class="muted">"Body: "</span>{kind(body)}</p> });
    view! {
        <details>
            <summary><b class="mono">{format!("{method} {path}")}</b>" "<span class="muted">{summary}</span></summary>
            <div class="stack in">{parameters(&told)} {body} {answers(&told)}</div>
        </details>
    }
}

fn parameters(told: &Value) -> impl IntoView + use<> {
    let row = |parameter: &Value| {
        let cell = |name: &str| plain(parameter[name].as_str().unwrap_or_default());
        view! { <tr><td class="mono">{cell("name")}</td><td>{cell("in")}</td><td>{kind(&parameter["schema"])}</td><td class="wrap">{cell("description")}</td></tr> }
    };
    let rows: Vec<_> = told["parameters"].as_array().into_iter().flatten().map(row).collect();
    (!rows.is_empty()).then(|| {
        view! {
            <div class="scroll" tabindex="0"><table>
                <thead><tr><th>"Parameter"</th><th>"In"</th><th>"Type"</th><th>"Meaning"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
        }
    })
}

/// What a call that is done answers; errors are the same for all.
fn answers(told: &Value) -> impl IntoView + use<> {
    let answer = |(status, answer): (&String, &Value)| {
        let shape = &answer["content"]["application/json"]["schema"];
        let shape = (!shape.is_null()).then(|| kind(shape));
        let about = plain(answer["description"].as_str().unwrap_or_default());
        view! { <p><span class="muted">"Answer "{status.clone()}": "</span>{shape}" "{about}</p> }
    };
    let done =
        told["responses"].as_object().into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
    done.map(answer).collect_view()
}

fn shapes(api: &Value) -> impl IntoView + use<> {
    let shape = |(name, schema): (&String, &Value)| {
        let about = plain(schema["description"].as_str().unwrap_or_default());
        view! {
            <details id=format!("schema-{name}")>
                <summary><b class="mono">{name.clone()}</b>" "<span class="muted">{about}</span></summary>
                <div class="in">{fields(schema)}</div>
            </details>
        }
    };
    let all = api["components"]["schemas"].as_object().into_iter().flatten();
    let own = all.filter(|(name, _)| !name.starts_with("List_"));
    view! {
        <div class="in">
            <h3 class="part">"Shapes"</h3>
            <div class="clients">{own.map(shape).collect_view()}</div>
        </div>
    }
}
