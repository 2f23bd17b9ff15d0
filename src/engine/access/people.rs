//! People: first set-up, signing in, sessions.

use std::sync::Arc;

use dashmap::DashMap;

use crate::domain::field::{self, FieldError};
use crate::domain::ids::UserId;
use crate::domain::time::{DAY, MINUTE, SECOND, Time};
use crate::engine::Engine;
use crate::engine::access::passwords;
use crate::engine::access::scope::Origin;
use crate::engine::access::workspaces::NewWorkspace;
use crate::engine::error::{Error, Result};
use crate::engine::random;
pub use crate::engine::store::people::User;
use crate::engine::store::people::{self, SessionHolder, SessionRow};
use crate::engine::store::workspaces::Workspace;

/// How long the link of the first start works.
const SETUP_LINK: i64 = DAY;
/// Wrong tries before the delay begins.
const FREE_TRIES: u32 = 5;

/// A person who makes an account.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// The address, in any case of letters.
    pub email: String,
    /// The name.
    pub name: String,
    /// The password; checked for length and commonness only (ASVS 6.2.5).
    pub password: String,
}

/// Slows guessing down per account and per address, and never locks anybody out for good (ASVS 6.3.1).
#[derive(Debug, Clone, Default)]
pub(crate) struct SignInGuard(Arc<DashMap<String, (u32, Time)>>);

impl SignInGuard {
    /// Seconds until the next try, where there were too many wrong ones.
    fn wait(&self, keys: &[String], now: Time) -> Option<u64> {
        let ends = keys.iter().filter_map(|key| {
            let (tries, last) = *self.0.get(key)?;
            let delay = SECOND << tries.checked_sub(FREE_TRIES)?.min(9);
            Some(last.plus(delay))
        });
        let end = ends.max().filter(|end| *end > now)?;
        Some((end.micros() - now.micros()).unsigned_abs().div_ceil(SECOND.unsigned_abs()))
    }

    fn wrong(&self, keys: &[String], now: Time) {
        self.0.retain(|_, (_, last)| now < last.plus(30 * MINUTE));
        for key in keys {
            let mut tries = self.0.entry(key.clone()).or_insert((0, now));
            *tries = (tries.0 + 1, now);
        }
    }

    fn right(&self, keys: &[String]) {
        keys.iter().for_each(|key| {
            self.0.remove(key);
        });
    }
}

impl Engine {
    /// Whether nobody has an account yet.
    ///
    /// # Errors
    /// The database's own.
    pub async fn setup_pending(&self) -> Result<bool> {
        Ok(!people::any_user(&self.0.control).await?)
    }

    /// A new link token for the first set-up, which ends the older one; `None` once somebody has an account.
    ///
    /// # Errors
    /// The database's own.
    pub async fn issue_setup_token(&self) -> Result<Option<String>> {
        if !self.setup_pending().await? {
            return Ok(None);
        }
        let token = random::secret("setup_");
        let expires = self.0.clock.now().plus(SETUP_LINK);
        people::insert_setup_token(&self.0.control, &random::fingerprint(&token), expires).await?;
        Ok(Some(token))
    }

    /// Whether a set-up link still works.
    ///
    /// # Errors
    /// [`Error::Ended`] where it does not.
    pub async fn check_setup_token(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        let good = people::setup_token_is_good(&self.0.control, &random::fingerprint(token), now).await?;
        if good && self.setup_pending().await? { Ok(()) } else { Err(setup_ended()) }
    }

    /// The first account and its first workspace.
    ///
    /// # Errors
    /// A field, or [`Error::Ended`] for a link that was used or is over.
    pub async fn set_up(
        &self,
        token: &str,
        person: NewPerson,
        workspace: NewWorkspace,
        origin: Origin,
    ) -> Result<(User, Workspace)> {
        self.check_setup_token(token).await?;
        workspace.check()?;
        let (user, hash) = self.prepare_person(person).await?;
        let mut transaction = self.0.control.begin().await?;
        if !people::use_setup_token(&mut transaction, &random::fingerprint(token), self.0.clock.now()).await?
        {
            return Err(setup_ended());
        }
        people::insert(&mut transaction, &user, &hash).await.map_err(taken_email)?;
        transaction.commit().await?;
        let workspace = self.create_workspace(&user.id, workspace, origin).await?;
        Ok((user, workspace))
    }

