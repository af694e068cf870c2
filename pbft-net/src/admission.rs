use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::TcpLimits;

/// Connections that proved nothing yet: how many there may be, and how fast this node signs for them.
///
/// Past a limit the oldest goes, not the newest: an honest handshake takes milliseconds, so whoever
/// holds a slot for long is the one to lose it, and slow strangers cannot keep others out.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    limits: TcpLimits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    // Oldest first.
    pending: BTreeMap<u64, (IpAddr, CancellationToken)>,
    per_address: HashMap<IpAddr, usize>,
    admitted: u64,
    // When the signatures made so far are paid for.
    paid_until: Option<Instant>,
}

/// A place among the unauthenticated; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    id: u64,
    address: IpAddr,
    evicted: CancellationToken,
    admission: Admission,
}

impl Admission {
    pub(crate) fn new(limits: TcpLimits) -> Self {
        Self { limits, state: Arc::default() }
    }

    /// A slot for a connection from `address`; takes it from the oldest if there is none.
    pub(crate) fn admit(&self, address: IpAddr) -> Slot {
        let mut state = self.state();
        let of_address = state.per_address.get(&address).copied().unwrap_or(0);
        if of_address >= self.limits.unauthenticated_per_address_max {
            state.evict_oldest(|other| other == address);
        } else if state.pending.len() >= self.limits.unauthenticated_max {
            state.evict_oldest(|_| true);
        }
        let id = state.admitted;
        state.admitted += 1;
        let evicted = CancellationToken::new();
        state.pending.insert(id, (address, evicted.clone()));
        *state.per_address.entry(address).or_default() += 1;
        Slot { id, address, evicted, admission: self.clone() }
    }

    /// How long to wait before the next signature; `None` if it may be made now. The rate may be
    /// exceeded for a second's worth.
    pub(crate) fn signature_due_in(&self, now: Instant) -> Option<Duration> {
        let credit = now + Duration::from_secs(1);
        self.state().paid_until.filter(|paid| *paid > credit).map(|paid| paid - credit)
    }

    /// Records that a signature is made.
    pub(crate) fn signed(&self, now: Instant) {
        let cost = Duration::from_secs(1) / self.limits.handshakes_per_second.max(1);
        let mut state = self.state();
        state.paid_until = Some(state.paid_until.map_or(now, |paid| paid.max(now)) + cost);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn evict_oldest(&mut self, of: impl Fn(IpAddr) -> bool) {
        let oldest = self.pending.iter().find(|(_, (address, _))| of(*address)).map(|(id, _)| *id);
        if let Some((address, evicted)) = oldest.and_then(|id| self.remove(id)) {
            tracing::debug!(%address, "an unauthenticated connection made room for a newer one");
            evicted.cancel();
        }
    }

    fn remove(&mut self, id: u64) -> Option<(IpAddr, CancellationToken)> {
        let (address, evicted) = self.pending.remove(&id)?;
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
        Some((address, evicted))
    }
}

impl Slot {
    /// Ends when somebody else got this slot.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Where the connection comes from.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.state().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::BROADCAST);

    fn admission() -> Admission {
        Admission::new(TcpLimits {
            unauthenticated_max: 3,
            unauthenticated_per_address_max: 2,
            handshakes_per_second: 10,
            ..TcpLimits::default()
        })
    }

    #[test]
    fn the_oldest_of_an_address_makes_room_for_the_next() {
        let admission = admission();
        let slots = [admission.admit(HERE), admission.admit(HERE), admission.admit(HERE)];
        assert_eq!(slots.each_ref().map(|slot| slot.evicted.is_cancelled()), [true, false, false]);
    }

    #[test]
    fn the_oldest_of_all_makes_room_when_the_total_is_reached() {
        let admission = admission();
        let slots = [HERE, HERE, THERE, THERE].map(|address| admission.admit(address));
        let evicted = slots.each_ref().map(|slot| slot.evicted.is_cancelled());
        assert_eq!(evicted, [true, false, false, false]);
    }

    #[test]
    fn a_slot_is_free_again_when_dropped() {
        let admission = admission();
        for _ in 0..10 {
            let slot = admission.admit(HERE);
            assert!(!slot.evicted.is_cancelled());
        }
        let state = admission.state();
        assert!(state.pending.is_empty() && state.per_address.is_empty());
    }

    #[test]
    fn signatures_wait_once_a_seconds_worth_is_made() {
        let (admission, now) = (admission(), Instant::now());
        for _ in 0..10 {
            assert_eq!(admission.signature_due_in(now), None);
            admission.signed(now);
        }
        admission.signed(now);
        assert_eq!(admission.signature_due_in(now), Some(Duration::from_millis(100)));
        assert_eq!(admission.signature_due_in(now + Duration::from_millis(100)), None);
    }
}
