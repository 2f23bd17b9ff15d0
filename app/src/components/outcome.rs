//! A call's outcome as a tag.

use agentframer::engine::views::overview::Outcome;
use leptos::prelude::*;

use crate::words;

/// `paid`, `refused · insufficient_credits`, `failed · not charged`.
#[component]
pub fn OutcomeTag(outcome: Outcome) -> impl IntoView {
    let (class, text) = words::outcome(&outcome);
    view! { <span class=class>{text}</span> }
}
