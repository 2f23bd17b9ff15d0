//! The cap and the books under load and under `kill -9`: the real binary as processes of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking; helpers outside test functions too")]

mod agent;
mod delivered;
mod exact_cap;
#[allow(dead_code, reason = "shared with the benchmark of pages, which measures what is there")]
mod installation;
mod killed;
