//! A request to one of the hosts: whichever is in, and the next one where nobody answers.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use ::elasticsearch::http::{
    Method, Url,
    headers::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    transport::Transport,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use logmill_config::sinks::{self, Auth};
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::sync::OnceCell;

use super::{
    client::Maker,
    fingerprint::{self, Missing},
    hosts::Hosts,
};
use crate::{clock, error::words, metrics::Metrics, retry_after};

pub(super) struct Pool {
    sink: String,
    maker: Arc<Maker>,
    fingerprint: Option<[u8; 32]>,
    compress: bool,
    members: Vec<Member>,
    hosts: Mutex<Hosts>,
}

struct Member {
    url: Url,
    /// Made for its first request: a fingerprint is looked for at the server itself.
    transport: OnceCell<Transport>,
    is_in: IntGauge,
}

/// What a host said.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// Why no host said anything.
#[derive(Debug)]
pub(super) enum Silence {
    /// To be tried again.
    Away(String),
    /// The operator's to mend.
    Untrusted(String),
}

impl Pool {
    pub(super) fn new(sink: &str, config: &sinks::Elasticsearch, metrics: &Metrics) -> Result<Self, String> {
        let mut members = Vec::with_capacity(config.hosts.len());
        let mut in_url = None;
        for host in &config.hosts {
            let mut url = Url::parse(host).map_err(|e| format!("hosts: {host:?} is no URL: {e}"))?;
            if let Some(password) = url.password() {
                in_url = Some(Auth::Basic { user: url.username().to_owned(), password: password.to_owned() });
            }
            // Else reqwest would send a second Authorization header.
            if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
                in_url = None;
            }
            let is_in = metrics.host_in.with_label_values(&[sink, url.as_str()]);
            is_in.set(1);
            members.push(Member { url, transport: OnceCell::new(), is_in });
        }
        if members.is_empty() {
            return Err("hosts is empty".into());
        }
        let maker = Maker::new(config, in_url)?;
        // What is wrong with certificates and keys is said at the start.
        if let Some(first) = members.first() {
            maker.transport(&first.url, None)?;
        }
        Ok(Self {
            sink: sink.to_owned(),
            maker: Arc::new(maker),
            fingerprint: config.tls.fingerprint,
            compress: config.compression == sinks::Compression::Gzip,
            hosts: Mutex::new(Hosts::new(members.len())),
            members,
        })
    }

    /// Sends to one host after the other until one says something. A host that keeps silent until the time-out is the last.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: Option<Bytes>,
        timeout: Duration,
    ) -> Result<Said, Silence> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let body = match body {
            Some(plain) if self.compress => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                Some(gzip(plain).await.map_err(Silence::Away)?)
            }
            body => body,
        };
        let mut tried = Vec::new();
        let mut silence = Silence::Away("no host".into());
        while let Some((at, member)) = self.pick(&tried) {
            tried.push(at);
            let sent = match self.transport(member).await {
                Ok(transport) => {
                    let sent =
                        transport.send(method, path, headers.clone(), None::<&()>, body.clone(), Some(timeout)).await;
                    sent.map_err(|e| (Silence::Away(words(&e)), e.is_timeout()))
                }
                Err(silence) => Err((silence, false)),
            };
            let response = match sent {
                Ok(response) => response,
                Err((reason, last)) => {
                    self.failed(at, member, &reason);
                    silence = reason;
                    if last {
                        break;
                    }
                    continue;
                }
            };
            let status = response.status_code().as_u16();
            let retry_after = retry_after::read(response.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes));
            match response.bytes().await {
                Ok(body) => {
                    if matches!(status, 502..=504) {
                        self.failed(at, member, &Silence::Away(format!("status {status}")));
                    } else {
                        self.answered(at, member);
                    }
                    return Ok(Said { status, retry_after, body });
                }
                Err(e) => {
                    let reason = Silence::Away(format!("the answer broke off: {}", words(&e)));
                    self.failed(at, member, &reason);
                    return Err(reason);
                }
            }
        }
        Err(silence)
    }

    fn pick(&self, tried: &[usize]) -> Option<(usize, &Member)> {
        let at = self.hosts.lock().pick(clock::now(), tried)?;
        Some((at, self.members.get(at)?))
    }

    fn answered(&self, at: usize, member: &Member) {
        if self.hosts.lock().answered(at) {
            member.is_in.set(1);
            if self.members.len() > 1 {
                tracing::info!(sink = %self.sink, host = %member.url, "host answers again");
            }
        }
    }

    fn failed(&self, at: usize, member: &Member, reason: &Silence) {
        let now: Instant = clock::now();
        let Some((wait, was_in)) = self.hosts.lock().failed(at, now, fastrand::f64()) else { return };
        member.is_in.set(0);
        if was_in && self.members.len() > 1 {
            let (Silence::Away(reason) | Silence::Untrusted(reason)) = reason;
            tracing::warn!(sink = %self.sink, host = %member.url, "host left out for {wait:.1?}, the others go on: {reason}");
        }
    }

    async fn transport<'m>(&self, member: &'m Member) -> Result<&'m Transport, Silence> {
        let made = member.transport.get_or_try_init(|| async {
            let authority = match self.fingerprint.filter(|_| member.url.scheme() == "https") {
                Some(wanted) => Some(self.authority(&member.url, wanted).await?),
                None => None,
            };
            self.maker.transport(&member.url, authority.as_deref()).map_err(Silence::Untrusted)
        });
        made.await
    }

    async fn authority(&self, url: &Url, wanted: [u8; 32]) -> Result<Vec<u8>, Silence> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let maker = self.maker.clone();
        let found = tokio::task::spawn_blocking(move || fingerprint::find(&host, port, &wanted, maker.identity()));
        match found.await {
            Ok(Ok(certificate)) => Ok(certificate),
            Ok(Err(Missing::Away(reason))) => Err(Silence::Away(reason)),
            Ok(Err(Missing::Other(reason))) => Err(Silence::Untrusted(reason)),
            Err(e) => Err(Silence::Away(e.to_string())),
        }
    }
}

/// At the lowest level: log lines shrink to a tenth all the same. Not on the runtime, which the other sinks share.
async fn gzip(plain: Bytes) -> Result<Bytes, String> {
    let packed = tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
        encoder.write_all(&plain).and_then(|()| encoder.finish())
    });
    match packed.await {
        Ok(Ok(packed)) => Ok(packed.into()),
        Ok(Err(e)) => Err(format!("cannot compress: {e}")),
        Err(e) => Err(format!("cannot compress: {e}")),
    }
}
