//! Rows as comma-separated values (RFC 4180), harmless in a spreadsheet.

use std::fmt::Display;

use agentframer::domain::audit::Linked;
use agentframer::engine::log::reading::AttemptView;

/// What can stand in a line.
pub trait Record {
    /// The names of its columns.
    const COLUMNS: &'static [&'static str];

    /// Writes its cells in the order of the columns.
    fn write(&self, line: &mut Line<'_>);
}

/// A line that is being written.
pub struct Line<'a> {
    to: &'a mut Vec<u8>,
    is_first: bool,
}

impl Line<'_> {
    /// A number, an id, a time: nothing that a person chose.
    fn plain(&mut self, value: impl Display) {
        self.comma();
        self.to.extend_from_slice(value.to_string().as_bytes());
    }

    /// A text that may hold anything.
    fn text(&mut self, text: &str) {
        self.comma();
        let needs_quotes = text.contains([',', '"', '\r', '\n']);
        if needs_quotes {
            self.to.push(b'"');
        }
        if is_formula(text) {
            self.to.push(b'\'');
        }
        if needs_quotes {
            self.to.extend_from_slice(text.replace('"', "\"\"").as_bytes());
            self.to.push(b'"');
        } else {
            self.to.extend_from_slice(text.as_bytes());
        }
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.to.push(b',');
        }
    }
}

/// A spreadsheet would run what begins so (ASVS 1.2.10).
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The first line.
pub fn head<T: Record>(to: &mut Vec<u8>) {
    to.extend_from_slice(T::COLUMNS.join(",").as_bytes());
    to.extend_from_slice(b"\r\n");
}

/// One row as a line.
pub fn line(row: &impl Record, to: &mut Vec<u8>) {
    row.write(&mut Line { to, is_first: true });
    to.extend_from_slice(b"\r\n");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut to = Vec::new();
        Line { to: &mut to, is_first: true }.text(text);
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_defused() {
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        for text in ["+1", "-1", "@x", "\tx"] {
            assert!(cell(text).starts_with('\''), "{text}");
        }
        assert_eq!(cell("\rx"), "\"'\rx\"");
    }

    #[test]
    fn other_cells_keep_their_value() {
        assert_eq!(cell("agent.growth-bot"), "agent.growth-bot");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("{\"from\":1}"), "\"{\"\"from\"\":1}\"");
        let mut to = Vec::new();
        let mut line = Line { to: &mut to, is_first: true };
        line.plain(-1);
        line.maybe(None);
        line.text("x");
        assert_eq!(to, b"-1,,x");
    }
}
