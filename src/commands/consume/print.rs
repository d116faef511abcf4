//! One record as a line or as JSON.

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::ValueEnum;
use rdkafka::{Message, message::BorrowedMessage};
use serde_json::{Map, Value, json};

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Lines,
    Json,
}

/// The header with a line's identity: 16 bytes, printed as 22 characters of base64url, as in `_id`.
const LINE_ID: &str = "logmill-id";

pub(super) fn record(
    out: &mut impl Write,
    format: Format,
    separator: Option<&str>,
    message: &BorrowedMessage<'_>,
) -> io::Result<()> {
    match format {
        Format::Lines => {
            if let Some(separator) = separator {
                out.write_all(message.key().unwrap_or_default())?;
                out.write_all(separator.as_bytes())?;
            }
            out.write_all(message.payload().unwrap_or_default())?;
        }
        Format::Json => serde_json::to_writer(&mut *out, &json(message))?,
    }
    out.write_all(b"\n")
}

fn json(message: &BorrowedMessage<'_>) -> Value {
    let mut object = Map::new();
    object.insert("topic".into(), message.topic().into());
    object.insert("partition".into(), message.partition().into());
    object.insert("offset".into(), message.offset().into());
    object.insert("timestamp".into(), message.timestamp().to_millis().into());
    put(&mut object, "key", message.key());
    put(&mut object, "value", message.payload());
    let mut headers: Vec<Value> = Vec::new();
    logmill_sinks::headers(message, |name, value| {
        let mut object = Map::new();
        put(&mut object, "key", Some(name));
        match value {
            Some(id) if name == LINE_ID.as_bytes() && id.len() == 16 => {
                object.insert("value".into(), URL_SAFE_NO_PAD.encode(id).into());
            }
            value => put(&mut object, "value", value),
        }
        headers.push(Value::Object(object));
    });
    if !headers.is_empty() {
        object.insert("headers".into(), headers.into());
    }
    Value::Object(object)
}

/// Text as it is; other bytes in base64 under `NAME_base64`.
fn put(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|b| (b, std::str::from_utf8(b))) {
        None => object.insert(name.into(), Value::Null),
        Some((_, Ok(text))) => object.insert(name.into(), text.into()),
        Some((bytes, Err(_))) => object.insert(format!("{name}_base64"), json!(STANDARD.encode(bytes))),
    };
}
