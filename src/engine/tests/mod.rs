//! The engine as a whole, on SQLite and on PostgreSQL.

mod acts;
mod alerts;
mod backup;
mod concurrency;
mod data_requests;
mod exports;
mod faults;
mod governed_call;
pub(super) mod killed;
mod killed_afresh;
mod mail_server;
mod people;
mod random_sequences;
pub(crate) mod receiver;
mod residency;
mod retention;
mod s3;
mod search;
mod storage_faults;
pub(super) mod support;
mod tampering;
mod usage;
mod webhooks;
