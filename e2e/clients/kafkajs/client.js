// kafkajs, its LZ4 and zstd from packages without native code.

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { Kafka, CompressionTypes, CompressionCodecs, KafkaJSProtocolError, PartitionAssigners, logLevel } = require("kafkajs");
const lz4 = require("lz4js");
const { version } = require("kafkajs/package.json");

const [brokers, name, rounds] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };
const MANY = 6;
const LARGE = crypto.randomBytes(3_000_000);
const kafka = new Kafka({ clientId: name, brokers: [brokers], logLevel: logLevel.ERROR, retry: { initialRetryTime: 50 } });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const ofCodec = (codec) => Array.from({ length: 20 }, (_, n) =>
  ({ key: `k${n}`, value: `${codec} ${n}`, headers: { codec, empty: "" } }));
const EDGES = [{ key: null, value: null }, { key: "", value: "" }, { key: null, value: "" }, { key: "", value: null }];
const plain = (record) => {
  const text = (bytes) => (bytes === null || bytes === undefined ? null : bytes.toString());
  const headers = Object.fromEntries(Object.entries(record.headers ?? {}).map(([key, value]) => [key, text(value)]));
  return { key: text(record.key), value: text(record.value), headers };
};
const whole = (times) => Array(times).fill([...Object.keys(CODECS).flatMap(ofCodec), ...EDGES].map(plain)).flat();

async function write(topic, messages, compression = CompressionTypes.None) {
  const producer = kafka.producer({ idempotent: true, retry: { retries: 2 } });
  await producer.connect();
  try {
    return await producer.send({ topic, compression, acks: -1, messages });
  } finally {
    await producer.disconnect();
  }
}

async function readAll(topic, count) {
  const reader = kafka.consumer({ groupId: `${name}.${topic}.${count}`, maxBytesPerPartition: 1_000_000, maxWaitTimeInMs: 100 });
  const found = [];
  await reader.connect();
  await reader.subscribe({ topic, fromBeginning: true });
  await reader.run({ eachMessage: async ({ message }) => { found.push(message); } });
  for (const deadline = Date.now() + 30_000; found.length < count && Date.now() < deadline;) await sleep(10);
  await reader.disconnect();
  assert.equal(found.length, count, `${topic}: ${found.length} records of ${count}`);
  return found;
}

async function group(admin, many, turn) {
  const groupId = `${name}.roundrobin`;
  const members = [0, 1].map(() => kafka.consumer({ groupId, maxWaitTimeInMs: 100, partitionAssigners: [PartitionAssigners.roundRobin] }));
  const found = new Set();
  const assigned = [0, 0];
  for (const [at, member] of members.entries()) {
    member.on(member.events.GROUP_JOIN, ({ payload }) => { assigned[at] = payload.memberAssignment[many]?.length ?? 0; });
    await member.connect();
    await member.subscribe({ topic: many, fromBeginning: true });
  }
  // Each commits what it has read when it is told to go.
  await Promise.all(members.map((member) =>
    member.run({ eachMessage: async ({ partition, message }) => { found.add(`${partition}:${message.offset}`); } })));
  const done = () => found.size >= 60 && assigned.every((count) => count === 3);
  for (const deadline = Date.now() + 30_000; !done() && Date.now() < deadline;) await sleep(10);
  assert.ok(found.size >= 60, `${found.size} of 60 records`);
  assert.deepEqual(assigned, [3, 3]);
  const described = await admin.describeGroups([groupId]);
  assert.equal(described.groups[0].members.length, 2);
  await Promise.all(members.map((member) => member.disconnect()));
  const [offsets] = await admin.fetchOffsets({ groupId, topics: [many] });
  assert.deepEqual(offsets.partitions.map((one) => one.offset), Array(MANY).fill(String(10 * (turn + 1))));
}

async function main() {
  CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async (encoder) => Buffer.from(lz4.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
  });
  const zstd = await new Promise((resolve) => require("zstd-codec").ZstdCodec.run((all) => resolve(new all.Streaming())));
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
  });
  const admin = kafka.admin();
  await admin.connect();
  const create = (topic, numPartitions, configEntries = []) =>
    admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] });

  await create(name, 1);
  for (let round = 0; round < rounds; round++) {
    for (const [codec, type] of Object.entries(CODECS)) await write(name, ofCodec(codec).map((r) => ({ ...r, partition: 0 })), type);
    await write(name, EDGES.map((r) => ({ ...r, partition: 0 })));
  }
  assert.deepEqual((await readAll("shared", whole(1).length)).map(plain), whole(1));
  assert.deepEqual((await readAll(name, whole(rounds).length)).map(plain), whole(rounds));

  const many = `${name}.many`;
  await create(many, MANY, [{ name: "retention.ms", value: "3600000" }]);
  const { topics } = await admin.fetchTopicMetadata({ topics: [many] });
  assert.equal(topics[0].partitions.length, MANY);
  assert.ok((await admin.listTopics()).includes(many));
  const resource = { type: 2, name: many };
  const setting = async () => {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
    return resources[0].configEntries.find((entry) => entry.configName === "retention.ms").configValue;
  };
  assert.equal(await setting(), "3600000");
  await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "7200000" }] }] });
  assert.equal(await setting(), "7200000");

  await create(`${name}.large`, 1, [{ name: "max.message.bytes", value: "4000000" }]);
  await write(`${name}.large`, [{ value: LARGE }]);
  const [large] = await readAll(`${name}.large`, 1);
  assert.ok(large.value.equals(LARGE), "the large record differs");
  await assert.rejects(write(name, [{ value: LARGE }]), (e) => {
    const cause = e.cause ?? e;
    return cause instanceof KafkaJSProtocolError && cause.type === "MESSAGE_TOO_LARGE";
  });

  const timed = `${name}.time`;
  await create(timed, 1);
  const base = Date.now() - 3_600_000;
  await write(timed, Array.from({ length: 10 }, (_, n) => ({ value: `${n}`, timestamp: String(base + 1000 * n) })));
  // It gives the log's end where nothing is as new.
  for (const [at, expected] of [[0, "0"], [3500, "4"], [9000, "9"], [9001, "10"]]) {
    const [found] = await admin.fetchTopicOffsetsByTimestamp(timed, base + at);
    assert.equal(found.offset, expected, `by time ${at}`);
  }
  const [ends] = await admin.fetchTopicOffsets(timed);
  assert.deepEqual([ends.low, ends.high], ["0", "10"]);

  for (let turn = 0; turn < rounds; turn++) {
    await write(many, Array.from({ length: 60 }, (_, n) => ({ key: `${n}`, value: `${n}`, partition: n % MANY })));
    await group(admin, many, turn);
  }
  await admin.deleteTopics({ topics: [many] });
  assert.ok(!(await admin.listTopics()).includes(many));
  await admin.disconnect();
  console.log(`kafkajs ${version}: 1 assignor`);
}

main().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
