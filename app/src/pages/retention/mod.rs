//! `/w/{id}/retention`: how long data is kept, what is held back, where it is.

mod holds;
mod periods;
mod residency;
mod runs;

use agentframer::domain::access::Permission;
use leptos::prelude::*;

use self::holds::holds;
use self::periods::{form, preview};
use self::residency::residency;
use self::runs::runs;
use crate::actions::{PREVIEW, Periods};
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::components::places::Places;

/// Periods with their preview, the last runs, holds, residency, and where the data lives.
#[component]
pub fn Retention() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadSettings).await?;
        let (flash, engine) = (ask.flash(), &ask.engine);
        let may = scope.role.may(Permission::ChangeSettings);
        let looked = if may && flash.value("step") == PREVIEW {
            let days =
                Periods::read(&flash.value("media_retention_days"), &flash.value("log_retention_days"))?;
            Some(engine.preview_retention(&scope, Some(days.media), Some(days.log)).await?)
        } else {
            None
        };
        let (view, members) = (engine.retention(&scope).await?, engine.members(&scope).await?);
        let (settings, copies) = (engine.settings(&scope).await?, engine.replication(&scope).await?);
        let kept = form(&scope, may, view.retention, looked.is_some(), &flash).into_any();
        let held = holds(&scope, may, engine.holds(&scope).await?, &members, &flash).into_any();
        let residency = residency(&scope, may, &settings, &copies, &flash).into_any();
        let body = view! {
            <Said flash=flash/>
            {looked.map(|looked| preview(looked).into_any())}
            <div class="grid g2">{kept} {runs(&view).into_any()}</div>
            {held}
            {residency}
            <Places places=engine.data_places(&scope).await?/>
        };
        let line = "What goes when, what a legal hold keeps, and where everything is";
        Ok(workspace_page(&ask, &scope, "Retention", line, (), body))
    })
}
