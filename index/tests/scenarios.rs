//! The scenarios of `tests/scenarios/`, on an embedded index of their own, or on the node that `LOGMILL_TEST_INDEX_URL` names.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use logmill_index::scenarios::Scenario;

mod support;

async fn run(name: &str, text: &str) {
    let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let outside = std::env::var("LOGMILL_TEST_INDEX_URL").ok();
    let own = if outside.is_none() { Some(support::Embedded::start().await) } else { None };
    let url = outside.unwrap_or_else(|| own.as_ref().unwrap().url.clone());
    let client = reqwest::Client::new();
    let mut wrong = Vec::new();
    for step in &scenario.steps {
        let method = reqwest::Method::from_bytes(step.method().as_bytes()).unwrap();
        let mut request = client.request(method, format!("{url}{}", step.path()));
        if let Some((body, media)) = step.payload() {
            if media.contains("compatible-with") {
                request = request.header("accept", "application/vnd.elasticsearch+json;compatible-with=8");
            }
            request = request.header("content-type", media).body(body);
        }
        let response = request.send().await.unwrap();
        assert_eq!(
            response.headers().get("x-elastic-product").map(|value| value.to_str().unwrap()),
            Some("Elasticsearch"),
            "{}",
            step.request
        );
        let status = response.status().as_u16();
        if let Err(error) = step.check(status, &response.bytes().await.unwrap()) {
            wrong.push(error);
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    if let Some(own) = own {
        own.stop().await;
    }
}

macro_rules! scenarios {
    ($($name:ident),*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            run(stringify!($name), include_str!(concat!("scenarios/", stringify!($name), ".json"))).await;
        }
    )*};
}

scenarios!(aggregations, bulk, documents, errors, indices, mapping, query_string, search, sort);
