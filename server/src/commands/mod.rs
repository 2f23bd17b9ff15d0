//! What the commands do, one file each.

pub mod audit;
pub mod backup;
pub mod bootstrap;
pub mod certificate;
pub mod demo;
pub mod maintenance;
pub mod serve;
