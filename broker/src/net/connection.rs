//! One connection: requests are handled in order, responses leave in order; a produce that waits for the disk does not hold up what follows.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::mpsc,
    time::Instant,
};

use super::{
    frame::{FrameReader, MemoryBudget, ReadFailure},
    write,
};
use crate::{
    api::{
        dispatch::dispatch,
        request::{Connection, LaterResponse, Outcome, Refused, Request, Response},
    },
    broker::Broker,
    metrics::ApiMetrics,
};

/// A response in its place behind the earlier ones.
struct Queued {
    response: Ready,
    api: Arc<ApiMetrics>,
    /// When the handler was done.
    since: Instant,
}

enum Ready {
    Now(Response),
    /// After so much work of the handler's.
    Later(LaterResponse, Duration),
}

#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Read(#[from] ReadFailure),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("writing: {0}")]
    Write(std::io::Error),
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(broker: Arc<Broker>, stream: TcpStream, connection: Arc<Connection>, budget: MemoryBudget) {
    let peer = connection.peer;
    let limits = &broker.settings.config.limits;
    let (read_half, write_half) = stream.into_split();
    let frames = FrameReader::new(read_half, limits.max_request_bytes as usize, budget, limits.idle_timeout);
    let (queue, queued) = mpsc::channel(broker.settings.max_pipelined);
    let end = {
        let mut reading = pin!(read(&broker, frames, connection, queue));
        let mut writing = pin!(write_all(&broker, &write_half, queued));
        tokio::select! {
            biased;
            written = &mut writing => written,
            // What was read is still answered.
            read = &mut reading => writing.await.and(read),
        }
    };
    let Err(end) = end else { return };
    match &end {
        End::Read(failure) => {
            if let Some(reason) = failure.reason() {
                broker.metrics.refused.with_label_values(&[reason]).inc();
            }
            tracing::debug!(%peer, %end, "connection closed");
        }
        End::Refused(refused) => {
            broker.metrics.refused.with_label_values(&[refused.reason()]).inc();
            tracing::warn!(%peer, %end, "connection closed");
        }
        End::Write(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            broker.metrics.refused.with_label_values(&["slow_reader"]).inc();
            tracing::warn!(%peer, %end, "connection closed");
        }
        End::Write(_) => tracing::debug!(%peer, %end, "connection closed"),
    }
}

async fn read(
    broker: &Arc<Broker>,
    mut frames: FrameReader<tokio::net::tcp::OwnedReadHalf>,
    connection: Arc<Connection>,
    queue: mpsc::Sender<Queued>,
) -> Result<(), End> {
    loop {
        let next = tokio::select! {
            next = frames.next() => next?,
            () = broker.stop.cancelled() => return Ok(()),
        };
        let Some((frame, memory)) = next else { return Ok(()) };
        let request = Request::parse(frame, memory, connection.clone())?;
        let api = broker.metrics.requests.of(request.api_key);
        let start = broker.clock.monotonic();
        // Room for the answer first: a client that reads none is not read from either.
        let Ok(place) = queue.reserve().await else { return Ok(()) };
        let outcome = dispatch(broker, request).await?;
        let since = broker.clock.monotonic();
        let took = since.saturating_duration_since(start);
        api.count.inc();
        let response = match outcome {
            Outcome::Now(response) => {
                api.ready(took.saturating_sub(response.waited), response.waited);
                Ready::Now(response)
            }
            Outcome::Later(later) => Ready::Later(later, took),
            Outcome::Nothing => {
                api.ready(took, Duration::ZERO);
                continue;
            }
        };
        place.send(Queued { response, api, since });
    }
}

async fn write_all(broker: &Broker, output: &OwnedWriteHalf, mut queued: mpsc::Receiver<Queued>) -> Result<(), End> {
    let patience = broker.settings.config.limits.slow_reader_timeout;
    while let Some(Queued { response, api, since }) = queued.recv().await {
        let response = match response {
            Ready::Now(response) => {
                api.queued(since.elapsed());
                response
            }
            Ready::Later(later, local) => {
                let response = later.await?;
                api.ready(local, since.elapsed());
                response
            }
        };
        let start = broker.clock.monotonic();
        write::write(output, &response, patience).await.map_err(End::Write)?;
        api.sent(start.elapsed());
    }
    Ok(())
}
