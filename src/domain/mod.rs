//! The rules, without I/O, clock or randomness: those are arguments. Compiles to WASM.

pub mod access;
pub mod addresses;
pub mod alerts;
pub mod audit;
pub mod catalog;
pub mod checkpoint;
pub mod data_requests;
pub mod field;
pub mod focus;
pub mod holds;
pub mod ids;
pub mod ledger;
pub mod money;
pub mod policy;
pub mod proof;
pub mod refusals;
pub mod region;
pub mod retention;
pub mod search;
pub mod settings;
pub mod time;
pub mod usage;
pub mod webhooks;
pub mod words;
