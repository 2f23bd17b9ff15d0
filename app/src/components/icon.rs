//! The navigation's signs, 16 pixels, drawn in the text's colour.

use leptos::prelude::*;

/// A sign out of one path.
#[component]
pub fn Icon(path: &'static str) -> impl IntoView {
    view! { <svg viewBox="0 0 16 16" aria-hidden="true"><path d=path/></svg> }
}
