//! How many connections are open, in all and from one address.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use crate::broker::Most;

/// Counts open connections; as many entries as there are connections at most.
#[derive(Default)]
pub(crate) struct Connections(Mutex<Open>);

#[derive(Default)]
struct Open {
    in_all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection; given back when dropped.
pub(crate) struct Place {
    of: Arc<Connections>,
    address: IpAddr,
}

/// There are as many connections as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    InAll,
    Address,
}

impl Full {
    /// For the metric.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::InAll => "too_many_connections",
            Self::Address => "too_many_connections_of_address",
        }
    }
}

impl Connections {
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, most: Most) -> Result<Place, Full> {
        let mut open = self.0.lock();
        if open.in_all >= most.in_all {
            return Err(Full::InAll);
        }
        if open.by_address.get(&address).is_some_and(|count| *count >= most.per_address) {
            return Err(Full::Address);
        }
        open.in_all += 1;
        *open.by_address.entry(address).or_default() += 1;
        Ok(Place { of: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.of.0.lock();
        open.in_all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn each_address_has_its_own_limit_and_all_have_one() {
        let all = Arc::new(Connections::default());
        let most = Most { in_all: 3, per_address: 2 };
        let enter = |last: u8| all.enter(IpAddr::from([10, 0, 0, last]), most);
        let first = enter(1).unwrap();
        let second = enter(1).unwrap();
        assert_eq!(enter(1).err(), Some(Full::Address));
        let third = enter(2).unwrap();
        assert_eq!(enter(3).err(), Some(Full::InAll));
        drop(first);
        let fourth = enter(1).unwrap();
        drop((second, third, fourth));
        let open = all.0.lock();
        assert!(open.in_all == 0 && open.by_address.is_empty());
    }
}
