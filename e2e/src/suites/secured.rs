//! An Elasticsearch that asks who comes: passwords, API keys, tokens, certificates, an authority by file and by fingerprint.
//! Sinks that may not come in say why and wait, the others deliver; what is put right at the node goes on by itself, what is
//! put right in YAML by a reload.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};

use super::Room;
use crate::{
    clock, http,
    peers::Search,
    pipeline::{Part, Pipeline},
    ports, process, readback,
};

const TOPIC: &str = "secured";
const RECORDS: u64 = 1_000;
/// What each of those says that is refused at first.
const REFUSED: [(&str, &str); 5] = [
    ("wrong-password", "refused: 401 security_exception: unable to authenticate user [late]"),
    ("no-rights", "refused: 403 security_exception"),
    ("no-authority", "certificate verify failed"),
    ("wrong-fingerprint", "shows no certificate with tls.fingerprint"),
    ("wrong-key", "refused: 401 security_exception"),
];
const WELCOME: [&str; 4] = ["password", "api-key", "token", "certificate"];

pub(super) async fn run(room: &Room) -> Result<String> {
    let (dir, port) = (room.dir.join("elasticsearch"), ports::free()?);
    let search = Search::start_secured(&dir, port)?;
    let mut pipeline = Pipeline::with_peers(&room.dir, &format!("127.0.0.1:{}", ports::free()?), &search.url)?;
    pipeline.start(Part::Broker).await?;
    let node = Node { url: search.url.clone(), certs: dir.join("certs") };
    node.user("writer", "secret", &["password"]).await?;
    node.user("late", "another", &["wrong-password"]).await?;
    node.user("stranger", "secret", &["elsewhere"]).await?;
    let sinks = node.sinks().await?;
    write(&pipeline, &sinks)?;
    produce(&pipeline, 0..RECORDS / 2).await?;
    pipeline.start(Part::Sinks).await?;
    node.hold(&WELCOME, RECORDS / 2).await?;
    let health = refused(&pipeline).await?;
    for name in WELCOME {
        ensure!(health.contains(&format!("ok sink {name}\n")), "{name} is not well: {health}");
    }
    pipeline.kill(Part::Sinks)?;
    produce(&pipeline, RECORDS / 2..RECORDS).await?;
    pipeline.start(Part::Sinks).await?;
    node.hold(&WELCOME, RECORDS).await?;
    refused(&pipeline).await?;
    for (name, _) in REFUSED {
        let count = readback::index_count(&search.url, &format!("{name}*")).await?;
        ensure!(count == 0, "{count} documents of {name}, who may not write");
    }

    // The operator of the node puts right what is wrong there.
    node.user("late", "secret", &["wrong-password"]).await?;
    node.user("stranger", "secret", &["no-rights"]).await?;
    node.hold(&["wrong-password", "no-rights"], RECORDS).await?;
    // And the one of the sinks the rest.
    let right = &sinks.iter().find(|(name, _)| *name == "password").context("no such sink")?.1;
    let still_out = ["no-authority", "wrong-fingerprint", "wrong-key"];
    let mended: Vec<_> = sinks
        .iter()
        .map(|(name, settings)| (*name, if still_out.contains(name) { right } else { settings }.clone()))
        .collect();
    node.user("writer", "secret", &["*"]).await?;
    write(&pipeline, &mended)?;
    pipeline.process(Part::Sinks)?.reload()?;
    node.hold(&still_out, RECORDS).await?;
    pipeline.ledger_of_sinks().await?;
    pipeline.stop_all().await?;
    Ok(format!(
        "{RECORDS} documents each by password, API key, token and certificate; {} refused sinks said why and went on when it was put right",
        REFUSED.len()
    ))
}

/// The node as its administrator sees it.
struct Node {
    /// With the administrator's name and password.
    url: String,
    certs: std::path::PathBuf,
}

impl Node {
    async fn ask(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        http::json(method, &format!("{}/_security/{path}", self.url), Some(&body)).await
    }

    /// Who may put templates and write indices of these names.
    async fn user(&self, name: &str, password: &str, indices: &[&str]) -> Result<()> {
        let role = json!({
            "cluster": ["monitor", "manage_index_templates"],
            "indices": [{"names": indices, "privileges": ["auto_configure", "create", "create_index"]}]
        });
        self.ask("PUT", &format!("role/{name}"), role).await?;
        self.ask("PUT", &format!("user/{name}"), json!({"password": password, "roles": [name]})).await?;
        Ok(())
    }

