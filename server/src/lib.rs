//! How AgentFramer is served: routes and their layers, MCP transport, REST, sessions, command line.
//! No rule lives here; each handler turns a request into one call of the engine, and its answer into HTTP.

pub mod assets;
pub mod cli;
pub mod client_address;
mod commands;
pub mod downloads;
pub mod find;
pub mod headers;
pub mod mcp;
pub mod media;
pub mod once;
pub mod ops;
pub mod origin_guard;
mod pages;
mod reader;
mod reference;
pub mod rest;
pub mod router;
pub mod session_store;
mod telemetry;
mod told;
pub mod visit;
