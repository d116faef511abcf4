//! Groups and committed offsets that are deleted: gone at once and after a restart, refused while they are in use.

use logmill_protocol::{
    ErrorCode,
    messages::{
        delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse},
        delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse},
        list_groups::{ListGroupsRequest, ListGroupsResponse},
        offset_delete::{
            OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse,
        },
    },
};

use crate::{
    client::{Client, TestBroker},
    groups::{Member, commit, committed},
};

async fn delete(client: &mut Client, version: i16, names: Vec<&str>) -> Vec<(String, ErrorCode)> {
    loop {
        let request = DeleteGroupsRequest { groups_names: names.clone() };
        let response: DeleteGroupsResponse<'_> = client.call(version, &request).await;
        let results: Vec<_> = response.results.iter().map(|r| (r.group_id.to_string(), r.error_code)).collect();
        if results.iter().all(|(_, code)| *code != ErrorCode::CoordinatorLoadInProgress) {
            return results;
        }
    }
}

/// The error of the whole, or those of the partitions.
async fn delete_offsets(
    client: &mut Client,
    group_id: &str,
    topics: &[(&str, &[i32])],
) -> Result<Vec<ErrorCode>, ErrorCode> {
    let partition = |partition_index: &i32| OffsetDeleteRequestPartition { partition_index: *partition_index };
    let topics = topics.iter().map(|(name, partitions)| OffsetDeleteRequestTopic {
        name,
        partitions: partitions.iter().map(partition).collect(),
    });
    let request = OffsetDeleteRequest { group_id, topics: topics.collect() };
    let response: OffsetDeleteResponse<'_> = client.call(0, &request).await;
    if !response.error_code.is_none() {
        assert!(response.topics.is_empty());
        return Err(response.error_code);
    }
    Ok(response.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code)).collect())
}

