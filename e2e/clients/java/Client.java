// The Java client of Apache Kafka, from 2.x to the newest: what has changed its name between them is called by reflection.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.AppInfoParser;

public class Client {
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    static final List<String> ASSIGNORS =
        List.of("RangeAssignor", "RoundRobinAssignor", "StickyAssignor", "CooperativeStickyAssignor");
    static final int MANY = 6;
    static String brokers, name;
    static Admin admin;

    record Row(byte[] key, byte[] value, Map<String, String> headers) {
        boolean same(Row other) {
            return Arrays.equals(key, other.key) && Arrays.equals(value, other.value) && headers.equals(other.headers);
        }

        @Override
        public String toString() {
            return text(key) + "=" + text(value) + headers;
        }
    }

    static String text(byte[] bytes) {
        return bytes == null ? "null" : "'" + new String(bytes, StandardCharsets.UTF_8) + "'";
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void ensure(boolean holds, Object otherwise) {
        if (!holds) throw new AssertionError(otherwise);
    }

    static List<Row> ofCodec(String codec) {
        return IntStream.range(0, 20)
            .mapToObj(n -> new Row(bytes("k" + n), bytes(codec + " " + n), Map.of("codec", codec, "empty", "")))
            .collect(Collectors.toList());
    }

    static List<Row> edges() {
        byte[] none = new byte[0];
        return List.of(new Row(null, null, Map.of()), new Row(none, none, Map.of()), new Row(null, none, Map.of()),
            new Row(none, null, Map.of()));
    }

    static void same(List<Row> found, int rounds, String where) {
        List<Row> expected = new ArrayList<>();
        for (int round = 0; round < rounds; round++) {
            CODECS.forEach(codec -> expected.addAll(ofCodec(codec)));
            expected.addAll(edges());
        }
        ensure(found.size() == expected.size(), where + ": " + found.size() + " records of " + expected.size());
        for (int at = 0; at < found.size(); at++) {
            ensure(found.get(at).same(expected.get(at)),
                where + ", offset " + at + ": " + found.get(at) + " instead of " + expected.get(at));
        }
    }

    static KafkaProducer<byte[], byte[]> producer(String codec) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", brokers, "compression.type", codec, "acks", "all",
            "enable.idempotence", true, "max.request.size", 4_000_000, "linger.ms", 2, "delivery.timeout.ms", 20_000,
            "request.timeout.ms", 10_000));
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static void write(String topic, String codec, List<Row> rows) throws Exception {
        try (var producer = producer(codec)) {
            for (Row row : rows) {
                var one = new ProducerRecord<>(topic, 0, row.key, row.value);
                new TreeMap<>(row.headers).forEach((key, value) -> one.headers().add(key, bytes(value)));
                producer.send(one);
            }
            producer.flush();
        }
    }

    static KafkaConsumer<byte[], byte[]> consumer(String group, String assignor) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", brokers, "group.id", group,
            "auto.offset.reset", "earliest", "enable.auto.commit", false, "max.partition.fetch.bytes", 1000));
        config.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static List<Row> readAll(String topic) {
        try (var reader = consumer(name, "RangeAssignor")) {
            var partition = new TopicPartition(topic, 0);
            reader.assign(List.of(partition));
            reader.seekToBeginning(List.of(partition));
            long end = reader.endOffsets(List.of(partition)).get(partition);
            List<Row> found = new ArrayList<>();
            while (reader.position(partition) < end) {
                for (var one : reader.poll(Duration.ofSeconds(1))) {
                    Map<String, String> headers = new TreeMap<>();
                    for (Header header : one.headers()) {
                        headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
                    }
                    found.add(new Row(one.key(), one.value(), headers));
                }
            }
            return found;
        }
    }

    static void create(String topic, int partitions, Map<String, String> config) throws Exception {
        var created = admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(config)));
        created.all().get();
        // Since 2.5 the answer tells what was made.
        ensure(created.numPartitions(topic).get() == partitions, "partitions created");
    }

    static TopicDescription describe(String topic) throws Exception {
        var result = admin.describeTopics(List.of(topic));
        for (String method : List.of("allTopicNames", "all")) {
            try {
                var future = (KafkaFuture<?>) DescribeTopicsResult.class.getMethod(method).invoke(result);
                return (TopicDescription) ((Map<?, ?>) future.get()).get(topic);
            } catch (NoSuchMethodException older) {
                continue;
            }
        }
        throw new AssertionError("no way to ask for the descriptions");
    }

    static String setting(String topic) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
    }

    static void administration(String many) throws Exception {
        create(many, MANY, Map.of("retention.ms", "3600000"));
        var described = describe(many);
        ensure(described.partitions().size() == MANY, described);
        ensure(described.partitions().stream().allMatch(p -> p.leader() != null && p.leader().id() == 1), described);
        ensure(admin.listTopics().names().get().contains(many), "not listed");
        ensure(setting(many).equals("3600000"), setting(many));
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, many);
        var change = new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
        ensure(setting(many).equals("7200000"), setting(many));
        ensure(admin.describeCluster().nodes().get().size() == 1, "nodes");
    }

    static void large() throws Exception {
        byte[] value = new byte[3_000_000];
        new Random(7).nextBytes(value);
        create(name + ".large", 1, Map.of("max.message.bytes", "4000000"));
        try (var producer = producer("none")) {
            producer.send(new ProducerRecord<>(name + ".large", 0, null, value)).get();
            try {
                producer.send(new ProducerRecord<>(name, 0, null, value)).get();
                throw new AssertionError("3 MB were taken where 1 MB is the limit");
            } catch (ExecutionException e) {
                ensure(e.getCause() instanceof RecordTooLargeException, e.getCause());
            }
        }
        var found = readAll(name + ".large");
        ensure(found.size() == 1 && Arrays.equals(found.get(0).value, value), "the large record differs");
    }

    static void times() throws Exception {
        String timed = name + ".time";
        create(timed, 1, Map.of());
        long base = System.currentTimeMillis() - 3_600_000;
        try (var producer = producer("lz4")) {
            for (int n = 0; n < 10; n++) {
                producer.send(new ProducerRecord<>(timed, 0, base + 1000L * n, null, bytes("" + n)));
            }
        }
        var partition = new TopicPartition(timed, 0);
        try (var reader = consumer(name, "RangeAssignor")) {
            for (var one : Map.of(base, 0L, base + 3500, 4L, base + 9000, 9L, base + 9001, -1L).entrySet()) {
                var found = reader.offsetsForTimes(Map.of(partition, one.getKey())).get(partition);
                ensure((found == null ? -1L : found.offset()) == one.getValue(), (one.getKey() - base) + ": " + found);
            }
            ensure(reader.beginningOffsets(List.of(partition)).get(partition) == 0, "beginning");
            ensure(reader.endOffsets(List.of(partition)).get(partition) == 10, "end");
        }
        var asked = Map.of(partition, OffsetSpec.latest());
        ensure(admin.listOffsets(asked).all().get().get(partition).offset() == 10, "latest");
    }

    static void group(String many, String assignor, int turn) throws Exception {
        String group = name + "." + assignor;
        List<KafkaConsumer<byte[], byte[]>> members = List.of(consumer(group, assignor), consumer(group, assignor));
        members.forEach(member -> member.subscribe(List.of(many)));
        Set<String> found = new HashSet<>();
        long deadline = System.currentTimeMillis() + 30_000;
        while (System.currentTimeMillis() < deadline) {
            for (var member : members) {
                var records = member.poll(Duration.ofMillis(50));
                records.forEach(one -> found.add(one.partition() + ":" + one.offset()));
                if (!records.isEmpty()) member.commitSync();
            }
            if (found.size() >= 60 && members.stream().allMatch(member -> member.assignment().size() == 3)) break;
        }
        ensure(found.size() == 60, assignor + ": " + found.size() + " of 60 records");
        for (var member : members) ensure(member.assignment().size() == 3, assignor + ": " + member.assignment());
        var committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        ensure(committed.size() == MANY && committed.values().stream().allMatch(o -> o.offset() == 10L * (turn + 1)), committed);
        var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        ensure(described.members().size() == 2, described);
        members.forEach(KafkaConsumer::close);
    }

    public static void main(String[] arguments) throws Exception {
        brokers = arguments[0];
        name = arguments[1];
        int rounds = Integer.parseInt(arguments[2]);
        admin = Admin.create(Map.of("bootstrap.servers", brokers, "default.api.timeout.ms", 20_000, "request.timeout.ms", 10_000));
        create(name, 1, Map.of());
        for (int round = 0; round < rounds; round++) {
            for (String codec : CODECS) write(name, codec, ofCodec(codec));
            write(name, "none", edges());
        }
        same(readAll("shared"), 1, "shared");
        same(readAll(name), rounds, name);
        String many = name + ".many";
        administration(many);
        large();
        times();
        for (int turn = 0; turn < rounds; turn++) {
            try (var producer = producer("none")) {
                for (int n = 0; n < 60; n++) producer.send(new ProducerRecord<>(many, n % MANY, bytes("" + n), bytes("" + n)));
            }
            for (String assignor : ASSIGNORS) group(many, assignor, turn);
        }
        admin.deleteTopics(List.of(many)).all().get();
        ensure(!admin.listTopics().names().get().contains(many), "still listed");
        admin.close();
        System.out.println("Java " + AppInfoParser.getVersion() + ": " + ASSIGNORS.size() + " assignors");
    }
}
