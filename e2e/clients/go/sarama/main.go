// sarama.
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

	"github.com/IBM/sarama"
)

var brokers, name, rounds = table.Arguments()

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.MaxMessageBytes = 3_500_000
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	return c
}

func write(codec string, messages ...*sarama.ProducerMessage) error {
	c := config()
	c.Producer.Compression = codecs[codec]
	producer := table.Get(sarama.NewSyncProducer([]string{brokers}, c))
	defer producer.Close()
	return producer.SendMessages(messages)
}

// Its encoders know no null: a missing one is.
func bytesOf(value []byte) sarama.Encoder {
	if value == nil {
		return nil
	}
	return sarama.ByteEncoder(value)
}

func messages(topic string, rows []table.Row) []*sarama.ProducerMessage {
	var all []*sarama.ProducerMessage
	for _, row := range rows {
		one := &sarama.ProducerMessage{Topic: topic, Key: bytesOf(row.Key), Value: bytesOf(row.Value)}
		for _, header := range row.Headers {
			one.Headers = append(one.Headers, sarama.RecordHeader{Key: []byte(header[0]), Value: []byte(header[1])})
		}
		all = append(all, one)
	}
	return all
}

func readAll(topic string, count int) []table.Row {
	c := config()
	// Grown by itself when a record is larger.
	c.Consumer.Fetch.Default = 1000
	consumer := table.Get(sarama.NewConsumer([]string{brokers}, c))
	defer consumer.Close()
	partition := table.Get(consumer.ConsumePartition(topic, 0, sarama.OffsetOldest))
	defer partition.Close()
	var found []table.Row
	late := time.After(30 * time.Second)
	for len(found) < count {
		select {
		case one := <-partition.Messages():
			row := table.Row{Key: one.Key, Value: one.Value}
			for _, header := range one.Headers {
				row.Headers = append(row.Headers, [2]string{string(header.Key), string(header.Value)})
			}
			found = append(found, row)
		case <-late:
			table.Ensure(false, "%s: %d records of %d", topic, len(found), count)
		}
	}
	return found
}

// A member of a group: what it was given, what it and the other have read.
type member struct {
	lock     *sync.Mutex
	found    map[string]bool
	assigned *int
}

func (m member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	*m.assigned = 0
	for _, partitions := range session.Claims() {
		*m.assigned += len(partitions)
	}
	return nil
}

func (m member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case one, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.lock.Lock()
			m.found[fmt.Sprint(one.Partition, ":", one.Offset)] = true
			m.lock.Unlock()
			session.MarkMessage(one, "")
			session.Commit()
		case <-session.Context().Done():
			return nil
		}
	}
}

func group(admin sarama.ClusterAdmin, many string, strategy sarama.BalanceStrategy, turn int) {
	id := name + "." + strategy.Name()
	var lock sync.Mutex
	found, assigned := map[string]bool{}, [2]int{}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	var running sync.WaitGroup
	for at := range 2 {
		c := config()
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
		one := table.Get(sarama.NewConsumerGroup([]string{brokers}, id, c))
		running.Go(func() {
			for ctx.Err() == nil {
				err := one.Consume(ctx, []string{many}, member{&lock, found, &assigned[at]})
				table.Ensure(err == nil || ctx.Err() != nil, "%s: %v", id, err)
			}
			table.Must(one.Close())
		})
	}
	done := func() bool {
		lock.Lock()
		defer lock.Unlock()
		return len(found) == 60 && assigned == [2]int{3, 3}
	}
	for !done() && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	table.Ensure(done(), "%s: %d of 60 records, assigned %v", id, len(found), assigned)
	described := table.Get(admin.DescribeConsumerGroups([]string{id}))
	table.Ensure(len(described) == 1 && len(described[0].Members) == 2, "%v", described)
	cancel()
	running.Wait()
	offsets := table.Get(admin.ListConsumerGroupOffsets(id, nil))
	for partition := range int32(table.Many) {
		block := offsets.GetBlock(many, partition)
		table.Ensure(block != nil && block.Offset == int64(10*(turn+1)), "%s, partition %d: committed %v", id, partition, block)
	}
}

