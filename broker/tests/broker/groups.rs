//! Consumer groups over the wire: a rebalance of two members, commits that survive a restart, static members, errors by
//! version, what administrators see.

use logmill_protocol::{
    ErrorCode,
    messages::{
        describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse},
        find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse},
        heartbeat::{HeartbeatRequest, HeartbeatResponse},
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse},
        leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity},
        list_groups::{ListGroupsRequest, ListGroupsResponse},
        offset_commit::{
            OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
        },
        offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchResponse},
        sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse},
    },
};

use crate::client::{Client, TestBroker};

/// Version 0: the topic "t", no user data.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

/// One consumer: its connection and what it was told.
pub struct Member {
    pub client: Client,
    instance: Option<&'static str>,
    pub id: String,
    pub generation: i32,
}

impl Member {
    pub async fn new(broker: &TestBroker, instance: Option<&'static str>) -> Self {
        Self { client: broker.client().await, instance, id: String::new(), generation: -1 }
    }

    async fn send_join(&mut self) {
        let request = JoinGroupRequest {
            group_id: "g",
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            member_id: &self.id,
            group_instance_id: self.instance,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: SUBSCRIPTION }],
            reason: None,
        };
        self.client.send(9, &request).await;
    }

    async fn joined(&mut self) -> JoinGroupResponse<'static> {
        let response: JoinGroupResponse<'_> = self.client.receive_next(9).await;
        self.id = response.member_id.to_string();
        self.generation = response.generation_id;
        response
    }

    /// Joins, the second time with the id it was given.
    pub async fn join(&mut self) -> JoinGroupResponse<'static> {
        self.send_join().await;
        let response = self.joined().await;
        if response.error_code != ErrorCode::MemberIdRequired {
            return response;
        }
        self.send_join().await;
        self.joined().await
    }

    pub async fn send_sync(&mut self, assignments: &[(String, &[u8])]) {
        let assignments = assignments.iter().map(|(id, a)| SyncGroupRequestAssignment { member_id: id, assignment: a });
        let request = SyncGroupRequest {
            group_id: "g",
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: assignments.collect(),
        };
        self.client.send(5, &request).await;
    }

    pub async fn synced(&mut self) -> SyncGroupResponse<'static> {
        self.client.receive_next(5).await
    }

    async fn heartbeat(&mut self) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g",
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance,
        };
        let response: HeartbeatResponse = self.client.call(4, &request).await;
        response.error_code
    }
}

