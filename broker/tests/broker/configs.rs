//! Settings of topics: altered while they are used, kept over a restart, described with their sources, refused by Kafka's codes.

use logmill_protocol::{
    ErrorCode,
    messages::{
        alter_configs::{self, AlterConfigsRequest, AlterConfigsResponse},
        describe_configs::{
            DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
        },
        incremental_alter_configs::{
            AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        },
    },
};

use crate::client::{Client, TestBroker, batch, config};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

pub type Edit<'a> = (&'a str, i8, Option<&'a str>);

fn resource<'a>(resource_type: i8, resource_name: &'a str, edits: &[Edit<'a>]) -> AlterConfigsResource<'a> {
    let config = |(name, config_operation, value): &Edit<'a>| AlterableConfig {
        name,
        config_operation: *config_operation,
        value: *value,
    };
    AlterConfigsResource { resource_type, resource_name, configs: edits.iter().map(config).collect() }
}

/// Error codes and messages, one per resource.
async fn alter(
    client: &mut Client,
    resources: Vec<AlterConfigsResource<'_>>,
    validate_only: bool,
) -> Vec<(ErrorCode, Option<String>)> {
    let request = IncrementalAlterConfigsRequest { resources, validate_only };
    let response: IncrementalAlterConfigsResponse<'_> = client.call(1, &request).await;
    let answer = |r: &_| -> (ErrorCode, Option<String>) {
        let r: &logmill_protocol::messages::incremental_alter_configs::AlterConfigsResourceResponse<'_> = r;
        (r.error_code, r.error_message.as_ref().map(ToString::to_string))
    };
    response.responses.iter().map(answer).collect()
}

pub async fn alter_topic(client: &mut Client, topic: &str, edits: &[Edit<'_>]) -> ErrorCode {
    alter(client, vec![resource(TOPIC, topic, edits)], false).await[0].0
}

async fn describe(client: &mut Client, kind: i8, name: &str) -> Vec<DescribeConfigsResourceResult<'static>> {
    let resources =
        vec![DescribeConfigsResource { resource_type: kind, resource_name: name, configuration_keys: None }];
    let request = DescribeConfigsRequest { resources, include_synonyms: true, include_documentation: true };
    let response: DescribeConfigsResponse<'static> = client.call(4, &request).await;
    let result = response.results.into_iter().next().unwrap();
    assert_eq!(result.error_code, ErrorCode::None);
    result.configs
}

