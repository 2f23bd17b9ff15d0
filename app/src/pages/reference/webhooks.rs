//! Webhooks: how a delivery is checked, and every event with its fields.

use agentframer::domain::webhooks::schema::schemas;
use leptos::prelude::*;
use serde_json::Value;

use super::fields::fields;

/// Each is run by a test.
const EXAMPLES: [(&str, &str); 3] = [
    ("Python", include_str!("verify.py")),
    ("TypeScript", include_str!("verify.ts")),
    ("Rust", include_str!("verify.rs")),
];

/// The rules, the examples and the events.
pub fn webhooks() -> impl IntoView {
    let schemas = schemas();
    let events = schemas["$defs"].as_object().cloned().unwrap_or_default();
    view! {
        <section class="card" id="webhooks">
            <header><h2>"Webhooks"</h2></header>
            <div class="in stack">
                <p>"At least once, in order for each endpoint, never lost while it is down. X-AgentFramer-Event-Id is the same on every retry: drop doubles by it. Answer 2xx within 15 seconds."</p>
                <p>"X-AgentFramer-Signature is t=UNIX_SECONDS,v1=HEX: HMAC-SHA256 over t, a dot and the raw body, keyed with the secret as it was shown, whsec_ included. While a secret is rotated there are two v1. The headers of Standard Webhooks stand beside it, so its libraries work unchanged."</p>
                <div class="clients">{EXAMPLES.into_iter().map(example).collect_view()}</div>
                <p>"The events. Their "<a class="link" href="/reference/events.json" rel="external">"JSON schemas"</a>" in one document:"</p>
                <div class="clients">{events.into_iter().map(event).collect_view()}</div>
            </div>
        </section>
    }
}

fn example((language, code): (&'static str, &'static str)) -> impl IntoView {
    view! {
        <details open=language == "Python">
            <summary><b>{language}</b></summary>
            <pre class="mono" data-verify=language>{code}</pre>
        </details>
    }
}

fn event((name, schema): (String, Value)) -> impl IntoView {
    let about = schema["description"].as_str().unwrap_or_default().to_owned();
    view! {
        <details>
            <summary><b class="mono">{name}</b>" "<span class="muted">{about}</span></summary>
            <div class="in">{fields(&schema)}</div>
        </details>
    }
}
