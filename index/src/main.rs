//! `logmill-index`: the embedded index as a daemon of its own.

fn main() {}
