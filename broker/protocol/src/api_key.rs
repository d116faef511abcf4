//! The API keys and, for each, the first version with compact lengths and tagged fields (KIP-482).

use std::fmt;

macro_rules! api_keys {
    ($($key:ident = $number:literal, $flexible:expr;)*) => {
        /// What a request asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $( $key = $number, )*
        }

        impl ApiKey {
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$key),*];

            pub fn from_code(code: i16) -> Option<Self> {
                match code {
                    $( $number => Some(ApiKey::$key), )*
                    _ => None,
                }
            }

            /// Kafka's name, e.g. `ListOffsets`.
            pub fn name(self) -> &'static str {
                match self {
                    $( ApiKey::$key => stringify!($key), )*
                }
            }

            /// `i16::MAX` when no version is flexible.
            pub const fn flexible_from(self) -> i16 {
                match self {
                    $( ApiKey::$key => $flexible, )*
                }
            }
        }
    };
}

api_keys! {
    Produce = 0, 9;
    Fetch = 1, 12;
    ListOffsets = 2, 6;
    Metadata = 3, 9;
    LeaderAndIsr = 4, 4;
    StopReplica = 5, 2;
    UpdateMetadata = 6, 6;
    ControlledShutdown = 7, 3;
    OffsetCommit = 8, 8;
    OffsetFetch = 9, 6;
    FindCoordinator = 10, 3;
    JoinGroup = 11, 6;
    Heartbeat = 12, 4;
    LeaveGroup = 13, 4;
    SyncGroup = 14, 4;
    DescribeGroups = 15, 5;
    ListGroups = 16, 3;
    SaslHandshake = 17, i16::MAX;
    ApiVersions = 18, 3;
    CreateTopics = 19, 5;
    DeleteTopics = 20, 4;
    DeleteRecords = 21, 2;
    InitProducerId = 22, 2;
    OffsetForLeaderEpoch = 23, 4;
    AddPartitionsToTxn = 24, 3;
    AddOffsetsToTxn = 25, 3;
    EndTxn = 26, 3;
    WriteTxnMarkers = 27, 1;
    TxnOffsetCommit = 28, 3;
    DescribeAcls = 29, 2;
    CreateAcls = 30, 2;
    DeleteAcls = 31, 2;
    DescribeConfigs = 32, 4;
    AlterConfigs = 33, 2;
    AlterReplicaLogDirs = 34, 2;
    DescribeLogDirs = 35, 2;
    SaslAuthenticate = 36, 2;
    CreatePartitions = 37, 2;
    CreateDelegationToken = 38, 2;
    RenewDelegationToken = 39, 2;
    ExpireDelegationToken = 40, 2;
    DescribeDelegationToken = 41, 2;
    DeleteGroups = 42, 2;
    ElectLeaders = 43, 2;
    IncrementalAlterConfigs = 44, 1;
    AlterPartitionReassignments = 45, 0;
    ListPartitionReassignments = 46, 0;
    OffsetDelete = 47, i16::MAX;
    DescribeClientQuotas = 48, 1;
    AlterClientQuotas = 49, 1;
    DescribeUserScramCredentials = 50, 0;
    AlterUserScramCredentials = 51, 0;
    Vote = 52, 0;
    BeginQuorumEpoch = 53, 1;
    EndQuorumEpoch = 54, 1;
    DescribeQuorum = 55, 0;
    AlterPartition = 56, 0;
    UpdateFeatures = 57, 0;
    Envelope = 58, 0;
    FetchSnapshot = 59, 0;
    DescribeCluster = 60, 0;
    DescribeProducers = 61, 0;
    BrokerRegistration = 62, 0;
    BrokerHeartbeat = 63, 0;
    UnregisterBroker = 64, 0;
    DescribeTransactions = 65, 0;
    ListTransactions = 66, 0;
    AllocateProducerIds = 67, 0;
    ConsumerGroupHeartbeat = 68, 0;
    ConsumerGroupDescribe = 69, 0;
    ControllerRegistration = 70, 0;
    GetTelemetrySubscriptions = 71, 0;
    PushTelemetry = 72, 0;
    AssignReplicasToDirs = 73, 0;
    ListConfigResources = 74, 0;
    DescribeTopicPartitions = 75, 0;
    ShareGroupHeartbeat = 76, 0;
    ShareGroupDescribe = 77, 0;
    ShareFetch = 78, 0;
    ShareAcknowledge = 79, 0;
    AddRaftVoter = 80, 0;
    RemoveRaftVoter = 81, 0;
    UpdateRaftVoter = 82, 0;
    InitializeShareGroupState = 83, 0;
    ReadShareGroupState = 84, 0;
    WriteShareGroupState = 85, 0;
    DeleteShareGroupState = 86, 0;
    ReadShareGroupStateSummary = 87, 0;
    StreamsGroupHeartbeat = 88, 0;
    StreamsGroupDescribe = 89, 0;
    DescribeShareGroupOffsets = 90, 0;
    AlterShareGroupOffsets = 91, 0;
    DeleteShareGroupOffsets = 92, 0;
}

impl ApiKey {
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Whether requests and responses of `version` have compact lengths and tagged fields.
    #[inline]
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.flexible_from()
    }

    /// Version of the request header: 2 where flexible, else 1; 0, without a client id, only in ControlledShutdown 0.
    pub fn request_header_version(self, version: i16) -> i16 {
        match (self, version) {
            (ApiKey::ControlledShutdown, 0) => 0,
            _ if self.is_flexible(version) => 2,
            _ => 1,
        }
    }

    /// Version of the response header: 1 (with tagged fields) where flexible, else 0. ApiVersions always answers with
    /// 0, since the client does not know yet what the broker understands (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self != ApiKey::ApiVersions && self.is_flexible(version))
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
