//! Tables as comma-separated values (RFC 4180), harmless in a spreadsheet.

use std::fmt::Display;

use agentframer::domain::money::Usd;

/// What a sheet is sent as.
pub const CSV: &str = "text/csv; charset=utf-8";

/// A line that is being written.
pub struct Line<'a> {
    to: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Line<'a> {
    /// Behind what stands in `to`.
    pub fn new(to: &'a mut Vec<u8>) -> Self {
        Self { to, is_first: true }
    }

    /// A number, an id, a time: nothing that a person chose.
    pub fn plain(&mut self, value: impl Display) {
        self.comma();
        self.to.extend_from_slice(value.to_string().as_bytes());
    }

    /// A text that may hold anything.
    pub fn text(&mut self, text: &str) {
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

    /// A text, or nothing.
    pub fn maybe(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    /// Nothing more.
    pub fn end(self) {
        self.to.extend_from_slice(b"\r\n");
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.to.push(b',');
        }
    }
}

/// A spreadsheet would run what begins so as a formula (ASVS 1.2.10).
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// A cell of a short table.
pub enum Cell {
    /// As it is.
    Plain(String),
    /// May hold anything.
    Text(String),
}

impl Cell {
    /// A number, id or time.
    pub fn plain(value: impl ToString) -> Self {
        Self::Plain(value.to_string())
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An amount, or nothing.
    pub fn amount(amount: Option<Usd>) -> Self {
        Self::Plain(amount.map(|amount| amount.to_string()).unwrap_or_default())
    }
}

/// A line with its end, behind what stands in `to`.
pub fn line(cells: impl IntoIterator<Item = Cell>, to: &mut Vec<u8>) {
    let mut line = Line::new(to);
    for cell in cells {
        match cell {
            Cell::Plain(value) => line.plain(value),
            Cell::Text(text) => line.text(&text),
        }
    }
    line.end();
}

/// A whole table.
pub fn sheet<const N: usize>(columns: [&str; N], rows: impl IntoIterator<Item = [Cell; N]>) -> Vec<u8> {
    let mut sheet = Vec::new();
    line(columns.map(Cell::plain), &mut sheet);
    rows.into_iter().for_each(|row| line(row, &mut sheet));
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut to = Vec::new();
        Line::new(&mut to).text(text);
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
        let mut line = Line::new(&mut to);
        line.plain(-1);
        line.maybe(None);
        line.text("x");
        line.end();
        assert_eq!(to, b"-1,,x\r\n");
    }

    #[test]
    fn a_table_has_a_head_and_a_line_for_each_row() {
        let rows = [[Cell::text("=1+1"), Cell::plain("-0.5")], [Cell::text("a \"b\", c"), Cell::plain(2)]];
        let expected = "name,amount\r\n'=1+1,-0.5\r\n\"a \"\"b\"\", c\",2\r\n";
        assert_eq!(sheet(["name", "amount"], rows), expected.as_bytes());
    }
}
