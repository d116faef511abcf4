//! The four parts as tasks: start, the first that ends, stop in order.

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use logmill_broker::RunningBroker;
use logmill_config::{agent::AgentConfig, broker::BrokerConfig, index::IndexConfig, sinks::SinksConfig};
use logmill_daemon::Context;
use logmill_index::Index;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One part: how to stop it, and its task.
struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

/// A part that listens.
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    task: JoinHandle<anyhow::Result<()>>,
}

/// All of them, in the order they stop in.
pub(super) struct Parts {
    /// Metrics and health of the whole process.
    pub(super) context: Context,
    parts: [Part; 4],
}

const AGENT: usize = 0;
const SINKS: usize = 1;
const BROKER: usize = 2;
const INDEX: usize = 3;

impl Parts {
    pub(super) fn new(context: Context) -> Self {
        let part = |name| Part { name, stop: CancellationToken::new(), task: None };
        Self { context, parts: [part("agent"), part("sinks"), part("broker"), part("index")] }
    }

    /// The process's registry and health, with a stop of its own.
    fn context_of(&self, part: usize) -> Context {
        let stop = self.parts.get(part).map(|p| p.stop.clone()).unwrap_or_default();
        Context { stop, ..self.context.clone() }
    }

    /// Starts broker and index; returns when both can be connected to.
    pub(super) async fn start_servers(
        &mut self,
        broker: BrokerConfig,
        index: IndexConfig,
    ) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        // Both go to their end even when one fails, so that what did start can be stopped in order.
        let (broker, index) =
            tokio::join!(start_broker(self.context_of(BROKER), broker), start_index(self.context_of(INDEX), index));
        let mut first_error = None;
        let mut addresses = [None, None];
        for (slot, part, started) in [(0, BROKER, broker), (1, INDEX, index)] {
            match started {
                Ok(listening) => {
                    addresses[slot] = Some(listening.address);
                    self.parts[part].task = Some(listening.task);
                }
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        match (first_error, addresses) {
            (None, [Some(kafka), Some(index)]) => Ok((kafka, index)),
            (e, _) => Err(e.unwrap_or_else(|| anyhow!("nothing listens"))),
        }
    }

    pub(super) fn start_agent(&mut self, config: AgentConfig) {
        let context = self.context_of(AGENT);
        self.parts[AGENT].task = Some(tokio::spawn(async { Ok(logmill_agent::run(config, context).await?) }));
    }

    pub(super) fn start_sinks(&mut self, config: SinksConfig) {
        let context = self.context_of(SINKS);
        self.parts[SINKS].task = Some(tokio::spawn(async { Ok(logmill_sinks::run(config, context).await?) }));
    }

    /// Cancelled when the agent stops.
    pub(super) fn agent_stop(&self) -> CancellationToken {
        self.parts[AGENT].stop.clone()
    }

    /// Waits until a part ends by itself, which is an error of the whole.
    pub(super) async fn first_end(&mut self) -> anyhow::Result<()> {
        let running = self.parts.iter_mut().filter_map(|part| {
            let (name, task) = (part.name, part.task.as_mut()?);
            Some(Box::pin(async move { (name, task.await) }))
        });
        let ((name, end), _, _) = futures::future::select_all(running).await;
        // Its task is spent: it must not be polled again when all are stopped.
        for part in &mut self.parts {
            if part.name == name {
                part.task = None;
            }
        }
        match end.with_context(|| format!("{name}: ended unexpectedly"))? {
            Ok(()) => Err(anyhow!("{name}: ended by itself, which it should not")),
            Err(e) => Err(e.context(name)),
        }
    }

    /// Agent first, so that nothing new comes in; then what delivers, then what keeps.
    pub(super) async fn stop_all(&mut self) -> anyhow::Result<()> {
        let mut first_error = Ok(());
        for part in &mut self.parts {
            part.stop.cancel();
            let Some(task) = part.task.take() else { continue };
            let end = match task.await {
                Ok(end) => end.context(part.name),
                Err(e) => Err(anyhow!("{}: ended unexpectedly: {e}", part.name)),
            };
            if first_error.is_ok() {
                first_error = end;
            }
        }
        first_error
    }
}

async fn start_broker(context: Context, config: BrokerConfig) -> anyhow::Result<Listening> {
    let running = RunningBroker::start(config, context).await.context("broker")?;
    let address = *running.addresses().first().context("broker: no listener")?;
    Ok(Listening { address, task: tokio::spawn(async { Ok(running.wait().await?) }) })
}

async fn start_index(context: Context, config: IndexConfig) -> anyhow::Result<Listening> {
    let running = Index::start(config, context).await.context("index")?;
    let address = running.address();
    Ok(Listening { address, task: tokio::spawn(async { Ok(running.wait().await?) }) })
}
