//! Who reads a page, for what stands around and between its contents: the reader's zone, workspaces and what is wrong.

use std::future::Future;

use agentframer::domain::access::{Permission, Role};
use agentframer::engine::store::workspaces::Workspace;
use agentframer::engine::views::notices::Notice;
use jiff::tz::TimeZone;

use crate::ask::Ask;

/// The cookie that names a zone until the reader chooses one.
pub const ZONE: &str = "zone";

/// What a page knows of its reader.
#[derive(Debug, Clone)]
pub struct Reader {
    /// In which times are shown.
    pub zone: TimeZone,
    /// Whether nobody said so yet: the browser may.
    pub is_zone_open: bool,
    /// Where the reader can go.
    pub workspaces: Vec<(Workspace, Role)>,
    /// What is wrong in the workspace whose page it is; the overview tells it itself.
    pub notices: Vec<Notice>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, is_zone_open: false, workspaces: Vec::new(), notices: Vec::new() }
    }
}

tokio::task_local! { static READER: Reader; }

impl Reader {
    /// Of a request. What cannot be read here is missed by the frame only; the page itself says what is wrong.
    pub async fn of(ask: &Ask) -> Self {
        let zone = zone_of(ask).await;
        let workspaces = match ask.user() {
            Ok(user) if ask.segment(0) == "w" => ask.engine.memberships(user).await.unwrap_or_default(),
            _ => Vec::new(),
        };
        Self {
            is_zone_open: zone.is_none(),
            zone: zone.as_deref().map_or(TimeZone::UTC, zone_named),
            workspaces,
            notices: notices_for(ask).await,
        }
    }
}

/// The zone that the person chose, or the browser named.
async fn zone_of(ask: &Ask) -> Option<String> {
    let chosen = match ask.user() {
        Ok(user) => ask.engine.zone(user).await.ok().flatten(),
        Err(_) => None,
    };
    chosen.or_else(|| ask.cookie(ZONE).map(str::to_owned))
}

async fn notices_for(ask: &Ask) -> Vec<Notice> {
    if ask.segment(0) != "w" || ask.segment(2).is_empty() {
        return Vec::new();
    }
    match ask.scope(ask.segment(1), Permission::ReadWorkspace).await {
        Ok(scope) => ask.engine.notices_now(&scope).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// Renders `page` for `reader`.
pub async fn reading<T>(reader: Reader, page: impl Future<Output = T>) -> T {
    READER.scope(reader, page).await
}

fn read<T: Default>(of: impl FnOnce(&Reader) -> T) -> T {
    READER.try_with(of).unwrap_or_default()
}

/// The reader's zone; UTC outside a page.
pub fn zone() -> TimeZone {
    READER.try_with(|reader| reader.zone.clone()).unwrap_or(TimeZone::UTC)
}

/// Its name in the IANA database.
pub fn zone_name() -> String {
    zone().iana_name().unwrap_or("UTC").to_owned()
}

/// Whether the browser may say in which zone it is.
pub fn is_zone_open() -> bool {
    read(|reader| reader.is_zone_open)
}

/// The reader's workspaces.
pub fn workspaces() -> Vec<(Workspace, Role)> {
    read(|reader| reader.workspaces.clone())
}

/// What is wrong in the page's workspace.
pub fn notices() -> Vec<Notice> {
    read(|reader| reader.notices.clone())
}

/// The zone of that name in the IANA database; UTC where there is none such.
pub fn zone_named(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The names of all zones, in order.
pub fn zones() -> impl Iterator<Item = String> {
    jiff::tz::db().available().map(|name| name.to_string()).filter(|name| !name.starts_with("Etc/"))
}
