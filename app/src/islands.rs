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

/// The log's search box. Completes the word that is being typed; without WASM it completes the first one.
#[island]
pub fn SearchInput(
    /// What was searched.
    value: String,
    /// Whole words to offer.
    words: Vec<String>,
    /// Whether the query could not be read.
    wrong: bool,
) -> impl IntoView {
    let typed = RwSignal::new(value.clone());
    let offered = move || offers(&typed.get(), &words);
    view! {
        <input
            type="search" id="q" name="q" value=value list="q-words" maxlength="2000" autocomplete="off" spellcheck="false" autocapitalize="off"
            class="mono" placeholder="agent:growth-bot cost:>0.5 -status:free after:7d" aria-label="Search the log"
            aria-invalid=wrong.then_some("true") aria-describedby="q-error"
            on:input=move |event| typed.set(event_target_value(&event))
        />
        <datalist id="q-words">
            {move || offered().into_iter().map(|word| view! { <option value=word></option> }).collect_view()}
        </datalist>
    }
}

/// What was typed before the last word, with each word that begins as the last one does.
fn offers(typed: &str, words: &[String]) -> Vec<String> {
    let start = typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let (before, last) = typed.split_at(start);
    let (not, last) = last.strip_prefix('-').map_or(("", last), |rest| ("-", rest));
    let found = words.iter().filter(|word| word.starts_with(last) && *word != last);
    found.take(24).map(|word| format!("{before}{not}{word}")).collect()
}

thread_local! {
    /// What the page's one [`LiveLog`] follows; outside the reactive system, whose values may end on another thread.
    static FOLLOWED: std::cell::RefCell<Option<web_sys::EventSource>> = const { std::cell::RefCell::new(None) };
}

/// Follows the log: new entries that match stand above the list until the page is loaded anew.
#[island]
pub fn LiveLog(
    /// Where the events come from.
    url: String,
    /// The address of the log's page.
    base: String,
) -> impl IntoView {
    let lines = RwSignal::new(Vec::<Vec<String>>::new());
    let is_live = RwSignal::new(false);
    let toggle = move |_| {
        if let Some(open) = FOLLOWED.take() {
            open.close();
            is_live.set(false);
        } else if let Ok(open) = web_sys::EventSource::new(&url) {
            open.set_onmessage(Some(&listener(lines)));
            FOLLOWED.set(Some(open));
            is_live.set(true);
        }
    };
    view! {
        <button type="button" class="btn" class:on=move || is_live.get() on:click=toggle aria-pressed=move || is_live.get().to_string()>
            {move || if is_live.get() { "Pause" } else { "Follow live" }}
        </button>
        <ol class="live" aria-live="polite" aria-label="New entries">
            {move || lines.get().into_iter().map(|cells| live_line(&base, cells)).collect_view()}
        </ol>
    }
}

/// The newest first, and not more than the list under them.
fn listener(lines: RwSignal<Vec<Vec<String>>>) -> web_sys::js_sys::Function {
    use web_sys::wasm_bindgen::JsCast;
    use web_sys::wasm_bindgen::closure::Closure;
    let heard = move |event: web_sys::MessageEvent| {
        let text = event.data().as_string().unwrap_or_default();
        let new = text.lines().rev().map(|line| line.split('\t').map(str::to_owned).collect());
        lines.update(|lines| {
            lines.splice(0..0, new);
            lines.truncate(50);
        });
    };
    Closure::<dyn Fn(web_sys::MessageEvent)>::new(heard).into_js_value().unchecked_into()
}

fn live_line(base: &str, cells: Vec<String>) -> impl IntoView + use<> {
    let cell = |index: usize| cells.get(index).cloned().unwrap_or_default();
    let time = cell(0).get(11..19).unwrap_or_default().to_owned();
    let href = format!("{base}/{}", cell(5));
    view! {
        <li><a href=href><time>{time}</time><b>{cell(1)}</b><span>{cell(2)}</span><span>{cell(3)}</span><span class="num">{cell(4)}</span></a></li>
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

#[cfg(test)]
mod tests {
    use super::offers;

    #[test]
    fn the_word_that_is_typed_is_completed() {
        let words = ["tool:generate_image", "tool:get_credits", "agent:a"].map(str::to_owned);
        assert_eq!(offers("to", &words), ["tool:generate_image", "tool:get_credits"]);
        assert_eq!(
            offers("agent:a -tool:ge", &words),
            ["agent:a -tool:generate_image", "agent:a -tool:get_credits"]
        );
        assert!(offers("agent:a", &words).is_empty());
    }
}
