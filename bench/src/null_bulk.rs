//! A `_bulk` endpoint that takes everything and keeps nothing, or the bodies, to be loaded into another node as they are.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Bytes of a body.
const LONGEST: usize = 1 << 30;

/// The body of one `_bulk` request.
pub type Bulk = Vec<u8>;

#[derive(Default)]
struct Taken {
    documents: AtomicU64,
    kept: Option<Mutex<Vec<Bulk>>>,
}

pub struct NullBulk {
    pub url: String,
    taken: Arc<Taken>,
    accepting: JoinHandle<()>,
}

impl NullBulk {
    pub async fn start(keep: bool) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let taken = Arc::new(Taken { kept: keep.then(Mutex::default), ..Taken::default() });
        let shared = taken.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = shared.clone();
                tokio::spawn(async move {
                    if let Err(e) = serve(stream, &taken).await {
                        eprintln!("null bulk endpoint: {e:#}");
                    }
                });
            }
        });
        Ok(Self { url, taken, accepting })
    }

    pub fn documents(&self) -> u64 {
        self.taken.documents.load(Ordering::Relaxed)
    }

    pub fn kept(&self) -> Vec<Bulk> {
        let kept = self.taken.kept.as_ref();
        kept.map(|kept| std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))).unwrap_or_default()
    }
}

impl Drop for NullBulk {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, taken: &Taken) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(1 << 20);
    loop {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = std::str::from_utf8(&buffer[..head_end])?.to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_chunked = header("transfer-encoding:").is_some_and(|value| value == "chunked");
        let length: usize = header("content-length:").unwrap_or("0").parse().context("content-length")?;
        let bulk = head.split(' ').nth(1).is_some_and(|path| path.contains("_bulk"));
        // What curl asks for before a large body.
        let expects = header("expect:").is_some_and(|value| value == "100-continue");
        buffer.drain(..head_end);
        if expects {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = if is_chunked {
            chunked(&mut stream, &mut buffer).await?
        } else {
            plain(&mut stream, &mut buffer, length).await?
        };
        let Some(body) = body else { return Ok(()) };
        let answer = if bulk {
            let documents = memchr::memchr_iter(b'\n', &body).count() / 2;
            if let Some(kept) = &taken.kept {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(body);
            }
            taken.documents.fetch_add(documents as u64, Ordering::Relaxed);
            let items = vec!["{\"create\":{\"_index\":\"i\",\"_id\":\"1\",\"status\":201}}"; documents].join(",");
            format!("{{\"took\":1,\"errors\":false,\"items\":[{items}]}}")
        } else {
            "{\"name\":\"null\",\"version\":{\"number\":\"8.19.0\"},\"tagline\":\"You Know, for Search\"}".to_owned()
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// A body of so many bytes, or none when the client is gone.
async fn plain(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Result<Option<Vec<u8>>> {
    ensure!(length <= LONGEST, "a body of {length} bytes");
    buffer.reserve(length.saturating_sub(buffer.len()));
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(if length == buffer.len() {
        std::mem::replace(buffer, Vec::with_capacity(length))
    } else {
        buffer.drain(..length).collect()
    }))
}

/// A body in chunks (RFC 9112, without trailers).
async fn chunked(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    let (mut body, mut at) = (Vec::with_capacity(1 << 20), 0);
    loop {
        let Some(line) = memchr::memmem::find(&buffer[at..], b"\r\n") else {
            buffer.drain(..at);
            at = 0;
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
            continue;
        };
        let size = std::str::from_utf8(&buffer[at..at + line])?;
        let size =
            usize::from_str_radix(size.split(';').next().unwrap_or(size).trim(), 16).context("the size of a chunk")?;
        ensure!(size <= LONGEST - body.len(), "a body of more than {LONGEST} bytes");
        let (from, to) = (at + line + 2, at + line + 2 + size);
        while buffer.len() < to + 2 {
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
        body.extend_from_slice(&buffer[from..to]);
        at = to + 2;
        if size == 0 {
            buffer.drain(..at);
            return Ok(Some(body));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn bodies_in_chunks_and_of_a_length_are_taken() {
        let endpoint = NullBulk::start(true).await.unwrap();
        let mut stream = TcpStream::connect(endpoint.url.trim_start_matches("http://")).await.unwrap();
        let (document, mut answer) = ("{\"create\":{}}\n{}\n", [0; 15]);
        let pieces = [
            "POST /_bulk HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cre",
            "\r\nc;x=y\r\nate\":{}}\n{}\n\r",
            "\n0\r\n\r",
            "\n",
        ];
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(b"HTTP/1.1 200 OK", &answer);
        let plain = format!("POST /_bulk HTTP/1.1\r\nContent-Length: {}\r\n\r\n{document}", document.len());
        stream.write_all(plain.as_bytes()).await.unwrap();
        while endpoint.documents() < 2 {
            assert_ne!(0, stream.read(&mut answer).await.unwrap());
        }
        assert_eq!(vec![document.as_bytes(); 2], endpoint.kept());
    }
}
