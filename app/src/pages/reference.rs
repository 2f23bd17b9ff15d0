//! `/reference`: everything that a program needs to know, open to all.

use agentframer::domain::webhooks::event::EVENTS;
use agentframer::engine::calls::tools::{ToolDefinition, definitions};
use leptos::prelude::*;
use leptos_meta::Title;

use crate::components::clients::ClientConfigurations;
use crate::components::frame::page;

/// What a refused call answers, and what to do.
const CODES: [(&str, &str); 12] = [
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

const STATUSES: [(&str, &str); 6] = [
    ("401", "No, unknown, revoked or expired token."),
    ("403", "The address is outside the agent’s allowlist."),
    ("404", "Unknown workspace, a replaced URL, or another workspace’s token."),
    ("413", "The body is too large."),
    ("421", "The workspace lives in a region that this server does not serve."),
    ("429", "Too many calls; Retry-After says when."),
];

const VERIFY: &str = r#"import hashlib, hmac

def is_ours(secret: str, header: str, body: bytes) -> bool:
    parts = [part.split("=", 1) for part in header.split(",")]
    at = next(value for name, value in parts if name == "t")
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return any(name == "v1" and hmac.compare_digest(signed, value) for name, value in parts)"#;

/// The reference.
#[component]
pub fn Reference() -> impl IntoView {
    page(|ask| async move {
        let base = ask.engine.config().public_url();
        let url = format!("{}/mcp/WORKSPACE/URL_KEY", base.trim_end_matches('/'));
        Ok(view! {
            <Title text="Reference"/>
            <main class="page alone reference" id="page">
                <div class="head">
                    <div><h1>"Reference"</h1><p class="muted">"Connect an agent, call the API, receive events"</p></div>
                    <div class="row"><a class="btn" href="/">"Open AgentFramer"</a></div>
                </div>
                <nav class="row contents" aria-label="On this page">
                    <a class="link" href="#connect">"Connect"</a> <a class="link" href="#tools">"Tools"</a> <a class="link" href="#refusals">"Refusals"</a>
                    <a class="link" href="#rest">"REST"</a> <a class="link" href="#webhooks">"Webhooks"</a> <a class="link" href="#proof">"Proof"</a>
                </nav>
                <div class="stack">
                    {connect(url).into_any()} {tools().into_any()} {refusals().into_any()} {rest(&base).into_any()} {webhooks().into_any()} {proof().into_any()}
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
        let pretty = |schema: &serde_json::Value| serde_json::to_string_pretty(schema).unwrap_or_default();
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

fn pairs(rows: &'static [(&'static str, &'static str)]) -> impl IntoView {
    let row = |(name, about): &(&'static str, &'static str)| view! { <tr><td class="mono">{*name}</td><td class="wrap">{*about}</td></tr> };
    view! { <div class="scroll" tabindex="0"><table><tbody>{rows.iter().map(row).collect_view()}</tbody></table></div> }
}

fn refusals() -> impl IntoView {
    view! {
        <section class="card" id="refusals">
            <header><h2>"Refusals"</h2></header>
            <p class="in">"A refused call is a tool result with isError and structuredContent.error: code, message, retryable. Nothing is charged for a refusal or a failure."</p>
            {pairs(&CODES)}
            <p class="in muted">"Before a call reaches the tools, HTTP says no:"</p>
            {pairs(&STATUSES)}
        </section>
    }
}

fn rest(base: &str) -> impl IntoView + use<> {
    let example =
        format!("curl -H 'Authorization: Bearer af_key_…' {base}/api/v1/workspaces/WORKSPACE/credits");
    view! {
        <section class="card" id="rest">
            <header><h2>"REST"</h2></header>
            <div class="in stack">
                <p>"JSON under /api/v1, with an API key of the workspace. The "<a class="link" href="/api/v1/openapi.json" rel="external">"OpenAPI document"</a>" describes all of it. Lists take limit and cursor; errors are problem+json with the field’s name."</p>
                <pre class="mono">{example}</pre>
            </div>
        </section>
    }
}

fn webhooks() -> impl IntoView {
    view! {
        <section class="card" id="webhooks">
            <header><h2>"Webhooks"</h2></header>
            <div class="in stack">
                <p>"At least once, in order for each endpoint, never lost while it is down. X-AgentFramer-Event-Id is the same on every retry: drop doubles by it. Answer 2xx within 15 seconds."</p>
                <p>"X-AgentFramer-Signature is t=UNIX_SECONDS,v1=HEX: HMAC-SHA256 over t, a dot and the raw body, keyed with the secret as it was shown, whsec_ included. While a secret is rotated there are two v1. The headers of Standard Webhooks stand beside it, so its libraries work unchanged."</p>
                <pre class="mono">{VERIFY}</pre>
                <p>"The "<a class="link" href="/reference/events.json" rel="external">"JSON schemas"</a>" of all events:"</p>
            </div>
            {pairs(EVENTS)}
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