/// What is set for the topic itself.
async fn own(client: &mut Client, topic: &str) -> Vec<(String, String)> {
    let all = describe(client, TOPIC, topic).await;
    let own = all.into_iter().filter(|config| config.config_source == 1);
    own.map(|config| (config.name.to_string(), config.value.unwrap().to_string())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_topic_behaves_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    client.produce("t", 0, &batch(&["a record of some length"])).await.unwrap();
    let edits = [("max.message.bytes", SET, Some("80")), ("cleanup.policy", APPEND, Some("compact"))];
    assert_eq!(alter_topic(&mut client, "t", &edits).await, ErrorCode::None);
    let refused = client.produce("t", 0, &batch(&["a record of some length"])).await;
    assert_eq!(refused, Err(ErrorCode::MessageTooLarge));
    assert_eq!(alter_topic(&mut client, "t", &[("cleanup.policy", DELETE, None)]).await, ErrorCode::None);
    assert_eq!(own(&mut client, "t").await, pairs(&[("max.message.bytes", "80")]));
    broker.stop().await;

    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    assert_eq!(own(&mut client, "t").await, pairs(&[("max.message.bytes", "80")]));
    let refused = client.produce("t", 0, &batch(&["a record of some length"])).await;
    assert_eq!(refused, Err(ErrorCode::MessageTooLarge));

    // The older request replaces everything.
    let configs = vec![alter_configs::AlterableConfig { name: "retention.ms", value: Some("5000") }];
    let replace = |validate_only| {
        let resources = vec![alter_configs::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t",
            configs: configs.clone(),
        }];
        AlterConfigsRequest { resources, validate_only }
    };
    for (version, validate_only) in [(0, true), (1, false), (2, false)] {
        let response: AlterConfigsResponse<'_> = client.call(version, &replace(validate_only)).await;
        assert_eq!(response.responses[0].error_code, ErrorCode::None);
        let expected = if validate_only { ("max.message.bytes", "80") } else { ("retention.ms", "5000") };
        assert_eq!(own(&mut client, "t").await, pairs(&[expected]));
    }
    assert!(client.produce("t", 0, &batch(&["a record of some length"])).await.is_ok());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alterations_are_refused_one_by_one_and_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    let good: &[Edit<'_>] = &[("retention.ms", SET, Some("1000"))];
    let cases: [(i8, &str, &[Edit<'_>], ErrorCode, &str); 13] = [
        (TOPIC, "nope", good, ErrorCode::UnknownTopicOrPartition, "The topic 'nope' does not exist."),
        (TOPIC, "", good, ErrorCode::InvalidRequest, "Default topic resources are not allowed."),
        (TOPIC, "t", &[("foo", SET, Some("1"))], ErrorCode::InvalidConfig, "Unknown topic config name: foo"),
        (
            TOPIC,
            "t",
            &[("segment.bytes", SET, Some("2000000")), ("retention.ms", SET, Some("x"))],
            ErrorCode::InvalidConfig,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            TOPIC,
            "t",
            &[("retention.ms", SET, None)],
            ErrorCode::InvalidRequest,
            "Null value not supported for : retention.ms",
        ),
        (TOPIC, "t", &[("retention.ms", 9, Some("1"))], ErrorCode::InvalidRequest, "Unknown operations type 9"),
        (
            TOPIC,
            "t",
            &[("retention.ms", APPEND, Some("1"))],
            ErrorCode::InvalidConfig,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (BROKER, "9", good, ErrorCode::InvalidRequest, "Unexpected broker id, expected 1, but received 9"),
        (BROKER, "one", good, ErrorCode::InvalidRequest, "Node id must be an integer, but it is: one"),
        (
            BROKER,
            "1",
            &[("log.dirs", SET, Some("/x")), ("log.retention.ms", SET, Some("1"))],
            ErrorCode::InvalidRequest,
            "Cannot update these configs dynamically: Set(log.dirs)",
        ),
        (
            BROKER,
            "",
            &[("log.retention.ms", SET, Some("x"))],
            ErrorCode::InvalidRequest,
            "Invalid value x for configuration log.retention.ms: Not a number of type LONG",
        ),
        (BROKER, "", &[], ErrorCode::None, ""),
        (77, "t", good, ErrorCode::InvalidRequest, "Unknown resource type 77"),
    ];
    for (kind, name, edits, code, message) in cases {
        let answer = alter(&mut client, vec![resource(kind, name, edits)], false).await;
        let message = Some(message.to_owned()).filter(|m| !m.is_empty());
        assert_eq!(answer, [(code, message)], "{kind} {name} {edits:?}");
    }
    let twice = vec![resource(TOPIC, "t", good), resource(TOPIC, "t", good)];
    let answers = alter(&mut client, twice, false).await;
    assert!(answers.iter().all(|(code, _)| *code == ErrorCode::InvalidRequest) && answers.len() == 2, "{answers:?}");
    assert_eq!(alter(&mut client, vec![resource(TOPIC, "t", good)], true).await, [(ErrorCode::None, None)]);
    assert_eq!(own(&mut client, "t").await, []);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptions_tell_where_a_value_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    let edits = [("segment.bytes", SET, Some("2097152")), ("retention.ms", SET, Some("60000"))];
    assert_eq!(alter_topic(&mut client, "t", &edits).await, ErrorCode::None);
    let all = describe(&mut client, TOPIC, "t").await;
    let synonyms = |name: &str| -> Vec<(String, String, i8)> {
        let config = all.iter().find(|config| config.name == name).unwrap();
        assert!(config.documentation.as_ref().is_some_and(|doc| !doc.is_empty()));
        let one = |s: &logmill_protocol::messages::describe_configs::DescribeConfigsSynonym<'_>| {
            (s.name.to_string(), s.value.as_ref().unwrap().to_string(), s.source)
        };
        config.synonyms.iter().map(one).collect()
    };
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned(), 1);
    let default = ("log.segment.bytes".to_owned(), "1073741824".to_owned(), 5);
    assert_eq!(synonyms("segment.bytes"), [own("segment.bytes", "2097152"), default]);
    assert_eq!(synonyms("retention.ms"), [own("retention.ms", "60000")]);
    let of_broker = describe(&mut client, BROKER, "1").await;
    assert!(of_broker.iter().all(|config| config.value.is_some()));
    let alterable = |name: &str| of_broker.iter().find(|config| config.name == name).map(|config| !config.read_only);
    assert_eq!(["log.segment.bytes", "broker.id"].map(alterable), [Some(true), Some(false)]);
    assert!(of_broker.is_sorted_by_key(|config| config.name.to_string()));
    assert!(describe(&mut client, BROKER, "").await.is_empty());
    broker.stop().await;
}

/// Of a broker's settings one: value, source, synonyms with theirs.
async fn of_broker(client: &mut Client, id: &str, name: &str) -> Option<(String, i8, Vec<(String, i8)>)> {
    let found = describe(client, BROKER, id).await.into_iter().find(|config| config.name == name)?;
    let synonyms = found.synonyms.iter().map(|s| (s.value.as_ref().unwrap().to_string(), s.source)).collect();
    Some((found.value.unwrap().to_string(), found.config_source, synonyms))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_broker_behaves_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = || config(dir.path(), "limits: { max_connections: 50 }\n");
    let broker = TestBroker::with(file()).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    client.create_topic("own", 1).await;
    assert_eq!(alter_topic(&mut client, "own", &[("max.message.bytes", SET, Some("1000"))]).await, ErrorCode::None);
    let record = batch(&["a record of some length"]);
    client.produce("t", 0, &record).await.unwrap();

    let all = [("message.max.bytes", SET, Some("80")), ("max.connections", SET, Some("9"))];
    let altered = alter(&mut client, vec![resource(BROKER, "", &all)], true).await;
    assert_eq!(altered, [(ErrorCode::None, None)]);
    client.produce("t", 0, &record).await.expect("only asked whether it could be");
    let this = [("max.connections", SET, Some("2"))];
    let resources = || vec![resource(BROKER, "", &all), resource(BROKER, "1", &this)];
    assert_eq!(alter(&mut client, resources(), false).await, [(ErrorCode::None, None), (ErrorCode::None, None)]);
    assert_eq!(client.produce("t", 0, &record).await, Err(ErrorCode::MessageTooLarge));
    client.produce("own", 0, &record).await.expect("its own setting counts");

    let expected = ("2".to_owned(), 2, vec![("2".to_owned(), 2), ("9".to_owned(), 3), ("50".to_owned(), 4)]);
    assert_eq!(of_broker(&mut client, "1", "max.connections").await, Some(expected));
    assert_eq!(
        of_broker(&mut client, "", "max.connections").await,
        Some(("9".to_owned(), 3, vec![("9".to_owned(), 3)]))
    );
    let of_topic = describe(&mut client, TOPIC, "t").await;
    let size = of_topic.iter().find(|config| config.name == "max.message.bytes").unwrap();
    assert_eq!((size.value.as_deref(), size.config_source), (Some("80"), 3));
    broker.stop().await;

    let broker = TestBroker::with(file()).await.unwrap();
    let mut client = broker.client().await;
    assert_eq!(client.produce("t", 0, &record).await, Err(ErrorCode::MessageTooLarge));
    let second = broker.client().await;
    assert_eq!(broker.client().await.receive_bytes().await, None, "a third connection");
    drop(second);
    for (id, name) in [("1", "max.connections"), ("", "max.connections"), ("", "message.max.bytes")] {
        let edits = vec![resource(BROKER, id, &[(name, DELETE, None)])];
        assert_eq!(alter(&mut client, edits, false).await, [(ErrorCode::None, None)]);
    }
    client.produce("t", 0, &record).await.expect("the default again");
    assert_eq!(describe(&mut client, BROKER, "").await.len(), 0);
    broker.client().await.create_topic("more", 1).await;
    broker.stop().await;
}
