//! Who is in the run, when each was heard last, and how fast each is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Joined;
use crate::id::{MemberId, PartnerName, Time, Units, WorkerId};
use crate::straggler::Pace;

/// A measured speed counts one part in so many against the ones before it.
const SPEED_MEMORY: u64 = 4;
/// Thousandths of a unit and nanoseconds in a second, so that speed = units · this / nanoseconds.
const MILLI_NANOS: u128 = 1_000 * 1_000_000_000;

/// A worker admitted to the run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) worker: WorkerId,
    pub(super) partner: PartnerName,
    pub(super) heard: Time,
    /// Thousandths of a unit a second, as measured so far; 0 if unknown.
    pub(super) speed: u64,
    /// The speed that its share of the units was cut by.
    pub(super) planned: u64,
    /// When its last update was accepted: what it was leased before that, it began then.
    pub(super) free_from: Time,
    /// Malformed updates since the last good one.
    pub(super) malformed: u32,
    pub(super) pace: Pace,
    /// Units that it has computed before: their samples need not be fetched.
    pub(super) at_hand: Units,
    /// Whether it has let a lease become overdue and has not answered since.
    pub(super) is_suspect: bool,
}

impl Member {
    pub(super) fn new(now: Time, joined: Joined) -> Self {
        let speed = joined.milli_units_per_second;
        let Joined { worker, partner, .. } = joined;
        Self {
            worker,
            partner,
            heard: now,
            speed,
            planned: speed,
            free_from: now,
            malformed: 0,
            pace: Pace::default(),
            at_hand: Units::new(),
            is_suspect: false,
        }
    }

    /// Thousandths of a unit a second: one answer that was held up does not change it once there are a few.
    pub(super) fn measured(&self) -> u64 {
        self.pace.milli_units_per_second().unwrap_or(self.speed)
    }

    /// Takes note that `units` units, leased at `leased`, were answered at `now`; gives the time that this took.
    pub(super) fn answered(&mut self, now: Time, leased: Time, units: usize) -> Duration {
        let took = now.since(leased.max(self.free_from));
        let nanos = took.as_nanos().max(1);
        let sample = u64::try_from((units as u128 * MILLI_NANOS / nanos).max(1)).unwrap_or(u64::MAX);
        self.speed = match self.speed {
            0 => sample,
            known => known - known / SPEED_MEMORY + sample / SPEED_MEMORY,
        };
        self.free_from = now;
        took
    }
}

/// All members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Members {
    by_id: BTreeMap<MemberId, Member>,
    by_partner: BTreeMap<PartnerName, u32>,
    /// No member can have been silent for too long before this moment. It is not moved at every sign of life: most of
    /// them would move it for nothing.
    check_at: Option<Time>,
}

impl Members {
    pub(super) fn add(&mut self, id: MemberId, member: Member, silence: Duration) {
        let expires = member.heard.after(silence);
        self.check_at = Some(self.check_at.map_or(expires, |at| at.min(expires)));
        *self.by_partner.entry(member.partner.clone()).or_insert(0) += 1;
        self.by_id.insert(id, member);
    }

    pub(super) fn remove(&mut self, id: MemberId) -> Option<Member> {
        let member = self.by_id.remove(&id)?;
        if let Some(count) = self.by_partner.get_mut(&member.partner) {
            *count -= 1;
        }
        self.by_partner.retain(|_, count| *count > 0);
        if self.by_id.is_empty() {
            self.check_at = None;
        }
        Some(member)
    }

    /// The members that have been silent for `silence`, in order, and the moment to look again.
    pub(super) fn silent(&mut self, now: Time, silence: Duration) -> Vec<MemberId> {
        if self.check_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        let expired = |member: &Member| member.heard.after(silence) <= now;
        let silent = self.by_id.iter().filter(|(_, member)| expired(member)).map(|(id, _)| *id).collect();
        let next =
            self.by_id.values().filter(|member| !expired(member)).map(|member| member.heard.after(silence)).min();
        self.check_at = next.or(self.check_at.map(|_| now.after(silence)));
        silent
    }

    pub(super) fn check_at(&self) -> Option<Time> {
        self.check_at
    }

    pub(super) fn get(&self, id: MemberId) -> Option<&Member> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: MemberId) -> Option<&mut Member> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn contains(&self, id: MemberId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        self.by_id.iter().map(|(id, member)| (*id, member))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.by_id.values_mut()
    }

    pub(super) fn has_worker(&self, worker: WorkerId) -> bool {
        self.by_id.values().any(|member| member.worker == worker)
    }

    pub(super) fn has_partner(&self, partner: &PartnerName) -> bool {
        self.by_partner.contains_key(partner)
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.by_id.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn partners(&self) -> u32 {
        u32::try_from(self.by_partner.len()).unwrap_or(u32::MAX)
    }
}
