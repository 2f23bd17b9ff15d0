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

/// Follows the log: new entries that match stand above the list until the page is loaded anew. After a pause
/// it goes on where it stopped.
#[island]
pub fn LiveLog(
    /// Where the events come from; has a query.
    url: String,
    /// The address of the log's page.
    base: String,
    /// The log's place that the list under it reaches to.
    after: i64,
) -> impl IntoView {
    let lines = RwSignal::new(Vec::<Vec<String>>::new());
    let is_live = RwSignal::new(false);
    let seen = RwSignal::new(after.to_string());
    let toggle = move |_| {
        if let Some(open) = FOLLOWED.take() {
            open.close();
            is_live.set(false);
        } else if let Ok(open) = web_sys::EventSource::new(&format!("{url}&after={}", seen.get_untracked())) {
            open.set_onmessage(Some(&listener(lines, seen)));
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
fn listener(lines: RwSignal<Vec<Vec<String>>>, seen: RwSignal<String>) -> web_sys::js_sys::Function {
    use web_sys::wasm_bindgen::JsCast;
    use web_sys::wasm_bindgen::closure::Closure;
    let heard = move |event: web_sys::MessageEvent| {
        let text = event.data().as_string().unwrap_or_default();
        let new = text.lines().rev().map(|line| line.split('\t').map(str::to_owned).collect());
        lines.update(|lines| {
            lines.splice(0..0, new);
            lines.truncate(50);
        });
        seen.set(event.last_event_id());
    };
    Closure::<dyn Fn(web_sys::MessageEvent)>::new(heard).into_js_value().unchecked_into()
}

fn live_line(base: &str, cells: Vec<String>) -> impl IntoView + use<> {
    let cell = |index: usize| cells.get(index).cloned().unwrap_or_default();
    let href = format!("{base}/{}", cell(5));
    view! {
        <li><a href=href><time datetime=cell(0)>{cell(6)}</time><b>{cell(1)}</b><span>{cell(2)}</span><span>{cell(3)}</span><span class="num">{cell(4)}</span></a></li>
    }
}

/// Tells the server by a cookie in which zone the browser is; the next page follows it.
#[island]
pub fn OwnZone() -> impl IntoView {
    Effect::new(move |_| {
        use web_sys::js_sys::{Array, Intl, Object, Reflect};
        let format = Intl::DateTimeFormat::new(&Array::new(), &Object::new());
        let zone = Reflect::get(&format.resolved_options(), &"timeZone".into());
        if let Some(zone) = zone.ok().and_then(|zone| zone.as_string()) {
            let cookie = format!("zone={zone}; Path=/; Max-Age=31536000; SameSite=Lax");
            let _ = Reflect::set(&document(), &"cookie".into(), &cookie.into());
        }
    });
}

/// Takes what stands in a live region out and puts it in again: screen readers tell only what changes.
#[island]
pub fn SayAgain(
    /// The region's id.
    id: String,
) -> impl IntoView {
    Effect::new(move |_| {
        let Some(region) = document().get_element_by_id(&id) else { return };
        // Who is in it has heard of it.
        if region.contains(document().active_element().as_deref()) {
            return;
        }
        let mut said = Vec::new();
        while let Some(child) = region.first_child() {
            let _ = region.remove_child(&child);
            said.push(child);
        }
        let again = move || said.iter().for_each(|child| drop(region.append_child(child)));
        set_timeout(again, std::time::Duration::from_millis(150));
    });
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

/// Links with a filter over their names; it shows itself once it is awake.
#[island]
pub fn FilteredLinks(
    /// Name and address of each.
    links: Vec<(String, String)>,
) -> impl IntoView {
    let (typed, is_awake) = (RwSignal::new(String::new()), RwSignal::new(false));
    Effect::new(move |_| is_awake.set(true));
    let shown =
        move || links.iter().filter(|(name, _)| holds(name, &typed.get())).cloned().collect::<Vec<_>>();
    view! {
        <input type="search" aria-label="Filter" placeholder="Filter" hidden=move || !is_awake.get() on:input=move |event| typed.set(event_target_value(&event))/>
        <ul>{move || shown().into_iter().map(|(name, href)| view! { <li><a href=href>{name}</a></li> }).collect_view()}</ul>
    }
}

/// Fills the text area called `into` with a file of the reader's, which is not sent anywhere; it shows itself once it is awake.
#[island]
pub fn FileInto(
    /// The id of the text area.
    into: String,
    /// The input's label.
    label: String,
    /// Which files are offered, such as `.csv`.
    accept: String,
) -> impl IntoView {
    let is_awake = RwSignal::new(false);
    Effect::new(move |_| is_awake.set(true));
    let read = move |event| {
        if let Some(file) = chosen_file(&event) {
            read_into(&file, into.clone());
        }
    };
    view! {
        <label class="file" hidden=move || !is_awake.get()>{label}" "<input type="file" accept=accept on:change=read/></label>
    }
}

fn chosen_file(event: &web_sys::Event) -> Option<web_sys::Blob> {
    use web_sys::js_sys::Reflect;
    use web_sys::wasm_bindgen::JsCast;
    let files = Reflect::get(&event.target()?.into(), &"files".into()).ok()?;
    Reflect::get_u32(&files, 0).ok()?.dyn_into().ok()
}

fn read_into(file: &web_sys::Blob, id: String) {
    use web_sys::wasm_bindgen::JsCast;
    use web_sys::wasm_bindgen::closure::Closure;
    let Ok(reader) = web_sys::FileReader::new() else { return };
    let read = reader.clone();
    let loaded = Closure::once_into_js(move || {
        let area = document().get_element_by_id(&id);
        let area = area.and_then(|area| area.dyn_into::<web_sys::HtmlTextAreaElement>().ok());
        let text = read.result().ok().and_then(|text| text.as_string());
        if let (Some(area), Some(text)) = (area, text) {
            area.set_value(&text);
        }
    });
    reader.set_onload(Some(loaded.unchecked_ref()));
    let _ = reader.read_as_text(file);
}

fn holds(name: &str, typed: &str) -> bool {
    name.to_lowercase().contains(&typed.trim().to_lowercase())
}

/// A page, agent, member or request that the palette found: its kind, name and address.
type Hit = [String; 3];

/// The command palette: Ctrl K or ⌘ K opens it, arrows choose, Enter goes. It shows itself once it is awake.
#[island]
pub fn Palette(
    /// Where it asks.
    url: String,
    /// Whether it asks of one workspace.
    inside: bool,
) -> impl IntoView {
    let (names, example) = match inside {
        true => ("Find a page, an agent, a member or a request", "A page, agent, member or request id"),
        false => ("Find a workspace or a page", "A workspace or page"),
    };
    let dialog = NodeRef::<leptos::html::Dialog>::new();
    let (hits, chosen, asked) = (RwSignal::new(Vec::<Hit>::new()), RwSignal::new(0), RwSignal::new(0));
    // Who types fast presses Enter before the answer is there, and means what it will say.
    let (answered, enters) = (RwSignal::new(0), RwSignal::new(false));
    let (is_awake, is_mac) = (RwSignal::new(false), RwSignal::new(false));
    let said = RwSignal::new("");
    let ask = move |text: String| {
        let number = asked.get_untracked() + 1;
        asked.set(number);
        enters.set(false);
        let heard = move |status: u16, answer: String| {
            // An older answer may come after a newer one.
            if asked.get_untracked() != number {
                return;
            }
            hits.set(if status == 200 { read_hits(&answer) } else { Vec::new() });
            said.set(sentence(status, hits.with_untracked(Vec::len), inside));
            chosen.set(0);
            answered.set(number);
            if enters.get_untracked() {
                go(hits.with_untracked(|hits| hits.first().cloned()));
            }
        };
        get(&format!("{url}?q={}", web_sys::js_sys::encode_uri_component(&text)), heard);
    };
    let open = {
        let ask = ask.clone();
        move || {
            if let Some(dialog) = dialog.get_untracked().filter(|dialog| !dialog.open()) {
                let _ = dialog.show_modal();
                ask(String::new());
            }
        }
    };
    let by_key = open.clone();
    Effect::new(move |_| {
        is_awake.set(true);
        is_mac.set(window().navigator().platform().is_ok_and(|name| name.starts_with("Mac")));
        let open = by_key.clone();
        let _ = window_event_listener(leptos::ev::keydown, move |event| {
            if (event.ctrl_key() || event.meta_key()) && event.key() == "k" {
                event.prevent_default();
                open();
            }
        });
    });
    Effect::new(move |_| show_hit(chosen.get()));
    let press = move |event: web_sys::KeyboardEvent| {
        let count = hits.with_untracked(Vec::len);
        match event.key().as_str() {
            "ArrowDown" if count > 0 => chosen.update(|chosen| *chosen = (*chosen + 1) % count),
            "ArrowUp" if count > 0 => chosen.update(|chosen| *chosen = (*chosen + count - 1) % count),
            "Enter" if answered.get_untracked() != asked.get_untracked() => enters.set(true),
            "Enter" => go(hits.with_untracked(|hits| hits.get(chosen.get_untracked()).cloned())),
            _ => return,
        }
        event.prevent_default();
    };
    view! {
        <button type="button" class="btn palette-open" hidden=move || !is_awake.get() on:click=move |_| open()>
            <span>"Find"</span><kbd>{move || if is_mac.get() { "⌘ K" } else { "Ctrl K" }}</kbd>
        </button>
        <dialog node_ref=dialog class="palette" aria-label=names>
            <input
                type="search" role="combobox" aria-expanded="true" aria-controls="palette-hits" aria-label="Find" autocomplete="off" spellcheck="false"
                aria-activedescendant=move || hits.with(|hits| !hits.is_empty()).then(|| hit_id(chosen.get())) placeholder=example
                on:input=move |event| ask(event_target_value(&event)) on:keydown=press
            />
            <ul id="palette-hits" role="listbox" aria-label="Found">
                {move || hits.get().into_iter().enumerate().map(|(number, hit)| hit_line(number, hit, chosen)).collect_view()}
            </ul>
            <p class="empty" role="status" hidden=move || said.get().is_empty()>{move || said.get()}</p>
        </dialog>
    }
}

/// What to say where nothing is offered. No answer at all has the status 0.
fn sentence(status: u16, hits: usize, inside: bool) -> &'static str {
    match (status, hits) {
        (200, 0) if inside => "Nothing has that in its name. A request is found by its whole id.",
        (200, 0) => "Nothing has that in its name. What is in a workspace is found from its pages.",
        (200, _) => "",
        (401, _) => "Your session has ended. Load the page again to sign in.",
        (404, _) => "You do not belong to this workspace any more.",
        _ => "The server did not answer. Check the network, then type again.",
    }
}

fn hit_id(number: usize) -> String {
    format!("hit-{number}")
}

/// Scrolls the list, no further than it must, until the hit is seen.
fn show_hit(number: usize) {
    let nearest = web_sys::ScrollIntoViewOptions::new();
    nearest.set_block(web_sys::ScrollLogicalPosition::Nearest);
    if let Some(hit) = document().get_element_by_id(&hit_id(number)) {
        hit.scroll_into_view_with_scroll_into_view_options(&nearest);
    }
}

fn hit_line(number: usize, hit: Hit, chosen: RwSignal<usize>) -> impl IntoView {
    let (kind, label) = (hit[0].clone(), hit[1].clone());
    view! {
        <li role="option" id=hit_id(number) aria-selected=move || (chosen.get() == number).to_string() on:click=move |_| go(Some(hit.clone()))>
            <span>{label}</span><small>{kind}</small>
        </li>
    }
}

fn go(hit: Option<Hit>) {
    if let Some([_, _, href]) = hit {
        let _ = window().location().set_href(&href);
    }
}

/// Asks our own server: the status, 0 where it does not answer, and the text.
fn get(url: &str, heard: impl FnOnce(u16, String) + 'static) {
    use web_sys::wasm_bindgen::JsCast;
    use web_sys::wasm_bindgen::closure::Closure;
    let Ok(request) = web_sys::XmlHttpRequest::new() else { return };
    let answer = request.clone();
    let ended = Closure::once_into_js(move || {
        heard(answer.status().unwrap_or(0), answer.response_text().ok().flatten().unwrap_or_default());
    });
    request.set_onloadend(Some(ended.unchecked_ref()));
    let _ = request.open("GET", url).and_then(|()| request.send());
}

/// `[{kind, label, href}]`, read by the browser: a reader of our own would cost more bytes than the palette.
fn read_hits(text: &str) -> Vec<Hit> {
    use web_sys::js_sys::{Array, JSON, Reflect};
    use web_sys::wasm_bindgen::JsValue;
    let Ok(list) = JSON::parse(text) else { return Vec::new() };
    let read = |hit: &JsValue, name: &str| {
        Reflect::get(hit, &name.into()).ok().and_then(|value| value.as_string()).unwrap_or_default()
    };
    Array::from(&list).iter().map(|hit| ["kind", "label", "href"].map(|name| read(&hit, name))).collect()
}

#[cfg(test)]
mod tests {
    use super::{holds, offers};

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

    #[test]
    fn a_filter_ignores_case_and_spaces_around() {
        assert!(holds("Growth EU", " eu ") && holds("Growth", "") && !holds("Growth", "labs"));
    }
}
