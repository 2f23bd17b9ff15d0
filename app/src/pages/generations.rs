//! `/w/{id}/generations`: what was made.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::policy::Tool;
use agentframer::engine::log::reading::{GenerationFilter, GenerationView};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{list_page, older};
use crate::actions::DeleteGeneration;
use crate::components::field::Said;
use crate::components::filter::WrongFilter;
use crate::components::frame::{page, workspace_page};
use crate::components::when::When;

/// A gallery, newest first, with a filter over it.
#[component]
pub fn Generations() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadActivity).await?;
        let typed = GenerationFilter {
            agent: ask.query("agent").map(|name| full_name(&name)),
            tool: ask.query("tool"),
            model: ask.query("model"),
            request_id: None,
        };
        let (filter, wrong) = WrongFilter::or(checked(&typed), GenerationFilter::default);
        let made = ask.engine.generations(&scope, &filter, list_page(&ask)).await?;
        let words = ask.engine.log_words(&scope).await?;
        let agents = words.users.iter().filter_map(|user| user.strip_prefix("agent.")).map(str::to_owned);
        let place = Place {
            workspace: scope.workspace.id.to_string(),
            may_delete: scope.role.may(Permission::ChangeSettings),
        };
        let is_empty = made.items.is_empty();
        let empty = if filter_is_set(&filter) { "Nothing of that kind." } else { EMPTY };
        let body = view! {
            <Said flash=ask.flash()/>
            {wrong.note("Everything is shown.")}
            {filter_form(&typed, &wrong, agents.collect(), words.models.into_iter().collect()).into_any()}
            {is_empty.then(|| view! { <p class="card empty">{empty}</p> })}
            <ul class="gallery">{made.items.into_iter().map(|one| tile(one, &place)).collect_view()}</ul>
            {older(&ask, made.next_cursor).map(|href| view! { <div class="row"><a class="btn grow" rel="next" href=href>"Older"</a></div> })}
        };
        let line = "Each picture and video until its retention ends";
        Ok(workspace_page(&ask, &scope, "Generations", line, (), body))
    })
}

const EMPTY: &str = "Nothing yet. What agents make with generate_image and generate_video appears here.";

/// Where tiles lead to, and what the reader may do.
struct Place {
    workspace: String,
    may_delete: bool,
}

fn full_name(name: &str) -> String {
    format!("agent.{}", name.strip_prefix("agent.").unwrap_or(name))
}

fn filter_is_set(filter: &GenerationFilter) -> bool {
    filter.agent.is_some() || filter.tool.is_some() || filter.model.is_some()
}

/// The tools that make something.
const MAKERS: [Tool; 2] = [Tool::GenerateImage, Tool::GenerateVideo];

/// Agents and models come and go; a tool that makes nothing is a slip.
fn checked(filter: &GenerationFilter) -> Result<GenerationFilter, FieldError> {
    let is_known = |name: &String| MAKERS.iter().any(|tool| tool.as_str() == name);
    match filter.tool.as_ref().is_none_or(is_known) {
        true => Ok(filter.clone()),
        false => Err(FieldError::new("tool", "is not generate_image or generate_video")),
    }
}

fn filter_form(
    filter: &GenerationFilter,
    wrong: &WrongFilter,
    agents: Vec<String>,
    models: Vec<String>,
) -> impl IntoView + use<> {
    let tools = MAKERS.map(|tool| tool.to_string()).to_vec();
    let agent = filter.agent.as_deref().map(|name| name.strip_prefix("agent.").unwrap_or(name));
    view! {
        <form class="row filter" role="search">
            {choice("agent", "Every agent", agents, agent, None)}
            {choice("model", "Every model", models, filter.model.as_deref(), None)}
            {choice("tool", "Images and videos", tools, filter.tool.as_deref(), wrong.at("tool"))}
            <button class="btn">"Filter"</button>
        </form>
    }
}

