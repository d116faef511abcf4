//! The classification table, on answers as Elasticsearch 8.19 / 9.2 and OpenSearch 2.19 / 3.8 give them.

use serde_json::{Value, json};

use logmill_config::sinks::Op;

use super::*;
use crate::connector::Class;

/// One word per outcome.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { duplicate: false } => "indexed",
        Outcome::Done { duplicate: true } => "duplicate",
        Outcome::Retry { .. } => "retry",
        Outcome::Reject { class: Class::Document, .. } => "document",
        Outcome::Reject { class: Class::IndexName, .. } => "index_name",
        Outcome::Reject { .. } => "other reject",
        Outcome::Pause { .. } => "pause",
    }
}

fn item(op: Op, version: Version, status: u16, kind: &str, reason: &str) -> &'static str {
    let name = match op {
        Op::Create => "create",
        Op::Index => "index",
        Op::Update => "update",
        Op::Delete => "delete",
    };
    let mut body = json!({"_index": "a", "_id": "1", "status": status});
    if !kind.is_empty() {
        body["error"] = json!({"type": kind, "reason": reason, "index_uuid": "x", "shard": "0", "index": "a"});
    }
    let done = json!({"create": {"_index": "a", "_id": "0", "_version": 1, "result": "created",
        "_shards": {"total": 1, "successful": 1, "failed": 0}, "_seq_no": 0, "_primary_term": 1, "status": 201}});
    let answer = json!({"errors": true, "took": 3, "items": [done, {name: body}]}).to_string();
    match response::outcomes(version, answer.as_bytes(), 2) {
        Outcomes::Each(each) => {
            assert_eq!(word(&each[0]), "indexed");
            word(&each[1])
        }
        Outcomes::All(all) => word(&all),
        Outcomes::Split { .. } => "too large",
    }
}

#[test]
fn items_by_status_and_type() {
    let table: &[(u16, &str, &str, &str)] = &[
        (201, "", "", "indexed"),
        (200, "", "", "indexed"),
        (
            409,
            "version_conflict_engine_exception",
            "[1]: version conflict, document already exists (current version [1])",
            "duplicate",
        ),
        (429, "es_rejected_execution_exception", "rejected execution of primary operation", "retry"),
        (429, "circuit_breaking_exception", "[parent] Data too large", "retry"),
        (503, "unavailable_shards_exception", "[a][0] primary shard is not active Timeout: [1m]", "retry"),
        (500, "internal_server_error", "x", "retry"),
        (503, "cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/2/no master];", "retry"),
        (
            403,
            "cluster_block_exception",
            "index [a] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];",
            "pause",
        ),
        (
            429,
            "cluster_block_exception",
            "index [a] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]",
            "pause",
        ),
        (403, "security_exception", "action [indices:data/write/bulk] is unauthorized", "pause"),
        (
            400,
            "document_parsing_exception",
            "[1:6] failed to parse field [n] of type [long] in document with id '2'. Preview of field's value: 'x'",
            "document",
        ),
        (
            400,
            "mapper_parsing_exception",
            "failed to parse field [n] of type [long] in document with id '2'",
            "document",
        ),
        (400, "strict_dynamic_mapping_exception", "[1:8] mapping set to strict, dynamic introduction", "document"),
        (400, "illegal_argument_exception", "mapper [n] cannot be changed from type [long] to [text]", "document"),
        (
            400,
            "illegal_argument_exception",
            "id [xx…] is too long, must be no longer than 512 bytes but was: 600",
            "document",
        ),
        (400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded while adding", "document"),
        (400, "illegal_argument_exception", "Document contains at least one immense term in field=\"k\"", "document"),
        (
            400,
            "illegal_argument_exception",
            "only write ops with an op_type of create are allowed in data streams",
            "pause",
        ),
        (400, "illegal_argument_exception", "no write index is defined for alias [a]", "pause"),
        (400, "illegal_argument_exception", "pipeline with id [p] does not exist", "pause"),
        (400, "invalid_index_name_exception", "Invalid index name [A], must be lowercase", "index_name"),
        (400, "index_closed_exception", "closed", "pause"),
        (
            400,
            "validation_exception",
            "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000]",
            "pause",
        ),
        (400, "a_type_nobody_knows", "?", "pause"),
        (400, "", "", "pause"),
        (404, "index_not_found_exception", "no such index [a] and [action.auto_create_index] is [false]", "pause"),
        (500, "fail_processor_exception", "no", "document"),
        (418, "teapot", "", "pause"),
    ];
    for (status, kind, reason, expected) in table {
        assert_eq!(item(Op::Create, Version::None, *status, kind, reason), *expected, "{status} {kind} {reason}");
    }
}

#[test]
fn items_by_operation_and_version() {
    let conflict = |op, version| item(op, version, 409, "version_conflict_engine_exception", "");
    assert_eq!(conflict(Op::Index, Version::None), "retry");
    // A later one, or this one, is there already.
    assert_eq!(conflict(Op::Index, Version::Offset), "duplicate");
    assert_eq!(conflict(Op::Delete, Version::Offset), "duplicate");
    assert_eq!(conflict(Op::Update, Version::Offset), "retry");
    assert_eq!(conflict(Op::Create, Version::None), "duplicate");
    // What is to go is not there.
    assert_eq!(item(Op::Delete, Version::None, 404, "", ""), "duplicate");
    assert_eq!(item(Op::Delete, Version::None, 404, "index_not_found_exception", "no such index [a]"), "duplicate");
    assert_eq!(item(Op::Delete, Version::None, 404, "alias_missing", ""), "pause");
    assert_eq!(item(Op::Index, Version::None, 404, "", ""), "pause");
    assert_eq!(item(Op::Create, Version::None, 400, "resource_already_exists_exception", "index [a/x]"), "retry");
}

#[test]
fn requests_by_status_and_type() {
    let body = |kind: &str, status: u16| json!({"error": {"root_cause": [{"type": kind, "reason": "r"}], "type": kind, "reason": "r"}, "status": status});
    let table: [(u16, Value, &str); 12] = [
        (429, body("es_rejected_execution_exception", 429), "retry"),
        (503, body("cluster_block_exception", 503), "retry"),
        (502, json!("<html>Bad Gateway</html>"), "retry"),
        (504, json!(null), "retry"),
        (408, json!({}), "retry"),
        (401, body("security_exception", 401), "pause"),
        (403, body("cluster_block_exception", 403), "pause"),
        (429, body("cluster_block_exception", 429), "pause"),
        (400, body("illegal_argument_exception", 400), "pause"),
        (404, json!({"error": "no handler found for uri [/_bulk]"}), "pause"),
        (406, json!({"error": "Content-Type header [text/plain] is not supported", "status": 406}), "pause"),
        (413, json!("<html>Request Entity Too Large</html>"), "too large"),
    ];
    for (status, body, expected) in table {
        let text = body.to_string();
        let found = match classify::request(status, response::request_error(text.as_bytes())) {
            Outcomes::All(outcome) => word(&outcome),
            Outcomes::Split { .. } => "too large",
            Outcomes::Each(_) => "each",
        };
        assert_eq!(found, expected, "{status} {text}");
    }
}

#[test]
fn the_cause_behind_a_reason_is_kept_and_long_ones_are_cut() {
    let answer = json!({"errors": true, "items": [{"create": {"status": 400, "error": {
        "type": "document_parsing_exception", "reason": "failed to parse",
        "caused_by": {"type": "number_format_exception", "reason": "For input string: \"é\"", "caused_by": null}}}},
        {"create": {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "é".repeat(5000)}}}]});
    let Outcomes::Each(each) = response::outcomes(Version::None, answer.to_string().as_bytes(), 2) else { panic!() };
    let Outcome::Reject { reason, .. } = &each[0] else { panic!("{each:?}") };
    assert_eq!(reason, "400 document_parsing_exception: failed to parse: For input string: \"é\"");
    let Outcome::Reject { reason, .. } = &each[1] else { panic!("{each:?}") };
    assert!(reason.len() < 1010);
}

