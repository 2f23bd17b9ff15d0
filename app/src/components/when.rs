//! A moment in the reader's zone, with UTC behind it.

use agentframer::domain::time::Time;
use leptos::prelude::*;

use crate::words;

/// A moment, or a dash where there is none.
#[component]
pub fn When(#[prop(into)] at: Option<Time>) -> impl IntoView {
    match at {
        Some(at) => {
            let utc = words::in_utc(at);
            view! { <time datetime=at.to_string() title=utc>{words::moment(at)}</time> }.into_any()
        }
        None => "–".into_any(),
    }
}
