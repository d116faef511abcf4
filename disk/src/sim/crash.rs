//! What a power cut leaves: each pending change is kept or lost by seed.

use super::state::{Change, DirState, FileState, Inode, NameChange, State, apply};
use fastrand::Rng;
use std::collections::HashSet;

/// How much of the pending changes a crash keeps. One crash has one habit, so that both extremes come up often.
#[derive(Clone, Copy)]
enum Keep {
    Nothing,
    Everything,
    /// A prefix, as an ordered journal would.
    Prefix,
    /// Any subset; writes torn by sector.
    Some(f64),
}

fn habit(rng: &mut Rng) -> Keep {
    match rng.u8(0..10) {
        0..3 => Keep::Nothing,
        3 => Keep::Everything,
        4..6 => Keep::Prefix,
        6..8 => Keep::Some(0.5),
        8 => Keep::Some(0.9),
        _ => Keep::Some(0.1),
    }
}

/// The inodes as found after the power is back: what is seen is what is durable.
pub(super) fn crash(state: &State, seed: u64) -> Vec<Inode> {
    let mut rng = Rng::with_seed(seed);
    // Names and contents have separate habits: a name without its content, and the other way round.
    let names = kept_names(&state.names, habit(&mut rng), &mut rng);
    let mut after = State::new();
    after.inodes = state.inodes.clone();
    for change in names {
        after.apply_name(change);
    }
    let one_habit = rng.bool().then(|| habit(&mut rng));
    after
        .inodes
        .into_iter()
        .map(|inode| match inode {
            Inode::Dir(dir) => Inode::Dir(DirState { live: dir.durable.clone(), durable: dir.durable }),
            Inode::File(file) => {
                let habit = one_habit.unwrap_or_else(|| habit(&mut rng));
                let bytes = kept_bytes(file, habit, &mut rng);
                Inode::File(FileState { live: bytes.clone(), durable: bytes, pending: Vec::new() })
            }
        })
        .collect()
}

fn kept_names<'a>(changes: &'a [NameChange], keep: Keep, rng: &mut Rng) -> Vec<&'a NameChange> {
    let prefix = rng.usize(0..=changes.len());
    changes
        .iter()
        .enumerate()
        .filter(|(at, _)| match keep {
            Keep::Nothing => false,
            Keep::Everything => true,
            Keep::Prefix => *at < prefix,
            Keep::Some(share) => rng.f64() < share,
        })
        .map(|(_, change)| change)
        .collect()
}

fn kept_bytes(file: FileState, keep: Keep, rng: &mut Rng) -> Vec<u8> {
    let FileState { mut durable, pending, .. } = file;
    let prefix = rng.usize(0..=pending.len());
    // A page is written as a whole: a sector lost is lost for all writes of one stretch without sync in half the crashes.
    let by_sector = rng.bool();
    let mut lost = HashSet::new();
    if by_sector && let Keep::Some(share) = keep {
        for change in &pending {
            if let Change::Write { offset, bytes } = change {
                for sector in offset / super::SECTOR..=(offset + bytes.len() as u64) / super::SECTOR {
                    if rng.f64() >= share {
                        lost.insert(sector);
                    }
                }
            }
        }
    }
    for (at, change) in pending.iter().enumerate() {
        match keep {
            Keep::Nothing => {}
            Keep::Everything => apply(&mut durable, change, |_| true),
            Keep::Prefix if at < prefix => apply(&mut durable, change, |_| true),
            // The write the power cut tore.
            Keep::Prefix if at == prefix => apply(&mut durable, change, |_| rng.bool()),
            Keep::Prefix => {}
            Keep::Some(share) => match change {
                Change::SetLen(_) => {
                    if rng.f64() < share {
                        apply(&mut durable, change, |_| true);
                    }
                }
                Change::Write { .. } if by_sector => apply(&mut durable, change, |sector| !lost.contains(&sector)),
                Change::Write { .. } => apply(&mut durable, change, |_| rng.f64() < share),
            },
        }
    }
    // The length may be known without the content: zeros at the end.
    let longest = pending
        .iter()
        .map(|change| match change {
            Change::Write { offset, bytes } => *offset as usize + bytes.len(),
            Change::SetLen(len) => *len as usize,
        })
        .max()
        .unwrap_or(0);
    if longest > durable.len() && !matches!(keep, Keep::Nothing | Keep::Everything) && rng.u8(0..4) == 0 {
        durable.resize(rng.usize(durable.len()..=longest), 0);
    }
    durable
}
