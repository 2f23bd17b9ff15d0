//! `/reference`: everything that a program needs to know, open to all.

mod fields;
mod rest;
mod webhooks;

use std::sync::Arc;

use agentframer::engine::calls::codes::CODES;
use agentframer::engine::calls::tools::{ToolDefinition, definitions};
use agentframer::engine::error::Error;
use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::Value;

use self::rest::rest;
use self::webhooks::webhooks;
use crate::components::clients::ClientConfigurations;
use crate::components::frame::{find, page};

/// What the server tells of itself, so that nothing of it is written here by hand.
#[derive(Debug, Clone)]
pub struct Interface {
    /// The REST API's OpenAPI document.
    pub api: Arc<Value>,
    /// What HTTP answers to a call that does not reach the tools: status and why.
    pub statuses: Arc<[(u16, String)]>,
}

/// The reference.
#[component]
pub fn Reference() -> impl IntoView {
    // Taken before the first await, where leptos's context still is.
    let interface = use_context::<Interface>();
    page(|ask| async move {
        let Interface { api, statuses } = interface.ok_or(Error::Internal)?;
        let base = ask.engine.config().public_url();
        let url = format!("{}/mcp/WORKSPACE/URL_KEY", base.trim_end_matches('/'));
        Ok(view! {
            <Title text="Reference"/>
            <main class="page alone reference" id="page">
                <div class="head">
                    <div><h1>"Reference"</h1><p class="muted">"Connect an agent, call the API, receive events"</p></div>
                    <div class="row">{find(&ask)}<a class="btn" href="/">"Open AgentFramer"</a></div>
                </div>
                <nav class="row contents" aria-label="On this page">
                    <a class="link" href="#connect">"Connect"</a> <a class="link" href="#tools">"Tools"</a> <a class="link" href="#refusals">"Refusals"</a>
                    <a class="link" href="#rest">"REST"</a> <a class="link" href="#webhooks">"Webhooks"</a> <a class="link" href="#proof">"Proof"</a>
                </nav>
                <div class="stack">
                    {connect(url).into_any()} {tools().into_any()} {refusals(&statuses).into_any()} {rest(&base, &api).into_any()} {webhooks().into_any()} {proof().into_any()}
                </div>
            </main>
        }
        .into_any())
    })
}

fn connect(url: String) -> impl IntoView {
    view! {
        <section class="card" id="connect">
            <header><h2>"Connect an agent"</h2></header>
            <div class="in stack">
                <p>"MCP over Streamable HTTP, revisions 2026-07-28 and 2025-11-25. The agent’s page in your workspace shows these with your own address."</p>
                <ClientConfigurations url=url token="YOUR_TOKEN"/>
            </div>
        </section>
    }
}

fn tools() -> impl IntoView {
    let tool = |definition: ToolDefinition| {
        let pretty = |schema: &Value| serde_json::to_string_pretty(schema).unwrap_or_default();
        let (input, output) = (pretty(&definition.input_schema), pretty(&definition.output_schema));
        view! {
            <details>
                <summary><b class="mono">{definition.tool.as_str()}</b>" "<span class="muted">{definition.title}</span></summary>
                <div class="stack in">
                    <p>{definition.description}</p>
                    <p class="muted">"Arguments"</p><pre class="mono">{input}</pre>
                    <p class="muted">"Result"</p><pre class="mono">{output}</pre>
                </div>
            </details>
        }
    };
    view! {
        <section class="card" id="tools">
            <header><h2>"Tools"</h2></header>
            <div class="in clients">{definitions().into_iter().map(tool).collect_view()}</div>
        </section>
    }
}

fn pairs(rows: impl IntoIterator<Item = (String, String)>) -> impl IntoView {
    let row = |(name, about): (String, String)| view! { <tr><td class="mono">{name}</td><td class="wrap">{about}</td></tr> };
    view! { <div class="scroll" tabindex="0"><table><tbody>{rows.into_iter().map(row).collect_view()}</tbody></table></div> }
}

/// Descriptions mark code for other readers.
fn plain(text: &str) -> String {
    text.replace('`', "").replace('\n', " ")
}

fn refusals(statuses: &[(u16, String)]) -> impl IntoView + use<> {
    let codes = CODES.iter().map(|(code, about)| ((*code).to_owned(), (*about).to_owned()));
    let statuses: Vec<_> = statuses.iter().map(|(status, why)| (status.to_string(), why.clone())).collect();
    view! {
        <section class="card" id="refusals">
            <header><h2>"Refusals"</h2></header>
            <p class="in">"A refused call is a tool result with isError and structuredContent.error: code, message, retryable. Nothing is charged for a refusal or a failure."</p>
            {pairs(codes)}
            <p class="in muted">"Before a call reaches the tools, HTTP says no:"</p>
            {pairs(statuses)}
        </section>
    }
}

fn proof() -> impl IntoView {
    view! {
        <section class="card" id="proof">
            <header><h2>"Proof"</h2></header>
            <div class="in stack">
                <p>"Each log entry holds the hash of the one before it: SHA-256 over the previous hash and the entry’s RFC 8785 JSON. Every hour the head is signed with Ed25519; the public keys are at "<a class="link" href="/reference/keys.json" rel="external">"/reference/keys.json"</a>"."</p>
                <pre class="mono">"agentframer audit verify export.ndjson --checkpoint checkpoint.json\nagentframer certificate verify certificate.json"</pre>
            </div>
        </section>
    }
}
