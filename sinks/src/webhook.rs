//! Webhooks: one HTTP request per event or per batch of events.
//!
//! The status is the answer; a body is only read for the words it may have. Every request carries an identity that is the
//! same at every try, so that a receiver can tell a repeat.

mod classify;
mod encode;
mod sign;
#[cfg(test)]
mod tests;

use std::{fs, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use logmill_config::sinks::{self, Auth, Format, Method};
use reqwest::{
    Certificate, Client, Identity, RequestBuilder, Response,
    header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER},
    redirect,
};

use self::{
    classify::{Verdict, verdict},
    encode::{Heads, Parts},
};
use crate::{
    batch::Batch,
    clock,
    connector::{Class, Connector, Delivery, Encode, Outcome, Outcomes},
    error::{SinksError, words},
    retry_after,
};

/// Bytes of an answer that are read at all, for the connection's sake, and that are kept for the reason.
const ANSWER_READ: usize = 64 << 10;
const ANSWER_KEPT: usize = 300;

pub(crate) struct Webhook {
    client: Client,
    config: sinks::Webhook,
}

impl Webhook {
    pub(crate) fn new(sink: &str, config: &sinks::Webhook) -> Result<Self, SinksError> {
        let failed = |reason: String| SinksError::Client { sink: sink.to_owned(), output: "webhook", reason };
        let read = |key: &str, path: &std::path::Path| {
            fs::read(path).map_err(|e| failed(format!("tls.{key}: cannot read {}: {e}", path.display())))
        };
        let mut builder = Client::builder()
            .user_agent(concat!("logmill/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(10)))
            .pool_max_idle_per_host(config.concurrency);
        if let Some(path) = &config.tls.ca_file {
            let chain = Certificate::from_pem_bundle(&read("ca_file", path)?)
                .map_err(|e| failed(format!("tls.ca_file: no certificates in {}: {}", path.display(), words(&e))))?;
            builder = chain.into_iter().fold(builder, |builder, certificate| builder.add_root_certificate(certificate));
        }
        if let Some(own) = &config.tls.client {
            let (cert, key) = (read("cert_file", &own.cert_file)?, read("key_file", &own.key_file)?);
            let identity = Identity::from_pkcs8_pem(&cert, &key)
                .map_err(|e| failed(format!("tls.cert_file and tls.key_file make no identity: {}", words(&e))))?;
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|e| failed(words(&e)))?;
        Ok(Self { client, config: config.clone() })
    }

    /// What is sent of `batch`: the request without its body, its identity, its body.
    fn request(&self, batch: &Batch) -> Option<(RequestBuilder, String, Bytes)> {
        let mut parts = Parts::of(batch.head(batch.items.first()?));
        let (id, url) = (parts.text()?, parts.text()?);
        let method = match self.config.method {
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
        };
        let mut request = self.client.request(method, url);
        for name in self.config.headers.keys() {
            request = request.header(name, HeaderValue::from_bytes(parts.next()?).ok()?);
        }
        let id = match batch.items.as_slice() {
            [_] => id.to_owned(),
            items => {
                let ids = items.iter().map(|item| Parts::of(batch.head(item)).next());
                sign::batch_id(ids.map(Option::unwrap_or_default))
            }
        };
        Some((request, id, self.body(batch)))
    }

    fn body(&self, batch: &Batch) -> Bytes {
        let part = |item| match &self.config.body {
            Some(_) => Parts::of(batch.head(item)).last().unwrap_or_default(),
            None => batch.document(item),
        };
        if self.config.batch == 1 {
            return batch.items.first().map(|item| batch.body.slice_ref(part(item))).unwrap_or_default();
        }
        let (open, between, close): (&[u8], _, &[u8]) = match self.config.format {
            Format::Array => (b"[", b',', b"]"),
            Format::Ndjson => (b"", b'\n', b"\n"),
        };
        let mut body = BytesMut::with_capacity(batch.body.len());
        body.put_slice(open);
        for (at, item) in batch.items.iter().enumerate() {
            if at > 0 {
                body.put_u8(between);
            }
            body.put_slice(part(item));
        }
        body.put_slice(close);
        body.freeze()
    }

    fn complete(&self, mut request: RequestBuilder, id: &str, body: Bytes) -> RequestBuilder {
        request = request.header(CONTENT_TYPE, &self.config.content_type);
        if let Some(name) = &self.config.idempotency_header {
            request = request.header(name, id);
        }
        request = match &self.config.auth {
            Some(Auth::Basic { user, password }) => request.basic_auth(user, Some(password)),
            Some(Auth::Bearer(token) | Auth::ApiKey(token)) => request.bearer_auth(token),
            None => request,
        };
        if let Some(sign) = &self.config.sign {
            let seconds = clock::wall_millis().div_euclid(1000);
            for (name, value) in sign::headers(sign, id, seconds, &body) {
                request = request.header(name, value);
            }
        }
        request.body(body)
    }

    fn settle(&self, items: usize, status: u16, reason: String) -> Outcomes {
        match verdict(status, &self.config.statuses) {
            Verdict::Done => Outcomes::All(Outcome::Done { duplicate: false }),
            Verdict::RetryAll => Outcomes::All(Outcome::Retry { reason }),
            Verdict::RetryEach => Outcomes::Each(vec![Outcome::Retry { reason }; items]),
            Verdict::Reject(class) => Outcomes::Split { class, reason },
            Verdict::Pause => Outcomes::All(Outcome::Pause { reason }),
        }
    }
}

pub(crate) fn encoder(config: &sinks::Webhook) -> Box<dyn Encode> {
    Box::new(Heads::new(config))
}

/// A head in words, and the body where it is not the event itself.
pub(crate) fn describe(config: &sinks::Webhook, head: &[u8]) -> (Vec<(String, String)>, Option<Vec<u8>>) {
    let names = ["id", "url"].into_iter().chain(config.headers.keys().map(String::as_str));
    let mut values = Parts::of(head);
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let parts = names.zip(&mut values).map(|(name, value)| (name.to_owned(), text(value))).collect();
    (parts, config.body.as_ref().and(values.next()).map(<[u8]>::to_vec))
}

impl Connector for Webhook {
    fn encoder(&self) -> Box<dyn Encode> {
        encoder(&self.config)
    }

    async fn deliver(&self, batch: &Batch) -> Delivery {
        let Some((request, id, body)) = self.request(batch) else {
            let reason = "no request can be made of the event".to_owned();
            return Outcomes::Split { class: Class::Template, reason }.into();
        };
        let response = match self.complete(request, &id, body).send().await {
            Ok(response) => response,
            Err(e) if e.is_builder() => {
                return Outcomes::Split { class: Class::Template, reason: words(&e.without_url()) }.into();
            }
            // Nobody is there: that is not about this request.
            Err(e) if e.is_connect() => {
                return Outcomes::All(Outcome::Retry { reason: words(&e.without_url()) }).into();
            }
            Err(e) => {
                let reason = words(&e.without_url());
                return Outcomes::Each(vec![Outcome::Retry { reason }; batch.items.len()]).into();
            }
        };
        let status = response.status().as_u16();
        let retry_after = retry_after::read(response.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes));
        let reason = reason(response).await;
        Delivery { outcomes: self.settle(batch.items.len(), status, reason), retry_after }
    }
}

/// The status, and the beginning of what the answer says.
async fn reason(mut response: Response) -> String {
    let status = response.status().as_u16();
    let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok()).map(str::to_owned);
    let (mut said, mut read) = (Vec::new(), 0);
    // An answer that breaks off has said its status all the same.
    while read < ANSWER_READ
        && let Ok(Some(chunk)) = response.chunk().await
    {
        read += chunk.len();
        said.extend(chunk.iter().take(ANSWER_KEPT - said.len()));
    }
    let said = String::from_utf8_lossy(&said);
    match (place, said.trim()) {
        (Some(place), _) if (300..400).contains(&status) => {
            format!("status {status} points to {place}, expected a webhook.url that answers itself")
        }
        (_, "") => format!("status {status}"),
        (_, said) => format!("status {status}: {said}"),
    }
}
