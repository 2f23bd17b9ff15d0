//! Ready-to-paste configuration of MCP clients.

use leptos::prelude::*;

use crate::islands::CopyButton;

/// A client and the text that connects it.
struct Client {
    name: &'static str,
    about: &'static str,
    text: String,
}

fn clients(url: &str, token: &str) -> [Client; 5] {
    let headers = format!(r#""headers": {{ "Authorization": "Bearer {token}" }}"#);
    [
        Client {
            name: "Claude Code",
            about: "in a terminal",
            text: format!(
                "claude mcp add --transport http agentframer {url} --header \"Authorization: Bearer {token}\""
            ),
        },
        Client {
            name: "Cursor",
            about: ".cursor/mcp.json",
            text: format!(
                "{{\n  \"mcpServers\": {{\n    \"agentframer\": {{ \"url\": \"{url}\", {headers} }}\n  }}\n}}"
            ),
        },
        Client {
            name: "VS Code",
            about: ".vscode/mcp.json",
            text: format!(
                "{{\n  \"servers\": {{\n    \"agentframer\": {{ \"type\": \"http\", \"url\": \"{url}\", {headers} }}\n  }}\n}}"
            ),
        },
        Client { name: "Python", about: "pip install mcp", text: python(url, token) },
        Client {
            name: "TypeScript",
            about: "npm install @modelcontextprotocol/client",
            text: typescript(url, token),
        },
    ]
}

fn python(url: &str, token: &str) -> String {
    format!(
        r#"import asyncio, httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

async def main():
    async with httpx2.AsyncClient(headers={{"Authorization": "Bearer {token}"}}, timeout=120) as http:
        async with Client(streamable_http_client("{url}", http_client=http)) as client:
            result = await client.call_tool("generate_image", {{"prompt": "a fox in the snow"}})
            print(result.structured_content["result_url"])

asyncio.run(main())"#
    )
}

fn typescript(url: &str, token: &str) -> String {
    format!(
        r#"import {{ Client, StreamableHTTPClientTransport }} from "@modelcontextprotocol/client";

const client = new Client({{ name: "my-agent", version: "1" }}, {{ versionNegotiation: {{ mode: "auto" }} }});
const headers = {{ Authorization: "Bearer {token}" }};
await client.connect(new StreamableHTTPClientTransport(new URL("{url}"), {{ requestInit: {{ headers }} }}));
const result = await client.callTool({{ name: "generate_image", arguments: {{ prompt: "a fox in the snow" }} }});
console.log(result.structuredContent?.result_url);
await client.close();"#
    )
}

/// One configuration a client, each behind its name; they hold the token while it is shown.
#[component]
pub fn ClientConfigurations(#[prop(into)] url: String, #[prop(into)] token: String) -> impl IntoView {
    let client = |client: Client| {
        view! {
            <details>
                <summary><b>{client.name}</b>" "<span class="muted">{client.about}</span></summary>
                <div class="secret top"><pre class="mono" data-client=client.name>{client.text.clone()}</pre><CopyButton text=client.text/></div>
            </details>
        }
    };
    view! { <div class="clients">{clients(&url, &token).into_iter().map(client).collect_view()}</div> }
}

// The programs in Python and TypeScript are run by end2end/clients.test.js, as the page shows them.
#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "http://127.0.0.1:3000/mcp/ws_1/key";

    fn text_of(name: &str) -> String {
        clients(URL, "af_agent_x").into_iter().find(|client| client.name == name).unwrap().text
    }

    #[test]
    fn editors_read_their_configuration_as_json() {
        let headers = json!({ "Authorization": "Bearer af_agent_x" });
        let cursor: Value = serde_json::from_str(&text_of("Cursor")).unwrap();
        assert_eq!(cursor, json!({ "mcpServers": { "agentframer": { "url": URL, "headers": headers } } }));
        let code: Value = serde_json::from_str(&text_of("VS Code")).unwrap();
        let server = json!({ "type": "http", "url": URL, "headers": headers });
        assert_eq!(code, json!({ "servers": { "agentframer": server } }));
    }

    #[test]
    fn every_client_gets_the_address_and_the_token() {
        for client in clients(URL, "af_agent_x") {
            assert!(
                client.text.contains(URL) && client.text.contains("Bearer af_agent_x"),
                "{}",
                client.name
            );
        }
    }
}
