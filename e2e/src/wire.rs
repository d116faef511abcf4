//! Just enough HTTP/1.1 to take requests apart: for servers of the tests that misbehave below what a framework lets them.

use anyhow::{Context, Result};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// One request, read to its end.
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The next one of a connection; `None` at its end. `buffer` keeps what was read beyond.
    pub async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<Self>> {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        };
        let mut request = Self {
            head: String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).into_owned(),
            body: Vec::new(),
        };
        let length: usize = match request.header("content-length") {
            Some(length) => length.parse().context("content-length")?,
            None => 0,
        };
        while buffer.len() < end + length {
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
        request.body = buffer.get(end..end + length).unwrap_or_default().to_vec();
        buffer.drain(..end + length);
        Ok(Some(request))
    }

    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// `name` in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    }
}
