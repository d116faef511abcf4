//! What every HTTP output has: credentials, certificates, headers.

use crate::{
    sinks::{Auth, ClientCertificate, Tls},
    value::Value,
};

/// Which credentials an output knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Elasticsearch,
    Webhook,
}

pub(super) fn auth(value: &Value, kind: Kind) -> Option<Auth> {
    let mut s = value.section()?;
    let api_key = match kind {
        Kind::Elasticsearch => s.get("api_key").map(|v| v.text()),
        Kind::Webhook => None,
    };
    let bearer = s.get("bearer").map(|v| token(&v));
    let user = s.get("user").map(|v| v.text());
    let password = s.get("password").map(|v| v.any_text());
    let auth = match (api_key, bearer, user, password) {
        (Some(key), None, None, None) => key.map(Auth::ApiKey),
        (None, Some(bearer), None, None) => bearer.map(Auth::Bearer),
        (None, None, Some(user), Some(password)) => {
            user.zip(password).map(|(user, password)| Auth::Basic { user, password })
        }
        _ => {
            s.fail_here(match kind {
                Kind::Elasticsearch => "expected either api_key, or bearer, or user and password",
                Kind::Webhook => "expected either bearer, or user and password",
            });
            None
        }
    };
    s.finish();
    auth
}

fn token(value: &Value) -> Option<String> {
    let token = value.text()?;
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return value.fail("expected printable ASCII without spaces");
    }
    Some(token)
}

pub(super) fn tls(value: &Value, kind: Kind) -> Option<Tls> {
    let mut s = value.section()?;
    let ca_file = s.get("ca_file").and_then(|v| v.path());
    let (cert, key) = (s.get("cert_file"), s.get("key_file"));
    let client = match (cert, key) {
        (None, None) => None,
        (Some(cert), Some(key)) => {
            cert.path().zip(key.path()).map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file })
        }
        _ => {
            s.fail_here("expected cert_file and key_file together, or neither");
            None
        }
    };
    let fingerprint = match kind {
        Kind::Elasticsearch => s.get("fingerprint").and_then(|v| fingerprint(&v)),
        Kind::Webhook => None,
    };
    s.finish();
    Some(Tls { ca_file, client, fingerprint })
}

/// SHA-256 in hex, with or without colons, as Elasticsearch prints it.
fn fingerprint(value: &Value) -> Option<[u8; 32]> {
    let text = value.text_that_is("SHA-256 in hexadecimal digits")?;
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    match bytes.filter(|_| digits.iter().all(u8::is_ascii_hexdigit)).and_then(|bytes| bytes.try_into().ok()) {
        Some(fingerprint) => Some(fingerprint),
        None => value.fail("is no fingerprint, expected SHA-256 as 64 hexadecimal digits, with or without colons"),
    }
}

/// Whether a header may be given this name; reported otherwise.
pub(super) fn is_header_name(name: &str, value: &Value, own: &[&str]) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        value.fail::<()>("is not a name of an HTTP header");
        return false;
    }
    if own.contains(&name.to_lowercase().as_str()) {
        value.fail::<()>("is set by the sink itself, expected another header");
        return false;
    }
    true
}

/// The text of a header's value; reported when it is none.
pub(super) fn header_value(value: &Value) -> Option<String> {
    let text = value.any_text()?;
    if text.contains(|c: char| c.is_control() || !c.is_ascii()) {
        return value.fail("a header's value is printable ASCII");
    }
    Some(text)
}
