//! Parts that several pages share.

pub mod bars;
pub mod chart;
pub mod checklist;
pub mod clients;
pub mod crumbs;
pub mod fact;
pub mod field;
pub mod filter;
pub mod frame;
pub mod icon;
mod lines;
pub mod meter;
pub mod nav;
pub mod outcome;
pub mod places;
pub mod problem;
pub mod switcher;
pub mod text_area;
pub mod when;