func main() {
	client := table.Get(sarama.NewClient([]string{brokers}, config()))
	admin := table.Get(sarama.NewClusterAdminFromClient(client))
	create := func(topic string, partitions int32, entries map[string]*string) {
		table.Must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}, false))
	}
	text := func(value string) *string { return &value }
	create(name, 1, nil)
	for range rounds {
		for _, codec := range table.Codecs {
			table.Must(write(codec, messages(name, table.OfCodec(codec))...))
		}
		table.Must(write("none", messages(name, table.Edges())...))
	}
	table.Same(readAll("shared", len(table.Whole(1))), 1, "shared")
	table.Same(readAll(name, len(table.Whole(rounds))), rounds, name)

	many := name + ".many"
	create(many, table.Many, map[string]*string{"retention.ms": text("3600000")})
	described := table.Get(admin.DescribeTopics([]string{many}))
	table.Ensure(len(described) == 1 && len(described[0].Partitions) == table.Many, "%v", described)
	_, listed := table.Get(admin.ListTopics())[many]
	table.Ensure(listed, "%s is not listed", many)
	setting := func() string {
		entries := table.Get(admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: many, ConfigNames: []string{"retention.ms"}}))
		table.Ensure(len(entries) == 1, "%v", entries)
		return entries[0].Value
	}
	table.Ensure(setting() == "3600000", "%s", setting())
	change := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: text("7200000")}}
	table.Must(admin.IncrementalAlterConfig(sarama.TopicResource, many, change, false))
	table.Ensure(setting() == "7200000", "%s", setting())

	value := table.Large()
	create(name+".large", 1, map[string]*string{"max.message.bytes": text("4000000")})
	table.Must(write("none", &sarama.ProducerMessage{Topic: name + ".large", Value: sarama.ByteEncoder(value)}))
	table.Ensure(bytes.Equal(readAll(name+".large", 1)[0].Value, value), "the large record differs")
	refused := write("none", &sarama.ProducerMessage{Topic: name, Value: sarama.ByteEncoder(value)})
	var each sarama.ProducerErrors
	table.Ensure(errors.As(refused, &each) && errors.Is(each[0].Err, sarama.ErrMessageSizeTooLarge), "3 MB where 1 MB is the limit: %v", refused)

	timed := name + ".time"
	create(timed, 1, nil)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	var ten []*sarama.ProducerMessage
	for n := range 10 {
		ten = append(ten, &sarama.ProducerMessage{Topic: timed, Value: sarama.StringEncoder(strconv.Itoa(n)), Timestamp: base.Add(time.Duration(n) * time.Second)})
	}
	table.Must(write("gzip", ten...))
	for at, expected := range map[int64]int64{base.UnixMilli(): 0, base.UnixMilli() + 3500: 4, base.UnixMilli() + 9000: 9, base.UnixMilli() + 9001: -1, sarama.OffsetOldest: 0, sarama.OffsetNewest: 10} {
		found := table.Get(client.GetOffset(timed, 0, at))
		table.Ensure(found == expected, "by time %d: %d", at, found)
	}

	strategies := []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange(), sarama.NewBalanceStrategyRoundRobin(), sarama.NewBalanceStrategySticky()}
	for turn := range rounds {
		var sixty []*sarama.ProducerMessage
		for n := range 60 {
			sixty = append(sixty, &sarama.ProducerMessage{Topic: many, Partition: int32(n % table.Many), Value: sarama.StringEncoder(strconv.Itoa(n))})
		}
		table.Must(write("none", sixty...))
		for _, strategy := range strategies {
			group(admin, many, strategy, turn)
		}
	}
	table.Must(admin.DeleteTopic(many))
	_, listed = table.Get(admin.ListTopics())[many]
	table.Ensure(!listed, "%s is still listed", many)
	table.Must(admin.Close())
	fmt.Printf("sarama %s: %d assignors\n", version("github.com/IBM/sarama"), len(strategies))
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
