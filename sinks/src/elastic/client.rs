//! The client of one host: credentials, certificates, headers.

use std::{fs, path::Path};

use ::elasticsearch::{
    auth::{ClientCertificate, Credentials},
    cert::{Certificate, CertificateValidation},
    http::{
        Url,
        headers::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
        transport::{SingleNodeConnectionPool, Transport, TransportBuilder},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use logmill_config::sinks::{self, Auth};
use openssl::{
    error::ErrorStack,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    ssl::SslConnectorBuilder,
    stack::Stack,
    x509::X509,
};

/// What the clients of all hosts have in common.
pub(super) struct Maker {
    headers: HeaderMap,
    /// PEM.
    authorities: Option<Vec<u8>>,
    identity: Option<Identity>,
}

/// The sink's own certificate, its chain and its key.
pub(super) struct Identity {
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Maker {
    pub(super) fn new(config: &sinks::Elasticsearch, in_url: Option<Auth>) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let header = HeaderName::try_from(name.as_str()).map_err(|e| format!("header {name}: {e}"))?;
            let value = HeaderValue::try_from(value.as_str()).map_err(|e| format!("header {name}: {e}"))?;
            headers.insert(header, value);
        }
        if let Some(auth) = config.auth.as_ref().or(in_url.as_ref()) {
            headers.insert(AUTHORIZATION, authorization(auth)?);
        }
        let authorities = match &config.tls.ca_file {
            Some(path) => {
                let pem = read("ca_file", path)?;
                Certificate::from_pem(&pem).map_err(|e| format!("tls.ca_file: cannot read {}: {e}", path.display()))?;
                Some(pem)
            }
            None => None,
        };
        let identity = match &config.tls.client {
            Some(client) => Some(Identity::read(client)?),
            None => None,
        };
        Ok(Self { headers, authorities, identity })
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// `authority` (DER) is trusted beside the others.
    pub(super) fn transport(&self, url: &Url, authority: Option<&[u8]>) -> Result<Transport, String> {
        let words = |e: ::elasticsearch::Error| crate::error::words(&e);
        let mut trusted = match &self.authorities {
            Some(pem) => Some(Certificate::from_pem(pem).map_err(words)?),
            None => None,
        };
        if let Some(der) = authority {
            let more = Certificate::from_der(der).map_err(words)?;
            match &mut trusted {
                Some(trusted) => trusted.append(more),
                None => trusted = Some(more),
            }
        }
        let mut builder =
            TransportBuilder::new(SingleNodeConnectionPool::new(url.clone())).headers(self.headers.clone());
        if let Some(trusted) = trusted {
            builder = builder.cert_validation(CertificateValidation::Full(trusted));
        }
        if let Some(identity) = &self.identity {
            let archive = identity.pkcs12().map_err(|e| format!("tls.cert_file and tls.key_file: {e}"))?;
            let certificate = ClientCertificate::Pkcs12(archive, Some(ARCHIVE.to_owned()));
            builder = builder.auth(Credentials::Certificate(certificate));
        }
        builder.build().map_err(|e| crate::error::words(&e))
    }
}

/// The archive never leaves this process, so that its password is no secret.
const ARCHIVE: &str = "logmill";

impl Identity {
    fn read(client: &sinks::ClientCertificate) -> Result<Self, String> {
        let cert = read("cert_file", &client.cert_file)?;
        let chain = X509::stack_from_pem(&cert)
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| format!("tls.cert_file: no certificates in {}", client.cert_file.display()))?;
        let key = PKey::private_key_from_pem(&read("key_file", &client.key_file)?)
            .map_err(|_| format!("tls.key_file: no key in {}", client.key_file.display()))?;
        let identity = Self { chain, key };
        let fits = identity
            .chain
            .first()
            .and_then(|own| own.public_key().ok())
            .is_some_and(|own| own.public_eq(&identity.key));
        if fits { Ok(identity) } else { Err("tls.key_file is not the key of tls.cert_file".into()) }
    }

    fn pkcs12(&self) -> Result<Vec<u8>, ErrorStack> {
        let mut builder = Pkcs12::builder();
        builder.name("logmill").pkey(&self.key);
        let mut others = Stack::new()?;
        for (at, certificate) in self.chain.iter().enumerate() {
            match at {
                0 => drop(builder.cert(certificate)),
                _ => others.push(certificate.clone())?,
            }
        }
        builder.ca(others);
        builder.build2(ARCHIVE)?.to_der()
    }

    /// Shown to a server that asks for it.
    pub(super) fn show(&self, connector: &mut SslConnectorBuilder) -> Result<(), ErrorStack> {
        for (at, certificate) in self.chain.iter().enumerate() {
            match at {
                0 => connector.set_certificate(certificate)?,
                _ => connector.add_extra_chain_cert(certificate.clone())?,
            }
        }
        connector.set_private_key(&self.key)
    }
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("tls.{key}: cannot read {}: {e}", path.display()))
}

fn authorization(auth: &Auth) -> Result<HeaderValue, String> {
    let text = match auth {
        Auth::Basic { user, password } => format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
        // As Elasticsearch shows it: encoded, or id and key.
        Auth::ApiKey(key) if key.contains(':') => format!("ApiKey {}", STANDARD.encode(key)),
        Auth::ApiKey(key) => format!("ApiKey {key}"),
        Auth::Bearer(token) => format!("Bearer {token}"),
    };
    let mut value =
        HeaderValue::try_from(text).map_err(|_| "auth holds characters no HTTP header can carry, e.g. in api_key")?;
    value.set_sensitive(true);
    Ok(value)
}
