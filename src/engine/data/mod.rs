//! What is kept, where and how long, and how it goes.

pub mod backup;
mod backup_files;
pub mod data_requests;
pub(in crate::engine) mod escrow;
pub mod holds;
mod key_copies;
mod marks;
pub mod places;
pub mod purge;
mod purge_keys;
pub mod reconcile;
pub mod replication;
pub mod retention;
pub mod sealing;
