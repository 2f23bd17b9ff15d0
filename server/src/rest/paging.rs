//! Lists: `?limit=&cursor=` in, `{items, next_cursor}` out.

use agentframer::domain::field::FieldError;
use agentframer::engine::log::reading::{Page, Paged};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::input::parsed;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct Paging {
    /// Rows, 1 to 200; 50 where absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Paging {
    /// The page that the engine is asked for.
    ///
    /// # Errors
    /// Names `limit` where it is no number; the engine judges its range.
    pub fn page(self) -> Result<Page, FieldError> {
        page(self.limit.as_deref(), self.cursor)
    }
}

/// As [`Paging::page`], for lists with filters of their own.
///
/// # Errors
/// Names `limit` where it is no number.
pub fn page(limit: Option<&str>, cursor: Option<String>) -> Result<Page, FieldError> {
    let limit = parsed("limit", limit, |text| text.parse().ok(), "a number from 1 to 200")?;
    Ok(Page { limit, cursor })
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The rows.
    items: Vec<T>,
    /// The next page's `cursor`; null on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl<T> List<T> {
    /// The page of a list that is short enough to be read whole.
    ///
    /// # Errors
    /// Names `limit` or `cursor`.
    pub fn cut(rows: Vec<T>, paging: Paging, id: impl Fn(&T) -> String) -> Result<Self, FieldError> {
        let Paged { items, next_cursor } = Paged::cut(rows, &paging.page()?, id)?;
        Ok(Self { items, next_cursor })
    }
}

impl<T, U: From<T>> From<Paged<T>> for List<U> {
    fn from(page: Paged<T>) -> Self {
        Self { items: page.items.into_iter().map(U::from).collect(), next_cursor: page.next_cursor }
    }
}
