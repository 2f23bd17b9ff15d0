//! Saved searches, and the search by a prompt's text.

use agentframer::domain::access::Permission;
use agentframer::domain::search::STARTERS;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::log::saved_searches::SavedSearch;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{Asked, link};
use crate::actions::{DeleteSearch, FindByPrompt, SaveSearch};
use crate::components::field::Field;
use crate::components::text_area::TextArea;
use crate::flash::Flash;

/// What is saved, what everybody has, and the form that saves another.
pub fn saved(asked: &Asked, scope: &Scope, saved: Vec<SavedSearch>, flash: Flash) -> AnyView {
    let (is_wrong, has_own) = (flash.field.as_deref() == Some("name"), !saved.is_empty());
    let own = saved.into_iter().map(|saved| own_line(asked, scope, saved)).collect_view();
    let starters = STARTERS.map(|starter| {
        let href = link(&asked.workspace, starter.tab, starter.query);
        view! { <li><a class="link" href=href>{starter.name}</a><code class="mono">{starter.query}</code></li> }
    });
    view! {
        <details class="card" open=is_wrong>
            <summary><b>"Saved searches"</b></summary>
            <div class="in stack">
                {has_own.then(|| view! { <ul class="saved">{own}</ul> })}
                <h3>"For a SOC 2 review"</h3>
                <ul class="saved">{starters.collect_view()}</ul>
                {save_form(asked, flash)}
            </div>
        </details>
    }
    .into_any()
}

/// The form that searches by a prompt's hash.
pub fn find_by_prompt(asked: &Asked, flash: &Flash) -> AnyView {
    let error = flash.error_at("prompt", "Prompt");
    let is_lost = error.is_some();
    view! {
        <details class="card" open=is_lost>
            <summary><b>"Find by prompt"</b></summary>
            <form method="post" action=FindByPrompt::url() class="in stack">
                <input type="hidden" name="workspace" value=asked.workspace.clone()/>
                <div class="field">
                    <label for="prompt">"The prompt, word for word"</label>
                    <TextArea name="prompt" value=String::new() rows=4 wrong=is_lost/>
                    <p class="hint">"It is hashed with this workspace’s salt and searched by its hash. The text itself is not kept."</p>
                    <p class="error" id="prompt-error">{error}</p>
                </div>
                <div><button class="btn first">"Find its calls"</button></div>
            </form>
        </details>
    }
    .into_any()
}

fn own_line(asked: &Asked, scope: &Scope, saved: SavedSearch) -> AnyView {
    let may_delete = saved.owner == scope.actor || scope.role.may(Permission::ChangeSettings);
    let href = link(&asked.workspace, &saved.tab, &saved.query);
    let delete = may_delete.then(|| {
        view! {
            <form method="post" action=DeleteSearch::url()>
                <input type="hidden" name="workspace" value=asked.workspace.clone()/>
                <input type="hidden" name="search" value=saved.id.to_string()/>
                <button class="quiet" aria-label=format!("Remove {}", saved.name)>"Remove"</button>
            </form>
        }
    });
    let tag = if saved.shared { "everybody" } else { "only you" };
    view! {
        <li><a class="link" href=href>{saved.name.clone()}</a><span class="tag">{tag}</span><code class="mono">{saved.query}</code>{delete}</li>
    }
    .into_any()
}

/// Only what was searched can be saved.
fn save_form(asked: &Asked, flash: Flash) -> AnyView {
    if asked.text.is_empty() || asked.search.is_err() {
        return view! { <p class="hint">"Search for something to save it here under a name."</p> }.into_any();
    }
    view! {
        <form method="post" action=SaveSearch::url() class="stack narrow">
            <input type="hidden" name="workspace" value=asked.workspace.clone()/>
            <input type="hidden" name="tab" value=asked.tab.as_str()/>
            <input type="hidden" name="query" value=asked.text.clone()/>
            <Field name="name" label="Save this search as" flash=flash/>
            <label class="choice"><input type="checkbox" name="shared" value="true"/><span>"For everybody in this workspace"</span></label>
            <div><button class="btn">"Save"</button></div>
        </form>
    }
    .into_any()
}
