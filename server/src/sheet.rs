//! Tables as comma-separated values (RFC 4180), harmless in a spreadsheet.

use agentframer::domain::money::Usd;
use http::{HeaderValue, header};

use axum::response::{IntoResponse, Response};

/// A cell: a number, id or time of ours is written as it is; a text that somebody chose is defused and quoted.
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

    fn written(self) -> String {
        match self {
            Self::Plain(value) => value,
            Self::Text(text) => quoted(defused(text)),
        }
    }
}

/// A line with its end.
pub fn line(cells: impl IntoIterator<Item = Cell>) -> String {
    let cells: Vec<String> = cells.into_iter().map(Cell::written).collect();
    format!("{}\r\n", cells.join(","))
}

/// A whole table.
pub fn sheet<const N: usize>(columns: [&str; N], rows: impl IntoIterator<Item = [Cell; N]>) -> String {
    let head = line(columns.map(Cell::plain));
    rows.into_iter().map(line).fold(head, |sheet, line| sheet + &line)
}

/// Answers with a file to be saved under `name`, which is ours: letters, digits, dots and dashes.
pub fn file(name: &str, content_type: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// What a sheet is sent as.
pub const CSV: &str = "text/csv; charset=utf-8";

/// A spreadsheet would run what begins so as a formula (ASVS 1.2.10).
fn defused(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn quoted(text: String) -> String {
    let needs_quotes = text.contains([',', '"', '\r', '\n']);
    if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_formulas_or_further_cells() {
        let rows = [[Cell::text("=1+1"), Cell::plain("-0.5")], [Cell::text("a \"b\", c"), Cell::plain(2)]];
        let expected = "name,amount\r\n'=1+1,-0.5\r\n\"a \"\"b\"\", c\",2\r\n";
        assert_eq!(sheet(["name", "amount"], rows), expected);
    }
}
