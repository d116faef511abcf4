//! What whole-pipeline tests and benchmarks share: daemons as child processes, generated lines, reading back, real peers.

pub mod background;
pub mod clock;
pub mod docker;
pub mod generate;
pub mod http;
pub mod loopfs;
pub mod machine;
pub mod packages;
pub mod peers;
pub mod pipeline;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod readback;
pub mod receiver;
pub mod rows;
pub mod sample;
pub mod suites;
pub mod wire;
