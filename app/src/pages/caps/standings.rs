//! Where the month stands against each limit, a bar for each.

use agentframer::engine::money::standing::{Against, Standing};
use leptos::prelude::*;

/// All limits that are set. Who sees billing may open agents.
pub fn standings(workspace: &str, all: &[Standing]) -> impl IntoView + use<> {
    let line = |standing: &Standing| {
        let name = name(workspace, &standing.against);
        line(name, words(standing), percent(standing), tone(standing))
    };
    all.iter().map(line).collect_view()
}

fn line(name: AnyView, words: String, percent: u32, tone: &'static str) -> impl IntoView {
    let class = format!("bar-used {tone}");
    view! {
        <div class="in standing">
            <p class="row between"><span>{name}</span><span class="num">{words.clone()}</span></p>
            <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=words>
                <rect class="bar-all" width="100" height="8" rx="2"/><rect class=class width=percent height="8" rx="2"/>
            </svg>
        </div>
    }
}

fn name(workspace: &str, against: &Against) -> AnyView {
    match against {
        Against::WorkspaceMonth => "This month’s cap".into_any(),
        Against::TypicalMonth { pct } => format!("Alert at {pct} % of a typical month").into_any(),
        Against::Floor => "Floor of the balance".into_any(),
        Against::Agent { id, name, of_day } => {
            let period = if *of_day { " today" } else { " this month" };
            let link = format!("/w/{workspace}/agents/{id}");
            let name = name.clone();
            view! { <a class="link" href=link>{name}</a> {period} }.into_any()
        }
    }
}

fn words(standing: &Standing) -> String {
    let (used, limit) = (standing.used.display(), standing.limit.display());
    match standing.against {
        Against::Floor => format!("{used} available, floor {limit}"),
        _ => format!("{used} of {limit}"),
    }
}

fn percent(standing: &Standing) -> u32 {
    standing.used.percent_of(standing.limit).unwrap_or(0).min(100)
}

/// Red where calls are refused or agents told to stop, amber where people are told or soon will be.
fn tone(standing: &Standing) -> &'static str {
    let (percent, is_reached) = (percent(standing), standing.used >= standing.limit);
    match standing.against {
        Against::Floor if !is_reached => "bad",
        Against::Floor => "",
        Against::TypicalMonth { .. } if is_reached => "warn",
        Against::TypicalMonth { .. } => "",
        _ if is_reached => "bad",
        _ if percent >= 90 => "warn",
        _ => "",
    }
}
