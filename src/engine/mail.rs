//! Outgoing mail: by SMTP, or as files under `data/mail` where no server is named.

use std::path::PathBuf;

use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::engine::config::Config;
use crate::engine::error::{Result, internal};
use crate::engine::random;

/// Sends mail.
#[derive(Debug, Clone)]
pub struct Mailer {
    from: String,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Files(PathBuf),
}

impl Mailer {
    /// From the settings `[mail]`.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn new(config: &Config) -> std::result::Result<Self, String> {
        let way = match &config.mail.smtp_url {
            None => Way::Files(config.data_dir.join("mail")),
            Some(url) => {
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
                Way::Smtp(
                    builder
                        .map_err(|error| format!("Setting “mail.smtp_url” cannot be used: {error}."))?
                        .build(),
                )
            }
        };
        Ok(Self { from: config.mail.from.clone(), way })
    }

    /// Sends a text to one person.
    ///
    /// # Errors
    /// [`crate::engine::error::Error::Internal`]; the log says what the mail server answered.
    pub async fn send(&self, to: &str, subject: &str, text: String) -> Result<()> {
        let message = Message::builder()
            .from(self.from.parse().map_err(|error| internal("mail sender", error))?)
            .to(to.parse().map_err(|error| internal("mail address", error))?)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|error| internal("mail", error))?;
        match &self.way {
            Way::Smtp(transport) => {
                transport.send(message).await.map(|_| ()).map_err(|error| internal("mail", error))
            }
            Way::Files(folder) => {
                tokio::fs::create_dir_all(folder).await.map_err(|error| internal("mail folder", error))?;
                let file = folder.join(format!("{}.eml", hex::encode(random::bytes::<8>())));
                tokio::fs::write(file, message.formatted())
                    .await
                    .map_err(|error| internal("mail file", error))
            }
        }
    }
}
