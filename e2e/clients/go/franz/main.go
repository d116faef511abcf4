// franz-go.
package main

import (
	"bytes"
	"clients/table"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var brokers, name, rounds = table.Arguments()

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func client(options ...kgo.Opt) *kgo.Client {
	options = append(options, kgo.SeedBrokers(brokers), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(3_500_000))
	return table.Get(kgo.NewClient(options...))
}

func write(ctx context.Context, codec string, records ...*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c := client(kgo.ProducerBatchCompression(codecs[codec]))
	defer c.Close()
	return c.ProduceSync(ctx, records...).FirstErr()
}

func records(topic string, rows []table.Row) []*kgo.Record {
	var all []*kgo.Record
	for _, row := range rows {
		one := &kgo.Record{Topic: topic, Key: row.Key, Value: row.Value}
		for _, header := range row.Headers {
			one.Headers = append(one.Headers, kgo.RecordHeader{Key: header[0], Value: []byte(header[1])})
		}
		all = append(all, one)
	}
	return all
}

func readAll(ctx context.Context, topic string, count int) []table.Row {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}), kgo.FetchMaxPartitionBytes(1000))
	defer c.Close()
	var found []table.Row
	for len(found) < count {
		fetches := c.PollFetches(ctx)
		table.Must(fetches.Err())
		for _, one := range fetches.Records() {
			row := table.Row{Key: one.Key, Value: one.Value}
			for _, header := range one.Headers {
				row.Headers = append(row.Headers, [2]string{header.Key, string(header.Value)})
			}
			found = append(found, row)
		}
	}
	return found
}

func group(ctx context.Context, admin *kadm.Client, many string, balancer kgo.GroupBalancer, turn int) {
	id := name + "." + balancer.ProtocolName()
	var lock sync.Mutex
	found, assigned := map[string]bool{}, [2]map[int32]bool{{}, {}}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	done := func() bool {
		lock.Lock()
		defer lock.Unlock()
		return len(found) == 60 && len(assigned[0]) == 3 && len(assigned[1]) == 3
	}
	var members []*kgo.Client
	for at := range 2 {
		given := func(add bool) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
				lock.Lock()
				defer lock.Unlock()
				for _, partition := range partitions[many] {
					delete(assigned[at], partition)
					if add {
						assigned[at][partition] = true
					}
				}
			}
		}
		members = append(members, client(kgo.ConsumerGroup(id), kgo.ConsumeTopics(many), kgo.Balancers(balancer), kgo.DisableAutoCommit(), kgo.FetchMaxWait(100*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(given(true)), kgo.OnPartitionsRevoked(given(false)), kgo.OnPartitionsLost(given(false))))
	}
	for !done() && ctx.Err() == nil {
		for _, member := range members {
			poll, stop := context.WithTimeout(ctx, 50*time.Millisecond)
			fetches := member.PollFetches(poll)
			stop()
			fetches.EachError(func(_ string, _ int32, err error) {
				table.Ensure(errors.Is(err, context.DeadlineExceeded), "%s: %v", id, err)
			})
			lock.Lock()
			for _, one := range fetches.Records() {
				found[fmt.Sprint(one.Partition, ":", one.Offset)] = true
			}
			lock.Unlock()
			table.Must(member.CommitRecords(ctx, fetches.Records()...))
		}
	}
	table.Ensure(done(), "%s: %d of 60 records, assigned %v", id, len(found), assigned)
	described := table.Get(admin.DescribeGroups(ctx, id))
	table.Ensure(len(described[id].Members) == 2, "%v", described)
	offsets := table.Get(admin.FetchOffsets(ctx, id))
	for partition := range int32(table.Many) {
		offset, _ := offsets.Lookup(many, partition)
		table.Ensure(offset.At == int64(10*(turn+1)), "%s, partition %d: committed %d", id, partition, offset.At)
	}
	for _, member := range members {
		member.Close()
	}
}

