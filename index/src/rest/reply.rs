//! An answer before it becomes HTTP.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    body: Vec<u8>,
    text: bool,
}

/// How the client wants its answer.
pub(crate) struct Style {
    vendor: Option<&'static str>,
    pretty: bool,
}

impl Style {
    pub(crate) fn of(request: &Request) -> Self {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let vendor = accept.contains("application/vnd.elasticsearch+").then(|| {
            if accept.contains("compatible-with=9") {
                "application/vnd.elasticsearch+json;compatible-with=9"
            } else {
                "application/vnd.elasticsearch+json;compatible-with=8"
            }
        });
        let pretty = request
            .uri()
            .query()
            .unwrap_or_default()
            .split('&')
            .any(|pair| matches!(pair, "pretty" | "pretty=true" | "pretty="));
        Self { vendor, pretty }
    }
}

impl Reply {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        // Our own structures: strings and numbers only.
        Self { status, body: serde_json::to_vec(body).unwrap_or_default(), text: false }
    }

    pub(crate) fn text(body: String) -> Self {
        Self { status: 200, body: body.into_bytes(), text: true }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, body: Vec::new(), text: true }
    }

    /// The body as a JSON value, for answers inside answers.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn class(&self) -> &'static str {
        match self.status / 100 {
            2 => "2xx",
            4 => "4xx",
            5 => "5xx",
            _ => "other",
        }
    }

    pub(crate) fn into_response(mut self, style: &Style, head: bool) -> Response {
        if style.pretty
            && !self.text
            && let Ok(mut pretty) = serde_json::to_vec_pretty(&self.value())
        {
            pretty.push(b'\n');
            self.body = pretty;
        }
        let media = if self.text { "text/plain; charset=UTF-8" } else { style.vendor.unwrap_or("application/json") };
        let length = self.body.len();
        let mut response = Response::new(if head { Body::empty() } else { Body::from(self.body) });
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
        if length > 0 {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        }
        if head {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}
