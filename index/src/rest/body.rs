//! Reading a request: media type, size, compression, path and parameters.

use std::{collections::HashMap, io::Read, sync::Arc};

use axum::{
    body::BodyDataStream,
    extract::Request,
    http::{HeaderMap, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::OwnedSemaphorePermit;

use super::{Call, PATIENCE, Rest, failure, reply::Reply};

/// Of a refused body, this many times the limit is still taken in.
const DISCARDED: u64 = 8;

/// Reads the request; the permit stands for the memory its body takes.
pub(super) async fn read(rest: &Arc<Rest>, request: Request) -> Result<(Call, Option<OwnedSemaphorePermit>), Reply> {
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let waits = parts.headers.contains_key(header::EXPECT);
    let call = read_parts(rest, parts, &mut body).await;
    if call.is_err() && !waits {
        let limit = rest.engine.options.max_body_bytes.saturating_mul(DISCARDED);
        // What is sent on after that sees the connection closed.
        let _ = tokio::time::timeout(PATIENCE, discard(body, limit)).await;
    }
    call
}

async fn read_parts(
    rest: &Arc<Rest>,
    parts: Parts,
    body: &mut BodyDataStream,
) -> Result<(Call, Option<OwnedSemaphorePermit>), Reply> {
    let limit = rest.engine.options.max_body_bytes;
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let chunked = parts.headers.contains_key(header::TRANSFER_ENCODING);
    let expected = announced.unwrap_or(if chunked { limit } else { 0 });
    let (mut bytes, mut room) = (Bytes::new(), None);
    if expected > 0 {
        check_media_type(&parts.headers)?;
        let gzip = parts.headers.get(header::CONTENT_ENCODING).is_some_and(|value| value == "gzip");
        // A compressed body may grow to the limit.
        room = Some(take_room(rest, if gzip { limit } else { expected }).await?);
        bytes = collect(body, limit).await?;
        if gzip {
            bytes = tokio::task::spawn_blocking(move || inflate(&bytes, limit)).await.map_err(|_| too_large())??;
        }
    }
    let path = parts
        .uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| decode(part, false))
        .collect::<Option<Vec<String>>>()
        .ok_or_else(|| failure::error(400, "illegal_argument_exception", "the path is not valid UTF-8"))?;
    Ok((Call { method: parts.method, path, params: params(parts.uri.query().unwrap_or_default()), body: bytes }, room))
}

async fn take_room(rest: &Arc<Rest>, bytes: u64) -> Result<OwnedSemaphorePermit, Reply> {
    let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(rest.budget);
    match tokio::time::timeout(PATIENCE, rest.bodies.clone().acquire_many_owned(kib)).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(failure::rejected("too many bytes of requests are in flight")),
    }
}

/// The whole body, if it is within `limit`.
async fn collect(body: &mut BodyDataStream, limit: u64) -> Result<Bytes, Reply> {
    let mut bytes = BytesMut::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| failure::error(400, "illegal_argument_exception", "the body is incomplete"))?;
        if bytes.len() as u64 + part.len() as u64 > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

/// Takes in the rest of a refused body: a client that is still sending would see a broken connection, not the answer.
async fn discard(mut body: BodyDataStream, limit: u64) {
    let mut taken = 0;
    while let Some(Ok(part)) = body.next().await {
        taken += part.len() as u64;
        if taken > limit {
            return;
        }
    }
}

fn too_large() -> Reply {
    Reply::empty(413)
}

fn inflate(bytes: &[u8], limit: u64) -> Result<Bytes, Reply> {
    let mut out = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut out);
    match read {
        Ok(length) if length as u64 > limit => Err(too_large()),
        Ok(_) => Ok(out.into()),
        Err(error) => {
            Err(failure::error(400, "illegal_argument_exception", &format!("cannot decompress the body: {error}")))
        }
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Reply> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = matches!(
        media.as_str(),
        "application/json"
            | "application/x-ndjson"
            | "application/vnd.elasticsearch+json"
            | "application/vnd.elasticsearch+x-ndjson"
    );
    if known {
        return Ok(());
    }
    let body = serde_json::json!({ "error": format!("Content-Type header [{given}] is not supported"), "status": 406 });
    Err(Reply::json(406, &body))
}

fn params(query: &str) -> HashMap<String, String> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .take(1000)
        .filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key, true)?, decode(value, true)?))
        })
        .collect()
}

/// Percent-decodes; `plus` stands for a space in parameters.
fn decode(text: &str, plus: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = || u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok();
        match byte {
            b'%' => match hex() {
                Some(value) => {
                    out.push(value);
                    at += 2;
                }
                None => out.push(b'%'),
            },
            b'+' if plus => out.push(b' '),
            byte => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_paths_and_parameters() {
        assert_eq!(decode("a%2Fb%20c", false).as_deref(), Some("a/b c"));
        assert_eq!(decode("a+b", true).as_deref(), Some("a b"));
        assert_eq!(decode("100%", false).as_deref(), Some("100%"));
        assert_eq!(decode("%ff", false), None);
        assert_eq!(params("q=a%3Ab&pretty").get("q").map(String::as_str), Some("a:b"));
    }
}
