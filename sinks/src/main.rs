//! The `logmill-sinks` daemon.

fn main() {}
