//! Configuration of the daemons: what a YAML file may say, checked and turned into plain validated types.
//!
//! A file is loaded whole and every mistake is reported at once, with file, line, key and a suggestion
//! (exit code 78). The reference files that users copy lie beside this crate's `src`.
//!
//! Text → [`tree`] (nodes with positions, variables put in) → [`section`] and [`value`] (typed reading that collects
//! every mistake) → the types in [`agent`], [`broker`], [`sinks`] and [`index`]. What the last step asks for is what [`describe`]
//! tells: the reference page and the JSON Schema.

pub mod agent;
pub mod broker;
mod change;
pub mod describe;
mod expand;
mod file;
pub mod index;
pub mod kafka;
pub mod kind;
mod names;
mod problem;
mod section;
pub mod sinks;
pub mod template;
pub mod transform;
mod tree;
pub mod units;
mod value;

#[cfg(test)]
mod tests;

pub use change::Snapshot;
pub use file::{Checked, ConfigFile};
pub use problem::{Errors, Mark, Problem};
