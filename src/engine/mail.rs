//! Outgoing mail: by SMTP, or as files under `data/mail` where no server is named.

use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use url::Url;

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

/// Mail names people and amounts: `smtp://` demands STARTTLS where it leaves this machine, unless the address
/// says otherwise itself.
fn with_tls(url: &str) -> std::result::Result<String, url::ParseError> {
    let mut url = Url::parse(url)?;
    let is_here = match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(host) => host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    };
    let is_chosen = url.query_pairs().any(|(name, _)| name == "tls");
    if url.scheme() == "smtp" && !is_here && !is_chosen {
        url.query_pairs_mut().append_pair("tls", "required");
    }
    Ok(url.into())
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
                let wrong = |error: &dyn Display| format!("Setting “mail.smtp_url” cannot be used: {error}.");
                let url = with_tls(url).map_err(|error| wrong(&error))?;
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url);
                Way::Smtp(builder.map_err(|error| wrong(&error))?.build())
            }
        };
        Ok(Self { from: config.mail.from.clone(), way })
    }

    /// Removes the files of mails that name an address; what a mail server took is out of reach.
    ///
    /// # Errors
    /// Where the folder cannot be read or a file not be removed.
    pub async fn forget(&self, address: &str) -> Result<()> {
        let Way::Files(folder) = &self.way else { return Ok(()) };
        let (folder, address) = (folder.clone(), address.to_owned());
        let removed = tokio::task::spawn_blocking(move || remove_files_with(&folder, &address)).await;
        removed.map_err(|error| internal("mail files", error))?.map_err(|error| internal("mail files", error))
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

fn remove_files_with(folder: &Path, text: &str) -> std::io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Long lines are folded by a “=” at their end (RFC 2045 §6.7).
        let mail = String::from_utf8_lossy(&fs::read(&path)?).replace("=\r\n", "");
        if mail.contains(text) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// A mail server that knows no TLS: its port, and what its one client says.
    async fn plain_server() -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let talk = async move {
            let (mut heard, mut in_text) = (String::new(), false);
            let (socket, _) = listener.accept().await.unwrap();
            let mut socket = BufReader::new(socket);
            socket.write_all(b"220 here\r\n").await.unwrap();
            loop {
                let start = heard.len();
                if socket.read_line(&mut heard).await.unwrap_or(0) == 0 {
                    return heard;
                }
                let line = heard[start..].trim_end();
                let answer: &[u8] = match line.split([' ', ':']).next().unwrap_or_default() {
                    _ if in_text && line != "." => continue,
                    "DATA" => b"354 go on\r\n",
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 ok\r\n",
                };
                in_text = line == "DATA";
                if socket.write_all(answer).await.is_err() {
                    return heard;
                }
            }
        };
        (port, tokio::spawn(talk))
    }

    fn mailer(url: String) -> Mailer {
        crate::engine::outbound::install_tls();
        let mut config = Config::default();
        config.mail.smtp_url = Some(url);
        Mailer::new(&config).unwrap()
    }

    #[tokio::test]
    async fn mail_goes_to_the_server_that_is_named() {
        let (port, heard) = plain_server().await;
        let mailer = mailer(format!("smtp://127.0.0.1:{port}"));
        mailer.send("vera@example.com", "A budget alert", "75 % is spent".into()).await.unwrap();
        drop(mailer);
        let heard = heard.await.unwrap();
        for part in ["RCPT TO:<vera@example.com>", "Subject: A budget alert", "75 % is spent"] {
            assert!(heard.contains(part), "{part}: {heard}");
        }
    }

    #[tokio::test]
    async fn where_tls_is_demanded_nothing_is_said_without_it() {
        let (port, heard) = plain_server().await;
        let mailer = mailer(format!("smtp://127.0.0.1:{port}?tls=required"));
        assert!(mailer.send("vera@example.com", "A budget alert", "75 % is spent".into()).await.is_err());
        drop(mailer);
        let heard = heard.await.unwrap();
        assert!(heard.starts_with("EHLO") && !heard.contains("vera"), "{heard}");
    }

    #[test]
    fn mail_that_leaves_this_machine_demands_tls() {
        let of = |url| with_tls(url).unwrap();
        assert_eq!(of("smtp://mail.example.com:587"), "smtp://mail.example.com:587?tls=required");
        for same in [
            "smtps://user:secret@mail.example.com",
            "smtp://127.0.0.1:2525",
            "smtp://[::1]:2525",
            "smtp://mail.example.com?tls=opportunistic",
        ] {
            assert_eq!(of(same), same);
        }
        let mut config = Config::default();
        config.mail.smtp_url = Some("mail.example.com".into());
        assert!(Mailer::new(&config).unwrap_err().contains("mail.smtp_url"));
    }
}
