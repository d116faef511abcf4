"""confluent-kafka (librdkafka)."""

import sys
import time

import confluent_kafka as ck
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, OffsetSpec,
                                   ResourceType)

import table

brokers, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
admin = AdminClient({"bootstrap.servers": brokers})


def done(futures):
    return {key: future.result(20) for key, future in futures.items()}


def create(topic, partitions, config={}):
    done(admin.create_topics([NewTopic(topic, partitions, 1, config=config)]))


def consumer(**more):
    return Consumer({"bootstrap.servers": brokers, "group.id": name, "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, "enable.partition.eof": True, **more})


def read_all(topic, **more):
    reader, found = consumer(**more), []
    reader.assign([TopicPartition(topic, 0, 0)])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        message = reader.poll(1)
        if message is None:
            continue
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                reader.close()
                return found
            raise KafkaException(message.error())
        found.append((message.key(), message.value(), message.headers() or []))
    raise SystemExit(f"{topic} was not read to its end: {len(found)} records")


def write(topic, records, **config):
    failed = []
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 2, **config})
    for key, value, headers, *rest in records:
        producer.produce(topic, value, key, rest[0] if rest else 0, headers=headers or None,
                         timestamp=rest[1] if len(rest) > 1 else 0, on_delivery=lambda e, m: e and failed.append(e))
    assert producer.flush(30) == 0, "not everything was delivered"
    return failed


create(name, 1)
for _ in range(rounds):
    for codec in table.CODECS:
        assert write(name, table.of_codec(codec), **{"compression.type": codec}) == []
    assert write(name, [(k, v, []) for k, v in table.EDGES]) == []
table.same(read_all("shared"), 1, "shared")
table.same(read_all(name), rounds, name)

many = f"{name}.many"
create(many, table.MANY, {"retention.ms": "3600000"})
for _ in range(100):
    topics = admin.list_topics(timeout=10).topics
    if many in topics and len(topics[many].partitions) == table.MANY:
        break
    time.sleep(0.05)
else:
    raise SystemExit(f"{many} is not listed")
described = done(admin.describe_topics(ck.TopicCollection([many])))[many]
assert len(described.partitions) == table.MANY and all(p.leader.id == 1 for p in described.partitions)


def setting():
    (entries,) = done(admin.describe_configs([ConfigResource(ResourceType.TOPIC, many)])).values()
    return entries["retention.ms"].value


assert setting() == "3600000", setting()
change = ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)
done(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, many, incremental_configs=[change])]))
assert setting() == "7200000", setting()

large = f"{name}.large"
create(large, 1, {"max.message.bytes": "4000000"})
generous = {"message.max.bytes": 4_000_000}
assert write(large, [(None, table.LARGE, [])], **generous) == []
((_, value, _),) = read_all(large)
assert value == table.LARGE
(refused,) = write(name, [(None, table.LARGE, [])], **generous)
assert refused.code() == KafkaError.MSG_SIZE_TOO_LARGE, refused

timed = f"{name}.time"
create(timed, 1)
base = int(time.time() * 1000) - 3_600_000
assert write(timed, [(None, b"%d" % n, [], 0, base + 1000 * n) for n in range(10)]) == []
reader = consumer()
for at, expected in [(base, 0), (base + 3500, 4), (base + 9000, 9), (base + 9001, ck.OFFSET_END)]:
    (found,) = reader.offsets_for_times([TopicPartition(timed, 0, at)], 10)
    assert found.offset == expected, (at - base, found)
assert reader.get_watermark_offsets(TopicPartition(timed, 0), 10) == (0, 10)
reader.close()
partition = TopicPartition(timed, 0)
for spec, expected in [(OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 10), (OffsetSpec.max_timestamp(), 9),
                       (OffsetSpec.for_timestamp(base + 3500), 4)]:
    found = done(admin.list_offsets({partition: spec}))[partition]
    assert found.offset == expected, (spec, found.offset)

ASSIGNORS = ["range", "roundrobin", "cooperative-sticky"]
for turn in range(rounds):
    assert write(many, [(b"%d" % n, b"%d" % n, [], n % table.MANY) for n in range(60)]) == []
    for assignor in ASSIGNORS:
        group = f"{name}.{assignor}"
        members = [consumer(**{"group.id": group, "partition.assignment.strategy": assignor,
                               "enable.partition.eof": False}) for _ in range(2)]
        for member in members:
            member.subscribe([many])
        deadline = time.monotonic() + 30
        found = set()
        while time.monotonic() < deadline:
            for member in members:
                message = member.poll(0.02)
                if message is not None:
                    assert not message.error(), message.error()
                    found.add((message.partition(), message.offset()))
                    member.commit(message=message, asynchronous=False)
            if len(found) >= 60 and all(len(member.assignment()) == 3 for member in members):
                break
        assert len(found) == 60, f"{assignor}: {len(found)} of 60 records"
        assert all(len(member.assignment()) == 3 for member in members), [m.assignment() for m in members]
        for member in members:
            member.close()
        partitions = [TopicPartition(many, p) for p in range(table.MANY)]
        reader = consumer(**{"group.id": group})
        offsets = [p.offset for p in reader.committed(partitions, 10)]
        reader.close()
        assert offsets == [10 * (turn + 1)] * table.MANY, (assignor, offsets)

done(admin.delete_topics([many]))
for _ in range(100):
    if many not in admin.list_topics(timeout=10).topics:
        break
    time.sleep(0.05)
else:
    raise SystemExit(f"{many} is still listed")
print(f"confluent-kafka {ck.__version__} (librdkafka {ck.libversion()[0]}): {len(ASSIGNORS)} assignors")
