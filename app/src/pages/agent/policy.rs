//! An agent's policy as controls and as JSON, each a form of its own over the same document.

use agentframer::domain::policy::Tool;
use agentframer::engine::calls::activity::{Over, TRIAL_DAYS, Trial};
use agentframer::engine::calls::models::WorkspaceModel;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use serde_json::Value;

use super::Ids;
use crate::actions::{SetPolicy, UpdatePolicy};
use crate::components::text_area::TextArea;
use crate::flash::Flash;
use crate::islands::CopyButton;
use crate::words;

/// What the editor shows.
pub struct Editor {
    /// The policy as it is saved, or as it was typed where it was not saved.
    pub policy: String,
    /// The brief's whole document.
    pub document: String,
    /// The library, for the choice of models.
    pub models: Vec<WorkspaceModel>,
    /// Whether the reader may change it.
    pub may: bool,
}

/// Both forms side by side; for those who may only read, the document.
pub fn editor(ids: &Ids, editor: Editor, saved: &Value, flash: &Flash) -> impl IntoView + use<> {
    // What cannot be read as JSON stays in its own form; the controls then show what is saved.
    let shown = serde_json::from_str(&editor.policy).unwrap_or_else(|_| saved.clone());
    let forms = editor.may.then(|| {
        view! {
            <div class="grid g2">
                {controls(ids, &shown, &editor.models, flash).into_any()}
                {json(ids, editor.policy, flash).into_any()}
            </div>
        }
    });
    let document = editor.document;
    view! {
        <section class="card" id="policy-card">
            <header><h2>"Policy"</h2></header>
            {forms}
            <details class="in" open=!editor.may>
                <summary>"The whole document, for export"</summary>
                <pre class="mono">{document.clone()}</pre>
                <CopyButton text=document/>
            </details>
        </section>
    }
}

/// The sentence at the input whose name begins the policy's field, such as `ip_allowlist[1]`.
fn wrong(flash: &Flash, field: &str) -> Option<String> {
    let place = flash.field.as_deref()?.strip_prefix(field)?;
    let problem = flash.problem.as_deref()?;
    (place.is_empty() || place.starts_with('[')).then(|| format!("This {problem}."))
}

fn controls(ids: &Ids, policy: &Value, models: &[WorkspaceModel], flash: &Flash) -> impl IntoView + use<> {
    let text = |name: &str| text_of(&policy[name]);
    let cap = |name: &str| text_of(&policy["caps"][name]);
    let networks = lines(&policy["ip_allowlist"]);
    let wrong_networks = wrong(flash, "ip_allowlist");
    let days = match text("token_rotation_days") {
        empty if empty.is_empty() => "90".to_owned(),
        days => days,
    };
    view! {
        <form method="post" action=SetPolicy::url() class="in stack">
            {ids.fields()}
            {tools(policy)}
            {model_choice(policy, models, flash)}
            <div class="field">
                <label for="ip_allowlist">"Networks that calls may come from"</label>
                <TextArea name="ip_allowlist" value=networks rows=3 wrong=wrong_networks.is_some()/>
                <p class="hint">"One a line, such as 10.0.0.0/8; empty for any."</p>
                <p class="error" id="ip_allowlist-error">{wrong_networks}</p>
            </div>
            <div class="grid g3 caps-fields">
                {amount("day_usd", "Cap a day (USD)", cap("day_usd"), wrong(flash, "caps.day_usd"))}
                {amount("month_usd", "Cap a month (USD)", cap("month_usd"), wrong(flash, "caps.month_usd"))}
                {amount("call_usd", "Cap a call (USD)", cap("call_usd"), wrong(flash, "caps.call_usd"))}
                {amount("token_rotation_days", "Days to a rotation", days, wrong(flash, "token_rotation_days"))}
            </div>
            {buttons()}
        </form>
    }
}

fn buttons() -> impl IntoView {
    view! {
        <div class="row">
            <button class="btn first" name="step" value="save">"Save policy"</button>
            <button class="btn" name="step" value="try">{format!("Try on the last {TRIAL_DAYS} days")}</button>
        </div>
    }
}

fn amount(name: &'static str, label: &'static str, value: String, wrong: Option<String>) -> impl IntoView {
    let described = format!("{name}-error");
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <input id=name name=name inputmode="decimal" value=value aria-invalid=wrong.is_some().then_some("true") aria-describedby=described.clone() autofocus=wrong.is_some()/>
            <p class="error" id=described>{wrong}</p>
        </div>
    }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn lines(list: &Value) -> String {
    names(list).join("\n")
}

/// A number or what was typed in its place.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Three choices a tool: what is denied stays denied, whoever permits it.
fn tools(policy: &Value) -> impl IntoView + use<> {
    let (permitted, denied) = (names(&policy["permissions"]), names(&policy["denied"]));
    let line = |tool: Tool| {
        let (may, never) = (permitted.contains(&tool.as_str()), denied.contains(&tool.as_str()));
        let name = format!("tools[{tool}]");
        let now = if never {
            "deny"
        } else if may {
            "permit"
        } else {
            "none"
        };
        let choice = |value: &'static str, label: &'static str| {
            view! { <td><input type="radio" name=name.clone() value=value checked=now == value aria-label=format!("{tool}: {label}")/></td> }
        };
        let both =
            (may && never).then(|| view! { " " <small class="muted">"permitted too: denied wins"</small> });
        view! { <tr><th scope="row" class="mono">{tool.as_str()}{both}</th>{choice("permit", "permitted")}{choice("none", "not permitted")}{choice("deny", "denied")}</tr> }
    };
    view! {
        <div class="scroll">
            <table class="choices-table">
                <thead><tr><th>"Tool"</th><th>"Permitted"</th><th>"Not"</th><th>"Denied"</th></tr></thead>
                <tbody>{Tool::ALL.map(line).collect_view()}</tbody>
            </table>
        </div>
        <p class="hint">"Denied wins: a tool that is denied is refused although something else permits it."</p>
    }
}

