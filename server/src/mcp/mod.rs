//! The MCP server (contract §2): its address, its refusals, its tools.

mod handler;
mod progress;
mod results;
mod tasks;
pub mod transport;

pub use transport::routes;
