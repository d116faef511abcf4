//! Which files there are: globs, directory walks and inotify.

mod patterns;
mod walk;
mod watch;

pub(crate) use patterns::{Base, Patterns, is_rotated_name};
pub(crate) use walk::{Listing, Walker};
pub(crate) use watch::{Change, Watcher};
