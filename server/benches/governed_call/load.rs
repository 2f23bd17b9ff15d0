//! A client that is as cheap as it can be, because it shares the machine: one request again and again on each
//! connection, written as bytes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One tool call, ready to send.
#[derive(Clone)]
pub struct Load {
    address: String,
    request: Vec<u8>,
}

/// What a run saw.
pub struct Measured {
    pub calls_per_s: f64,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Load {
    pub fn new(url: &str, token: &str, tool: &str, arguments: Value) -> Self {
        let url = url::Url::parse(url).unwrap();
        let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let params = json!({ "name": tool, "arguments": arguments });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\ncontent-length: {}\r\n\r\n{body}",
            url.path(),
            body.len()
        );
        Self { address, request: request.into_bytes() }
    }

    /// Calls on `connections` at once; what happens during `warm_up` does not count.
    pub async fn run(&self, connections: usize, warm_up: Duration, measured: Duration) -> Measured {
        let from = Instant::now() + warm_up;
        let until = from + measured;
        let tasks: Vec<_> =
            (0..connections).map(|_| tokio::spawn(self.clone().call_until(from, until))).collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.unwrap());
        }
        latencies.sort_unstable();
        Measured { calls_per_s: latencies.len() as f64 / measured.as_secs_f64(), latencies }
    }

    async fn call_until(self, from: Instant, until: Instant) -> Vec<Duration> {
        let mut stream = BufReader::new(TcpStream::connect(&self.address).await.unwrap());
        stream.get_ref().set_nodelay(true).unwrap();
        let mut latencies = Vec::new();
        loop {
            let began = Instant::now();
            stream.get_mut().write_all(&self.request).await.unwrap();
            expect_success(&read_body(&mut stream).await);
            let ended = Instant::now();
            if ended >= until {
                return latencies;
            }
            if ended >= from {
                latencies.push(ended - began);
            }
        }
    }
}

/// The body of a 200 with a length, which is how both servers answer.
async fn read_body(stream: &mut BufReader<TcpStream>) -> Vec<u8> {
    let (mut line, mut length) = (String::new(), None);
    stream.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        length = line.strip_prefix("content-length:").map(|value| value.trim().parse().unwrap()).or(length);
    }
    let mut body = vec![0; length.unwrap_or_else(|| panic!("an answer without a length"))];
    stream.read_exact(&mut body).await.unwrap();
    body
}

fn expect_success(body: &[u8]) {
    let success = b"\"isError\":false";
    let is_success = body.windows(success.len()).any(|window| window == success);
    assert!(is_success, "{}", String::from_utf8_lossy(body));
}

impl Measured {
    /// In milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}
