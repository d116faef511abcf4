//! What an answer of Elasticsearch or OpenSearch means for the record: pure.
//!
//! Classified by `error.type`, for the status alone misleads: 400 is a document's fault for
//! `document_parsing_exception` and the cluster's for `validation_exception` (shard limit) or `index_closed_exception`.
//! Whatever is not known to be the document's own fault is never rejected.

use logmill_config::sinks::{Op, Version};

use super::response::Fault;
use crate::connector::{Class, Outcome, Outcomes};

/// One item of a `_bulk` answer. `version` is that of index and delete operations.
pub(super) fn item(op: Op, version: Version, status: u16, fault: Option<Fault<'_>>) -> Outcome {
    let versioned = version == Version::Offset && matches!(op, Op::Index | Op::Delete);
    // What is to be deleted is not there, or its index is not.
    let is_gone = |fault: &Fault<'_>| fault.kind.is_empty() || fault.kind == "index_not_found_exception";
    let fault = fault.unwrap_or_default();
    match status {
        200..=299 => return Outcome::Done { duplicate: false },
        404 if op == Op::Delete && is_gone(&fault) => return Outcome::Done { duplicate: true },
        // Read-only, frozen or flooded index: 403 or 429, waits for the operator. 503 is a cluster without a master.
        403 | 429 if fault.kind == "cluster_block_exception" => return Outcome::Pause { reason: fault.words(status) },
        // There already; or, with versions, this one or a later one.
        409 if op == Op::Create || versioned => return Outcome::Done { duplicate: true },
        408 | 409 | 429 => return Outcome::Retry { reason: fault.words(status) },
        // Two requests made the index at the same moment.
        400 if fault.kind == "resource_already_exists_exception" => {
            return Outcome::Retry { reason: fault.words(status) };
        }
        // An ingest pipeline's `fail` processor: the document's own, although 500.
        500 if fault.kind == "fail_processor_exception" => {}
        500..=599 => return Outcome::Retry { reason: fault.words(status) },
        400 => match document_fault(&fault) {
            Some(class) => return Outcome::Reject { class, reason: fault.words(status) },
            None => return Outcome::Pause { reason: fault.words(status) },
        },
        _ => return Outcome::Pause { reason: fault.words(status) },
    }
    Outcome::Reject { class: Class::Document, reason: fault.words(status) }
}

/// An item that the node did not index, but keeps in the failure store of its data stream.
pub(super) fn aside() -> Outcome {
    let reason =
        "not indexed: the node put it into the failure store of the data stream, which has the cause".to_owned();
    Outcome::Reject { class: Class::Document, reason }
}

/// Whether a 400 of an item is the document's own fault.
fn document_fault(fault: &Fault<'_>) -> Option<Class> {
    match fault.kind.as_ref() {
        "document_parsing_exception"
        | "mapper_parsing_exception"
        | "strict_dynamic_mapping_exception"
        | "mapper_exception"
        | "parsing_exception"
        | "parse_exception"
        | "json_parse_exception"
        | "stream_constraints_exception"
        | "x_content_parse_exception"
        | "x_content_e_o_f_exception"
        | "not_x_content_exception"
        | "fail_processor_exception"
        | "date_time_parse_exception"
        | "number_format_exception" => Some(Class::Document),
        "invalid_index_name_exception" => Some(Class::IndexName),
        "illegal_argument_exception" if !is_about_the_index(&fault.reason) => Some(Class::Document),
        _ => None,
    }
}

/// `illegal_argument_exception` says two kinds of things: a mapping conflict, a term or `_id` that is too long, too many
/// fields (the document's), and that the target cannot take any document (the operator's).
fn is_about_the_index(reason: &str) -> bool {
    const ABOUT_THE_INDEX: [&str; 8] = [
        "only write ops with an op_type of create are allowed in data streams",
        "no write index is defined for alias",
        "pipeline with id",
        "number of documents in the index",
        "number of documents in the shard",
        "cannot be the target of",
        "is a data stream alias",
        "matches a template",
    ];
    ABOUT_THE_INDEX.iter().any(|part| reason.contains(part))
}

/// A request that failed as a whole.
pub(super) fn request(status: u16, fault: Fault<'_>) -> Outcomes {
    let reason = fault.words(status);
    if status == 413 {
        return Outcomes::Split { class: Class::TooLarge, reason };
    }
    let blocked = fault.kind == "cluster_block_exception" && status != 503;
    Outcomes::All(match status {
        408 | 429 | 500..=599 if !blocked => Outcome::Retry { reason },
        _ => Outcome::Pause { reason },
    })
}
