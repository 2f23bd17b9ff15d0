//! The reference tells all that the running server has.

use agentframer::domain::webhooks::event::EVENTS;
use agentframer::engine::calls::codes::CODES;
use agentframer::engine::calls::tools::definitions;
use agentframer_server::mcp::transport::statuses;
use agentframer_server::rest::document;
use serde_json::Value;

use super::browser::open;
use super::support::{Databases, TestServer};

#[tokio::test]
async fn the_reference_names_every_tool_code_status_route_shape_and_event() {
    let server = TestServer::start(Databases::sqlite()).await;
    let page = open(&server, "/reference", None).await.text().await.unwrap();
    let api: Value = serde_json::to_value(document()).unwrap();
    let operations = api["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let shapes = api["components"]["schemas"].as_object().unwrap().keys();
    let shapes = shapes.filter(|name| !name.starts_with("List_")).map(|name| format!("id=\"schema-{name}\""));
    let tools = definitions().into_iter().map(|tool| tool.tool.to_string());
    let codes = CODES.iter().map(|(code, _)| (*code).to_owned());
    let events = EVENTS.iter().map(|(event, _)| (*event).to_owned());
    let statuses = statuses(1).into_iter().map(|(status, _)| format!(">{status}<"));
    let all: Vec<String> =
        operations.chain(shapes).chain(tools).chain(codes).chain(events).chain(statuses).collect();
    assert!(all.len() > 150, "{}", all.len());
    let missing: Vec<_> = all.iter().filter(|name| !page.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let targets = page.split("href=\"#schema-").skip(1).map(|rest| rest.split('"').next().unwrap());
    let broken: Vec<_> = targets.filter(|name| !page.contains(&format!("id=\"schema-{name}\""))).collect();
    assert!(broken.is_empty(), "links to shapes that are not there: {broken:?}");
}
