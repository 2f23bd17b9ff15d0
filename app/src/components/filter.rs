//! What a page's address asks for that cannot be: named at its control, which has the focus, and above. The page shows
//! something else then, and says what.

use agentframer::domain::field::FieldError;
use leptos::prelude::*;

use crate::words;

/// The part of the address that is wrong; none where all of it is right.
#[derive(Debug, Clone, Default)]
pub struct WrongFilter(Option<FieldError>);

impl WrongFilter {
    /// What was read, or what is shown instead.
    pub fn or<T>(read: Result<T, FieldError>, instead: impl FnOnce() -> T) -> (T, Self) {
        match read {
            Ok(read) => (read, Self(None)),
            Err(wrong) => (instead(), Self(Some(wrong))),
        }
    }

    /// Whether something else is shown than what was asked for.
    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// The sentence at the control called `name`.
    pub fn at(&self, name: &str) -> Option<String> {
        let wrong = self.0.as_ref().filter(|wrong| wrong.field == name)?;
        Some(format!("This {}.", wrong.message))
    }

    /// The note for the head of the page, which leads to the control; `instead` says what is shown.
    pub fn note(&self, instead: &'static str) -> Option<impl IntoView + use<>> {
        let wrong = self.0.as_ref()?;
        let text = format!("{} {}.", words::field(&wrong.field), wrong.message);
        let href = format!("#{}", wrong.field);
        Some(view! {
            <p class="note bad" role="alert"><span class="tag bad">"not shown"</span><a href=href>{text}</a>" "{instead}</p>
        })
    }
}

/// An input of a filter. What is no date or month stays as it was typed, in an input that can show it.
#[component]
pub fn FilterInput(
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: String,
    wrong: Option<String>,
) -> impl IntoView {
    let (error, is_wrong) = (format!("{name}-error"), wrong.is_some());
    let kind = if is_wrong { "text" } else { kind };
    view! {
        <label>{label}" "<input
            type=kind id=name name=name value=value aria-invalid=is_wrong.then_some("true")
            aria-describedby=error.clone() autofocus=is_wrong
        /></label>
        <p class="error" id=error>{wrong}</p>
    }
}
