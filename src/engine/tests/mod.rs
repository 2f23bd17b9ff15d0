//! The engine as a whole, on SQLite and on PostgreSQL.

mod alerts;
mod backup;
mod concurrency;
mod data_requests;
mod faults;
mod governed_call;
mod random_sequences;
mod receiver;
mod retention;
mod s3;
mod support;
mod usage;
mod webhooks;
