//! What the commands do, one file each.

pub mod audit;
pub mod bootstrap;
pub mod demo;
pub mod maintenance;
pub mod serve;
