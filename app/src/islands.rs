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

/// Saves the SVG at `picture` as a PNG of twice its size. Browsers draw it; without scripts there is the SVG.
#[island]
pub fn PngButton(
    /// The picture's path on this server.
    picture: String,
    /// The file's name.
    name: String,
) -> impl IntoView {
    let is_ready = RwSignal::new(false);
    Effect::new(move |_| is_ready.set(true));
    let (image, canvas, link) = (
        NodeRef::<leptos::html::Img>::new(),
        NodeRef::<leptos::html::Canvas>::new(),
        NodeRef::<leptos::html::A>::new(),
    );
    let load = move |_| {
        if let Some(image) = image.get_untracked() {
            image.set_src(&picture);
        }
    };
    let save = move |_| {
        let (image, canvas, link) = (image.get_untracked(), canvas.get_untracked(), link.get_untracked());
        if let (Some(image), Some(canvas), Some(link)) = (image, canvas, link)
            && let Some(url) = as_png(&image, &canvas)
        {
            link.set_href(&url);
            link.click();
        }
    };
    view! {
        <button type="button" class="btn" hidden=move || !is_ready.get() on:click=load>"PNG"</button>
        <img node_ref=image on:load=save alt="" hidden/>
        <canvas node_ref=canvas hidden></canvas>
        <a node_ref=link download=name hidden tabindex="-1">"PNG"</a>
    }
}

/// The picture as a `data:` URL.
fn as_png(image: &web_sys::HtmlImageElement, canvas: &web_sys::HtmlCanvasElement) -> Option<String> {
    use leptos::wasm_bindgen::JsCast;
    let (width, height) = (image.natural_width() * 2, image.natural_height() * 2);
    canvas.set_width(width);
    canvas.set_height(height);
    let context = canvas.get_context("2d").ok()??.dyn_into::<web_sys::CanvasRenderingContext2d>().ok()?;
    let (width, height) = (f64::from(width), f64::from(height));
    context.draw_image_with_html_image_element_and_dw_and_dh(image, 0.0, 0.0, width, height).ok()?;
    canvas.to_data_url().ok()
}
