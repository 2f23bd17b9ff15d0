//! A line of a definition list.

use leptos::prelude::*;

/// What is called `name`; stands in a `dl` of the class `facts`.
pub fn fact(name: &'static str, value: impl Into<String>) -> impl IntoView {
    view! { <div><dt>{name}</dt><dd>{value.into()}</dd></div> }
}
