//! What several subjects together say on one page.

pub mod checklist;
pub mod find;
pub mod notices;
pub mod overview;
