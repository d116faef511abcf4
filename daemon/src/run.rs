//! A daemon's life: set up, run, stop in time or by force, exit code.

use std::{future::Future, net::SocketAddr, process::ExitCode, time::Duration};

use crate::{
    context::Context,
    exit, http, listen, logs, notify,
    signals::{Asked, Signals},
    version::VERSION,
};

/// Worker threads at most: the daemons wait for disk and network, more threads only cost memory.
const MAX_WORKERS: usize = 4;

/// A multi-threaded runtime with min(cores, 4) workers.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread().worker_threads(cores.min(MAX_WORKERS)).enable_all().build()
}

/// Runs a daemon until it ends or a signal stops it. Nothing of this returns to the caller's `main` but the exit code.
///
/// `metrics` serves /metrics and /health. SIGTERM or SIGINT cancels `Context::stop`; when `run` has not returned
/// within `shutdown_timeout` after that, or a second signal comes, the process ends with code 1 and says so.
/// SIGHUP calls `reload`, which says in a line how the daemon stands after it.
pub fn run_main<F, R, E>(
    name: &str,
    shutdown_timeout: Duration,
    metrics: SocketAddr,
    mut reload: impl FnMut(&Context) -> String,
    run: F,
) -> ExitCode
where
    F: FnOnce(Context) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<anyhow::Error>,
{
    logs::init();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(e) => return failed(name, &format!("cannot start threads: {e}")),
    };
    let end = runtime.block_on(async {
        let context = Context::new();
        let mut signals = Signals::listen().map_err(|e| format!("cannot listen for signals: {e}"))?;
        let listener = listen::bind("metrics", metrics).await.map_err(|e| e.to_string())?;
        tracing::info!("{name} {} started, metrics on http://{metrics}/metrics", VERSION);
        let http = http::serve(listener, &context);
        let notify = tokio::spawn(notify::supervise(context.clone()));
        let reload = || reload(&context);
        let run = run(context.clone());
        let end = until_stopped(&context, shutdown_timeout, run, async || signals.next().await, reload).await;
        notify.abort();
        http.abort();
        end
    });
    // What still runs has been waited for; a blocked thread must not hold the process.
    runtime.shutdown_background();
    match end {
        Ok(()) => {
            tracing::info!("{name} stopped");
            ExitCode::SUCCESS
        }
        Err(message) => failed(name, &message),
    }
}

/// Polls `run` and answers signals until it ends, or must.
async fn until_stopped<R, E, S>(
    context: &Context,
    shutdown_timeout: Duration,
    run: R,
    mut next_signal: S,
    mut reload: impl FnMut() -> String,
) -> Result<(), String>
where
    R: Future<Output = Result<(), E>>,
    E: Into<anyhow::Error>,
    S: AsyncFnMut() -> Asked,
{
    let mut run = std::pin::pin!(run);
    let words = |result: Result<(), E>| result.map_err(|e| format!("{:#}", e.into()));
    loop {
        let asked = tokio::select! {
            result = &mut run => return words(result),
            asked = next_signal() => asked,
        };
        match asked {
            Asked::Stop => break,
            Asked::Reload => {
                notify::reloading();
                notify::reloaded(&reload());
            }
        }
    }
    tracing::info!("stopping, at most {:.1} s", shutdown_timeout.as_secs_f64());
    notify::stopping();
    context.stop.cancel();
    let mut deadline = std::pin::pin!(tokio::time::sleep(shutdown_timeout));
    loop {
        let asked = tokio::select! {
            result = &mut run => return words(result),
            () = &mut deadline => {
                let seconds = shutdown_timeout.as_secs_f64();
                return Err(format!(
                    "not finished {seconds:.1} s after the stop was asked for (shutdown_timeout), ended by force; nothing acknowledged is lost"
                ));
            }
            asked = next_signal() => asked,
        };
        if asked == Asked::Stop {
            return Err("stopped by force on the second signal; nothing acknowledged is lost".into());
        }
    }
}

/// One clear message on stderr, whatever the log filter says.
#[allow(clippy::print_stderr)]
fn failed(name: &str, message: &str) -> ExitCode {
    eprintln!("{name}: {message}");
    ExitCode::from(exit::FAILED)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    /// Answers the given signals one after another, then none.
    fn script(signals: &'static [Asked]) -> impl AsyncFnMut() -> Asked {
        let at = AtomicUsize::new(0);
        async move || match signals.get(at.fetch_add(1, SeqCst)) {
            Some(asked) => *asked,
            None => std::future::pending().await,
        }
    }

    fn never() -> String {
        unreachable!("no reload was asked for")
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_signal_stops_in_order() {
        let context = Context::new();
        let stop = context.stop.clone();
        let run = async move {
            stop.cancelled().await;
            anyhow::Ok(())
        };
        assert_eq!(until_stopped(&context, LONG, run, script(&[Asked::Stop]), never).await, Ok(()));
        assert!(context.stop.is_cancelled());
    }

    #[tokio::test]
    async fn an_error_is_passed_on_with_its_causes() {
        let run = async { Err(anyhow::anyhow!("disk full").context("cannot write the checkpoint")) };
        let end = until_stopped(&Context::new(), LONG, run, script(&[]), never).await;
        assert_eq!(end, Err("cannot write the checkpoint: disk full".into()));
    }

    #[tokio::test]
    async fn a_stop_that_hangs_is_forced() {
        let run = std::future::pending::<anyhow::Result<()>>();
        let end = until_stopped(&Context::new(), Duration::from_millis(20), run, script(&[Asked::Stop]), never).await;
        assert!(end.unwrap_err().starts_with("not finished 0.0 s after the stop"));
        let run = std::future::pending::<anyhow::Result<()>>();
        let end =
            until_stopped(&Context::new(), LONG, run, script(&[Asked::Stop, Asked::Reload, Asked::Stop]), never).await;
        assert!(end.unwrap_err().starts_with("stopped by force on the second signal"));
    }

    #[tokio::test]
    async fn a_hang_up_reloads_and_does_not_stop() {
        let context = Context::new();
        let mut reloads = context.reload.listen::<u32>();
        let run = async move {
            anyhow::ensure!(*reloads.next().await == 7);
            anyhow::Ok(())
        };
        let reload = || {
            context.reload.hand_out(7_u32);
            "running".to_owned()
        };
        assert_eq!(until_stopped(&context, LONG, run, script(&[Asked::Reload]), reload).await, Ok(()));
        assert!(!context.stop.is_cancelled());
    }
}
