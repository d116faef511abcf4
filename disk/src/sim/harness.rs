//! Runs a workload with the power cut after each of its operations and checks what is found afterwards.

use super::{Fault, SimDisk};
use crate::SyncSite;
use fastrand::Rng;
use std::{fmt, ops::Range};

/// What to try. A workload is a function of the disk, a seed and the acknowledgements it records (what it was told is durable);
/// it returns early, with whatever it acknowledged so far, when the power goes. It must do the same for the same seed:
/// one thread, no clock, no randomness but the seed's.
#[derive(Debug, Clone)]
pub struct CutEverywhere {
    pub seeds: Range<u64>,
    /// Cuts tried for each seed: all of them if the workload has no more operations, else a sample spread over the run.
    pub cuts_per_seed: u64,
    /// Crashes (ways to lose what was pending) tried for each cut.
    pub crashes_per_cut: u64,
    pub faults: Vec<Fault>,
}

impl Default for CutEverywhere {
    fn default() -> Self {
        Self { seeds: 0..8, cuts_per_seed: 200, crashes_per_cut: 2, faults: Vec::new() }
    }
}

/// What was tried.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub runs: u64,
    pub crashes: u64,
    /// Most operations of one run.
    pub operations: u64,
    pub sites_seen: Vec<SyncSite>,
}

/// A promise broken, and how to see it again.
#[derive(Debug, Clone)]
pub struct Failure {
    pub seed: u64,
    /// Operations until the cut; `None`: the power went after the workload's end.
    pub cut: Option<u64>,
    pub crash_seed: u64,
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, cut, crash_seed, reason } = self;
        write!(f, "seed {seed}, cut {cut:?}, crash {crash_seed}: {reason}")
    }
}

impl CutEverywhere {
    /// Runs `workload` once for each cut, crashes its disk in several ways and hands each to `verify` with what was acknowledged.
    /// Stops at the first broken promise.
    pub fn run<A: Default>(
        &self,
        workload: impl Fn(&SimDisk, u64, &mut A),
        verify: impl Fn(&SimDisk, u64, &A) -> Result<(), String>,
    ) -> Result<Report, Failure> {
        let mut report = Report::default();
        for seed in self.seeds.clone() {
            let whole = self.disk();
            let mut acknowledged = A::default();
            workload(&whole, seed, &mut acknowledged);
            let operations = whole.operations();
            report.runs += 1;
            report.operations = report.operations.max(operations);
            for site in whole.sites_seen() {
                if !report.sites_seen.contains(&site) {
                    report.sites_seen.push(site);
                }
            }
            self.crashes(&whole, seed, None, &acknowledged, &verify, &mut report)?;
            for cut in self.cuts(seed, operations) {
                let disk = self.disk();
                disk.cut_after(cut);
                let mut acknowledged = A::default();
                workload(&disk, seed, &mut acknowledged);
                report.runs += 1;
                self.crashes(&disk, seed, Some(cut), &acknowledged, &verify, &mut report)?;
            }
        }
        Ok(report)
    }

    /// Removes each sync site in turn (all its calls do nothing) and returns those for which no seed noticed: an empty list is what a test
    /// asserts. Sites whose absence is harmless by design go to `harmless`.
    pub fn uncaught_sites<A: Default>(
        &self,
        harmless: &[SyncSite],
        workload: impl Fn(&SimDisk, u64, &mut A),
        verify: impl Fn(&SimDisk, u64, &A) -> Result<(), String>,
    ) -> Vec<SyncSite> {
        let mut sites = Vec::new();
        for seed in self.seeds.clone() {
            let disk = self.disk();
            workload(&disk, seed, &mut A::default());
            for site in disk.sites_seen() {
                if !sites.contains(&site) && !harmless.contains(&site) {
                    sites.push(site);
                }
            }
        }
        sites.retain(|site| {
            let mut planted = self.clone();
            planted.faults.push(Fault::Skip(site));
            planted.run(&workload, &verify).is_ok()
        });
        sites
    }

    fn disk(&self) -> SimDisk {
        let disk = SimDisk::new();
        for fault in &self.faults {
            disk.plant(*fault);
        }
        disk
    }

    fn cuts(&self, seed: u64, operations: u64) -> Vec<u64> {
        if operations <= self.cuts_per_seed {
            return (0..operations).collect();
        }
        let mut rng = Rng::with_seed(seed ^ 0x5EED_0C07);
        let stride = operations / self.cuts_per_seed.max(1);
        (0..self.cuts_per_seed).map(|n| (n * stride + rng.u64(0..stride.max(1))).min(operations - 1)).collect()
    }

    fn crashes<A>(
        &self,
        disk: &SimDisk,
        seed: u64,
        cut: Option<u64>,
        acknowledged: &A,
        verify: &impl Fn(&SimDisk, u64, &A) -> Result<(), String>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        for n in 0..self.crashes_per_cut {
            let crash_seed =
                seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ cut.unwrap_or(u64::MAX).wrapping_mul(31) ^ (n << 56);
            report.crashes += 1;
            let found = disk.crash(crash_seed);
            verify(&found, crash_seed, acknowledged).map_err(|reason| Failure { seed, cut, crash_seed, reason })?;
        }
        Ok(())
    }
}
