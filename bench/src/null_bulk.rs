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
        ensure!(header("transfer-encoding:").is_none(), "a chunked body");
        let length: usize = header("content-length:").unwrap_or("0").parse().context("content-length")?;
        let bulk = head.split(' ').nth(1).is_some_and(|path| path.contains("_bulk"));
        // What curl asks for before a large body.
        let expects = header("expect:").is_some_and(|value| value == "100-continue");
        buffer.drain(..head_end);
        if expects {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        buffer.reserve(length.saturating_sub(buffer.len()));
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let body: Vec<u8> = if length == buffer.len() {
            std::mem::replace(&mut buffer, Vec::with_capacity(length))
        } else {
            buffer.drain(..length).collect()
        };
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
