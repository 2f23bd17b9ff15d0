//! A moment in the reader's zone, with UTC behind it.

use agentframer::domain::time::Time;
use leptos::prelude::*;

use crate::words;

/// A moment, or a dash where there is none.
#[component]
pub fn When(#[prop(into)] at: Option<Time>) -> impl IntoView {
    match at {
        Some(at) => stamp(at, words::moment(at)),
        None => "–".into_any(),
    }
}

/// A moment as `text` writes it.
pub fn stamp(at: Time, text: String) -> AnyView {
    let utc = words::in_utc(at);
    view! { <time datetime=at.to_string() title=utc>{text}</time> }.into_any()
}

/// `words` and the moment after them.
pub fn since(words: &'static str, at: Time) -> AnyView {
    view! { {words} " " <When at=at/> }.into_any()
}
