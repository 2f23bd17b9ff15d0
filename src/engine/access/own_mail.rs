//! A person's own mail: another address, which takes effect when the link sent to it is followed, and which mails come.

use crate::domain::access::Role;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::UserId;
use crate::domain::time::HOUR;
use crate::engine::Engine;
use crate::engine::access::people::taken_email;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::random;
pub use crate::engine::store::own_mail::MailChoices;
use crate::engine::store::own_mail::{self, Mail};

/// How long the link to a new address works.
const LINK: i64 = 24 * HOUR;

impl Engine {
    /// Asks for another e-mail address after the password was given once more (ASVS 6.2.4): a link goes to the new
    /// address, word of it to the old one, and nothing changes until the link is followed.
    ///
    /// # Errors
    /// The fields `email_password` or `email`.
    pub async fn ask_for_email(&self, user: &UserId, email: &str, password: &str) -> Result<()> {
        let person = self.check_password(user, "email_password", password).await?;
        let email = field::email("email", email)?;
        if email == person.email {
            return Err(FieldError::new("email", "is your address already").into());
        }
        // Whether it belongs to somebody else is only told to who can read its mail.
        let (token, until) = (random::secret("email_"), self.0.clock.now().plus(LINK));
        own_mail::wait(&self.0.control, user, &email, &random::fingerprint(&token), until).await?;
        let link = format!("{}/account?confirm={token}", self.0.config.public_url());
        // Whose mailbox it is, is not known yet: the mail names nobody.
        let text = format!(
            "Somebody who is signed in on AgentFramer wants to use this address there.\n\n\
             If that was you, follow this link until {until}:\n{link}\n\nIf not, do nothing: nothing changes.\n"
        );
        self.0.mailer.send(&email, "Use this address on AgentFramer", text).await?;
        let notice = "Another e-mail address was asked for with your password. It takes effect when the link sent there is followed.\n\n\
                      If that was not you, change your password now: that ends every session.\n";
        self.0
            .mailer
            .send(&person.email, "Your AgentFramer address is about to change", notice.to_owned())
            .await
    }

    /// The address behind the person's link.
    ///
    /// # Errors
    /// [`Error::Ended`] for a link that was used, is over, is somebody else's or never was.
    pub async fn email_behind(&self, user: &UserId, token: &str) -> Result<String> {
        let hash = random::fingerprint(token);
        let found = own_mail::waiting(&self.0.control, user, &hash, self.0.clock.now()).await?;
        found.ok_or_else(|| {
            Error::Ended(
                "This link was used, is over, or was sent for another account. Your address is as it was."
                    .into(),
            )
        })
    }

    /// Follows the link: the new address is the person's own; sign-in and invitations use it from now on.
    ///
    /// # Errors
    /// As [`Engine::email_behind`]; the field `email` where somebody else has taken it meanwhile.
    pub async fn take_email(&self, user: &UserId, token: &str) -> Result<String> {
        let email = self.email_behind(user, token).await?;
        let mut transaction = self.0.control.begin().await?;
        own_mail::take(&mut transaction, user, &random::fingerprint(token)).await.map_err(taken_email)?;
        transaction.commit().await?;
        tracing::info!(%user, "an e-mail address was changed");
        Ok(email)
    }

    /// Which mails a person gets.
    ///
    /// # Errors
    /// [`Error::NotFound`] for somebody who is gone.
    pub async fn mail_choices(&self, user: &UserId) -> Result<MailChoices> {
        own_mail::choices(&self.0.control, user).await?.ok_or(Error::NotFound)
    }

    /// Changes which mails a person gets.
    ///
    /// # Errors
    /// The database's own.
    pub async fn set_mail_choices(&self, user: &UserId, choices: MailChoices) -> Result<()> {
        own_mail::set_choices(&self.0.control, user, choices).await
    }

    /// The addresses of the people with this role who want this mail.
    pub(in crate::engine) async fn addresses(
        &self,
        scope: &Scope,
        role: Role,
        mail: Mail,
    ) -> Result<Vec<String>> {
        own_mail::addresses(&self.0.control, &scope.workspace.id, role, mail).await
    }
}