    /// Every sink's `auth` and `tls`.
    async fn sinks(&self) -> Result<Vec<(&'static str, String)>> {
        let key = self.ask("POST", "api_key", json!({"name": "sinks"})).await?;
        let key = key["encoded"].as_str().context("no key")?.to_owned();
        let token = self.ask("POST", "oauth2/token", json!({"grant_type": "client_credentials"})).await?;
        let token = token["access_token"].as_str().context("no token")?.to_owned();
        let rules = json!({"roles": ["superuser"], "enabled": true, "rules": {"field": {"dn": "CN=client"}}});
        self.ask("PUT", "role_mapping/certificates", rules).await?;
        let fingerprint = fingerprint(&self.certs.join("ca.pem")).await?;
        let certs = self.certs.display();
        let authority = format!("ca_file: {certs}/ca.pem");
        Ok(vec![
            ("password", format!("auth: {{ user: writer, password: secret }}, tls: {{ {authority} }}")),
            ("api-key", format!("auth: {{ api_key: \"{key}\" }}, tls: {{ fingerprint: \"{fingerprint}\" }}")),
            ("token", format!("auth: {{ bearer: \"{token}\" }}, tls: {{ {authority} }}")),
            (
                "certificate",
                format!("tls: {{ {authority}, cert_file: {certs}/client.pem, key_file: {certs}/client.key }}"),
            ),
            ("wrong-password", format!("auth: {{ user: late, password: secret }}, tls: {{ {authority} }}")),
            ("no-rights", format!("auth: {{ user: stranger, password: secret }}, tls: {{ {authority} }}")),
            ("no-authority", "auth: { user: writer, password: secret }".to_owned()),
            (
                "wrong-fingerprint",
                format!("auth: {{ user: writer, password: secret }}, tls: {{ fingerprint: \"{}\" }}", "ab".repeat(32)),
            ),
            ("wrong-key", format!("auth: {{ api_key: \"bm86a2V5\" }}, tls: {{ {authority} }}")),
        ])
    }

    /// Waits until the index of each of these sinks has so many documents.
    async fn hold(&self, names: &[&str], expected: u64) -> Result<()> {
        clock::until("the documents", Duration::from_secs(60), Duration::from_millis(200), || async {
            for name in names {
                let count = readback::index_count(&self.url, name).await?;
                ensure!(count == expected, "{name}: {count} of {expected}");
            }
            Ok(Some(()))
        })
        .await
    }
}

/// SHA-256 of a certificate, as `openssl x509 -fingerprint` prints it.
async fn fingerprint(certificate: &Path) -> Result<String> {
    let path = certificate.to_string_lossy();
    let arguments = ["x509", "-noout", "-sha256", "-fingerprint", "-in", &path];
    let (code, out, err) =
        process::run(Path::new("openssl"), &arguments, Path::new("/"), Duration::from_secs(10)).await?;
    ensure!(code == 0, "openssl: {err}");
    Ok(out.trim().rsplit('=').next().context("no fingerprint")?.to_owned())
}

fn write(pipeline: &Pipeline, sinks: &[(&str, String)]) -> Result<()> {
    let mut text = format!(
        "kafka: {{ brokers: [\"{}\"] }}\nmetrics: \"127.0.0.1:{}\"\nsinks:\n",
        pipeline.brokers,
        pipeline.port(Part::Sinks)
    );
    let port = pipeline.index_url.rsplit(':').next().context("no port")?;
    for (name, settings) in sinks {
        text.push_str(&format!(
            "  - name: {name}\n    topics: [{TOPIC}]\n    retry: {{ initial: 100ms, max: 1s }}\n    \
             elasticsearch: {{ hosts: [\"https://127.0.0.1:{port}\"], index: {name}, {settings} }}\n"
        ));
    }
    Ok(std::fs::write(pipeline.yaml(Part::Sinks), text)?)
}

async fn produce(pipeline: &Pipeline, numbers: std::ops::Range<u64>) -> Result<()> {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &pipeline.brokers).set("enable.idempotence", "true").create()?;
    let sent = numbers.map(|n| {
        let producer = &producer;
        async move {
            let (key, value) = (n.to_string(), json!({"n": n}).to_string());
            producer.send(FutureRecord::to(TOPIC).key(&key).payload(&value), Duration::from_secs(10)).await
        }
    });
    try_join_all(sent).await.map_err(|(e, _)| e)?;
    Ok(())
}

/// Waits until each of those that may not come in says why; gives `/health/ready`.
async fn refused(pipeline: &Pipeline) -> Result<String> {
    let url = format!("http://127.0.0.1:{}/health/ready", pipeline.port(Part::Sinks));
    clock::until("those refused to say why", Duration::from_secs(60), Duration::from_millis(200), || async {
        let health = match http::text(&url).await {
            Ok(text) => text,
            Err(e) => format!("{e:#}"),
        };
        for (name, why) in REFUSED {
            let line = health.lines().find(|line| line.contains(&format!("not ready sink {name}: ")));
            ensure!(line.is_some_and(|line| line.contains(why)), "{name} does not say {why:?}: {health}");
        }
        Ok(Some(health))
    })
    .await
}
