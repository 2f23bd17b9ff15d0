//! What is saved as a file, and how each kind of file is written: lists, sheets, signed papers.

pub mod attachment;
mod finance;
pub mod finance_sheets;
pub mod list;
mod log;
mod media;
pub mod papers;
pub mod rows;
pub mod sheet;

use agentframer::engine::Engine;
use axum::Router;

/// The paths that are fetched, as the access expectation names them.
pub const PATHS: [&[&str]; 4] = [&log::PATHS, &media::PATHS, &papers::PATHS, &finance::PATHS];

/// Each of [`PATHS`], and the report that a form asks for. Stand behind the session layer.
pub fn routes(engine: &Engine) -> Router {
    log::routes(engine)
        .merge(media::routes(engine))
        .merge(papers::routes(engine))
        .merge(finance::routes(engine))
}
