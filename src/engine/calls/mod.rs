//! Agents and what they do: a call from its token to its answer.

pub mod activity;
pub mod agents;
pub mod codes;
pub mod gateway;
pub mod generate;
pub mod media;
pub mod models;
mod pricing;
pub mod providers;
pub mod tasks;
pub mod tools;
