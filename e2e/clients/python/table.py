"""The table of records that every client writes and reads (see ../README.md)."""

import os

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PER_CODEC = 20
EDGES = [(None, None), (b"", b""), (None, b""), (b"", None)]
MANY = 6
LARGE = os.urandom(3_000_000)


def of_codec(codec):
    """Key, value and headers of each record."""
    headers = [("codec", codec.encode()), ("empty", b"")]
    return [(b"k%d" % n, b"%s %d" % (codec.encode(), n), headers) for n in range(PER_CODEC)]


def whole():
    return [record for codec in CODECS for record in of_codec(codec)] + [(k, v, []) for k, v in EDGES]


def same(found, rounds, where):
    """`found` has the table once for each round."""
    expected = whole() * rounds
    assert len(found) == len(expected), f"{where}: {len(found)} records of {len(expected)}"
    for at, (have, want) in enumerate(zip(found, expected)):
        assert have == want, f"{where}, offset {at}: {have} instead of {want}"
