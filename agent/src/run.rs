//! Starts the reading thread on a locked state directory and waits for its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use logmill_config::agent::AgentConfig;
use logmill_daemon::context::Context;
use logmill_disk::{Disk, RealDisk};
use tokio::sync::oneshot;

use crate::{
    AgentError,
    clock::Now,
    engine::{Engine, NewLimits, Surroundings},
    feed::Feeds,
    metrics::Metrics,
    produce::kafka::KafkaProducer,
    state_dir::StateDir,
    status::{Desk, FileStatus, lines, table},
    wake::Waker,
};

/// One turn of the reading thread (a block of each file, a scan of all directories) takes no longer, unless a file
/// system hangs.
const STALL: Duration = Duration::from_secs(60);

/// Runs the agent until `context.stop` is cancelled and all that was read is acknowledged and checkpointed (or most of
/// `shutdown_timeout` has passed: what is unacknowledged then is read again at the next start, with the same ids).
///
/// # Errors
/// The state directory is unusable or locked by another agent, a glob is invalid, Kafka's client settings are wrong, the
/// checkpoint cannot be written, standard input cannot be read, or it was stopped before what was to be read once was.
pub async fn run(mut config: AgentConfig, context: Context) -> Result<(), AgentError> {
    context.health.set("agent", Err("starting".to_owned()));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let once = context.flags.contains("once");
    let Some(state) = StateDir::wait_for(&disk, &config, &context).await? else {
        return if once { Err(AgentError::Interrupted) } else { Ok(()) };
    };
    let waker = Waker::new().map_err(AgentError::Watch)?;
    let stop = Arc::new(AtomicBool::new(false));
    let relimit = NewLimits::default();
    let mut reloads = context.reload.listen::<AgentConfig>();
    let desk = Desk::default();
    for (page, words) in [("status", table as fn(Vec<FileStatus>) -> String), ("status.json", lines)] {
        let (desk, waker) = (desk.clone(), waker.clone());
        context.pages.add(page, move || {
            let (desk, waker) = (desk.clone(), waker.clone());
            async move { words(desk.ask(&waker).await) }
        });
    }
    let metrics = Metrics::new(&context.metrics)?;
    let producer = KafkaProducer::new(&config, waker.clone())?;
    let feeds = Feeds::start(&mut config, &disk, &waker, &metrics, &context)?;
    let around = Surroundings {
        host_id: state.host_id,
        host_name: config.host_name.clone().unwrap_or_else(host_name),
        waker: waker.clone(),
        stop: Arc::clone(&stop),
        metrics,
        health: context.health.clone(),
        pulse: context.progress.watch("agent reader", STALL),
        relimit: relimit.clone(),
        desk: desk.clone(),
        once,
        spools: feeds.spools(),
    };
    let (ended, mut end) = oneshot::channel();
    std::thread::Builder::new()
        .name("agent-reader".into())
        .spawn(move || {
            let result = Engine::new(config, around, state.checkpoint, producer, Now::read());
            let result = result.and_then(|mut engine| {
                engine.run()?;
                if once && !engine.is_finished() { Err(AgentError::Interrupted) } else { Ok(()) }
            });
            // Held to the end: a second agent must not start before this one has written its last position.
            drop(state.lock);
            drop(ended.send(result));
        })
        .map_err(AgentError::Thread)?;
    let result = loop {
        tokio::select! {
            result = &mut end => break result,
            config = reloads.next() => {
                relimit.set(config);
                waker.wake();
            }
            () = context.stop.cancelled() => {
                feeds.stop();
                stop.store(true, Ordering::Release);
                waker.wake();
                break end.await;
            }
        }
    };
    let fed = tokio::task::spawn_blocking(|| feeds.join()).await.unwrap_or(Ok(()));
    result.unwrap_or(Err(AgentError::Panicked)).and(fed)
}

/// The machine's name.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    if name.is_empty() { "localhost".to_owned() } else { name.into_owned() }
}
