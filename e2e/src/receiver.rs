//! A webhook's receiver that misbehaves by plan: refuses, asks for patience, hangs, cuts connections before or after it has
//! taken an event.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    clock::{self, Instant},
    wire,
};

/// What a try of an event meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Taken, 204.
    Take,
    /// A status, nothing taken.
    Refuse(u16),
    /// 429 with Retry-After of a second.
    Patience,
    /// No answer, the connection stays.
    Hang,
    /// The connection is cut, nothing taken.
    Cut,
    /// Taken, and the connection cut instead of an answer.
    TakeAndCut,
}

/// One request, in the order in which they came.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub idempotency_key: String,
    pub body: Value,
    pub at: Instant,
    pub fate: Fate,
}

impl Request {
    pub fn is_taken(&self) -> bool {
        matches!(self.fate, Fate::Take | Fate::TakeAndCut)
    }
}

/// Decides by path, body and how often this body came before.
type Plan = fn(&str, &Value, u32) -> Fate;

pub struct Receiver {
    pub url: String,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    /// Tries by path and identity.
    tries: HashMap<(String, String), u32>,
}

impl Receiver {
    pub async fn start(plan: Plan) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move { serve(stream, plan, &state).await });
            }
        });
        Ok(Self { url, state, accepting })
    }

    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    /// How many requests to `path` took an event.
    pub fn taken(&self, path: &str) -> usize {
        lock(&self.state).requests.iter().filter(|r| r.path == path && r.is_taken()).count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers until the connection ends. A request it cannot read ends it.
async fn serve(mut stream: TcpStream, plan: Plan, state: &Mutex<State>) {
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = read(&mut stream, &mut buffer, plan, state).await {
        let answer = match request.fate {
            Fate::Take => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Fate::Refuse(status) => format!("HTTP/1.1 {status} Refused\r\ncontent-length: 7\r\n\r\nrefused"),
            Fate::Patience => {
                "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
            Fate::Cut | Fate::TakeAndCut => return,
            Fate::Hang => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                return;
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    plan: Plan,
    state: &Mutex<State>,
) -> Result<Option<Request>> {
    let Some(request) = wire::Request::read(stream, buffer).await? else { return Ok(None) };
    let body: Value = serde_json::from_slice(&request.body)?;
    let path = request.target().to_owned();
    let idempotency_key = request.header("idempotency-key").unwrap_or_default();
    let mut state = lock(state);
    let tries = state.tries.entry((path.clone(), idempotency_key.clone())).or_default();
    let fate = plan(&path, &body, *tries);
    *tries += 1;
    let request = Request { path, idempotency_key, body, at: clock::now(), fate };
    state.requests.push(request.clone());
    Ok(Some(request))
}
