//! Trusting an authority by the SHA-256 fingerprint of its certificate, as Elasticsearch prints it at its first start: the
//! certificate is taken from what the server shows, and connections are verified against it from then on.

use std::{
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use openssl::{
    hash::MessageDigest,
    ssl::{SslConnector, SslMethod, SslVerifyMode},
    x509::{X509, X509Ref},
};

use super::client::Identity;

/// To connect, and for each read of the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no certificate.
#[derive(Debug)]
pub(super) enum Missing {
    /// The server does not answer: tried again.
    Away(String),
    /// It shows others.
    Other(String),
}

/// The certificate (DER) with this fingerprint among those that the server shows. Blocks.
pub(super) fn find(host: &str, port: u16, wanted: &[u8; 32], identity: Option<&Identity>) -> Result<Vec<u8>, Missing> {
    let away = |what: &str, reason: String| Missing::Away(format!("{host}:{port}: {what}: {reason}"));
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = (bare, port)
        .to_socket_addrs()
        .map_err(|e| away("cannot be resolved", e.to_string()))?
        .next()
        .ok_or_else(|| away("cannot be resolved", "no address".into()))?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|e| away("cannot connect", e.to_string()))?;
    let timed = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    timed.map_err(|e| away("cannot connect", e.to_string()))?;
    let broken = |e: openssl::error::ErrorStack| Missing::Other(e.to_string());
    let mut connector = SslConnector::builder(SslMethod::tls_client()).map_err(broken)?;
    // Nothing is sent over this connection: it only shows the certificates.
    connector.set_verify(SslVerifyMode::NONE);
    if let Some(identity) = identity {
        identity.show(&mut connector).map_err(broken)?;
    }
    let configured = connector.build().configure().map_err(broken)?.verify_hostname(false);
    let stream = configured.connect(bare, stream).map_err(|e| away("the TLS handshake failed", e.to_string()))?;
    let shown: Vec<X509> =
        stream.ssl().peer_cert_chain().into_iter().flatten().map(|certificate| certificate.to_owned()).collect();
    chosen(&shown, wanted).map_err(|reason| Missing::Other(format!("{host}:{port}: {reason}")))
}

fn chosen(shown: &[X509], wanted: &[u8; 32]) -> Result<Vec<u8>, String> {
    let found = shown.iter().find(|certificate| digest(certificate).is_some_and(|digest| digest == *wanted));
    let Some(certificate) = found else {
        let digests: Vec<_> = shown.iter().filter_map(|certificate| digest(certificate)).map(|d| hex(&d)).collect();
        return Err(format!("shows no certificate with tls.fingerprint, only {}", digests.join(", ")));
    };
    let own = certificate.issuer_name().try_cmp(certificate.subject_name());
    if !own.is_ok_and(std::cmp::Ordering::is_eq) {
        return Err(
            "tls.fingerprint is that of a certificate another authority has signed, expected the authority's own"
                .into(),
        );
    }
    certificate.to_der().map_err(|e| e.to_string())
}

fn digest(certificate: &X509Ref) -> Option<[u8; 32]> {
    certificate.digest(MessageDigest::sha256()).ok()?.as_ref().try_into().ok()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
