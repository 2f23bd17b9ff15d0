//! The whole server over HTTP, on SQLite and on PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking; helpers outside test functions too"
)]

mod access;
mod audit;
mod bad_input;
mod browser;
mod command_line;
mod controls;
mod dashboard;
mod data;
mod data_pages;
mod gates;
mod html;
mod mcp;
mod media;
mod models;
mod openapi;
mod operations;
mod reference;
mod refusals;
mod rest;
mod retention_page;
mod security;
mod serving;
mod settings;
mod support;
mod tasks;
mod tenants;
mod usage;
mod webhooks;
