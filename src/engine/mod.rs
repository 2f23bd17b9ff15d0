//! Storage, gateway and jobs around the domain's rules.

pub mod clock;
pub mod config;
pub mod error;
pub mod ledger_writer;
pub mod providers;
pub mod random;
pub mod store;
