//! kill -9 under load: what was acknowledged is there after a restart, once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn start(dir: &Path) -> (Process, String) {
    let (port, metrics) = (free_port(), free_port());
    let file = dir.join("index.yaml");
    let yaml = format!(
        "listen: 127.0.0.1:{port}\ndata_dir: {}\nmetrics: 127.0.0.1:{metrics}\nmax_writers: 2\nrefresh_interval: 100ms\n",
        dir.join("data").display()
    );
    std::fs::write(&file, yaml).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_logmill-index"))
        .arg("--config")
        .arg(&file)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}");
    #[allow(clippy::disallowed_methods)]
    let deadline = Instant::now() + Duration::from_secs(60);
    while reqwest::get(&url).await.is_err() {
        #[allow(clippy::disallowed_methods)]
        let late = Instant::now() > deadline;
        assert!(!late, "the index does not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (Process(child), url)
}

/// Sends bulks until the process dies; the ids that were acknowledged.
async fn load(url: String, writer: u64, first: u64, answered: Arc<AtomicU64>) -> BTreeSet<String> {
    let client = reqwest::Client::new();
    let mut acknowledged = BTreeSet::new();
    for batch in first.. {
        let ids: Vec<String> = (0..40).map(|n| format!("{writer}-{batch}-{n}")).collect();
        let lines: String = ids
            .iter()
            .enumerate()
            .map(|(n, id)| {
                format!(
                    "{{\"create\":{{\"_index\":\"k-{}\",\"_id\":\"{id}\"}}}}\n{{\"id\":\"{id}\",\"n\":{n}}}\n",
                    n % 5
                )
            })
            .collect();
        let sent =
            client.post(format!("{url}/_bulk")).header("content-type", "application/x-ndjson").body(lines).send().await;
        let Ok(response) = sent else { break };
        let Ok(answer) = response.json::<Value>().await else { break };
        assert_eq!(answer["errors"], false, "{answer}");
        acknowledged.extend(ids);
        answered.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

async fn all_ids(url: &str) -> Vec<String> {
    let client = reqwest::Client::new();
    let mut ids = Vec::new();
    let body = json!({"size": 1000, "sort": ["_doc"], "_source": false}).to_string();
    let mut page: Value = client
        .post(format!("{url}/k-*/_search?scroll=1m"))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    while let Some(hits) = page["hits"]["hits"].as_array().filter(|hits| !hits.is_empty()) {
        ids.extend(hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()));
        let body = json!({"scroll": "1m", "scroll_id": page["_scroll_id"]}).to_string();
        page = client
            .post(format!("{url}/_search/scroll"))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let mut seed = fastrand::Rng::with_seed(11);
    for round in 0..5_u64 {
        let (process, url) = start(dir.path()).await;
        let ids = all_ids(&url).await;
        let distinct: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(ids.len(), distinct.len(), "documents are doubled after kill {round}");
        let lost: Vec<&String> = acknowledged.difference(&distinct).collect();
        assert!(
            lost.is_empty(),
            "{} acknowledged documents are lost after kill {round}: {:?}",
            lost.len(),
            lost.iter().take(5).collect::<Vec<_>>()
        );
        let answered = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> =
            (0..3).map(|writer| tokio::spawn(load(url.clone(), writer, round * 1_000_000, answered.clone()))).collect();
        // Somewhere in the middle of the work: that is what the random part is for.
        let wanted = seed.u64(3..40);
        #[allow(clippy::disallowed_methods)]
        let deadline = Instant::now() + Duration::from_secs(60);
        while answered.load(Ordering::Relaxed) < wanted {
            #[allow(clippy::disallowed_methods)]
            let late = Instant::now() > deadline;
            assert!(!late, "nothing is acknowledged");
            tokio::time::sleep(Duration::from_millis(seed.u64(1..20))).await;
        }
        drop(process);
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
    }
}

#[test]
fn wrong_usage_and_wrong_configuration_have_their_exit_codes() {
    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_logmill-index")).args(arguments).output().unwrap();
    assert_eq!(run(&["--nonsense"]).status.code(), Some(64));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.yaml");
    std::fs::write(&file, "lissten: 1\n").unwrap();
    let output = run(&["--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("lissten"));
}
