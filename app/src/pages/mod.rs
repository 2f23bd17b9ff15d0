//! One file a page. Each asks for its right first, calls the engine, and shows what it gives.

pub mod account;
pub mod agent;
pub mod agents;
pub mod audit;
pub mod billing;
pub mod caps;
pub mod data_requests;
pub mod generations;
pub mod home;
pub mod invite;
pub mod login;
pub mod members;
pub mod models;
pub mod overview;
pub mod reference;
pub mod retention;
pub mod security;
pub mod settings;
pub mod setup;
pub mod statement;
pub mod usage;
pub mod webhooks;

use agentframer::engine::log::reading::Page;

use crate::ask::Ask;

/// The page of a list that the query names.
fn list_page(ask: &Ask) -> Page {
    Page { limit: None, cursor: ask.query("cursor") }
}

/// The link to the next page of a list, keeping the other parts of the query.
fn older(ask: &Ask, cursor: Option<String>) -> Option<String> {
    let query = ask.parts.uri.query().unwrap_or_default();
    let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor");
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept).append_pair("cursor", &cursor?);
    Some(format!("{}?{}", ask.parts.uri.path(), query.finish()))
}
