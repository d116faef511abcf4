//! `logmill up`: the whole pipeline in one process, on the embedded defaults.
//!
//! The parts are the daemons' own `run` functions, meeting over their protocols on loopback; nothing here is a short cut.
//! They start index and broker first, stop agent first, so that what was taken in is delivered.

mod connect;
mod journal;
mod live;
mod lock;
mod parts;
mod samples;
mod settings;

use std::{io::IsTerminal, io::Write, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Args;
use logmill_daemon::{Signals, clock, http, listen, logs};

use self::{lock::DataDirLock, parts::Parts, settings::Settings};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Take agent.yaml, broker.yaml, sinks.yaml and index.yaml from here, those that are there
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// Tail these files, from their beginning, instead of ./logs and /var/log (may be repeated)
    #[arg(long, value_name = "GLOB")]
    tail: Vec<String>,
    /// Write sample logs to ./logs and tail them
    #[arg(long)]
    sample: bool,
    /// Read the systemd journal too
    #[arg(long)]
    journal: bool,
    /// Read /var/log and the journal from the beginning too
    #[arg(long)]
    from_beginning: bool,
    /// Where Kafka clients connect; port 0 picks a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "ADDR")]
    kafka: Option<SocketAddr>,
    /// Where Elasticsearch clients connect; port 0 picks a free one [default: 127.0.0.1:9200]
    #[arg(long, value_name = "ADDR")]
    index: Option<SocketAddr>,
    /// Where /metrics and /health are served; port 0 picks a free one
    #[arg(long, value_name = "ADDR", env = "LOGMILL_METRICS", default_value = "127.0.0.1:9600")]
    metrics: SocketAddr,
}

/// From Ctrl-C to the end. The parts' own limits (see `settings`) leave a little of it.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(8);

#[allow(clippy::print_stderr)]
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    logs::init_with_default("warn");
    let settings = Settings::of(&options)?;
    if let Some(words) = journal::offer(&settings.agent) {
        eprintln!("{words}");
    }
    let lock = DataDirLock::take(&options.data_dir)?;
    let runtime = logmill_daemon::runtime().context("cannot start threads")?;
    let end = runtime.block_on(pipeline(&options, settings));
    runtime.shutdown_background();
    drop(lock);
    end.map(|()| ExitCode::SUCCESS)
}

#[allow(clippy::print_stderr)]
async fn pipeline(options: &Options, settings: Settings) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let listener = listen::bind("metrics", options.metrics).await?;
    let metrics = listener.local_addr()?;
    let context = logmill_daemon::Context::new();
    let http = http::serve(listener, &context);
    let mut parts = Parts::new(context.clone());
    let end = tokio::select! {
        end = until_a_part_ends(settings, &mut parts, metrics) => end,
        () = signals.stop() => Ok(()),
    };
    context.stop.cancel();
    if end.is_ok() && std::io::stderr().is_terminal() {
        eprintln!("stopping, once more to end by force");
    }
    let stopped = tokio::select! {
        stopped = stop(&mut parts) => stopped,
        () = signals.stop() => Err(anyhow::anyhow!("stopped by force on the second signal; nothing acknowledged is lost")),
    };
    http.abort();
    end.and(stopped)
}

/// Starts everything, then runs until a part ends, which none should.
async fn until_a_part_ends(settings: Settings, parts: &mut Parts, metrics: SocketAddr) -> anyhow::Result<()> {
    let Settings { agent, broker, sinks, index, index_named, sample } = settings;
    let (kafka, index) = parts.start_servers(broker, index).await?;
    say(&format!("kafka: {kafka}"))?;
    say(&format!("index: http://{index}"))?;
    say(&format!("metrics: http://{metrics}/metrics"))?;

    let agent = connect::agent(agent, kafka);
    let sinks = connect::sinks(sinks, kafka, index, index_named);
    // Without its topic a consumer group would wait for the next refresh of its metadata.
    connect::create_topics(kafka, &agent, &sinks).await?;
    let query = connect::first_query(&sinks, index);
    let names: Vec<String> = sinks.sinks.iter().map(|sink| format!("sink {}", sink.name)).collect();
    parts.start_agent(agent);
    parts.start_sinks(sinks);
    if sample {
        samples::start(parts.agent_stop());
    }

    let context = parts.context.clone();
    tokio::select! {
        end = parts.first_end() => return end,
        () = context.health.wait_for(|states| {
            let ready = |name: &str| states.get(name).is_some_and(Result::is_ok);
            ready("broker") && ready("index") && ready("agent") && names.iter().all(|name| ready(name)) && states.values().all(Result::is_ok)
        }) => {}
    }
    say("ready")?;
    say(&query)?;
    if std::io::stderr().is_terminal() {
        tokio::select! {
            end = parts.first_end() => end,
            () = live::show(&context.metrics) => Ok(()),
        }
    } else {
        parts.first_end().await
    }
}

/// Agent, sinks, broker, index, one after the other, within the time a stop may take.
async fn stop(parts: &mut Parts) -> anyhow::Result<()> {
    let start = clock::now();
    match tokio::time::timeout(SHUTDOWN_TIMEOUT, parts.stop_all()).await {
        Ok(result) => {
            tracing::info!("stopped in {:.1} s", start.elapsed().as_secs_f64());
            result
        }
        Err(_) => anyhow::bail!(
            "not finished {} s after the stop was asked for, ended by force; nothing acknowledged is lost",
            SHUTDOWN_TIMEOUT.as_secs()
        ),
    }
}

/// One of the lines scripts wait for. That nobody reads them any more is no reason to stop.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
