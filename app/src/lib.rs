//! What people see. Pages are rendered on the server and work as plain HTML; only islands run in the browser.

// A page's view is one deep type.
#![recursion_limit = "256"]

#[cfg(feature = "ssr")]
mod actions;
#[cfg(feature = "ssr")]
mod app;
#[cfg(feature = "ssr")]
mod ask;
#[cfg(feature = "ssr")]
mod components;
#[cfg(feature = "ssr")]
mod flash;
mod islands;
#[cfg(feature = "ssr")]
mod pages;
#[cfg(feature = "ssr")]
mod reader;
#[cfg(feature = "ssr")]
mod words;

#[cfg(feature = "ssr")]
pub use app::{App, shell};
#[cfg(feature = "ssr")]
pub use ask::{RequestInfo, SESSION_USER, login};
#[cfg(feature = "ssr")]
pub use components::nav::{ANYWHERE, places};
#[cfg(feature = "ssr")]
pub use components::problem::refusal;
#[cfg(feature = "ssr")]
pub use flash::Flash;
#[cfg(feature = "ssr")]
pub use pages::reference::Interface;
#[cfg(feature = "ssr")]
pub use pages::usage::{file::chart_file as usage_picture, state::State as UsageState};
#[cfg(feature = "ssr")]
pub use words::clock_in;

/// Wakes the islands of a page; leptos's own script calls it.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_islands();
}
