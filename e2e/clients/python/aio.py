"""aiokafka (pure Python and asyncio)."""

import asyncio
import sys
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import MessageSizeTooLargeError

import table

brokers, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
ASSIGNORS = [RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor]


async def write(topic, records, **config):
    producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all", enable_idempotence=True, **config)
    await producer.start()
    try:
        sent = [await producer.send(topic, value, key, rest[0] if rest else 0, rest[1] if len(rest) > 1 else None,
                                    headers=headers) for key, value, headers, *rest in records]
        return [(await one).offset for one in sent]
    finally:
        await producer.stop()


async def write_edges(topic):
    """What `send` refuses: a record with neither key nor value."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all", enable_idempotence=True)
    await producer.start()
    batch = producer.create_batch()
    for key, value in table.EDGES:
        batch.append(key=key, value=value, timestamp=None)
    await (await producer.send_batch(batch, topic, partition=0))
    await producer.stop()


async def read_all(topic, **config):
    reader = AIOKafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", **config)
    await reader.start()
    try:
        partition = TopicPartition(topic, 0)
        reader.assign([partition])
        end = (await reader.end_offsets([partition]))[partition]
        found = []
        while await reader.position(partition) < end:
            for message in (await reader.getmany(partition, timeout_ms=1000)).get(partition, []):
                found.append((message.key, message.value, list(message.headers)))
        return found
    finally:
        await reader.stop()


async def group(many, assignor, turn):
    members = [AIOKafkaConsumer(many, bootstrap_servers=brokers, group_id=f"{name}.{assignor.name}",
                                partition_assignment_strategy=[assignor], auto_offset_reset="earliest",
                                enable_auto_commit=False) for _ in range(2)]
    await asyncio.gather(*(member.start() for member in members))
    found, deadline = set(), time.monotonic() + 30
    while time.monotonic() < deadline:
        for member in members:
            batches = await member.getmany(timeout_ms=50)
            found.update((p.partition, m.offset) for p, messages in batches.items() for m in messages)
            if batches:
                await member.commit({p: messages[-1].offset + 1 for p, messages in batches.items()})
        if len(found) >= 60 and all(len(member.assignment()) == 3 for member in members):
            break
    assert len(found) == 60, f"{assignor.name}: {len(found)} of 60 records"
    assert all(len(member.assignment()) == 3 for member in members), [m.assignment() for m in members]
    offsets = [await members[0].committed(TopicPartition(many, p)) for p in range(table.MANY)]
    assert offsets == [10 * (turn + 1)] * table.MANY, (assignor.name, offsets)
    for member in members:
        await member.stop()


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()

    async def create(topic, partitions, config={}):
        answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config)])
        assert [error[1] for error in answer.topic_errors] == [0], answer

    await create(name, 1)
    for _ in range(rounds):
        for codec in table.CODECS:
            await write(name, table.of_codec(codec), compression_type=None if codec == "none" else codec)
        await write_edges(name)
    table.same(await read_all("shared"), 1, "shared")
    table.same(await read_all(name), rounds, name)

    many = f"{name}.many"
    await create(many, table.MANY, {"retention.ms": "3600000"})
    (described,) = await admin.describe_topics([many])
    assert len(described["partitions"]) == table.MANY and described["error_code"] == 0, described
    assert many in await admin.list_topics()

    async def setting():
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, many)])
        ((error, _, _, _, entries),) = answer.resources
        assert error == 0, answer
        return {entry[0]: entry[1] for entry in entries}["retention.ms"]

    assert await setting() == "3600000", await setting()
    change = ConfigResource(ConfigResourceType.TOPIC, many, configs={"retention.ms": "7200000"})
    (answer,) = await admin.alter_configs([change])
    assert answer.resources[0][0] == 0, answer
    assert await setting() == "7200000", await setting()

    large = f"{name}.large"
    await create(large, 1, {"max.message.bytes": "4000000"})
    await write(large, [(None, table.LARGE, [])], max_request_size=4_000_000)
    ((_, value, _),) = await read_all(large, max_partition_fetch_bytes=1000)
    assert value == table.LARGE
    try:
        await write(name, [(None, table.LARGE, [])], max_request_size=4_000_000)
        raise SystemExit("3 MB were taken where 1 MB is the limit")
    except MessageSizeTooLargeError:
        pass

    timed = f"{name}.time"
    await create(timed, 1)
    base = int(time.time() * 1000) - 3_600_000
    offsets = await write(timed, [(None, b"%d" % n, [], 0, base + 1000 * n) for n in range(10)])
    assert offsets == list(range(10)), offsets
    partition = TopicPartition(timed, 0)
    reader = AIOKafkaConsumer(bootstrap_servers=brokers)
    await reader.start()
    for at, expected in [(base, 0), (base + 3500, 4), (base + 9000, 9), (base + 9001, None)]:
        found = (await reader.offsets_for_times({partition: at}))[partition]
        assert (found and found.offset) == expected, (at - base, found)
    assert await reader.beginning_offsets([partition]) == {partition: 0}
    assert await reader.end_offsets([partition]) == {partition: 10}
    await reader.stop()

    for turn in range(rounds):
        await write(many, [(b"%d" % n, b"%d" % n, [], n % table.MANY) for n in range(60)])
        for assignor in ASSIGNORS:
            await group(many, assignor, turn)
    listed = {one[0] for one in await admin.list_consumer_groups()}
    assert {f"{name}.{assignor.name}" for assignor in ASSIGNORS} <= listed, listed

    answer = await admin.delete_topics([many])
    assert [error for _, error in answer.topic_error_codes] == [0], answer
    assert many not in await admin.list_topics()
    await admin.close()
    print(f"aiokafka {aiokafka.__version__}: {len(ASSIGNORS)} assignors")


asyncio.run(main())
