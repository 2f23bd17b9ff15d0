//! How much of a whole is used, as a bar.

use leptos::prelude::*;

/// `percent` of the whole, said in words by `text`. `tone` is a class for its colour, `mark` a place on it.
#[component]
pub fn Meter(
    percent: u32,
    #[prop(into)] text: String,
    #[prop(optional)] tone: &'static str,
    #[prop(optional)] mark: Option<u32>,
) -> impl IntoView {
    // A line of no length would still have its round ends.
    let used = (percent > 0)
        .then(|| view! { <line class=format!("meter-used {tone}") y1="7" x2=percent.min(100) y2="7"/> });
    view! {
        <svg class="meter" viewBox="0 0 100 14" preserveAspectRatio="none" role="img" aria-label=text>
            <line class="meter-all" y1="7" x2="100" y2="7"/>
            {used}
            {mark.map(|at| view! { <line class="meter-mark" x1=at.min(100) x2=at.min(100) y2="14"/> })}
        </svg>
    }
}
