//! Elasticsearch behind TLS that wants a certificate of its clients: authorities by file and by fingerprint.

use std::{io::Read as _, io::Write as _, net::TcpListener, path::PathBuf, sync::Arc};

use logmill_config::sinks::{ClientCertificate, Elasticsearch, Tls};
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    ssl::{SslAcceptor, SslMethod, SslVerifyMode},
    x509::{
        X509, X509NameBuilder,
        extension::{BasicConstraints, SubjectAlternativeName},
        store::X509StoreBuilder,
    },
};

use super::conformance::{batch, elastic, settings};
use crate::connector::{Connector, Outcome, Outcomes};

struct Certified {
    certificate: X509,
    key: PKey<Private>,
}

/// Signed by `by`, an authority of its own without.
fn certified(name: &str, by: Option<&Certified>) -> Certified {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(1 + name.len() as u32).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(by.map_or(&subject, |by| by.certificate.subject_name())).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    match by {
        None => builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap(),
        Some(by) => {
            let context = builder.x509v3_context(Some(&by.certificate), None);
            let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&context).unwrap();
            builder.append_extension(names).unwrap();
        }
    }
    builder.sign(by.map_or(&key, |by| &by.key), MessageDigest::sha256()).unwrap();
    Certified { certificate: builder.build(), key }
}

/// Answers every request as a bulk of one document that was created.
fn serve(authority: &Certified, server: &Certified) -> String {
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).unwrap();
    acceptor.set_certificate(&server.certificate).unwrap();
    acceptor.add_extra_chain_cert(authority.certificate.clone()).unwrap();
    acceptor.set_private_key(&server.key).unwrap();
    let mut store = X509StoreBuilder::new().unwrap();
    store.add_cert(authority.certificate.clone()).unwrap();
    acceptor.set_verify_cert_store(store.build()).unwrap();
    acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    let acceptor = Arc::new(acceptor.build());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let acceptor = acceptor.clone();
            std::thread::spawn(move || {
                let Ok(mut stream) = acceptor.accept(stream.unwrap()) else { return };
                let mut request = vec![0; 65536];
                let Ok(1..) = stream.read(&mut request) else { return };
                let body = r#"{"errors":false,"items":[{"create":{"status":201}}]}"#;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown();
            });
        }
    });
    url
}

#[tokio::test]
async fn authorities_by_file_and_fingerprint_and_a_certificate_of_one_s_own() {
    let authority = certified("authority", None);
    let url = &serve(&authority, &certified("server", Some(&authority)));
    let own = certified("client", Some(&authority));
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: Vec<u8>| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let client = Some(ClientCertificate {
        cert_file: file("client.pem", own.certificate.to_pem().unwrap()),
        key_file: file("client.key", own.key.private_key_to_pem_pkcs8().unwrap()),
    });
    let ca_file = Some(file("ca.pem", authority.certificate.to_pem().unwrap()));
    let digest =
        |c: &Certified| <[u8; 32]>::try_from(&*c.certificate.digest(MessageDigest::sha256()).unwrap()).unwrap();
    let fingerprint = Some(digest(&authority));
    let deliver = |tls: Tls| async move {
        let connector = elastic(&Elasticsearch { tls, ..settings(url) }).unwrap();
        match connector.deliver(&batch(&["{}"])).await.outcomes {
            Outcomes::All(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    };
    let done = Outcome::Done { duplicate: false };
    let with = |ca_file, fingerprint, client| Tls { ca_file, client, fingerprint };
    assert_eq!(deliver(with(ca_file.clone(), None, client.clone())).await, done);
    assert_eq!(deliver(with(None, fingerprint, client.clone())).await, done);
    for refused in [with(None, None, client.clone()), with(ca_file.clone(), None, None)] {
        let outcome = deliver(refused).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    }
    for (wrong, expected) in
        [([7; 32], "shows no certificate"), (digest(&certified("other", None)), "shows no certificate")]
    {
        let Outcome::Pause { reason } = deliver(with(None, Some(wrong), client.clone())).await else { panic!() };
        assert!(reason.contains(expected), "{reason}");
    }

    let stolen = ClientCertificate {
        key_file: file("other.key", authority.key.private_key_to_pem_pkcs8().unwrap()),
        ..client.clone().unwrap()
    };
    let error = elastic(&Elasticsearch { tls: with(None, None, Some(stolen)), ..settings(url) }).err().unwrap();
    assert!(error.to_string().contains("is not the key of tls.cert_file"), "{error}");
}
