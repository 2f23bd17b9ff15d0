//! Where models may infer, and where copies of the media go.

use agentframer::domain::region::Region;
use agentframer::domain::settings::Inference;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::access::settings::Settings;
use agentframer::engine::data::replication::ReplicationView;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::SetResidency;
use crate::components::field::ChoiceGroup;
use crate::flash::Flash;
use crate::words;

/// The card: a form for who may change it.
pub fn residency(
    scope: &Scope,
    may: bool,
    settings: &Settings,
    copies: &ReplicationView,
    flash: &Flash,
) -> impl IntoView + use<> {
    let region = scope.workspace.region;
    let home = format!("{} ({region})", region.place());
    let inside = if may { form(scope, settings, flash).into_any() } else { facts(settings).into_any() };
    view! {
        <section class="card" id="residency">
            <header><h2>"Residency"</h2><span class="muted grow">{format!("The workspace lives in the {home}; that never changes.")}</span></header>
            {inside}
            <footer>{told(settings, copies)}</footer>
        </section>
    }
}

/// How far the copies are.
fn told(settings: &Settings, copies: &ReplicationView) -> String {
    match (settings.replicate_to, copies.copies, copies.lag_us) {
        (None, 0, _) => "No copy of the media stands anywhere else.".into(),
        (None, 1, _) => "1 copy is being deleted.".into(),
        (None, left, _) => format!("{left} copies are being deleted."),
        (Some(region), made, 0) => {
            format!("In {region}: copies of {}, all there are.", words::count(made, "result"))
        }
        (Some(region), made, lag) => format!(
            "In {region}: copies of {}; the oldest without one waits {}.",
            words::count(made, "result"),
            lag_words(lag)
        ),
    }
}

fn lag_words(lag_us: i64) -> String {
    match lag_us / 1_000_000 {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

fn facts(settings: &Settings) -> impl IntoView + use<> {
    let inference = match settings.inference {
        Inference::Any => "any model",
        Inference::RegionOnly => "only models that infer in the region",
    };
    let copies = settings.replicate_to.map_or("nowhere", Region::as_str);
    view! {
        <dl class="in facts">
            <div><dt>"Inference"</dt><dd>{inference}</dd></div>
            <div><dt>"Copies of media"</dt><dd>{copies}</dd></div>
        </dl>
    }
}

fn form(scope: &Scope, settings: &Settings, flash: &Flash) -> impl IntoView + use<> {
    let own = scope.workspace.region;
    let inference =
        flash.kept.get("inference").cloned().unwrap_or_else(|| settings.inference.as_str().to_owned());
    let now = settings.replicate_to.map_or("", Region::as_str).to_owned();
    let copies = flash.kept.get("replicate_to").cloned().unwrap_or(now);
    let choice =
        |name: &'static str, value: &'static str, chosen: &str, title: String, about: &'static str| {
            let is_chosen = chosen == value;
            view! {
                <label class="choice">
                    <input type="radio" name=name value=value required checked=is_chosen/>
                    <span><b>{title}</b><small>{about}</small></span>
                </label>
            }
        };
    let others = Region::ALL.into_iter().filter(|region| *region != own);
    let others = others.map(|region| {
        choice("replicate_to", region.as_str(), &copies, region.place().to_owned(), region.as_str())
    });
    let others: Vec<_> = others.collect();
    view! {
        <form method="post" action=SetResidency::url() class="in stack">
            <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
            <ChoiceGroup name="inference" legend="Models" wrong=flash.error_at("inference", "This")>
                {choice("inference", "region_only", &inference, "In the region only".into(), "others are refused with residency_violation")}
                {choice("inference", "any", &inference, "Any model".into(), "prompts may leave the region")}
            </ChoiceGroup>
            <ChoiceGroup name="replicate_to" legend="Copies of the media" wrong=flash.error_at("replicate_to", "The region")>
                {choice("replicate_to", "", &copies, "Nowhere".into(), "copies that are there are deleted")}
                {others}
            </ChoiceGroup>
            <div><button class="btn first">"Save"</button></div>
        </form>
    }
}
