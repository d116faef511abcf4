//! One connection: requests are handled in order, responses leave in order; a produce that waits for the disk does not hold up what follows.

use std::{pin::pin, sync::Arc};

use tokio::{
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::mpsc,
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
};

enum Queued {
    Now(Response),
    Later(LaterResponse),
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
        let api = request.api_key.name();
        let start = broker.clock.monotonic();
        // Room for the answer first: a client that reads none is not read from either.
        let Ok(place) = queue.reserve().await else { return Ok(()) };
        let outcome = dispatch(broker, request).await?;
        let metrics = &broker.metrics;
        metrics.requests.with_label_values(&[api]).inc();
        match outcome {
            Outcome::Now(response) => {
                metrics.request_seconds.with_label_values(&[api]).observe(start.elapsed().as_secs_f64());
                place.send(Queued::Now(response));
            }
            Outcome::Later(later) => {
                let seconds = metrics.request_seconds.with_label_values(&[api]);
                place.send(Queued::Later(Box::pin(async move {
                    let response = later.await;
                    seconds.observe(start.elapsed().as_secs_f64());
                    response
                })));
            }
            Outcome::Nothing => {}
        }
    }
}

async fn write_all(broker: &Broker, output: &OwnedWriteHalf, mut queued: mpsc::Receiver<Queued>) -> Result<(), End> {
    let patience = broker.settings.config.limits.slow_reader_timeout;
    while let Some(next) = queued.recv().await {
        let response = match next {
            Queued::Now(response) => response,
            Queued::Later(later) => later.await?,
        };
        write::write(output, &response, patience).await.map_err(End::Write)?;
    }
    Ok(())
}
