//! The balance and all that is told of it: reservations, top-ups, usage, statements.

pub mod allowance;
pub mod billing;
pub mod ledger_writer;
pub mod limits;
pub mod pace;
pub mod portfolio;
pub mod statement;
pub mod usage;
