//! Query strings and the query DSL into the tree; hostile input.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::json;

use super::*;

fn lucene(text: &str) -> Query {
    lucene::parse(text, &[], false).unwrap()
}

fn term(field: &str, text: &str) -> Query {
    Query::Match { field: field.into(), text: json!(text), and: false }
}

#[test]
fn reads_lucene_syntax() {
    assert_eq!(lucene("level:error"), term("level", "error"));
    assert_eq!(
        lucene("level:error AND service:\"check out\""),
        Query::Bool {
            must: vec![
                term("level", "error"),
                Query::Phrase { field: "service".into(), text: "check out".into(), prefix: false, slop: 0 }
            ],
            should: vec![],
            filter: vec![],
            must_not: vec![],
            minimum: None
        }
    );
    assert_eq!(
        lucene("a:1 NOT b:2"),
        Query::Bool {
            must: vec![],
            should: vec![term("a", "1")],
            filter: vec![],
            must_not: vec![term("b", "2")],
            minimum: None
        }
    );
    assert_eq!(
        lucene("n:[1 TO 5}"),
        Query::Range { field: "n".into(), from: Bound::Included(json!("1")), to: Bound::Excluded(json!("5")) }
    );
    assert_eq!(
        lucene("n:>=5"),
        Query::Range { field: "n".into(), from: Bound::Included(json!("5")), to: Bound::Unbounded }
    );
    assert_eq!(lucene("_exists_:a"), Query::Exists { field: "a".into() });
    assert_eq!(lucene("*"), Query::All);
    assert_eq!(lucene("*:*"), Query::All);
    assert_eq!(lucene("f:ab*"), Query::Wildcard { field: "f".into(), pattern: "ab*".into(), insensitive: false });
    assert_eq!(lucene("url:\\/a\\:b"), term("url", "/a:b"));
    assert!(matches!(lucene("level:(error OR warn)"), Query::Bool { should, .. } if should.len() == 2));
}

#[test]
fn refuses_broken_query_strings() {
    for bad in ["a AND", "(a", "a)", "\"open", "n:[1 TO", "n:[1 2]", ":", "a:", "+", &"(".repeat(1000)] {
        assert!(lucene::parse(bad, &[], false).is_err(), "{bad}");
    }
}

#[test]
fn any_query_string_ends() {
    let mut seed = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let length = seed.usize(..12);
        let text: String = (0..length)
            .map(|_| {
                *seed
                    .choice(&['a', ':', '"', '(', ')', '[', ']', ' ', '*', '\\', '+', '-', '>', '~', '^', 'é', '!'])
                    .unwrap()
            })
            .collect();
        let _ = lucene::parse(&text, &[], seed.bool());
    }
}

#[test]
fn reads_and_refuses_dsl() {
    assert!(parse(&json!({"bool": {"must": {"match": {"a": "b"}}, "should": [{"term": {"c": 1}}], "minimum_should_match": "50%"}})).is_ok());
    assert_eq!(parse(&json!({"bogus": {}})).unwrap_err().reason, "unknown query [bogus]");
    for bad in [
        json!({}),
        json!({"term": {"a": [1]}}),
        json!({"term": {"a": 1, "b": 2}}),
        json!({"range": {"a": {"bogus": 1}}}),
        json!({"terms": {"a": 1}}),
        json!([]),
    ] {
        assert!(parse(&bad).is_err(), "{bad}");
    }
    let mut deep = json!({"match_all": {}});
    for _ in 0..60 {
        deep = json!({"bool": {"must": deep}});
    }
    assert!(parse(&deep).unwrap_err().reason.contains("maximum nested depth"));
}
