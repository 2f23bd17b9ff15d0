//! Who reads a page, for what stands around and between its contents: the reader's zone and workspaces.

use std::future::Future;

use agentframer::domain::access::Role;
use agentframer::engine::store::workspaces::Workspace;
use jiff::tz::TimeZone;

use crate::ask::Ask;

/// The cookie that names the reader's zone.
pub const ZONE: &str = "zone";

/// What a page knows of its reader.
#[derive(Debug, Clone)]
pub struct Reader {
    /// In which times are shown.
    pub zone: TimeZone,
    /// Where the reader can go.
    pub workspaces: Vec<(Workspace, Role)>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, workspaces: Vec::new() }
    }
}

tokio::task_local! { static READER: Reader; }

impl Reader {
    /// Of a request. What cannot be read here is missed by the frame only; the page itself says what is wrong.
    pub async fn of(ask: &Ask) -> Self {
        let workspaces = match ask.user() {
            Ok(user) if ask.segment(0) == "w" => ask.engine.memberships(user).await.unwrap_or_default(),
            _ => Vec::new(),
        };
        Self { zone: ask.cookie(ZONE).map_or(TimeZone::UTC, zone_named), workspaces }
    }
}

/// Renders `page` for `reader`.
pub async fn reading<T>(reader: Reader, page: impl Future<Output = T>) -> T {
    READER.scope(reader, page).await
}

/// The reader's zone; UTC outside a page.
pub fn zone() -> TimeZone {
    READER.try_with(|reader| reader.zone.clone()).unwrap_or(TimeZone::UTC)
}

/// The reader's workspaces.
pub fn workspaces() -> Vec<(Workspace, Role)> {
    READER.try_with(|reader| reader.workspaces.clone()).unwrap_or_default()
}

/// The zone of that name in the IANA database; UTC where there is none such.
pub fn zone_named(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The names of all zones, in order.
pub fn zones() -> impl Iterator<Item = String> {
    jiff::tz::db().available().map(|name| name.to_string()).filter(|name| !name.starts_with("Etc/"))
}
