//! Which files there are: globs, directory walks and notify events.

mod copies;
mod gather;
mod patterns;
mod walk;
mod watch;

pub(crate) use copies::originals;
pub(crate) use gather::Change;
pub(crate) use patterns::{Base, Patterns, before_rotation, is_rotated_name};
pub(crate) use walk::{Listing, Walker};
pub(crate) use watch::Watcher;
