//! The engine as a whole, on SQLite and on PostgreSQL.

mod alerts;
mod backup;
mod concurrency;
mod data_requests;
mod faults;
mod governed_call;
mod killed;
mod random_sequences;
mod receiver;
mod retention;
mod s3;
mod search;
mod support;
mod tampering;
mod usage;
mod webhooks;
