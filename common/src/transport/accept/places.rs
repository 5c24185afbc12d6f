//! How many connections there are, and of whom.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syngrad_engine::principal::{Principal, Role};

use super::AcceptLimits;

/// All connections.
#[derive(Debug)]
pub(super) struct Places {
    limits: AcceptLimits,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    unknown: HashMap<IpAddr, usize>,
    known: HashMap<Principal, usize>,
}

/// One connection's place, given back when it goes.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    of: Occupant,
}

#[derive(Debug)]
enum Occupant {
    Local,
    Unknown(IpAddr),
    Known(Principal),
}

impl Places {
    pub(super) fn new(limits: AcceptLimits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    /// Nothing panics while it is held, and counts have no half-way state anyway.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection of this machine; none if there are too many.
    pub(super) fn local(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken();
        if taken.all >= self.limits.all {
            return None;
        }
        taken.all += 1;
        Some(Place { places: self.clone(), of: Occupant::Local })
    }

    /// A place for a connection from `address` that has shown nothing yet; none if there are too many, in all or from there.
    pub(super) fn unknown(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut taken = self.taken();
        let from_there = taken.unknown.get(&network).copied().unwrap_or_default();
        if taken.all >= self.limits.all || from_there >= self.limits.unknown {
            return None;
        }
        taken.all += 1;
        taken.unknown.insert(network, from_there + 1);
        Some(Place { places: self.clone(), of: Occupant::Unknown(network) })
    }
}

impl Place {
    /// The same place, now of a holder, and no longer of its address; none if the holder has too many.
    pub(super) fn known(self, holder: &Principal) -> Option<Self> {
        let places = self.places.clone();
        let most = match holder.role() {
            Role::Partner => places.limits.worker,
            Role::Operator => places.limits.operator,
            Role::Client => places.limits.client,
            // Neither ever connects; their certificates are refused before this.
            Role::Coordinator | Role::Log => 0,
        };
        {
            let mut taken = places.taken();
            let count = taken.known.get(holder).copied().unwrap_or_default();
            if count >= most {
                return None;
            }
            taken.all += 1;
            taken.known.insert(holder.clone(), count + 1);
        }
        drop(self);
        Some(Self { places, of: Occupant::Known(holder.clone()) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        match &self.of {
            Occupant::Local => {}
            Occupant::Unknown(network) => leave(&mut taken.unknown, network),
            Occupant::Known(holder) => leave(&mut taken.known, holder),
        }
    }
}

fn leave<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// What counts as one address: a machine with IPv6 has a whole /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::testing::{client, operator, worker};

    fn places() -> Arc<Places> {
        Places::new(AcceptLimits { all: 5, unknown: 2, worker: 1, operator: 2, client: 3, ..AcceptLimits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_so_many_places_until_it_shows_who_it_is() {
        let places = places();
        let first = places.unknown(ip("192.0.2.1")).expect("a place");
        let _second = places.unknown(ip("::ffff:192.0.2.1")).expect("a place");
        assert!(places.unknown(ip("192.0.2.1")).is_none());
        let _known = first.known(&operator("alice")).expect("a place");
        let _third = places.unknown(ip("192.0.2.1")).expect("there is room again");
        assert_eq!(places.taken().all, 3);
    }

    #[test]
    fn a_network_of_one_machine_is_one_address() {
        let places = places();
        let _one = places.unknown(ip("2001:db8::1")).expect("a place");
        let _two = places.unknown(ip("2001:db8::2")).expect("a place");
        assert!(places.unknown(ip("2001:db8::3")).is_none());
        assert!(places.unknown(ip("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn each_role_has_its_own_number() {
        for (holder, most) in [(worker("a", 1), 1), (operator("alice"), 2), (client("ward"), 3), (Principal::Log, 0)] {
            let places = places();
            let mut kept = Vec::new();
            while let Some(place) = places.unknown(ip("192.0.2.1")).expect("a place").known(&holder) {
                kept.push(place);
            }
            assert_eq!(kept.len(), most, "{holder}");
            assert_eq!(places.taken().all, most, "who was refused left nothing behind");
        }
    }

    #[test]
    fn there_are_so_many_in_all_and_everything_is_given_back() {
        let places = places();
        let mut kept: Vec<Place> =
            (0..5).map(|n| places.unknown(ip(&format!("192.0.2.{n}"))).expect("a place")).collect();
        assert!(places.unknown(ip("192.0.2.9")).is_none() && places.local().is_none());
        kept.pop();
        kept.push(places.local().expect("a place"));
        drop(kept);
        let taken = places.taken();
        assert!(taken.all == 0 && taken.unknown.is_empty() && taken.known.is_empty(), "{taken:?}");
    }
}
