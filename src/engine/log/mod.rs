//! Reading the log and proving it.

pub mod checkpoints;
pub mod exports;
pub mod reading;
pub mod saved_searches;
pub mod search;
pub mod signing;
pub mod verification;
