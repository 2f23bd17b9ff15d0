//! The columns of long lists as sheets.

use agentframer::domain::audit::Linked;
use agentframer::engine::log::reading::AttemptView;

use super::sheet::Line;

/// What can stand in a line.
pub trait Record {
    /// The names of its columns.
    const COLUMNS: &'static [&'static str];

    /// Writes its cells in the order of the columns.
    fn write(&self, line: &mut Line<'_>);
}

/// The first line.
pub fn head<T: Record>(to: &mut Vec<u8>) {
    to.extend_from_slice(T::COLUMNS.join(",").as_bytes());
    to.extend_from_slice(b"\r\n");
}

/// One row as a line.
pub fn line(row: &impl Record, to: &mut Vec<u8>) {
    let mut line = Line::new(to);
    row.write(&mut line);
    line.end();
}

impl Record for Linked {
    /// The brief's fields in its order, then an act's, then the chain's.
    const COLUMNS: &'static [&'static str] = &[
        "ts",
        "request_id",
        "workspace_id",
        "user_id",
        "tool",
        "model",
        "prompt_hash",
        "cost_usd",
        "result_url",
        "region",
        "retention_days",
        "event",
        "data",
        "seq",
        "prev_hash",
        "hash",
    ];

    fn write(&self, line: &mut Line<'_>) {
        let entry = &self.entry;
        line.plain(entry.ts);
        line.plain(&entry.request_id);
        line.plain(&entry.workspace_id);
        line.text(&entry.user_id);
        line.maybe(entry.tool.as_deref());
        line.maybe(entry.model.as_deref());
        line.maybe(entry.prompt_hash.as_deref());
        line.plain(entry.cost_usd);
        line.maybe(entry.result_url.as_deref());
        line.plain(entry.region);
        line.plain(entry.retention_days);
        line.maybe(entry.event.as_deref());
        line.text(&entry.data.as_ref().map(ToString::to_string).unwrap_or_default());
        line.plain(self.seq);
        line.plain(&self.prev_hash);
        line.plain(&self.hash);
    }
}

impl Record for AttemptView {
    const COLUMNS: &'static [&'static str] = &[
        "first_at",
        "last_at",
        "user_id",
        "tool",
        "model",
        "code",
        "message",
        "prompt_hash",
        "request_id",
        "failed",
        "count",
    ];

    fn write(&self, line: &mut Line<'_>) {
        line.plain(self.first_at);
        line.plain(self.last_at);
        line.text(&self.user_id);
        line.text(&self.tool);
        line.maybe(self.model.as_deref());
        line.text(&self.code);
        line.text(&self.message);
        line.maybe(self.prompt_hash.as_deref());
        line.plain(&self.request_id);
        line.plain(self.failed);
        line.plain(self.count);
    }
}