    /// Checks a new person's fields and hashes the password.
    pub(crate) async fn prepare_person(&self, person: NewPerson) -> Result<(User, String)> {
        let name = field::text("name", &person.name, 1, 100)?;
        let email = field::email("email", &person.email)?;
        passwords::check(&person.password)?;
        let hash = self.0.passwords.hash(&person.password).await?;
        let now = self.0.clock.now();
        Ok((User { id: random::id(now), email, name, created_at: now }, hash))
    }

    /// The person with this address and password.
    ///
    /// # Errors
    /// The same field error for an unknown address and a wrong password, after the same time (ASVS 6.3.8);
    /// [`Error::TooMany`] after too many wrong tries for this account or from this address.
    pub async fn sign_in(&self, email: &str, password: &str, origin: Origin) -> Result<User> {
        let (email, now) = (email.trim().to_lowercase(), self.0.clock.now());
        let address = origin.address.map(|address| format!("address {address}"));
        let keys: Vec<String> = std::iter::once(format!("account {email}")).chain(address).collect();
        if let Some(retry_after_s) = self.0.sign_ins.wait(&keys, now) {
            return Err(Error::TooMany { retry_after_s });
        }
        let known = people::by_email(&self.0.control, &email).await?;
        let stored = known.as_ref().map(|(_, hash)| hash.as_str());
        if !self.0.passwords.verify(password, stored).await? {
            self.0.sign_ins.wrong(&keys, now);
            if let Some((user, _)) = known {
                self.note_wrong_password(user.id, origin.address);
            }
            tracing::warn!(address = ?origin.address, "a sign-in was refused");
            return Err(FieldError::new("email", "or password is not right").into());
        }
        let (user, _) = known.ok_or(Error::Internal)?;
        self.0.sign_ins.right(&keys[..1]);
        self.note_sign_in(&user.id, origin.address, true).await?;
        tracing::info!(user = %user.id, address = ?origin.address, "signed in");
        Ok(user)
    }

    /// A person by id.
    ///
    /// # Errors
    /// The database's own.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>> {
        people::user(&self.0.control, id).await
    }

    /// A session that has not ended, by the hash of its id (ASVS 7.2.3: the database never holds the id).
    ///
    /// # Errors
    /// The database's own.
    pub async fn session_load(&self, hash: &str) -> Result<Option<SessionRow>> {
        people::session(&self.0.control, hash, self.0.clock.now()).await
    }

    /// Makes a session, and notes that its person is here; false where its id is taken.
    ///
    /// # Errors
    /// The database's own.
    pub async fn session_create(&self, hash: &str, row: &SessionRow, holder: &SessionHolder) -> Result<bool> {
        people::insert_session(&self.0.control, hash, row, holder, self.0.clock.now()).await
    }

    /// Keeps a session, and notes that its person is here.
    ///
    /// # Errors
    /// The database's own.
    pub async fn session_save(&self, hash: &str, row: &SessionRow, holder: &SessionHolder) -> Result<()> {
        people::save_session(&self.0.control, hash, row, holder, self.0.clock.now()).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database's own.
    pub async fn session_delete(&self, hash: &str) -> Result<()> {
        people::delete_session(&self.0.control, hash).await
    }
}

fn setup_ended() -> Error {
    Error::Ended(
        "This set-up link was used or is over. Start the server again for a new one; it prints the link."
            .into(),
    )
}

/// A taken address, as the database tells it.
pub(crate) fn taken_email(error: sqlx::Error) -> Error {
    match error.as_database_error() {
        Some(fault) if fault.is_unique_violation() => {
            FieldError::new("email", "belongs to an account already; sign in instead").into()
        }
        _ => error.into(),
    }
}
