//! What a tool's answer looks like in MCP.

use agentframer::engine::calls::gateway::CallError;
use agentframer::engine::calls::media::content_type;
use rmcp::model::{CallToolResult, ContentBlock, Resource};
use serde_json::Value;

/// A success: the structured answer, the same as text for older clients, and a link to each file.
pub fn success(answer: Value) -> CallToolResult {
    let links = links(&answer);
    let mut result = CallToolResult::structured(answer);
    result.content.extend(links);
    result
}

/// A refusal by the rules or a failure: a sentence for the model, and the same structured.
pub fn refusal(error: &CallError) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(error.message.clone())]);
    result.structured_content = Some(error.to_json());
    result
}

fn links(answer: &Value) -> Vec<ContentBlock> {
    let one = answer["result_url"].as_str();
    let urls: Vec<&str> = match answer["result_urls"].as_array() {
        Some(all) => all.iter().filter_map(Value::as_str).collect(),
        None => one.into_iter().collect(),
    };
    let name = answer["generation_id"].as_str().unwrap_or("result");
    urls.into_iter().map(|url| ContentBlock::resource_link(link(name, url))).collect()
}

fn link(name: &str, url: &str) -> Resource {
    let file = url.split('?').next().unwrap_or(url);
    Resource::new(url, name).with_mime_type(content_type(file))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_file_is_linked_once_with_its_type() {
        let answer = json!({
            "generation_id": "g_1", "result_url": "http://x/media/a.png?s=1",
            "result_urls": ["http://x/media/a.png?s=1", "http://x/media/a-2.png?s=1"]
        });
        let result = serde_json::to_value(success(answer)).unwrap();
        let links: Vec<&Value> = result["content"].as_array().unwrap().iter().skip(1).collect();
        assert_eq!(links.len(), 2);
        assert_eq!(links[0]["type"], "resource_link");
        assert_eq!(links[0]["mimeType"], "image/png");
        assert_eq!(links[1]["uri"], "http://x/media/a-2.png?s=1");
    }

    #[test]
    fn a_refusal_is_a_sentence_and_structured() {
        let error = CallError::new("tool_denied", "Your policy does not allow this.", false);
        let result = serde_json::to_value(refusal(&error)).unwrap();
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"][0]["text"], "Your policy does not allow this.");
        assert_eq!(result["structuredContent"]["error"]["code"], "tool_denied");
    }
}
