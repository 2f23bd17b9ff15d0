//! Built SQL: multi-row statements and optional filters. The only file that may assert that a text is safe:
//! texts are joined from fixed fragments, and every value is bound.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Executor};

use crate::engine::error::Result;

/// A value to bind.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A BIGINT.
    Int(i64),
    /// A BIGINT or NULL.
    MaybeInt(Option<i64>),
    /// A TEXT.
    Text(String),
    /// A TEXT or NULL.
    MaybeText(Option<String>),
    /// Bytes.
    Blob(Vec<u8>),
    /// Bytes or NULL.
    MaybeBlob(Option<Vec<u8>>),
    /// A DOUBLE PRECISION or NULL.
    MaybeFloat(Option<f64>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::MaybeInt(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::MaybeText(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

/// A list of values of mixed types.
#[macro_export]
#[doc(hidden)]
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::engine::store::sql::Value::from($value)),*] };
}
pub use crate::values;

type BuiltQuery = Query<'static, Any, AnyArguments>;

fn bind(query: BuiltQuery, value: Value) -> BuiltQuery {
    match value {
        Value::Int(value) => query.bind(value),
        Value::MaybeInt(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::MaybeText(value) => query.bind(value),
        Value::Blob(value) => query.bind(value),
        Value::MaybeBlob(value) => query.bind(value),
        Value::MaybeFloat(value) => query.bind(value),
    }
}

fn query(text: String, values: impl IntoIterator<Item = Value>) -> BuiltQuery {
    values.into_iter().fold(sqlx::query(AssertSqlSafe(text)), bind)
}

/// One statement with its values, to run inside somebody else's transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    text: &'static str,
    values: Vec<Value>,
    may_miss: bool,
}

impl Statement {
    /// A fixed text and the values of its `$n`.
    pub const fn new(text: &'static str, values: Vec<Value>) -> Self {
        Self { text, values, may_miss: false }
    }

    /// The same, where it is no fault of an act that no row is there to change.
    #[must_use]
    pub fn or_nothing(self) -> Self {
        Self { may_miss: true, ..self }
    }

    /// Whether it may change nothing.
    pub const fn may_miss(&self) -> bool {
        self.may_miss
    }

    /// Runs it and tells how many rows it changed.
    ///
    /// # Errors
    /// The database's own.
    pub async fn run(self, on: &mut AnyConnection) -> std::result::Result<u64, sqlx::Error> {
        let query = self.values.into_iter().fold(sqlx::query(self.text), bind);
        Ok(query.execute(on).await?.rows_affected())
    }

    /// Runs a text that was joined from fixed parts and names of our own tables.
    ///
    /// # Errors
    /// The database's own.
    pub async fn run_built(text: String, on: &mut AnyConnection) -> Result<u64> {
        Ok(query(text, []).execute(on).await?.rows_affected())
    }
}

/// Runs a text that was joined from fixed parts, with its values; tells how many rows it changed.
///
/// # Errors
/// The database's own.
pub async fn run_text(on: &mut AnyConnection, text: String, values: Vec<Value>) -> Result<u64> {
    Ok(query(text, values).execute(on).await?.rows_affected())
}

/// Numbers of rows a multi-row statement may have: few sizes, so that each is prepared once per connection.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// Inserts `rows` with as few statements as possible. `head` is `INSERT INTO t (a, b)`, `tail` an `ON CONFLICT`
/// clause or nothing.
///
/// # Errors
/// The database's own.
pub async fn insert(on: &mut AnyConnection, head: &str, rows: Vec<Vec<Value>>, tail: &str) -> Result<()> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let size = SIZES.into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
        let chunk: Vec<Vec<Value>> = rows.by_ref().take(size).collect();
        let columns = chunk.first().map_or(0, Vec::len);
        let text = format!("{head} VALUES {} {tail}", placeholders(on.backend_name(), size, columns));
        query(text, chunk.into_iter().flatten()).execute(&mut *on).await?;
    }
    Ok(())
}

/// PostgreSQL wants numbers. SQLite keeps them as names, and sqlx asks for the name of each, which SQLite looks for from
/// the list's start: without names a wide insert takes no time that grows with its square.
fn placeholders(backend: &str, rows: usize, columns: usize) -> String {
    let one = |index: usize| if backend == "SQLite" { "?".to_owned() } else { format!("${}", index + 1) };
    let row = |row: usize| {
        let values: Vec<String> = (0..columns).map(|column| one(row * columns + column)).collect();
        format!("({})", values.join(","))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(",")
}

/// Selects the rows whose key is in `keys`. `head` ends before the list: `SELECT … WHERE id IN`; `tail` may lock.
///
/// # Errors
/// The database's own.
pub async fn select_in(
    on: &mut AnyConnection,
    head: &str,
    keys: &[String],
    tail: &str,
) -> Result<Vec<AnyRow>> {
    let mut found = Vec::new();
    for (text, values) in in_lists(head, keys, tail) {
        found.extend(query(text, values).fetch_all(&mut *on).await?);
    }
    Ok(found)
}

/// Runs a change for the rows whose key is in `keys`. `first` are the values of `$1…` in `head`.
///
/// # Errors
/// The database's own.
pub async fn change_in(on: &mut AnyConnection, head: &str, first: Vec<Value>, keys: &[String]) -> Result<()> {
    for chunk in keys.chunks(SIZES[0]) {
        let (text, values) = in_list(head, first.clone(), chunk, "");
        query(text, values).execute(&mut *on).await?;
    }
    Ok(())
}

/// As [`change_in`], and tells how many rows were changed. A key stands in `keys` once.
///
/// # Errors
/// The database's own.
pub async fn count_changed_in(on: &mut AnyConnection, head: &str, keys: &[String]) -> Result<u64> {
    let mut changed = 0;
    for (text, values) in in_lists(head, keys, "") {
        changed += query(text, values).execute(&mut *on).await?.rows_affected();
    }
    Ok(changed)
}

/// As [`select_in`], with the values of `$1…` in `head`.
///
/// # Errors
/// The database's own.
pub async fn select_in_after(
    on: &mut AnyConnection,
    head: &str,
    first: Vec<Value>,
    keys: &[String],
) -> Result<Vec<AnyRow>> {
    let mut found = Vec::new();
    for chunk in keys.chunks(SIZES[0]) {
        let (text, values) = in_list(head, first.clone(), chunk, "");
        found.extend(query(text, values).fetch_all(&mut *on).await?);
    }
    Ok(found)
}

fn in_lists<'a>(
    head: &'a str,
    keys: &'a [String],
    tail: &'a str,
) -> impl Iterator<Item = (String, Vec<Value>)> + 'a {
    keys.chunks(SIZES[0]).map(move |chunk| in_list(head, Vec::new(), chunk, tail))
}