func main() {
	ctx := context.Background()
	c := client()
	admin := kadm.NewClient(c)
	create := func(topic string, partitions int32, config map[string]*string) {
		table.Get(admin.CreateTopic(ctx, partitions, 1, config, topic))
	}
	create(name, 1, nil)
	for range rounds {
		for _, codec := range table.Codecs {
			table.Must(write(ctx, codec, records(name, table.OfCodec(codec))...))
		}
		table.Must(write(ctx, "none", records(name, table.Edges())...))
	}
	table.Same(readAll(ctx, "shared", len(table.Whole(1))), 1, "shared")
	table.Same(readAll(ctx, name, len(table.Whole(rounds))), rounds, name)

	many := name + ".many"
	create(many, table.Many, map[string]*string{"retention.ms": kadm.StringPtr("3600000")})
	topics := table.Get(admin.ListTopics(ctx))
	table.Ensure(topics.Has(many) && len(topics[many].Partitions) == table.Many, "%v", topics[many])
	setting := func() string {
		described := table.Get(table.Get(admin.DescribeTopicConfigs(ctx, many)).On(many, nil))
		for _, config := range described.Configs {
			if config.Key == "retention.ms" {
				return config.MaybeValue()
			}
		}
		return ""
	}
	table.Ensure(setting() == "3600000", "%s", setting())
	changed := table.Get(admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("7200000")}}, many))
	table.Must(changed[0].Err)
	table.Ensure(setting() == "7200000", "%s", setting())

	value := table.Large()
	create(name+".large", 1, map[string]*string{"max.message.bytes": kadm.StringPtr("4000000")})
	table.Must(write(ctx, "none", &kgo.Record{Topic: name + ".large", Value: value}))
	table.Ensure(bytes.Equal(readAll(ctx, name+".large", 1)[0].Value, value), "the large record differs")
	refused := write(ctx, "none", &kgo.Record{Topic: name, Value: value})
	table.Ensure(errors.Is(refused, kerr.MessageTooLarge), "3 MB where 1 MB is the limit: %v", refused)

	timed := name + ".time"
	create(timed, 1, nil)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	var ten []*kgo.Record
	for n := range 10 {
		ten = append(ten, &kgo.Record{Topic: timed, Value: []byte(strconv.Itoa(n)), Timestamp: base.Add(time.Duration(n) * time.Second)})
	}
	table.Must(write(ctx, "zstd", ten...))
	// It gives the log's end where nothing is as new.
	for at, expected := range map[int64]int64{0: 0, 3500: 4, 9000: 9, 9001: 10} {
		found, _ := table.Get(admin.ListOffsetsAfterMilli(ctx, base.UnixMilli()+at, timed)).Lookup(timed, 0)
		table.Ensure(found.Offset == expected, "by time %d: %v", at, found)
	}
	first, _ := table.Get(admin.ListStartOffsets(ctx, timed)).Lookup(timed, 0)
	last, _ := table.Get(admin.ListEndOffsets(ctx, timed)).Lookup(timed, 0)
	newest, _ := table.Get(admin.ListMaxTimestampOffsets(ctx, timed)).Lookup(timed, 0)
	table.Ensure(first.Offset == 0 && last.Offset == 10 && newest.Offset == 9, "%v %v %v", first, last, newest)

	balancers := []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer()}
	for turn := range rounds {
		var sixty []*kgo.Record
		for n := range 60 {
			sixty = append(sixty, &kgo.Record{Topic: many, Partition: int32(n % table.Many), Value: []byte(strconv.Itoa(n))})
		}
		table.Must(write(ctx, "none", sixty...))
		for _, balancer := range balancers {
			group(ctx, admin, many, balancer, turn)
		}
	}
	deleted := table.Get(admin.DeleteTopics(ctx, many))
	table.Must(deleted.Error())
	// Its answers may be some seconds old.
	for deadline := time.Now().Add(20 * time.Second); table.Get(admin.ListTopics(ctx)).Has(many); time.Sleep(100 * time.Millisecond) {
		table.Ensure(time.Now().Before(deadline), "%s is still listed", many)
	}
	c.Close()
	fmt.Printf("franz-go %s: %d assignors\n", version("github.com/twmb/franz-go"), len(balancers))
}

func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return dependency.Version
		}
	}
	return "?"
}