/// What the address names is offered although nothing of it is there.
fn choice(
    name: &'static str,
    all: &'static str,
    mut values: Vec<String>,
    now: Option<&str>,
    wrong: Option<String>,
) -> impl IntoView + use<> {
    let (error, is_wrong) = (format!("{name}-error"), wrong.is_some());
    if let Some(now) = now.filter(|now| !values.iter().any(|value| value == now)) {
        values.push(now.to_owned());
    }
    let option = |value: String| {
        let selected = now == Some(value.as_str());
        view! { <option value=value.clone() selected=selected>{value.clone()}</option> }
    };
    view! {
        <select id=name name=name aria-label=all aria-invalid=is_wrong.then_some("true") aria-describedby=error.clone() autofocus=is_wrong>
            <option value="">{all}</option>
            {values.into_iter().map(option).collect_view()}
        </select>
        <p class="error" id=error>{wrong}</p>
    }
}

fn tile(made: GenerationView, place: &Place) -> impl IntoView + use<> {
    let size = match made.duration_s {
        Some(seconds) => format!("{} × {} · {seconds} s", made.width, made.height),
        None if made.count > 1 => format!("{} × {} · {} files", made.width, made.height, made.count),
        None => format!("{} × {}", made.width, made.height),
    };
    let audit = format!("/w/{}/audit/{}", place.workspace, made.request_id);
    let actions = (!made.result_urls.is_empty()).then(|| actions(&made, place).into_any());
    view! {
        <li class="card tile">
            {picture(&made)}
            <div>
                <p class="row"><b>{made.model.clone()}</b><span class="grow num">{made.cost_usd.display()}</span></p>
                <p class="muted">{size}</p>
                <p class="muted">{made.user_id.clone()}</p>
                {made.held.then(|| view! { <p><span class="tag warn">"legal hold"</span></p> })}
                <p><a class="link" href=audit><When at=made.ts/></a></p>
                {actions}
            </div>
        </li>
    }
}

fn picture(made: &GenerationView) -> AnyView {
    let kind = if made.duration_s.is_some() { "video" } else { "image" };
    let text = format!("{kind} by {}, {} × {}", made.user_id, made.width, made.height);
    let Some(full) = made.result_urls.first().cloned() else {
        return view! { <span class="gone">"deleted"</span> }.into_any();
    };
    // An image that has no small copy is shown itself; a video is opened.
    let shown = made.thumbnail_url.clone().or_else(|| (kind == "image").then(|| full.clone()));
    match shown {
        Some(small) => view! { <a href=full><img src=small alt=text loading="lazy"/></a> }.into_any(),
        None => view! { <a class="gone" href=full aria-label=text>"▶ video"</a> }.into_any(),
    }
}

/// Each file for keeps, and its end before its time.
fn actions(made: &GenerationView, place: &Place) -> impl IntoView + use<> {
    let many = made.result_urls.len() > 1;
    let link = |number: usize| {
        let label = if many { format!("Download {number}") } else { "Download".to_owned() };
        let href = format!("/w/{}/generations/{}/files/{number}", place.workspace, made.generation_id);
        view! { <a class="link" href=href>{label}</a> }
    };
    let links: Vec<_> = (1..=made.result_urls.len()).map(link).collect();
    let delete = place.may_delete.then(|| delete(made, place));
    view! { <div class="row files">{links}{delete}</div> }
}

fn delete(made: &GenerationView, place: &Place) -> impl IntoView + use<> {
    view! {
        <details class="grow">
            <summary class="muted">"Delete"</summary>
            <form method="post" action=DeleteGeneration::url() class="stack">
                <input type="hidden" name="workspace" value=place.workspace.clone()/>
                <input type="hidden" name="generation" value=made.generation_id.to_string()/>
                <p>"The files, their copies and the prompt go now and for good. The log entry and what it cost stay."</p>
                <div><button class="btn bad">"Delete now"</button></div>
            </form>
        </details>
    }
}
