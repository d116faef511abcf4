//! What a handler is given and what it gives back.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::BytesMut;
use logmill_config::broker::Advertise;
use logmill_log::ReadSlice;
use logmill_protocol::{ApiKey, ApiMessage, DecodeError, EncodeError, Reader, RequestHeader, framing};
use tokio::sync::OwnedSemaphorePermit;

use crate::metrics::InFlight;

/// The connection a request came over.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) advertise: Advertise,
}

impl Connection {
    /// Host and port that this client reaches the broker at.
    pub(crate) fn advertised(&self) -> (String, i32) {
        match &self.advertise {
            Advertise::Auto => (self.local.ip().to_canonical().to_string(), i32::from(self.local.port())),
            Advertise::Address { host, port } => (host.clone(), i32::from(*port)),
        }
    }
}

/// A frame's share of the memory for requests, given back when dropped.
pub(crate) struct Memory {
    pub(crate) _units: OwnedSemaphorePermit,
    pub(crate) bytes: i64,
    pub(crate) metrics: InFlight,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.metrics.bytes.sub(self.bytes);
    }
}

/// One request: its header, and its frame, whose memory counts against the broker's budget until this is dropped.
pub(crate) struct Request {
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<String>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) frame: BytesMut,
    /// Where the message begins in `frame`.
    pub(crate) body_at: usize,
    pub(crate) _memory: Option<Memory>,
}

impl Request {
    pub(crate) fn parse(frame: BytesMut, memory: Option<Memory>, connection: Arc<Connection>) -> Result<Self, Refused> {
        let mut reader = Reader::new(&frame);
        let header = RequestHeader::decode(&mut reader)?;
        let (api_key, version, correlation_id) = (header.api_key, header.api_version, header.correlation_id);
        let client_id = header.client_id.map(str::to_owned);
        let body_at = reader.position();
        Ok(Self { api_key, version, correlation_id, client_id, connection, frame, body_at, _memory: memory })
    }

    /// The message. Bytes after it are ignored, as Kafka does.
    pub(crate) fn decode<'a, M: ApiMessage<'a>>(&'a self) -> Result<M, Refused> {
        let body = self.frame.get(self.body_at..).unwrap_or_default();
        Ok(M::decode(&mut Reader::new(body), self.version)?)
    }

    /// Host of the client as Kafka's tools show it, e.g. `/127.0.0.1`.
    pub(crate) fn client_host(&self) -> String {
        format!("/{}", self.connection.peer.ip().to_canonical())
    }

    pub(crate) fn responder(&self) -> Responder {
        Responder { version: self.version, correlation_id: self.correlation_id }
    }

    /// Ends the handler with this response.
    pub(crate) fn reply<'a, M: ApiMessage<'a>>(&self, response: &M) -> Result<Outcome, Refused> {
        Ok(Outcome::Now(self.responder().response(response)?))
    }
}

/// What is needed to answer after the request's memory was given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Responder {
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

impl Responder {
    pub(crate) fn response<'a, M: ApiMessage<'a>>(self, response: &M) -> Result<Response, Refused> {
        let frame = framing::encode_response(self.correlation_id, self.version, response)?;
        Ok(Response { frame, slices: Vec::new(), waited: Duration::ZERO })
    }
}

/// An encoded response; each hole of the frame is filled from the slice of the same place.
pub(crate) struct Response {
    pub(crate) frame: framing::Frame,
    pub(crate) slices: Vec<ReadSlice>,
    /// How long the handler waited for others' records.
    pub(crate) waited: Duration,
}

pub(crate) type LaterResponse = Pin<Box<dyn Future<Output = Result<Response, Refused>> + Send>>;

/// How a handler ends.
pub(crate) enum Outcome {
    Now(Response),
    /// The connection's next request is handled meanwhile; responses keep their order.
    Later(LaterResponse),
    /// Produce with acks=0.
    Nothing,
}

/// Why a connection is closed instead of answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("malformed request: {0}")]
    Malformed(#[from] DecodeError),
    #[error("response cannot be encoded: {0}")]
    Response(#[from] EncodeError),
    #[error("{api} version {version} is not supported")]
    Unsupported { api: ApiKey, version: i16 },
    #[error("produce with acks=0 failed: {0}")]
    AcksZeroFailed(String),
}

impl Refused {
    /// For the metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Response(_) => "response",
            Self::Unsupported { .. } => "unsupported",
            Self::AcksZeroFailed(_) => "acks_zero",
        }
    }
}
