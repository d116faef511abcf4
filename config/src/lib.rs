//! Configuration of the daemons: what a YAML file may say, checked and turned into plain validated types.
//!
//! A file is loaded whole and every mistake is reported at once, with file, line, key and a suggestion
//! (exit code 78). The reference files that users copy lie beside this crate's `src`.

pub mod agent;
pub mod broker;
pub mod index;
pub mod kafka;
pub mod sinks;
