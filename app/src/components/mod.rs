//! Parts that several pages share.

pub mod bars;
pub mod chart;
pub mod clients;
pub mod field;
pub mod frame;
pub mod icon;
pub mod outcome;
pub mod places;
pub mod problem;
pub mod text_area;
