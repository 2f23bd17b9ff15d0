//! The balance and all that is told of it: reservations, top-ups, usage, statements.

pub mod allowance;
pub mod billing;
pub mod ledger_writer;
pub mod portfolio;
pub mod standing;
pub mod statement;
pub mod usage;
