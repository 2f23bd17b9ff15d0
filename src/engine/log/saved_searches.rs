//! Searches that people keep: for themselves, or for everybody in the workspace.

use serde_json::json;

use crate::domain::access::Permission;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::SavedSearchId;
use crate::domain::search::{QueryError, Search};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::random;
use crate::engine::store::saved_searches;
pub use crate::engine::store::saved_searches::SavedSearch;

/// The tabs of the log's page.
pub const TABS: [&str; 3] = ["calls", "admin", "refused"];
/// The most searches that one person sees.
const MOST: usize = 100;

/// A search to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSearch {
    /// Its name.
    pub name: String,
    /// One of [`TABS`].
    pub tab: String,
    /// The search.
    pub query: String,
    /// Whether everybody in the workspace sees it.
    pub shared: bool,
}

impl Engine {
    /// The searches that the person behind `scope` sees, by name.
    ///
    /// # Errors
    /// The database's own.
    pub async fn saved_searches(&self, scope: &Scope) -> Result<Vec<SavedSearch>> {
        let db = &self.cell(&scope.workspace)?.db;
        saved_searches::visible(db, &scope.workspace.id, &scope.actor).await
    }

    /// Keeps a search. One for everybody is an act in the log.
    ///
    /// # Errors
    /// Names the field.
    pub async fn save_search(&self, scope: &Scope, new: NewSearch) -> Result<SavedSearch> {
        let known = self.saved_searches(scope).await?;
        let saved = self.judged(scope, new, &known)?;
        let change = saved_searches::insert(&scope.workspace.id, &saved);
        if saved.shared {
            let data = json!({ "name": saved.name, "tab": saved.tab, "query": saved.query });
            let act = self.act(scope, "saved_search.created", data, vec![change]).await?;
            self.submit_act(scope, act).await?;
        } else {
            let mut transaction = self.cell(&scope.workspace)?.db.begin().await?;
            change.run(&mut transaction).await?;
            transaction.commit().await?;
        }
        Ok(saved)
    }

    fn judged(&self, scope: &Scope, new: NewSearch, known: &[SavedSearch]) -> Result<SavedSearch> {
        let name = field::text("name", &new.name, 1, 60)?;
        let query = new.query.trim().to_owned();
        query.parse::<Search>().map_err(|error: QueryError| error.of_parameter("query"))?;
        if !TABS.contains(&new.tab.as_str()) {
            return Err(FieldError::new("tab", "is not calls, admin or refused").into());
        }
        if known.iter().any(|known| known.name == name && known.shared == new.shared) {
            return Err(FieldError::new("name", "is the name of another saved search").into());
        }
        if known.len() >= MOST {
            return Err(
                FieldError::new("name", "is one too many: 100 searches are saved; remove one first").into()
            );
        }
        let now = self.0.clock.now();
        let (owner, shared) = (scope.actor.clone(), new.shared);
        Ok(SavedSearch { id: random::id(now), name, tab: new.tab, query, owner, shared, created_at: now })
    }

    /// Forgets a search: one's own, or as an Admin any that everybody sees.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn delete_search(&self, scope: &Scope, id: &SavedSearchId) -> Result<()> {
        let known = self.saved_searches(scope).await?;
        let found = known.into_iter().find(|known| known.id == *id).ok_or(Error::NotFound)?;
        if found.owner != scope.actor && !scope.role.may(Permission::ChangeSettings) {
            return Err(Error::Forbidden(Permission::ChangeSettings));
        }
        let change = saved_searches::delete(&scope.workspace.id, id);
        if found.shared {
            let data = json!({ "name": found.name, "tab": found.tab, "query": found.query });
            let act = self.act(scope, "saved_search.removed", data, vec![change]).await?;
            return self.submit_act(scope, act).await.map(|_| ());
        }
        let mut transaction = self.cell(&scope.workspace)?.db.begin().await?;
        change.run(&mut transaction).await?;
        Ok(transaction.commit().await?)
    }
}
