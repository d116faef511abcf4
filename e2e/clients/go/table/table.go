// Package table holds the records that every client writes and reads (see ../README.md).
package table

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
)

var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Many is the number of partitions of the topic that groups read.
const Many = 6

type Row struct {
	Key, Value []byte
	Headers    [][2]string
}

// None and empty are not the same.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func (r Row) String() string {
	return fmt.Sprintf("%q=%q %v (%v %v)", r.Key, r.Value, r.Headers, r.Key == nil, r.Value == nil)
}

func (r Row) same(other Row) bool {
	return same(r.Key, other.Key) && same(r.Value, other.Value) && fmt.Sprint(r.Headers) == fmt.Sprint(other.Headers)
}

func OfCodec(codec string) []Row {
	var rows []Row
	for n := range 20 {
		rows = append(rows, Row{fmt.Append(nil, "k", n), fmt.Append(nil, codec, " ", n), [][2]string{{"codec", codec}, {"empty", ""}}})
	}
	return rows
}

func Edges() []Row {
	none := []byte{}
	return []Row{{nil, nil, nil}, {none, none, nil}, {nil, none, nil}, {none, nil, nil}}
}

func Whole(rounds int) []Row {
	var rows []Row
	for range rounds {
		for _, codec := range Codecs {
			rows = append(rows, OfCodec(codec)...)
		}
		rows = append(rows, Edges()...)
	}
	return rows
}

func Same(found []Row, rounds int, where string) {
	expected := Whole(rounds)
	Ensure(len(found) == len(expected), "%s: %d records of %d", where, len(found), len(expected))
	for at := range found {
		Ensure(found[at].same(expected[at]), "%s, offset %d: %v instead of %v", where, at, found[at], expected[at])
	}
}

func Large() []byte {
	value := make([]byte, 3_000_000)
	_, err := rand.Read(value)
	Must(err)
	return value
}

// Arguments are the brokers, the name and the rounds.
func Arguments() (string, string, int) {
	rounds, err := strconv.Atoi(os.Args[3])
	Must(err)
	return os.Args[1], os.Args[2], rounds
}

func Ensure(holds bool, format string, arguments ...any) {
	if !holds {
		fmt.Fprintf(os.Stderr, format+"\n", arguments...)
		os.Exit(1)
	}
}

func Must(err error) {
	if err != nil {
		panic(err)
	}
}

func Get[T any](value T, err error) T {
	Must(err)
	return value
}
