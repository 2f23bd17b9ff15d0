//! The table “Where your data lives”.

use agentframer::engine::data::places::DataPlace;
use leptos::prelude::*;

/// Each class of data, its place, how long it is kept, how it is encrypted.
#[component]
pub fn Places(places: Vec<DataPlace>) -> impl IntoView {
    let line = |place: DataPlace| {
        view! {
            <tr>
                <th scope="row">{place.what}</th><td>{place.place}</td><td>{place.kept}</td><td>{place.encryption}</td>
            </tr>
        }
    };
    view! {
        <section class="card" id="where">
            <header><h2>"Where your data lives"</h2><span class="muted grow">"from the configuration in force"</span></header>
            <div class="scroll" tabindex="0">
                <table class="places">
                    <thead><tr><th>"What"</th><th>"Where"</th><th>"Kept"</th><th>"Encryption at rest"</th></tr></thead>
                    <tbody>{places.into_iter().map(line).collect_view()}</tbody>
                </table>
            </div>
        </section>
    }
}
