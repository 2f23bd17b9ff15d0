//! Where the month stands against each limit, a bar for each.

use agentframer::engine::money::limits::{Against, LimitUse};
use leptos::prelude::*;

use crate::components::meter::Meter;
use crate::words::cents;

/// All limits that are set. Who sees billing may open agents.
pub fn limits(workspace: &str, all: &[LimitUse]) -> impl IntoView + use<> {
    let line = |limit: &LimitUse| {
        let name = name(workspace, &limit.against);
        line(name, words(limit), percent(limit), tone(limit))
    };
    all.iter().map(line).collect_view()
}

fn line(name: AnyView, words: String, percent: u32, tone: &'static str) -> impl IntoView {
    view! {
        <div class="in standing">
            <p class="row"><span>{name}</span><span class="num">{words.clone()}</span></p>
            <Meter percent=percent text=words tone=tone/>
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

fn words(limit: &LimitUse) -> String {
    let (used, whole) = (limit.used.display(), limit.limit.display());
    match limit.against {
        Against::Floor => format!("{used} available, floor {whole}"),
        Against::TypicalMonth { .. } => format!("{used} of ~{}", cents(limit.limit)),
        _ => format!("{used} of {whole}"),
    }
}

fn percent(limit: &LimitUse) -> u32 {
    limit.used.percent_of(limit.limit).unwrap_or(0).min(100)
}

/// Red where calls are refused or agents told to stop, amber where people are told or soon will be.
fn tone(limit: &LimitUse) -> &'static str {
    let (percent, is_reached) = (percent(limit), limit.used >= limit.limit);
    match limit.against {
        Against::Floor if !is_reached => "bad",
        Against::Floor => "",
        Against::TypicalMonth { .. } if is_reached => "warn",
        Against::TypicalMonth { .. } => "",
        _ if is_reached => "bad",
        _ if percent >= 90 => "warn",
        _ => "",
    }
}