#[test]
fn what_went_into_a_failure_store_is_not_indexed() {
    let answer = r#"{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201,"failure_store":"used"}},
        {"create":{"failure_store":"not_enabled","status":400,"error":{"type":"version_conflict_engine_exception"}}},
        {"create":{"failure_store":"not_applicable_or_unknown","status":201}}]}"#;
    let Outcomes::Each(each) = response::outcomes(Version::None, answer.as_bytes(), 4) else { panic!() };
    assert!(matches!(&each[1], Outcome::Reject { reason, .. } if reason.contains("failure store")), "{each:?}");
    assert!(matches!(&each[2], Outcome::Pause { .. }), "{each:?}");
    for done in [&each[0], &each[3]] {
        assert_eq!(*done, Outcome::Done { duplicate: false });
    }
}

#[test]
fn an_answer_that_is_broken_or_counts_otherwise_says_nothing() {
    let one = r#"{"create":{"status":201}}"#;
    for broken in [
        String::new(),
        "{}".into(),
        "<html></html>".into(),
        format!(r#"{{"errors":false,"items":[{one}]}}"#),
        format!(r#"{{"errors":false,"items":[{one},{one},{one}]}}"#),
        format!(r#"{{"errors":false,"items":[{one},{one}"#),
        format!(r#"{{"errors":false,"items":[{one},{{}}]}}"#),
        format!(r#"{{"errors":false,"items":[{one},{{"create":{{}}}}]}}"#),
        format!(r#"{{"errors":false,"items":[{one},{{"other":{{"status":201}}}}]}}"#),
    ] {
        let found = response::outcomes(Version::None, broken.as_bytes(), 2);
        assert!(matches!(found, Outcomes::All(Outcome::Retry { .. })), "{broken}: {found:?}");
    }
    let other = r#"{"index":{"_id":"x","status":200}}"#;
    for whole in [
        format!(r#"{{"took":1,"errors":false,"items":[{one},{one}]}}"#),
        format!(r#"{{"errors":false,"items":[{one},{one}]}}"#),
        format!(r#"{{"errors":false,"items":[{one},{other}]}}"#),
        format!(r#"{{"errors":false, "items":[{one}, {one}] }}"#),
    ] {
        let found = response::outcomes(Version::None, whole.as_bytes(), 2);
        assert_eq!(found, Outcomes::All(Outcome::Done { duplicate: false }), "{whole}");
    }
    let hidden = format!(r#"{{"errors":false,"items":[{one},{{"create":{{"status":429}}}}]}}"#);
    assert!(
        matches!(response::outcomes(Version::None, hidden.as_bytes(), 2), Outcomes::Each(_)),
        "errors:false is only a hint"
    );
}
