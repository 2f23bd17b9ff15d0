//! What the engine answers when it does not do what was asked. Pages, REST and MCP turn it into their own form.

use crate::domain::access::Permission;
use crate::domain::field::FieldError;
use crate::domain::region::Region;

/// Why nothing was done. Each text is fit for the person who asked; internal text never enters it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A wrong input; names its field.
    #[error("{0}")]
    Field(#[from] FieldError),
    /// It does not exist, or the asker may not know that it does.
    #[error("This does not exist, or you have no access to it.")]
    NotFound,
    /// The asker may see it, but not do this.
    #[error("Your role in this workspace does not allow this. Ask an Admin.")]
    Forbidden(Permission),
    /// Nobody is signed in, or the key is not valid.
    #[error("Sign in first, or send a valid API key.")]
    Unauthenticated,
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// Too often.
    #[error("Too many tries. Try again in {retry_after_s} seconds.")]
    TooMany {
        /// Seconds until the next try can succeed.
        retry_after_s: u64,
    },
    /// Another node serves this region.
    #[error("This workspace lives in {0}, which this server does not serve.")]
    WrongRegion(Region),
    /// A link or token that is over.
    #[error("{0}")]
    Ended(String),
    /// A database, the storage or the mail server does not answer. Nothing was changed.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of ours; the log has the details under the request id. What was done before it is not known here.
    #[error(
        "Something went wrong on our side. If you changed something, look whether it was done before you try again; tell your operator the request id."
    )]
    Internal,
}

/// The engine's results.
pub type Result<T> = std::result::Result<T, Error>;

impl From<sqlx::Error> for Error {
    /// Keeps the database's words in the log, where the operator reads them.
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => {
                tracing::error!(%error, "the database does not answer");
                Self::Unavailable(
                    "The database does not answer. Nothing was changed; try again in a moment.".into(),
                )
            }
            error => {
                tracing::error!(%error, "the database refused a statement");
                Self::Internal
            }
        }
    }
}

/// Logs `error` under `what` and answers [`Error::Internal`].
pub fn internal(what: &'static str, error: impl std::fmt::Display) -> Error {
    tracing::error!(%error, what, "internal error");
    Error::Internal
}
