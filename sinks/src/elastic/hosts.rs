//! Which host is asked next: in turns, without those that do not answer, which are tried again one request at a time: pure.

use std::time::{Duration, Instant};

use logmill_config::sinks::Retry;

use crate::backoff;

/// How long a host stays out after its failures in a row.
const OUT: Retry = Retry { initial: Duration::from_secs(1), max: Duration::from_secs(60) };
/// How long the one request that tries a host has until the next one may.
const PROBE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Hosts {
    list: Vec<Host>,
    next: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Host {
    failures: u32,
    out_until: Option<Instant>,
}

impl Hosts {
    pub(super) fn new(count: usize) -> Self {
        Self { list: vec![Host::default(); count], next: 0 }
    }

    /// A host that was not tried yet. The first one asked for is always found: where all are out, the one that is back soonest.
    pub(super) fn pick(&mut self, now: Instant, tried: &[usize]) -> Option<usize> {
        let count = self.list.len();
        let turns = (0..count).map(|turn| (self.next + turn) % count.max(1));
        let free = |at: &usize| !tried.contains(at) && self.list.get(*at).is_some_and(|host| host.is_in(now));
        let found = turns.clone().find(free).or_else(|| {
            let soonest = turns.min_by_key(|at| self.list.get(*at).and_then(|host| host.out_until));
            soonest.filter(|_| tried.is_empty())
        })?;
        self.next = (found + 1) % count.max(1);
        if let Some(host) = self.list.get_mut(found)
            && host.out_until.is_some()
        {
            host.out_until = Some(now + PROBE);
        }
        Some(found)
    }

    /// Whether it had been out.
    pub(super) fn answered(&mut self, at: usize) -> bool {
        self.list.get_mut(at).is_some_and(|host| std::mem::take(host).out_until.is_some())
    }

    /// For how long it is out now, and whether it was in before. `random` in 0.0..1.0.
    pub(super) fn failed(&mut self, at: usize, now: Instant, random: f64) -> Option<(Duration, bool)> {
        let host = self.list.get_mut(at)?;
        let was_in = host.out_until.is_none();
        host.failures = host.failures.saturating_add(1);
        let wait = backoff::wait(&OUT, host.failures, None, random);
        host.out_until = Some(now + wait);
        Some((wait, was_in))
    }
}

impl Host {
    fn is_in(&self, now: Instant) -> bool {
        self.out_until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_host_that_fails_is_left_out_and_comes_back() {
        let mut hosts = Hosts::new(3);
        let start = clock::now();
        let picks = |hosts: &mut Hosts, now, n| (0..n).map(|_| hosts.pick(now, &[]).unwrap()).collect::<Vec<_>>();
        assert_eq!(picks(&mut hosts, start, 4), [0, 1, 2, 0]);
        assert_eq!(hosts.failed(1, start, 1.0), Some((Duration::from_secs(1), true)));
        assert_eq!(picks(&mut hosts, start, 4), [2, 0, 2, 0]);
        // Its time is over: one request tries, the others go on elsewhere.
        let later = start + Duration::from_secs(1);
        assert_eq!(picks(&mut hosts, later, 4), [1, 2, 0, 2]);
        assert_eq!(hosts.failed(1, later, 1.0), Some((Duration::from_secs(2), false)));
        let again = later + Duration::from_secs(2);
        assert!(picks(&mut hosts, again, 2).contains(&1));
        assert!(hosts.answered(1) && !hosts.answered(1));
        assert_eq!(picks(&mut hosts, again, 6).iter().filter(|at| **at == 1).count(), 2);
    }

    #[test]
    fn one_request_goes_from_host_to_host_once() {
        let mut hosts = Hosts::new(2);
        let now = clock::now();
        let first = hosts.pick(now, &[]).unwrap();
        hosts.failed(first, now, 0.5);
        let second = hosts.pick(now, &[first]).unwrap();
        assert_ne!(first, second);
        hosts.failed(second, now, 1.0);
        assert_eq!(hosts.pick(now, &[first, second]), None);
        // All are out: the one that is back soonest.
        assert_eq!(hosts.pick(now, &[]), Some(first));
        assert_eq!(Hosts::new(0).pick(now, &[]), None);
        let mut one = Hosts::new(1);
        for _ in 0..100 {
            one.failed(0, now, 1.0);
        }
        assert_eq!(one.pick(now, &[]), Some(0));
    }
}
