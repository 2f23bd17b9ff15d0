//! The only text area. Leptos 0.8 writes a text area's children without escaping, so its text is escaped here.

use leptos::prelude::*;

/// A text area that shows `value` and nothing else, whatever it holds.
#[component]
pub fn TextArea(
    name: &'static str,
    value: String,
    #[prop(default = 12)] rows: u32,
    /// Whether there is an error beside it; it has the focus then.
    #[prop(optional)]
    wrong: bool,
) -> impl IntoView {
    let error = format!("{name}-error");
    view! {
        <textarea
            id=name name=name rows=rows spellcheck="false" class="mono" inner_html=escaped(&value)
            aria-invalid=wrong.then_some("true") aria-describedby=error autofocus=wrong
        ></textarea>
    }
}

/// HTML drops one newline right after the tag, so one is put there.
fn escaped(text: &str) -> String {
    format!("\n{}", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_the_area() {
        let html =
            view! { <TextArea name="policy" value="</textarea><script>alert(1)</script>&lt;".into()/> }
                .to_html();
        assert!(!html.contains("<script>"), "{html}");
        assert!(
            html.contains("\n&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;lt;</textarea>"),
            "{html}"
        );
    }
}
