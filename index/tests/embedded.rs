//! The embedded index as a whole: visibility, restarts, many indices, hostile requests, clear errors.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

mod support;
use support::{Embedded, config};

/// One for all tests, since making one is slow; no connection is kept, each test has its own runtime.
fn client() -> reqwest::Client {
    static CLIENT: std::sync::LazyLock<reqwest::Client> =
        std::sync::LazyLock::new(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap());
    CLIENT.clone()
}

async fn send(url: &str, media: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let response = client().post(url).header("content-type", media).body(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

async fn get(url: &str) -> Value {
    client().get(url).send().await.unwrap().json().await.unwrap()
}

async fn bulk(url: &str, lines: &str) -> Value {
    let (status, answer) = send(&format!("{url}/_bulk"), "application/x-ndjson", lines.to_owned()).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn count(url: &str, index: &str) -> u64 {
    get(&format!("{url}/{index}/_count")).await["count"].as_u64().unwrap_or(0)
}

fn create(index: &str, id: u64) -> String {
    format!("{{\"create\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}\n{{\"message\":\"line {id}\",\"n\":{id}}}\n")
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    #[allow(clippy::disallowed_methods)]
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        #[allow(clippy::disallowed_methods)]
        let late = Instant::now() > deadline;
        assert!(!late, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn becomes_visible_by_itself_and_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let index = Embedded::start_in(dir.path()).await.unwrap();
    let lines: String = (0..100).map(|id| create("a", id)).collect();
    assert_eq!(bulk(&index.url, &lines).await["errors"], false);
    until("documents become visible without a refresh", async || count(&index.url, "a").await == 100).await;
    assert_eq!(bulk(&index.url, &lines).await["errors"], true);
    index.stop().await;

    let index = Embedded::start_in(dir.path()).await.unwrap();
    assert_eq!(count(&index.url, "a").await, 100);
    let again = bulk(&index.url, &lines).await;
    assert!(again["items"].as_array().unwrap().iter().all(|item| item["create"]["status"] == 409));
    assert_eq!(get(&format!("{}/a/_mapping", index.url)).await["a"]["mappings"]["properties"]["n"]["type"], "long");
    let next = bulk(&index.url, &create("a", 1000)).await;
    assert_eq!(next["items"][0]["create"]["_seq_no"], 100);
    index.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_indices_in_mixed_order_with_few_writers() {
    let dir = tempfile::tempdir().unwrap();
    let index = Embedded::start_in(dir.path()).await.unwrap();
    for round in 0..4_u64 {
        let lines: String =
            (0..200_u64).map(|line| create(&format!("day-{:03}", (line * 7) % 40), round * 200 + line)).collect();
        assert_eq!(bulk(&index.url, &lines).await["errors"], false);
    }
    until("all documents of all indices become visible", async || count(&index.url, "day-*").await == 800).await;
    assert_eq!(get(&format!("{}/_cat/indices?format=json", index.url)).await.as_array().unwrap().len(), 40);
    let metrics = prometheus::TextEncoder::new().encode_to_string(&index.context.metrics.gather()).unwrap();
    let writers = metrics.lines().find_map(|line| line.strip_prefix("logmill_index_open_writers ")).unwrap();
    assert!(writers.parse::<u32>().unwrap() <= 2, "{writers}");
    index.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_of_one_id_have_one_winner() {
    let index = Embedded::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = index.url.clone();
        tasks.spawn(async move {
            let mut created = 0;
            for start in (0..200).step_by(50) {
                let lines: String = (start..start + 50).map(|id| create("c", id)).collect();
                created += bulk(&url, &lines).await["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|item| item["create"]["status"] == 201)
                    .count();
            }
            created
        });
    }
    let created: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(created, 200);
    let (_, _) = send(&format!("{}/c/_refresh", index.url), "application/json", "").await;
    assert_eq!(count(&index.url, "c").await, 200);
    index.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_index_on_the_directory_and_a_port_in_use_are_clear_errors() {
    let dir = tempfile::tempdir().unwrap();
    let index = Embedded::start_in(dir.path()).await.unwrap();
    let Err(error) = Embedded::start_in(dir.path()).await else { panic!("the directory is locked") };
    assert!(error.to_string().contains("is locked: another index is running on it"), "{error}");
    let other = tempfile::tempdir().unwrap();
    let mut busy = config(other.path());
    busy.listen = index.url.trim_start_matches("http://").parse().unwrap();
    let Err(error) = Embedded::start_with(busy).await else { panic!("the port is in use") };
    assert!(error.to_string().contains("another process listens there"), "{error}");
    index.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_get_an_answer() {
    let index = Embedded::start().await;
    let url = &index.url;
    bulk(url, &create("h", 1)).await;
    let nested = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for (path, body) in [
        ("h/_search", nested("{\"query\":{\"bool\":{\"must\":", "}}}", 200)),
        ("h/_search", nested("[", "]", 100_000)),
        ("h/_search", json!({"query": {"bool": {"must": (0..100).fold(json!({"match_all": {}}), |inner, _| json!({"bool": {"must": inner}}))}}}).to_string()),
        ("h/_search", json!({"query": {"query_string": {"query": "(".repeat(50_000)}}}).to_string()),
        ("h/_search", json!({"query": {"wildcard": {"message.keyword": "*a".repeat(5_000)}}}).to_string()),
        ("h/_search", json!({"query": {"regexp": {"message.keyword": "(a{1000}){1000}"}}}).to_string()),
        ("h/_search", json!({"aggs": {"x": {"histogram": {"field": "n", "interval": 1e-12}}}}).to_string()),
        ("h/_search", json!({"aggs": {"x": {"histogram": {"field": "n", "interval": 1, "extended_bounds": {"min": -1e15, "max": 1e15}}}}}).to_string()),
        ("h/_search", json!({"aggs": {"x": {"percentiles": {"field": "n", "percents": [1e300]}}}}).to_string()),
        ("h/_search", json!({"size": u64::MAX, "from": u64::MAX}).to_string()),
        ("h/_doc/1", nested("{\"a\":", "}", 10_000)),
        ("h/_doc/2", format!("{{{}}}", (0..3000).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(","))),
        ("h/_doc/3", "\u{0}\u{1}".to_owned()),
        ("h/_count", "{\"query\": 1}".to_owned()),
        ("_msearch", "{}\n".to_owned()),
        ("%ff%fe/_search", "{}".to_owned()),
        ("h/_search?size=99999999999999999999", "{}".to_owned()),
    ] {
        let (status, answer) = send(&format!("{url}/{path}"), "application/json", body).await;
        assert!((400..500).contains(&status) || status == 200, "{path}: {status} {answer}");
    }
    let mut seed = fastrand::Rng::with_seed(3);
    for _ in 0..200 {
        let body: Vec<u8> =
            (0..seed.usize(1..300)).map(|_| *seed.choice(b"{}[]\":,\n\\ae0.-\xff\x00index_").unwrap()).collect();
        let path = *seed.choice(&["_bulk", "h/_search", "h/_doc/9", "_msearch", "h/_mapping"]).unwrap();
        let (status, answer) = send(&format!("{url}/{path}"), "application/json", body).await;
        assert!(status < 500, "{path}: {status} {answer}");
    }
    let large = client().post(format!("{url}/_bulk")).header("content-type", "application/json");
    assert_eq!(large.body(vec![b'x'; 17 * 1024 * 1024]).send().await.unwrap().status(), 413);
    assert_eq!(get(&format!("{url}/h/_doc/1")).await["found"], true, "still there");
    index.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scroll_reads_everything_once() {
    let index = Embedded::start().await;
    for round in 0..3 {
        let lines: String = (0..700).map(|line| create(&format!("s-{}", line % 3), round * 700 + line)).collect();
        bulk(&index.url, &lines).await;
        send(&format!("{}/_refresh", index.url), "application/json", "").await;
    }
    let (_, mut page) = send(
        &format!("{}/s-*/_search?scroll=1m", index.url),
        "application/json",
        json!({"size": 100, "sort": ["_doc"]}).to_string(),
    )
    .await;
    let mut seen = BTreeSet::new();
    loop {
        let hits = page["hits"]["hits"].as_array().unwrap().clone();
        if hits.is_empty() {
            break;
        }
        for hit in hits {
            assert!(seen.insert((hit["_index"].to_string(), hit["_id"].to_string())), "{hit}");
        }
        let body = json!({"scroll": "1m", "scroll_id": page["_scroll_id"]}).to_string();
        (_, page) = send(&format!("{}/_search/scroll", index.url), "application/json", body).await;
    }
    assert_eq!(seen.len(), 2100);
    index.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_and_media_types() {
    use std::io::Write as _;
    let index = Embedded::start().await;
    let mut lines = String::new();
    let _ = write!(lines, "{}", create("z", 1));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let response = client()
        .post(format!("{}/_bulk", index.url))
        .header("content-type", "application/vnd.elasticsearch+x-ndjson;compatible-with=8")
        .header("accept", "application/vnd.elasticsearch+json;compatible-with=8")
        .header("content-encoding", "gzip")
        .body(gzip.finish().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "application/vnd.elasticsearch+json;compatible-with=8");
    assert_eq!(response.json::<Value>().await.unwrap()["errors"], false);
    index.stop().await;
}
