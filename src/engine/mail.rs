//! Outgoing mail: by SMTP, or as files under `data/mail` where no server is named.

use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lettre::message::header::ContentType;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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
fn with_tls(url: &str) -> std::result::Result<Url, url::ParseError> {
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
    Ok(url)
}

/// The URL's kind of TLS, with an authority of one's own besides the public ones.
fn trusting(url: &Url, file: &Path) -> std::result::Result<Tls, String> {
    let wrong =
        |error: &dyn Display| format!("Setting “mail.ca_file” ({}) cannot be used: {error}.", file.display());
    let pem = fs::read(file).map_err(|error| wrong(&error))?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    if found.map_err(|error| wrong(&error))?.is_empty() {
        return Err(wrong(&"no certificate (PEM) is in it"));
    }
    let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(&error))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let parameters = TlsParameters::builder(host).add_root_certificate(certificate).build_rustls();
    let parameters = parameters.map_err(|error| wrong(&error))?;
    Ok(match (url.scheme(), url.query_pairs().find(|(name, _)| name == "tls")) {
        ("smtps", _) => Tls::Wrapper(parameters),
        (_, Some((_, value))) if value == "required" => Tls::Required(parameters),
        (_, Some((_, value))) if value == "opportunistic" => Tls::Opportunistic(parameters),
        _ => Tls::None,
    })
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
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str());
                let builder = builder.map_err(|error| wrong(&error))?;
                Way::Smtp(match &config.mail.ca_file {
                    Some(file) => builder.tls(trusting(&url, file)?).build(),
                    None => builder.build(),
                })
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
    use std::sync::Arc;

    use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;

    /// A mail server for one client: its port, and what the client says.
    async fn server(tls: Option<TlsAcceptor>, by_starttls: bool) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let talk = async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            match tls {
                None => talk(socket, "220 here\r\n").await,
                Some(tls) => {
                    if by_starttls {
                        start_tls(&mut socket).await;
                    }
                    match tls.accept(socket).await {
                        Ok(socket) => talk(socket, if by_starttls { "" } else { "220 here\r\n" }).await,
                        Err(_) => String::new(),
                    }
                }
            }
        };
        (port, tokio::spawn(talk))
    }

    async fn start_tls(socket: &mut TcpStream) {
        let (mut socket, mut line) = (BufReader::new(socket), String::new());
        for answer in ["220 here\r\n", "250-here\r\n250 STARTTLS\r\n", "220 go on\r\n"] {
            socket.write_all(answer.as_bytes()).await.unwrap();
            if !answer.contains("go on") {
                socket.read_line(&mut line).await.unwrap();
            }
        }
    }

    async fn talk(socket: impl AsyncRead + AsyncWrite + Unpin, greeting: &str) -> String {
        let (mut heard, mut in_text) = (String::new(), false);
        let mut socket = BufReader::new(socket);
        socket.write_all(greeting.as_bytes()).await.unwrap();
        socket.flush().await.unwrap();
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
            if socket.write_all(answer).await.is_err() || socket.flush().await.is_err() {
                return heard;
            }
        }
    }

    /// A certificate for `localhost` that only who has its file trusts, and a server that has it.
    fn own_authority(folder: &Path) -> (PathBuf, TlsAcceptor) {
        crate::engine::outbound::install_tls();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = folder.join("ca.pem");
        fs::write(&file, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        (file, TlsAcceptor::from(Arc::new(config)))
    }

    async fn send(url: String, ca_file: Option<&Path>) -> Result<()> {
        let mut config = Config::default();
        (config.mail.smtp_url, config.mail.ca_file) = (Some(url), ca_file.map(Path::to_owned));
        let mailer = Mailer::new(&config).unwrap();
        mailer.send("vera@example.com", "A budget alert", "75 % is spent".into()).await
    }

    #[tokio::test]
    async fn mail_goes_over_tls_to_a_server_that_is_trusted_and_to_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, tls) = own_authority(folder.path());
        for (scheme, query, by_starttls) in [("smtps", "", false), ("smtp", "?tls=required", true)] {
            let (port, heard) = server(Some(tls.clone()), by_starttls).await;
            send(format!("{scheme}://localhost:{port}{query}"), Some(&ca)).await.unwrap();
            assert!(heard.await.unwrap().contains("RCPT TO:<vera@example.com>"), "{scheme}");
            let (port, heard) = server(Some(tls.clone()), by_starttls).await;
            let strange = send(format!("{scheme}://localhost:{port}{query}"), None).await;
            assert!(strange.is_err(), "{scheme}: nobody vouches for it");
            assert_eq!(heard.await.unwrap(), "", "{scheme}");
        }
    }

    #[test]
    fn a_wrong_authority_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.mail.smtp_url = Some("smtps://mail.example.com".into());
        let half = "-----BEGIN CERTIFICATE-----\nAA\n";
        for (file, text) in [("none.pem", None), ("half.pem", Some(half)), ("empty.pem", Some("hello"))] {
            let file = folder.path().join(file);
            text.iter().for_each(|text| fs::write(&file, text).unwrap());
            config.mail.ca_file = Some(file.clone());
            let why = Mailer::new(&config).unwrap_err();
            assert!(why.contains("mail.ca_file") && why.contains(&*file.to_string_lossy()), "{why}");
        }
    }

    fn mailer(url: String) -> Mailer {
        crate::engine::outbound::install_tls();
        let mut config = Config::default();
        config.mail.smtp_url = Some(url);
        Mailer::new(&config).unwrap()
    }

    #[tokio::test]
    async fn mail_goes_to_the_server_that_is_named() {
        let (port, heard) = server(None, false).await;
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
        let (port, heard) = server(None, false).await;
        let mailer = mailer(format!("smtp://127.0.0.1:{port}?tls=required"));
        assert!(mailer.send("vera@example.com", "A budget alert", "75 % is spent".into()).await.is_err());
        drop(mailer);
        let heard = heard.await.unwrap();
        assert!(heard.starts_with("EHLO") && !heard.contains("vera"), "{heard}");
    }

    #[test]
    fn mail_that_leaves_this_machine_demands_tls() {
        let of = |url| String::from(with_tls(url).unwrap());
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
