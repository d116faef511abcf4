//! Listeners: accept connections, up to the limit, until the broker stops.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use logmill_config::broker::{Advertise, Listener};
use logmill_daemon::Throttle;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::TaskTracker;

use super::{
    connection,
    connections::{Connections, Place},
    frame::MemoryBudget,
};
use crate::{api::request::Connection, broker::Broker, error::Error};

/// A listening socket with what clients are told about it.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    advertise: Advertise,
}

/// Binds; the address tells the port if 0 was asked for.
pub(crate) fn bind(listener: &Listener) -> Result<Bound, Error> {
    let fail = |source: io::Error| Error::Listen { address: listener.listen, source };
    let open = || -> io::Result<TcpListener> {
        let socket = if listener.listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // So that a restart right after a kill works.
        socket.set_reuseaddr(true)?;
        socket.bind(listener.listen)?;
        socket.listen(1024)
    };
    let bound = open().map_err(fail)?;
    let address = bound.local_addr().map_err(fail)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "this listener has no authentication: whoever reaches it may read and write everything");
    }
    Ok(Bound { listener: bound, address, advertise: listener.advertise.clone() })
}

/// What all listeners share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) budget: MemoryBudget,
    pub(crate) connections: Arc<Connections>,
    /// For the warning that there are too many.
    pub(crate) full: Arc<Throttle>,
    pub(crate) tasks: TaskTracker,
}

/// Accepts until the broker stops.
pub(crate) async fn accept(bound: Bound, shared: Shared) {
    loop {
        let accepted = tokio::select! {
            accepted = bound.listener.accept() => accepted,
            () = shared.broker.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => welcome(stream, peer, &bound.advertise, &shared),
            Err(error) => {
                // Mostly out of file descriptors, which only time mends.
                tracing::error!(%error, "accepting a connection failed");
                shared.broker.metrics.refused.with_label_values(&["accept"]).inc();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn welcome(stream: TcpStream, peer: SocketAddr, advertise: &Advertise, shared: &Shared) {
    let metrics = &shared.broker.metrics;
    let place = match shared.connections.enter(peer.ip().to_canonical(), shared.broker.most_connections()) {
        Ok(place) => place,
        Err(full) => {
            metrics.refused.with_label_values(&[full.reason()]).inc();
            if let Some(left_out) = shared.full.pass() {
                tracing::warn!(%peer, reason = full.reason(), left_out, "connection closed at once");
            }
            return;
        }
    };
    let Ok(local) = stream.local_addr() else { return };
    drop(stream.set_nodelay(true));
    metrics.connections_total.inc();
    let connection = Arc::new(Connection { peer, local, advertise: advertise.clone() });
    shared.tasks.spawn(one(stream, connection, shared.clone(), place));
}

async fn one(stream: TcpStream, connection: Arc<Connection>, shared: Shared, _place: Place) {
    let open = shared.broker.metrics.connections.clone();
    open.inc();
    connection::serve(shared.broker.clone(), stream, connection, shared.budget.clone()).await;
    open.dec();
}
