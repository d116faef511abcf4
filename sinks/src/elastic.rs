//! Elasticsearch and OpenSearch: `_bulk` over the official client.

mod classify;
mod encode;
mod index_name;
mod response;
#[cfg(test)]
mod tests;

use std::{fs, time::Duration};

use ::elasticsearch::{
    Elasticsearch,
    auth::Credentials,
    cert::{Certificate, CertificateValidation},
    http::{
        Method, Url,
        headers::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
        transport::{MultiNodeConnectionPool, TransportBuilder},
    },
};
use logmill_config::sinks::{self, Auth, Id, Op};

use self::{encode::ActionLines, index_name::IndexTemplate};
use crate::{
    batch::Batch,
    connector::{Connector, Delivery, Encode, Outcome, Outcomes},
    error::{SinksError, words},
    retry_after,
};

/// Longer than Elasticsearch's own bulk timeout (1 minute) for shards to become available.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// The Elasticsearch connector: body in, outcomes out.
pub(crate) struct Elastic {
    client: Elasticsearch,
    op: Op,
    id: Id,
    template: IndexTemplate,
    timeout: Duration,
}

impl Elastic {
    pub(crate) fn new(sink: &str, config: &sinks::Elasticsearch) -> Result<Self, SinksError> {
        let failed = |reason: String| SinksError::Client { sink: sink.to_owned(), output: "elasticsearch", reason };
        let template = IndexTemplate::parse(&config.index).map_err(|reason| failed(format!("index: {reason}")))?;
        let mut hosts = Vec::with_capacity(config.hosts.len());
        let mut credentials = None;
        for host in &config.hosts {
            let mut url = Url::parse(host).map_err(|e| failed(format!("hosts: {host:?} is no URL: {e}")))?;
            if let Some(password) = url.password() {
                credentials = Some(Credentials::Basic(url.username().to_owned(), password.to_owned()));
            }
            // Else reqwest would send a second Authorization header.
            if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
                credentials = None;
            }
            hosts.push(url);
        }
        if hosts.is_empty() {
            return Err(failed("hosts is empty".into()));
        }
        let mut builder = TransportBuilder::new(MultiNodeConnectionPool::round_robin(hosts, None));
        match &config.auth {
            Some(Auth::Basic { user, password }) => {
                credentials = Some(Credentials::Basic(user.clone(), password.clone()));
            }
            Some(Auth::ApiKey(key)) => {
                if HeaderValue::try_from(format!("ApiKey {key}")).is_err() {
                    return Err(failed("auth.api_key holds characters no HTTP header can carry".into()));
                }
                credentials = Some(match key.split_once(':') {
                    Some((id, secret)) => Credentials::ApiKey(id.to_owned(), secret.to_owned()),
                    None => Credentials::EncodedApiKey(key.clone()),
                });
            }
            Some(Auth::Bearer(token)) => credentials = Some(Credentials::Bearer(token.clone())),
            None => {}
        }
        if let Some(credentials) = credentials {
            builder = builder.auth(credentials);
        }
        if let Some(path) = &config.tls.ca_file {
            let bad = |reason: String| failed(format!("tls.ca_file: cannot read {}: {reason}", path.display()));
            let pem = fs::read(path).map_err(|e| bad(e.to_string()))?;
            let chain = Certificate::from_pem(&pem).map_err(|e| bad(e.to_string()))?;
            builder = builder.cert_validation(CertificateValidation::Full(chain));
        }
        for (name, value) in &config.headers {
            let header = HeaderName::try_from(name.as_str()).map_err(|e| failed(format!("header {name}: {e}")))?;
            let value = HeaderValue::try_from(value.as_str()).map_err(|e| failed(format!("header {name}: {e}")))?;
            builder = builder.header(header, value);
        }
        let transport = builder.build().map_err(|e| failed(e.to_string()))?;
        let client = Elasticsearch::new(transport);
        Ok(Self { client, op: config.op, id: config.id, template, timeout: REQUEST_TIMEOUT })
    }

    #[cfg(test)]
    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Connector for Elastic {
    fn encoder(&self) -> Box<dyn Encode> {
        Box::new(ActionLines::new(self.op, self.id, self.template.clone()))
    }

    async fn deliver(&self, batch: &Batch) -> Delivery {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let sent = self.client.transport().send(
            Method::Post,
            "_bulk",
            headers,
            None::<&()>,
            Some(batch.body.clone()),
            Some(self.timeout),
        );
        let response = match sent.await {
            Ok(response) => response,
            Err(e) => return Outcomes::All(Outcome::Retry { reason: words(&e) }).into(),
        };
        let status = response.status_code().as_u16();
        let retry_after = retry_after::read(response.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes));
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(e) => {
                let reason = format!("the answer broke off: {}", words(&e));
                return Delivery { outcomes: Outcomes::All(Outcome::Retry { reason }), retry_after };
            }
        };
        let outcomes = if (200..300).contains(&status) {
            response::outcomes(self.op, &body, batch.items.len())
        } else {
            classify::request(status, response::request_error(&body))
        };
        Delivery { outcomes, retry_after }
    }
}
