//! A proxy before a search node that does what networks and clusters do: pushes back, fails, takes half of a request, hangs,
//! and cuts connections before, behind and within an answer. What it does comes in turns, so that everything happens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::wire::Request;

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// 429 for all of it.
    Busy,
    /// 500 without a body that says anything.
    Broken,
    /// 503 of a cluster without a master.
    Masterless,
    /// Every second document is taken, the others are 429.
    Half,
    /// Taken, and no answer until the client has given up.
    Hang,
    /// Not taken, the connection cut.
    Cut,
    /// Taken, the connection cut instead of an answer.
    CutAfter,
    /// Taken, the answer cut in its middle.
    CutWithin,
    /// No document is taken, each is answered with this status and type.
    Refused(u16, &'static str),
}

/// Those of a storm.
pub const FAULTS: [Fault; 8] = [
    Fault::Busy,
    Fault::Half,
    Fault::CutAfter,
    Fault::Broken,
    Fault::Hang,
    Fault::CutWithin,
    Fault::Masterless,
    Fault::Cut,
];

/// How requests fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weather {
    #[default]
    Calm,
    /// Every second request meets a fault.
    Storm,
    /// Each document is refused with this status and type.
    Refused(u16, &'static str),
    /// Nobody is there.
    Away,
}

pub struct Proxy {
    pub url: String,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    weather: Weather,
    requests: usize,
    met: BTreeMap<Fault, u64>,
    refused_as_large: u64,
}

struct Route {
    upstream: String,
    /// Longer ones are 413.
    largest: usize,
    /// How long a request hangs.
    hang: Duration,
    client: reqwest::Client,
}

impl Proxy {
    pub async fn start(upstream: &str, largest: usize, hang: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let route = Arc::new(Route { upstream: upstream.to_owned(), largest, hang, client });
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, route) = (shared.clone(), route.clone());
                tokio::spawn(async move {
                    // A connection that breaks is nothing here.
                    let _ = serve(stream, &route, &state).await;
                });
            }
        });
        Ok(Self { url, state, accepting })
    }

    pub fn set(&self, weather: Weather) {
        lock(&self.state).weather = weather;
    }

    /// How often each fault was met.
    pub fn met(&self) -> BTreeMap<Fault, u64> {
        lock(&self.state).met.clone()
    }

    pub fn refused_as_large(&self) -> u64 {
        lock(&self.state).refused_as_large
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// What the next request meets; `None`: the connection is cut.
    fn next(&mut self) -> Option<Option<Fault>> {
        match self.weather {
            Weather::Away => None,
            Weather::Calm => Some(None),
            Weather::Refused(status, kind) => Some(Some(Fault::Refused(status, kind))),
            Weather::Storm => {
                self.requests += 1;
                let fault = self.requests.is_multiple_of(2).then(|| FAULTS[self.requests / 2 % FAULTS.len()]);
                if let Some(fault) = fault {
                    *self.met.entry(fault).or_default() += 1;
                }
                Some(fault)
            }
        }
    }
}

async fn serve(mut stream: TcpStream, route: &Route, state: &Mutex<State>) -> Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = Request::read(&mut stream, &mut buffer).await? {
        let Some(fault) = lock(state).next() else { return Ok(()) };
        if request.body.len() > route.largest {
            lock(state).refused_as_large += 1;
            stream.write_all(&answer(413, b"too large")).await?;
            continue;
        }
        let said = match fault {
            None => route.forward(&request, &request.body).await?,
            Some(Fault::Busy) => error(429, "es_rejected_execution_exception"),
            Some(Fault::Broken) => answer(500, b"<html>"),
            Some(Fault::Masterless) => error(503, "cluster_block_exception"),
            Some(Fault::Half) => route.half(&request).await?,
            Some(Fault::Refused(status, kind)) => refusal(&request, status, kind),
            Some(Fault::Cut) => return Ok(()),
            Some(Fault::Hang) => {
                route.forward(&request, &request.body).await?;
                tokio::time::sleep(route.hang).await;
                return Ok(());
            }
            Some(Fault::CutAfter) => {
                route.forward(&request, &request.body).await?;
                return Ok(());
            }
            Some(Fault::CutWithin) => {
                let said = route.forward(&request, &request.body).await?;
                stream.write_all(said.get(..said.len() * 2 / 3).unwrap_or_default()).await?;
                return Ok(());
            }
        };
        stream.write_all(&said).await?;
    }
    Ok(())
}

impl Route {
    async fn forward(&self, request: &Request, body: &[u8]) -> Result<Vec<u8>> {
        let (status, body) = self.ask(request, body).await?;
        Ok(answer(status, &body))
    }

    async fn ask(&self, request: &Request, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let method = request.method().parse::<reqwest::Method>()?;
        let mut asked = self.client.request(method, format!("{}{}", self.upstream, request.target()));
        if let Some(kind) = request.header("content-type") {
            asked = asked.header("content-type", kind);
        }
        let response = asked.body(body.to_vec()).send().await?;
        let status = response.status().as_u16();
        Ok((status, response.bytes().await?.to_vec()))
    }

    /// Only the documents at even places are passed on; the others are refused for now.
    async fn half(&self, request: &Request) -> Result<Vec<u8>> {
        let lines: Vec<&[u8]> = request.body.split_inclusive(|b| *b == b'\n').collect();
        let pairs: Vec<&[&[u8]]> = lines.chunks(2).collect();
        if !request.target().starts_with("/_bulk") || pairs.len() < 2 {
            return self.forward(request, &request.body).await;
        }
        let kept: Vec<u8> = pairs.iter().step_by(2).flat_map(|pair| pair.concat()).collect();
        let (status, said) = self.ask(request, &kept).await?;
        if status != 200 {
            return Ok(answer(status, &said));
        }
        let said: Value = serde_json::from_slice(&said)?;
        let mut taken = said["items"].as_array().context("no items")?.iter();
        let busy =
            json!({"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "busy"}}});
        let items: Vec<&Value> =
            (0..pairs.len()).filter_map(|at| if at % 2 == 0 { taken.next() } else { Some(&busy) }).collect();
        Ok(answer(200, json!({"took": 1, "errors": true, "items": items}).to_string().as_bytes()))
    }
}

/// Of every document.
fn refusal(request: &Request, status: u16, kind: &str) -> Vec<u8> {
    let item = json!({"create": {"status": status, "error": {"type": kind, "reason": "by the proxy"}}});
    let documents = request.body.iter().filter(|b| **b == b'\n').count() / 2;
    answer(200, json!({"took": 1, "errors": true, "items": vec![item; documents]}).to_string().as_bytes())
}

fn error(status: u16, kind: &str) -> Vec<u8> {
    answer(status, json!({"error": {"type": kind, "reason": "by the proxy"}, "status": status}).to_string().as_bytes())
}

fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    answer.extend_from_slice(body);
    answer
}
