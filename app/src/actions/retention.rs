//! How long data is kept, what is held, and where it may be.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::holds::HoldTarget;
use agentframer::domain::region::Region;
use agentframer::domain::settings::Inference;
use agentframer::engine::access::settings::SettingsChange;
use agentframer::engine::error::{Error, Result};
use leptos::prelude::server;

use super::{Answer, Next, PREVIEW, answer, here};
use crate::flash::Flash;

/// The two periods as they are typed.
pub struct Periods {
    pub media: u32,
    pub log: u32,
}

impl Periods {
    /// Reads both.
    pub fn read(media: &str, log: &str) -> Result<Self> {
        let days = |field: &str, text: &str| {
            let days = text.trim().parse();
            days.map_err(|_| Error::from(FieldError::new(field, "is not a number of days")))
        };
        Ok(Self { media: days("media_retention_days", media)?, log: days("log_retention_days", log)? })
    }
}

/// Saves the periods, or with `step` = `preview` shows what they would delete.
#[server(endpoint = "set_retention")]
pub async fn set_retention(
    workspace: String,
    step: String,
    media_retention_days: String,
    log_retention_days: String,
) -> Answer {
    let ask = here()?;
    let kept =
        [("media_retention_days", &*media_retention_days), ("log_retention_days", &*log_retention_days)];
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let days = Periods::read(&media_retention_days, &log_retention_days)?;
        let to = format!("/w/{workspace}/retention");
        if step == PREVIEW {
            ask.engine.preview_retention(&scope, Some(days.media), Some(days.log)).await?;
            let kept = kept.iter().chain(&[("step", PREVIEW)]);
            let kept = kept.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            return Ok(Next::saying(to, Flash { kept, ..Flash::default() }));
        }
        ask.engine.set_retention(&scope, Some(days.media), Some(days.log)).await?;
        Ok(Next::saying(to, Flash::done("Saved. What is past its time goes within the hour.")))
    };
    answer(&ask, done.await, &kept)
}

/// Keeps data from purge and erasure.
#[server(endpoint = "place_hold")]
pub async fn place_hold(workspace: String, kind: String, target: String, reason: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let what = HoldTarget::read(&kind, Some(&target))?;
        let text = format!("A legal hold keeps {what} from now on, until somebody lifts it.");
        ask.engine.place_hold(&scope, what, &reason).await?;
        Ok(Next::saying(format!("/w/{workspace}/retention"), Flash::done(text)))
    };
    answer(&ask, done.await, &[("kind", &kind), ("target", &target), ("reason", &reason)])
}

/// Ends a hold.
#[server(endpoint = "lift_hold")]
pub async fn lift_hold(workspace: String, hold: String, lift_reason: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let id = hold.parse().map_err(|_| Error::NotFound)?;
        ask.engine.lift_hold(&scope, &id, Some(&lift_reason)).await?;
        let text = "Lifted. What it kept beyond its time goes with the next purge.";
        Ok(Next::saying(format!("/w/{workspace}/retention"), Flash::done(text)))
    };
    answer(&ask, done.await, &[("lift_reason", &lift_reason), ("hold", &hold)])
}

/// Where models may infer, and where copies of the media go; an empty region means nowhere.
#[server(endpoint = "set_residency")]
pub async fn set_residency(workspace: String, inference: String, replicate_to: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let copies = Some(replicate_to.as_str()).filter(|region| !region.is_empty());
        let region = copies.map(str::parse::<Region>).transpose();
        let region = region.map_err(|fault| FieldError::new("replicate_to", fault.message))?;
        let change = SettingsChange {
            inference: Some(read_inference(&inference)?),
            replicate_to: Some(region),
            ..SettingsChange::default()
        };
        ask.engine.set_settings(&scope, change).await?;
        let text =
            "Saved. Copies that are no longer wanted are deleted now; the log says when they are gone.";
        Ok(Next::saying(format!("/w/{workspace}/retention"), Flash::done(text)))
    };
    answer(&ask, done.await, &[("inference", &inference), ("replicate_to", &replicate_to)])
}

fn read_inference(text: &str) -> Result<Inference> {
    let known = [Inference::Any, Inference::RegionOnly].into_iter().find(|known| known.as_str() == text);
    Ok(known.ok_or_else(|| FieldError::new("inference", "is neither any nor region_only"))?)
}
