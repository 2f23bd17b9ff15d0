//! stub
pub mod domain;
#[cfg(feature = "engine")]
pub mod engine;
