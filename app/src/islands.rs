//! What moves in the browser.

use leptos::prelude::*;

/// Puts `text` on the clipboard and says so for two seconds.
#[island]
pub fn CopyButton(
    /// What is copied.
    text: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let _ = window().navigator().clipboard().write_text(&text);
        copied.set(true);
        set_timeout(move || copied.set(false), std::time::Duration::from_secs(2));
    };
    view! {
        <button type="button" class="btn copy" on:click=copy aria-live="polite">
            {move || if copied.get() { "Copied" } else { "Copy" }}
        </button>
    }
}
