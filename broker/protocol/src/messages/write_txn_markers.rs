//! WriteTxnMarkers (27): writes a transaction's outcome into partitions, from broker to broker.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    WriteTxnMarkersRequest<'a>: WriteTxnMarkers 0..=1 {
        markers: Vec<WritableTxnMarker<'a>>,
    }

    WritableTxnMarker<'a> {
        producer_id: i64,
        producer_epoch: i16,
        transaction_result: bool,
        topics: Vec<WritableTxnMarkerTopic<'a>>,
        coordinator_epoch: i32,
    }

    WritableTxnMarkerTopic<'a> {
        name: &'a str,
        partition_indexes: Vec<i32>,
    }
}

message! {
    WriteTxnMarkersResponse<'a>: WriteTxnMarkers 0..=1 {
        markers: Vec<WritableTxnMarkerResult<'a>>,
    }

    WritableTxnMarkerResult<'a> {
        producer_id: i64,
        topics: Vec<WritableTxnMarkerTopicResult<'a>>,
    }

    WritableTxnMarkerTopicResult<'a> {
        name: Cow<'a, str>,
        partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    WritableTxnMarkerPartitionResult {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
