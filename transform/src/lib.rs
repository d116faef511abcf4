//! A program (`transform`) over events: compiled once, with diagnostics that show line and caret, and run on one event at a
//! time within bounds.
//!
//! What holds: a program reaches nothing beyond its event and the record's metadata; a run takes at most [`MOST_STEPS`]
//! steps and makes at most the bytes it is allowed; nothing of one event is left for the next; a panic of the interpreter,
//! which is not ours, is a failure with that event and no more.

mod compile;
mod metadata;
mod run;

pub use compile::{Program, mistakes, warnings};
pub use metadata::{Datum, Kind, Names};
pub use run::{MOST_BYTES, MOST_STEPS, Made, Runner};