/// Commits offset `offset` of partition 0.
pub async fn commit(
    client: &mut Client,
    version: i16,
    group: &str,
    member: (&str, i32),
    topic: &str,
    offset: i64,
    metadata: &str,
) -> ErrorCode {
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_metadata: Some(metadata),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: member.1,
        member_id: member.0,
        retention_time_ms: -1,
        topics: vec![OffsetCommitRequestTopic { name: topic, partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    };
    let response: OffsetCommitResponse<'_> = client.call(version, &request).await;
    response.topics[0].partitions[0].error_code
}

/// Everything a group has committed: topic, partition, offset, metadata. Waits while the groups are loaded.
pub async fn committed(client: &mut Client, group: &str) -> Vec<(String, i32, i64, String)> {
    loop {
        let groups = vec![OffsetFetchRequestGroup { group_id: group, member_epoch: -1, ..Default::default() }];
        let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
        let response: OffsetFetchResponse<'_> = client.call(9, &request).await;
        let group = &response.groups[0];
        if group.error_code == ErrorCode::CoordinatorLoadInProgress {
            continue;
        }
        assert_eq!(group.error_code, ErrorCode::None);
        let mut all = Vec::new();
        for topic in &group.topics {
            for p in &topic.partitions {
                let metadata = p.metadata.clone().unwrap().to_string();
                all.push((topic.name.to_string(), p.partition_index, p.committed_offset, metadata));
            }
        }
        return all;
    }
}

async fn describe(client: &mut Client, group: &str) -> (String, usize) {
    let request = DescribeGroupsRequest { groups: vec![group], include_authorized_operations: false };
    let response: DescribeGroupsResponse<'_> = client.call(6, &request).await;
    let group = &response.groups[0];
    assert_eq!(group.error_code, ErrorCode::None);
    (group.group_state.to_string(), group.members.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_the_work_and_one_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut admin = broker.client().await;
    admin.create_topic("t", 2).await;

    let request = FindCoordinatorRequest { key_type: 0, coordinator_keys: vec!["g"], ..Default::default() };
    let found: FindCoordinatorResponse<'_> = admin.call(6, &request).await;
    let coordinator = &found.coordinators[0];
    assert_eq!((coordinator.error_code, coordinator.node_id), (ErrorCode::None, 1));
    assert_eq!((&*coordinator.host, coordinator.port), ("127.0.0.1", i32::from(broker.address.port())));

    let mut a = Member::new(&broker, None).await;
    let response = a.join().await;
    assert_eq!((response.error_code, response.generation_id, &*response.leader), (ErrorCode::None, 1, &*a.id));
    a.send_sync(&[(a.id.clone(), b"all")]).await;
    assert_eq!(&*a.synced().await.assignment, b"all");
    assert_eq!(commit(&mut a.client, 9, "g", (&a.id, 1), "t", 3, "").await, ErrorCode::None);

    // The second member's join waits until the first has come back.
    let mut b = Member::new(&broker, None).await;
    b.send_join().await;
    assert_eq!(b.joined().await.error_code, ErrorCode::MemberIdRequired);
    b.send_join().await;
    while a.heartbeat().await == ErrorCode::None {}
    assert_eq!(a.heartbeat().await, ErrorCode::RebalanceInProgress);
    a.send_join().await;
    let (for_a, for_b) = (a.joined().await, b.joined().await);
    assert_eq!((for_a.generation_id, for_b.generation_id), (2, 2));
    assert_eq!((for_a.members.len(), for_b.members.len()), (2, 0));
    assert_eq!((&*for_a.leader, &*for_b.leader), (&*a.id, &*a.id));

    // The follower's sync waits for the leader's.
    b.send_sync(&[]).await;
    a.send_sync(&[(a.id.clone(), b"one"), (b.id.clone(), b"two")]).await;
    assert_eq!(&*b.synced().await.assignment, b"two");
    assert_eq!(&*a.synced().await.assignment, b"one");
    assert_eq!(describe(&mut admin, "g").await, ("Stable".to_owned(), 2));
    assert_eq!(commit(&mut a.client, 9, "g", (&a.id, 1), "t", 9, "").await, ErrorCode::IllegalGeneration);
    assert_eq!(commit(&mut admin, 9, "g", ("", -1), "t", 9, "").await, ErrorCode::UnknownMemberId);

    let leaving = |id: &str| MemberIdentity { member_id: id.to_owned().leak(), ..Default::default() };
    let request =
        LeaveGroupRequest { group_id: "g", members: vec![leaving(&b.id), leaving("who")], ..Default::default() };
    let left: LeaveGroupResponse<'_> = b.client.call(5, &request).await;
    let results: Vec<ErrorCode> = left.members.iter().map(|m| m.error_code).collect();
    assert_eq!((left.error_code, results), (ErrorCode::None, vec![ErrorCode::None, ErrorCode::UnknownMemberId]));
    assert_eq!(a.heartbeat().await, ErrorCode::RebalanceInProgress);
    let response = a.join().await;
    assert_eq!((response.generation_id, response.members.len()), (3, 1));
    assert_eq!(committed(&mut admin, "g").await, [("t".to_owned(), 0, 3, String::new())]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_members_and_offsets_and_a_static_member_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut admin = broker.client().await;
    admin.create_topic("t", 1).await;
    let mut a = Member::new(&broker, Some("i1")).await;
    assert_eq!(a.join().await.error_code, ErrorCode::None);
    a.send_sync(&[(a.id.clone(), b"all")]).await;
    assert_eq!(a.synced().await.error_code, ErrorCode::None);
    assert_eq!(commit(&mut a.client, 9, "g", (&a.id, 1), "t", 7, "note").await, ErrorCode::None);
    for offset in 0..50 {
        assert_eq!(commit(&mut admin, 9, "simple", ("", -1), "t", offset, "").await, ErrorCode::None);
    }
    broker.stop().await;

    let broker = TestBroker::start(dir.path()).await;
    let mut admin = broker.client().await;
    assert_eq!(committed(&mut admin, "g").await, [("t".to_owned(), 0, 7, "note".to_owned())]);
    assert_eq!(committed(&mut admin, "simple").await, [("t".to_owned(), 0, 49, String::new())]);
    assert_eq!(describe(&mut admin, "g").await, ("Stable".to_owned(), 1));
    assert_eq!(describe(&mut admin, "simple").await, ("Empty".to_owned(), 0));
    // The member goes on as if nothing had happened.
    a.client = broker.client().await;
    assert_eq!(a.heartbeat().await, ErrorCode::None);
    assert_eq!(commit(&mut a.client, 9, "g", (&a.id, 1), "t", 8, "").await, ErrorCode::None);
    // Its process restarts: no rebalance, the same assignment, the former self is fenced.
    let mut again = Member::new(&broker, Some("i1")).await;
    let response = again.join().await;
    assert_eq!((response.error_code, response.generation_id, response.skip_assignment), (ErrorCode::None, 1, true));
    again.send_sync(&[]).await;
    assert_eq!(&*again.synced().await.assignment, b"all");
    assert_eq!(a.heartbeat().await, ErrorCode::FencedInstanceId);
    assert_eq!(again.heartbeat().await, ErrorCode::None);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_kafkas_in_every_version() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;

    for version in 0..=9 {
        let error = commit(&mut client, version, "simple", ("", -1), "t", i64::from(version), "m").await;
        assert_eq!(error, ErrorCode::None, "version {version}");
    }
    let long = "x".repeat(4097);
    assert_eq!(commit(&mut client, 9, "simple", ("", -1), "t", 1, &long).await, ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(commit(&mut client, 9, "simple", ("", -1), "nope", 1, "").await, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(commit(&mut client, 8, "new", ("m", 1), "t", 1, "").await, ErrorCode::IllegalGeneration);
    assert_eq!(commit(&mut client, 9, "new", ("m", 1), "t", 1, "").await, ErrorCode::GroupIdNotFound);

    for version in 0..=7 {
        let topics = vec![OffsetFetchRequestTopic { name: "t", partition_indexes: vec![0, 5] }];
        let request = OffsetFetchRequest { group_id: "simple", topics: Some(topics), ..Default::default() };
        let response: OffsetFetchResponse<'_> = client.call(version, &request).await;
        let partitions = &response.topics[0].partitions;
        assert_eq!((partitions[0].committed_offset, partitions[0].metadata.as_deref()), (9, Some("m")));
        assert_eq!((partitions[1].committed_offset, partitions[1].error_code), (-1, ErrorCode::None));
    }

    let request = HeartbeatRequest { group_id: "nope", ..Default::default() };
    let response: HeartbeatResponse = client.call(4, &request).await;
    assert_eq!(response.error_code, ErrorCode::UnknownMemberId);
    let request = HeartbeatRequest::default();
    let response: HeartbeatResponse = client.call(0, &request).await;
    assert_eq!(response.error_code, ErrorCode::InvalidGroupId);
    for (version, error) in [(5, ErrorCode::None), (6, ErrorCode::GroupIdNotFound)] {
        let request = DescribeGroupsRequest { groups: vec!["nope"], ..Default::default() };
        let response: DescribeGroupsResponse<'_> = client.call(version, &request).await;
        assert_eq!((response.groups[0].error_code, &*response.groups[0].group_state), (error, "Dead"));
    }
    let request = FindCoordinatorRequest { key: "txn", key_type: 1, ..Default::default() };
    let response: FindCoordinatorResponse<'_> = client.call(3, &request).await;
    assert_eq!((response.error_code, response.node_id), (ErrorCode::InvalidRequest, -1));

    let mut refused = Member::new(&broker, Some("not/a/name")).await;
    assert_eq!(refused.join().await.error_code, ErrorCode::InvalidConfig);
    let listed = |states: Vec<&'static str>, types: Vec<&'static str>| ListGroupsRequest {
        states_filter: states,
        types_filter: types,
    };
    for (request, expected) in [
        (listed(vec![], vec![]), &["simple"][..]),
        (listed(vec!["empty"], vec!["Classic"]), &["simple"]),
        (listed(vec!["Stable"], vec![]), &[]),
        (listed(vec![], vec!["consumer"]), &[]),
    ] {
        let response: ListGroupsResponse<'_> = client.call(5, &request).await;
        let names: Vec<&str> = response.groups.iter().map(|g| &*g.group_id).collect();
        assert_eq!(names, expected, "a group that only was tried out is not kept");
    }
    broker.stop().await;
}
