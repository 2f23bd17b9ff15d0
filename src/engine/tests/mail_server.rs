//! A mail server on a real socket that takes or refuses what it is told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Kept {
    refuses: AtomicBool,
    refuses_one: Mutex<Option<&'static str>>,
    taken: AtomicUsize,
    refused: AtomicUsize,
}

impl Kept {
    fn refuses(&self, said: &str) -> bool {
        let is_the_one = self.refuses_one.lock().unwrap().is_some_and(|to| said.contains(to));
        is_the_one || self.refuses.load(Ordering::SeqCst)
    }
}

/// A mail server; it ends with the test.
pub(crate) struct MailServer {
    kept: Arc<Kept>,
    pub(crate) url: String,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        crate::engine::outbound::install_tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let kept: Arc<Kept> = Arc::default();
        let serving = kept.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(talk(socket, serving.clone()));
            }
        });
        Self { kept, url }
    }

    /// Whether recipients are refused from now on.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.kept.refuses.store(refuses, Ordering::SeqCst);
    }

    /// The one recipient who is refused from now on.
    pub(crate) fn refuse_only(&self, to: Option<&'static str>) {
        *self.kept.refuses_one.lock().unwrap() = to;
    }

    /// Mails that were taken.
    pub(crate) fn taken(&self) -> usize {
        self.kept.taken.load(Ordering::SeqCst)
    }

    /// Mails that were refused.
    pub(crate) fn refused(&self) -> usize {
        self.kept.refused.load(Ordering::SeqCst)
    }
}

async fn talk(socket: TcpStream, kept: Arc<Kept>) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    socket.write_all(b"220 here\r\n").await?;
    let (mut line, mut in_text) = (String::new(), false);
    loop {
        line.clear();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let said = line.trim_end();
        let answer: &[u8] = match said.split([' ', ':']).next().unwrap_or_default() {
            "." if in_text => {
                kept.taken.fetch_add(1, Ordering::SeqCst);
                b"250 taken\r\n"
            }
            _ if in_text => continue,
            "RCPT" if kept.refuses(said) => {
                kept.refused.fetch_add(1, Ordering::SeqCst);
                b"451 not now\r\n"
            }
            "DATA" => b"354 go on\r\n",
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        in_text = said == "DATA";
        socket.write_all(answer).await?;
    }
}