async fn listed(client: &mut Client) -> Vec<String> {
    loop {
        let response: ListGroupsResponse<'_> = client.call(4, &ListGroupsRequest::default()).await;
        // The list of a broker that has just started is not complete.
        if response.error_code != ErrorCode::CoordinatorLoadInProgress {
            return response.groups.iter().map(|group| group.group_id.to_string()).collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_group_stays_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    client.create_topic("u", 1).await;
    for topic in ["t", "u"] {
        for group in ["gone", "kept"] {
            assert_eq!(commit(&mut client, 9, group, ("", -1), topic, 5, "").await, ErrorCode::None);
        }
    }
    // A group that had a member has a record of its own too.
    let mut member = Member::new(&broker, None).await;
    assert_eq!(member.join().await.error_code, ErrorCode::None);
    member.send_sync(&[(member.id.clone(), b"all")]).await;
    assert_eq!(member.synced().await.error_code, ErrorCode::None);
    assert_eq!(commit(&mut client, 9, "empty", ("", -1), "t", 1, "").await, ErrorCode::None);
    let names = vec!["gone", "g", "nope", "", "gone"];
    let results = delete(&mut client, 2, names).await;
    let expected = [
        ("", ErrorCode::InvalidGroupId),
        ("g", ErrorCode::NonEmptyGroup),
        ("gone", ErrorCode::None),
        ("nope", ErrorCode::GroupIdNotFound),
    ];
    assert_eq!(results, expected.map(|(name, code)| (name.to_owned(), code)));
    for version in 0..=1 {
        assert_eq!(delete(&mut client, version, vec!["gone"]).await[0].1, ErrorCode::GroupIdNotFound);
    }
    assert_eq!(committed(&mut client, "gone").await, []);
    assert_eq!(listed(&mut client).await, ["empty", "g", "kept"]);
    broker.stop().await;

    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    assert_eq!(committed(&mut client, "gone").await, []);
    assert_eq!(committed(&mut client, "kept").await.len(), 2);
    assert_eq!(listed(&mut client).await, ["empty", "g", "kept"]);
    // The name is free.
    assert_eq!(commit(&mut client, 9, "gone", ("", -1), "u", 7, "").await, ErrorCode::None);
    assert_eq!(committed(&mut client, "gone").await, [("u".to_owned(), 0, 7, String::new())]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletion_and_commits_at_once_leave_what_a_restart_finds() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut admin = broker.client().await;
    admin.create_topic("t", 1).await;
    assert_eq!(commit(&mut admin, 9, "busy", ("", -1), "t", 0, "").await, ErrorCode::None);
    let mut writers = Vec::new();
    for _ in 0..4 {
        let mut client = broker.client().await;
        writers.push(tokio::spawn(async move {
            for offset in 1..60 {
                let error = commit(&mut client, 9, "busy", ("", -1), "t", offset, "").await;
                assert_eq!(error, ErrorCode::None);
            }
        }));
    }
    let mut deleted = 0;
    for _ in 0..30 {
        match delete(&mut admin, 2, vec!["busy"]).await[0].1 {
            ErrorCode::None => deleted += 1,
            ErrorCode::GroupIdNotFound => {}
            other => panic!("{other:?}"),
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(deleted > 0);
    let before = (listed(&mut admin).await, committed(&mut admin, "busy").await);
    broker.stop().await;
    let broker = TestBroker::start(dir.path()).await;
    let mut admin = broker.client().await;
    let offsets = committed(&mut admin, "busy").await;
    assert_eq!((listed(&mut admin).await, offsets), before);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_deleted_where_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 2).await;
    client.create_topic("u", 1).await;
    for topic in ["t", "u"] {
        assert_eq!(commit(&mut client, 9, "g", ("", -1), topic, 5, "").await, ErrorCode::None);
    }
    let mut member = Member::new(&broker, None).await;
    assert_eq!(member.join().await.error_code, ErrorCode::None);
    member.send_sync(&[(member.id.clone(), b"all")]).await;
    assert_eq!(member.synced().await.error_code, ErrorCode::None);
    let results = delete_offsets(&mut client, "g", &[("u", &[0, 0, 3]), ("t", &[1, 0]), ("nope", &[0])]).await;
    let (none, unknown, read) =
        (ErrorCode::None, ErrorCode::UnknownTopicOrPartition, ErrorCode::GroupSubscribedToTopic);
    assert_eq!(results, Ok(vec![none, none, unknown, read, read, unknown]));
    assert_eq!(committed(&mut client, "g").await, [("t".to_owned(), 0, 5, String::new())]);
    assert_eq!(delete_offsets(&mut client, "nope", &[("t", &[0])]).await, Err(ErrorCode::GroupIdNotFound));
    assert_eq!(delete_offsets(&mut client, "", &[]).await, Err(ErrorCode::InvalidGroupId));

    // A group of commits only goes with its last one.
    assert_eq!(commit(&mut client, 9, "simple", ("", -1), "t", 5, "").await, ErrorCode::None);
    assert_eq!(delete_offsets(&mut client, "simple", &[("t", &[1, 0])]).await, Ok(vec![none, none]));
    assert_eq!(listed(&mut client).await, ["g"]);
    broker.stop().await;
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    assert_eq!(committed(&mut client, "g").await, [("t".to_owned(), 0, 5, String::new())]);
    assert_eq!(listed(&mut client).await, ["g"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_takes_its_committed_offsets_along() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    for topic in ["t", "u"] {
        client.create_topic(topic, 1).await;
        for group in ["g", "h"] {
            assert_eq!(commit(&mut client, 9, group, ("", -1), topic, 5, "").await, ErrorCode::None);
        }
    }
    let topics = vec![DeleteTopicState { name: Some("t"), ..Default::default() }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 5000, ..Default::default() };
    let response: DeleteTopicsResponse<'_> = client.call(6, &request).await;
    assert_eq!(response.responses[0].error_code, ErrorCode::None);
    client.create_topic("t", 1).await;
    let left = [("u".to_owned(), 0, 5, String::new())];
    assert_eq!(committed(&mut client, "g").await, left);
    broker.stop().await;
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    for group in ["g", "h"] {
        assert_eq!(committed(&mut client, group).await, left);
    }
    broker.stop().await;
}