/// The list is padded with its last key to one of the few sizes.
fn in_list(head: &str, first: Vec<Value>, keys: &[String], tail: &str) -> (String, Vec<Value>) {
    let size = SIZES.into_iter().rev().find(|size| *size >= keys.len()).unwrap_or(keys.len());
    let numbers: Vec<String> = (1..=size).map(|number| format!("${}", first.len() + number)).collect();
    let padding = keys.last().cloned().unwrap_or_default();
    let padded = keys.iter().cloned().chain(std::iter::repeat(padding)).take(size).map(Value::Text);
    (format!("{head} ({}){tail}", numbers.join(",")), first.into_iter().chain(padded).collect())
}

/// A `SELECT` with optional conditions, each bound.
#[derive(Debug, Clone)]
pub struct Select {
    text: String,
    values: Vec<Value>,
}

impl Select {
    /// Begins with `text`, which ends in a `WHERE` and a first condition over `values`.
    pub fn new(text: &str, values: Vec<Value>) -> Self {
        Self { text: text.to_owned(), values }
    }

    /// Adds `AND condition` where there is a value; `?` in the condition stands for it.
    #[must_use]
    pub fn and<V: Into<Value>>(mut self, condition: &str, value: Option<V>) -> Self {
        if let Some(value) = value {
            self.values.push(value.into());
            self.text.push_str(" AND ");
            self.text.push_str(&condition.replace('?', &format!("${}", self.values.len())));
        }
        self
    }

    /// Adds `AND column IN (…)`; nothing matches an empty list.
    #[must_use]
    pub fn and_in(mut self, column: &str, keys: &[String]) -> Self {
        let first = self.values.len();
        let numbers: Vec<String> = (1..=keys.len()).map(|number| format!("${}", first + number)).collect();
        self.values.extend(keys.iter().cloned().map(Value::Text));
        let list = if numbers.is_empty() { "NULL".to_owned() } else { numbers.join(",") };
        self.text.push_str(&format!(" AND {column} IN ({list})"));
        self
    }

    /// The keyset condition of a page that is sorted by `time` and then `id`, both descending: rows after `last`.
    #[must_use]
    pub fn after(self, time: &str, id: &str, last: Option<(i64, String)>) -> Self {
        let Some((at, last_id)) = last else { return self };
        let mut select = self.and(&format!("{time} <= ?"), Some(at)).and(&format!("({time} < ?"), Some(at));
        select.values.push(Value::Text(last_id));
        select.text.push_str(&format!(" OR {id} < ${})", select.values.len()));
        select
    }

    /// Adds a fixed text, such as an order.
    #[must_use]
    pub fn tail(mut self, text: &str) -> Self {
        self.text.push(' ');
        self.text.push_str(text);
        self
    }

    /// Adds `LIMIT`.
    #[must_use]
    pub fn limit(mut self, rows: i64) -> Self {
        self.values.push(Value::Int(rows));
        self.text.push_str(&format!(" LIMIT ${}", self.values.len()));
        self
    }

    /// Binds a value and gives the text that stands for it, for [`Select::push`].
    pub fn bound(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Adds a text of fixed parts and of what [`Select::bound`] gave.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// How SQLite would run it, a line each.
    #[cfg(test)]
    pub async fn plan(mut self, on: &sqlx::AnyPool) -> Vec<String> {
        self.text = format!("EXPLAIN QUERY PLAN {}", self.text);
        let rows = self.all(on).await.unwrap();
        rows.iter().map(|row| sqlx::Row::get(row, "detail")).collect()
    }

    /// All rows.
    ///
    /// # Errors
    /// The database's own.
    pub async fn all<'e>(self, on: impl Executor<'e, Database = Any>) -> Result<Vec<AnyRow>> {
        Ok(query(self.text, self.values).fetch_all(on).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_texts_number_their_values() {
        assert_eq!(placeholders("PostgreSQL", 2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(placeholders("SQLite", 2, 2), "(?,?),(?,?)");
        let keys = ["a".to_owned(), "b".to_owned()];
        let (text, values) = in_list("DELETE FROM t WHERE x = $1 AND id IN", values![1], &keys, "");
        assert_eq!(text, "DELETE FROM t WHERE x = $1 AND id IN ($2,$3,$4,$5)");
        assert_eq!(values, values![1, "a", "b", "b", "b"]);
        let select = Select::new("SELECT 1 FROM t WHERE a = $1", values!["x"])
            .and("b > ?", Some(3))
            .and::<i64>("c = ?", None);
        assert_eq!(select.limit(5).text, "SELECT 1 FROM t WHERE a = $1 AND b > $2 LIMIT $3");
    }
}