fn model_choice(policy: &Value, models: &[WorkspaceModel], flash: &Flash) -> impl IntoView + use<> {
    // Where the two contradict each other, the policy cannot hold what was ticked.
    let is_any = flash.kept.get("which_models").map_or(policy["models"].is_null(), |which| which != "some");
    let ticked = flash.kept.get("models");
    let chosen = ticked.map_or_else(|| names(&policy["models"]), |ticked| ticked.split(' ').collect());
    let wrong = flash.error_at("models", "Models").or_else(|| wrong(flash, "models"));
    let is_wrong = wrong.is_some();
    let choice = |known: &WorkspaceModel| {
        let id = known.model.id.clone();
        let kind = match known {
            WorkspaceModel { is_closed: true, .. } => "closed by its vendor",
            WorkspaceModel { is_allowed: false, .. } => "forbidden in this workspace",
            _ => known.model.kind.as_str(),
        };
        let checked = chosen.contains(&id.as_str());
        view! {
            <label class="choice">
                <input type="checkbox" name=format!("models[{id}]") value="on" checked=checked/>
                <span><b class="mono">{id}</b><small>{kind}</small></span>
            </label>
        }
    };
    let radio = |value: &'static str, label: &'static str, on: bool| {
        view! { <label class="choice"><input type="radio" name="which_models" value=value checked=on/><span>{label}</span></label> }
    };
    view! {
        <fieldset class="field" id="models" tabindex="-1" aria-describedby="models-error" autofocus=is_wrong>
            <legend>"Models"</legend>
            <div class="choices">{radio("any", "Every model of the workspace", is_any)}{radio("some", "Only these", !is_any)}</div>
            <details open=!is_any || is_wrong>
                <summary>"Choose models"</summary>
                <div class="choices">{models.iter().map(choice).collect_view()}</div>
            </details>
            <p class="error" id="models-error">{wrong}</p>
        </fieldset>
    }
}

fn json(ids: &Ids, policy: String, flash: &Flash) -> impl IntoView + use<> {
    let in_policy = wrong(flash, "policy");
    view! {
        <form method="post" action=UpdatePolicy::url() class="in stack">
            {ids.fields()}
            <label for="policy">"The same as JSON. Saving either form replaces the whole policy."</label>
            <TextArea name="policy" value=policy rows=24 wrong=in_policy.is_some()/>
            <p class="error" id="policy-error">{in_policy}</p>
            {buttons()}
        </form>
    }
}

/// What a policy would have refused, as sentences.
pub fn trial_text(trial: &Trial) -> String {
    if trial.calls == 0 {
        return format!("The agent made no successful call in the last {TRIAL_DAYS} days.");
    }
    let refused = trial
        .refused
        .iter()
        .map(|(why, calls, cost)| format!("{why} ({}, {})", words::count(*calls, "call"), cost.display()));
    let over = trial.over.iter().map(|Over { period, count, highest, limit }| {
        let periods = words::count(*count, period);
        format!("{periods} over the cap of {}, the dearest of {}", limit.display(), highest.display())
    });
    let parts: Vec<String> = refused.chain(over).collect();
    let of = format!("of {} in the last {TRIAL_DAYS} days", words::count(trial.calls, "successful call"));
    let networks =
        if trial.has_networks { " Networks are not tried: the addresses of calls are not kept." } else { "" };
    match parts.is_empty() {
        true => format!("It would have refused none {of}.{networks}"),
        false => format!("{}: {}.{networks}", capital(&of), parts.join("; ")),
    }
}

fn capital(text: &str) -> String {
    text.replacen("of ", "Of ", 1)
}

#[cfg(test)]
mod tests {
    use agentframer::domain::money::Usd;

    use super::*;

    #[test]
    fn a_trial_reads_as_a_sentence() {
        let refused = vec![("generate_video is denied".to_owned(), 3, Usd::dollars(2))];
        let over = vec![Over { period: "day", count: 2, highest: Usd::dollars(9), limit: Usd::dollars(5) }];
        let trial = Trial { calls: 40, refused, over, has_networks: false };
        assert_eq!(
            trial_text(&trial),
            "Of 40 successful calls in the last 30 days: generate_video is denied (3 calls, $2.00); 2 days over the cap of $5.00, the dearest of $9.00."
        );
        let none = Trial { calls: 40, has_networks: true, ..Trial::default() };
        assert_eq!(
            trial_text(&none),
            "It would have refused none of 40 successful calls in the last 30 days. Networks are not tried: the addresses of calls are not kept."
        );
    }

    #[test]
    fn an_error_stands_at_its_control() {
        let flash = Flash {
            problem: Some("“x” is not a network".into()),
            field: Some("ip_allowlist[1]".into()),
            ..Flash::default()
        };
        assert_eq!(wrong(&flash, "ip_allowlist").as_deref(), Some("This “x” is not a network."));
        assert_eq!(wrong(&flash, "ip"), None);
    }
}
