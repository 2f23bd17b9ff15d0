//! Long lists as a file, written while they are read: memory does not grow with their length.

use agentframer::engine::log::search::Pieces;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http::{HeaderMap, header};
use serde::Serialize;

use super::attachment::attachment;
use super::rows::{self, Record};
use super::sheet::CSV;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One array.
    Json,
    /// One object a line.
    NdJson,
    /// One line a row, harmless in a spreadsheet.
    Csv,
}

impl Form {
    /// By the name that links use.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Json, Self::NdJson, Self::Csv].into_iter().find(|form| form.ending() == name)
    }

    /// The first form that a client asks for, other than JSON, which lists answer in pages.
    pub fn accepted(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut types =
            lines.flat_map(|line| line.split(',')).map(|entry| entry.split(';').next().unwrap_or("").trim());
        types.find_map(|essence| match essence {
            "application/x-ndjson" => Some(Self::NdJson),
            "text/csv" => Some(Self::Csv),
            _ => None,
        })
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::NdJson => "ndjson",
            Self::Csv => "csv",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => CSV,
        }
    }

    /// The rows as a download called `name`. A fault breaks it off, so that nobody takes a part for the whole.
    pub fn answer<T: Serialize + Record + Send + 'static>(self, name: &str, rows: Pieces<T>) -> Response {
        let name = format!("{name}.{}", self.ending());
        attachment(&name, self.content_type(), Body::from_stream(self.bytes(rows)))
    }

    fn bytes<T: Serialize + Record + Send + 'static>(
        self,
        rows: Pieces<T>,
    ) -> impl stream::Stream<Item = std::io::Result<Bytes>> + Send {
        let mut is_first = true;
        let pieces = rows.map(move |piece| {
            let piece = piece.map_err(std::io::Error::other)?;
            Ok(self.piece(&piece, std::mem::take(&mut is_first)))
        });
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        match self {
            Self::Csv => rows::head::<T>(&mut head),
            Self::Json => (head, tail) = (b"[\n".to_vec(), b"]\n".to_vec()),
            Self::NdJson => {}
        }
        let whole = |bytes: Vec<u8>| stream::iter((!bytes.is_empty()).then(|| Ok(Bytes::from(bytes))));
        whole(head).chain(pieces).chain(whole(tail))
    }

    fn piece<T: Serialize + Record>(self, rows: &[T], mut is_first: bool) -> Bytes {
        let mut text = Vec::with_capacity(rows.len() * 640);
        for row in rows {
            match self {
                Self::Csv => rows::line(row, &mut text),
                Self::Json | Self::NdJson => {
                    if self == Self::Json && !std::mem::take(&mut is_first) {
                        text.push(b',');
                    }
                    // Fails for no type of ours: all keys are texts.
                    let _ = serde_json::to_writer(&mut text, row);
                    text.push(b'\n');
                }
            }
        }
        text.into()
    }
}
