//! Who holds which units: so that the slowest member finishes as early as possible, and few units move.
//!
//! A member with speed `s` that holds `x` units needs `x / s`. Handing out the units one by one, each to the member
//! that would finish it first (the smallest `(x + 1) / s`), makes the longest of these times as short as it can be; it
//! is the divisor method of D'Hondt and Jefferson (Balinski and Young, "Fair Representation", 1982). No member gets
//! less than its proportional share rounded down, and when somebody comes or goes, units move only to the newcomer or
//! from the leaver. Everything is integer arithmetic; ties go to who holds the unit already, then to the older member.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use crate::id::{MemberId, PartnerName, Unit, Units};

/// Measured speeds move units only if the round is predicted to take at most this fraction of its time. A moved unit
/// costs its new holder the shard's samples, and speeds are noisy where workers share a machine.
const WORTH_MOVING: (u128, u128) = (3, 4);

/// A member that can hold units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The member.
    pub member: MemberId,
    /// Its partner.
    pub partner: &'a PartnerName,
    /// Units a second, on any scale that all candidates share; 0 if unknown, which counts as the mean of the known.
    pub speed: u64,
    /// Units that it is busy with already.
    pub load: u32,
}

/// The holder of each unit, kept from round to round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Allocation {
    holders: Vec<Option<MemberId>>,
}

impl Allocation {
    /// Nobody holds any of `units` units.
    #[must_use]
    pub fn new(units: u32) -> Self {
        Self { holders: vec![None; units as usize] }
    }

    /// Who holds `unit`.
    #[must_use]
    pub fn holder(&self, unit: Unit) -> Option<MemberId> {
        self.holders[unit.0 as usize]
    }

    /// The units of each member that holds any.
    #[must_use]
    pub fn by_member(&self) -> BTreeMap<MemberId, Units> {
        let mut held: BTreeMap<MemberId, Units> = BTreeMap::new();
        for (index, holder) in (0..).zip(&self.holders) {
            if let Some(member) = holder {
                held.entry(*member).or_default().insert(Unit(index));
            }
        }
        held
    }

    /// Gives `unit` to `member`.
    pub fn give(&mut self, unit: Unit, member: MemberId) {
        self.holders[unit.0 as usize] = Some(member);
    }

    /// Takes all units of `member`.
    pub fn release(&mut self, member: MemberId) {
        for holder in self.holders.iter_mut().filter(|holder| **holder == Some(member)) {
            *holder = None;
        }
    }

    /// Moves as few units as possible so that the slowest candidate finishes as early as possible, with at most
    /// `most_per_partner` units in the hands of one partner. Candidates' loads do not matter. Units that nobody may
    /// hold stay without a holder.
    pub fn rebalance(&mut self, candidates: &[Candidate<'_>], most_per_partner: u32) {
        let target = self.target(candidates, most_per_partner);
        self.move_to(target);
    }

    /// Does what [`Allocation::rebalance`] does if that is predicted to make the round clearly faster, and says whether
    /// it did.
    pub fn rebalance_if_faster(&mut self, candidates: &[Candidate<'_>], most_per_partner: u32) -> bool {
        let target = self.target(candidates, most_per_partner);
        let speeds: BTreeMap<MemberId, u64> = with_known_speeds(candidates).map(|c| (c.member, c.speed)).collect();
        let (units_now, speed_now) = slowest(&self.counts(), &speeds);
        let (units_then, speed_then) = slowest(&target, &speeds);
        let (numerator, denominator) = WORTH_MOVING;
        let faster = u128::from(units_then) * u128::from(speed_now) * denominator
            <= u128::from(units_now) * u128::from(speed_then) * numerator;
        if faster {
            self.move_to(target);
        }
        faster
    }

    fn counts(&self) -> BTreeMap<MemberId, u32> {
        let mut counts = BTreeMap::new();
        for member in self.holders.iter().flatten() {
            *counts.entry(*member).or_insert(0) += 1;
        }
        counts
    }

    /// How many units each candidate should hold.
    fn target(&self, candidates: &[Candidate<'_>], most_per_partner: u32) -> BTreeMap<MemberId, u32> {
        let held = self.counts();
        let idle: Vec<_> = candidates.iter().map(|c| Candidate { load: 0, ..*c }).collect();
        let mut race = Race::new(&idle, &held, Taken::new(), most_per_partner);
        let mut target = BTreeMap::new();
        for index in (0..).take(self.holders.len()) {
            if let Some(member) = race.next(Unit(index), |_| true) {
                *target.entry(member).or_insert(0) += 1;
            }
        }
        target
    }

    fn move_to(&mut self, mut target: BTreeMap<MemberId, u32>) {
        let mut moving = Vec::new();
        for (index, holder) in self.holders.iter_mut().enumerate() {
            let stays = holder.and_then(|member| target.get_mut(&member)).filter(|left| **left > 0);
            match stays {
                Some(left) => *left -= 1,
                None => {
                    *holder = None;
                    moving.push(index);
                }
            }
        }
        let takers = target.into_iter().flat_map(|(member, left)| (0..left).map(move |_| member));
        for (index, member) in moving.into_iter().zip(takers) {
            self.holders[index] = Some(member);
        }
    }
}

/// The units that each partner holds or has answered in a round.
pub type Taken = BTreeMap<PartnerName, Units>;

/// Hands out `units` on top of what candidates are busy with, each to who would finish it first among those that it
/// `suits`, with at most `most_per_partner` units in the hands of one partner. Units that nobody may take are left out.
#[must_use]
pub fn hand_out(
    units: &Units,
    candidates: &[Candidate<'_>],
    taken: Taken,
    most_per_partner: u32,
    suits: impl Fn(Unit, MemberId) -> bool,
) -> BTreeMap<MemberId, Units> {
    let mut race = Race::new(candidates, &BTreeMap::new(), taken, most_per_partner);
    let mut given: BTreeMap<MemberId, Units> = BTreeMap::new();
    for &unit in units {
        if let Some(member) = race.next(unit, |member| suits(unit, member)) {
            given.entry(member).or_default().insert(unit);
        }
    }
    given
}

/// Who of the candidates would finish `units` units first, on top of what they are busy with; the oldest of several.
#[must_use]
pub fn soonest(units: u32, candidates: &[Candidate<'_>]) -> Option<MemberId> {
    let finish = |of: &Candidate<'_>| (of.load.saturating_add(units), of.speed);
    let first = with_known_speeds(candidates)
        .min_by(|left, right| compare(finish(left), finish(right)).then_with(|| left.member.cmp(&right.member)));
    first.map(|of| of.member)
}

/// The longest `units / speed` as a fraction. A holder without a known speed is gone, and takes for ever.
fn slowest(counts: &BTreeMap<MemberId, u32>, speeds: &BTreeMap<MemberId, u64>) -> (u32, u64) {
    let times = counts.iter().map(|(member, &units)| (units, speeds.get(member).copied().unwrap_or(0)));
    times.fold((0, 1), |worst, time| match compare(time, worst) {
        Ordering::Greater => time,
        Ordering::Less | Ordering::Equal => worst,
    })
}

/// Compares two times `units / speed`.
fn compare(left: (u32, u64), right: (u32, u64)) -> Ordering {
    (u128::from(left.0) * u128::from(right.1)).cmp(&(u128::from(right.0) * u128::from(left.1)))
}

fn with_known_speeds<'a>(candidates: &[Candidate<'a>]) -> impl Iterator<Item = Candidate<'a>> {
    let known = candidates.iter().filter(|c| c.speed > 0);
    let (sum, count) = known.fold((0u128, 0u128), |(sum, count), c| (sum + u128::from(c.speed), count + 1));
    let mean = u64::try_from(sum.checked_div(count).unwrap_or(1)).unwrap_or(u64::MAX).max(1);
    candidates.iter().map(move |c| Candidate { speed: if c.speed > 0 { c.speed } else { mean }, ..*c })
}

/// The candidates in the order in which they would finish their next unit.
struct Race<'a> {
    queue: BinaryHeap<Entrant<'a>>,
    taken: Taken,
    most_per_partner: usize,
}

struct Entrant<'a> {
    candidate: Candidate<'a>,
    /// Units that it held before and has not been given back yet.
    kept: u32,
}

impl<'a> Race<'a> {
    fn new(
        candidates: &[Candidate<'a>],
        held: &BTreeMap<MemberId, u32>,
        mut taken: Taken,
        most_per_partner: u32,
    ) -> Self {
        for candidate in candidates {
            taken.entry(candidate.partner.clone()).or_default();
        }
        let kept = |member| held.get(&member).copied().unwrap_or(0);
        let queue = with_known_speeds(candidates).map(|c| Entrant { candidate: c, kept: kept(c.member) }).collect();
        Self { queue, taken, most_per_partner: most_per_partner as usize }
    }

    /// Gives `unit` to the first of those that `suits` allows.
    fn next(&mut self, unit: Unit, suits: impl Fn(MemberId) -> bool) -> Option<MemberId> {
        let mut passed_over = Vec::new();
        let mut winner = None;
        while let Some(mut entrant) = self.queue.pop() {
            let member = entrant.candidate.member;
            let of_partner = self.taken.get_mut(entrant.candidate.partner).expect("every candidate's partner is there");
            let has_room = of_partner.len() < self.most_per_partner || of_partner.contains(&unit);
            if has_room && suits(member) {
                of_partner.insert(unit);
                entrant.candidate.load += 1;
                entrant.kept = entrant.kept.saturating_sub(1);
                winner = Some(member);
            }
            passed_over.push(entrant);
            if winner.is_some() {
                break;
            }
        }
        self.queue.extend(passed_over);
        winner
    }
}

impl Ord for Entrant<'_> {
    /// The greatest is who finishes its next unit first.
    fn cmp(&self, other: &Self) -> Ordering {
        let next = |entrant: &Self| (entrant.candidate.load + 1, entrant.candidate.speed);
        compare(next(other), next(self))
            .then_with(|| (self.kept > 0).cmp(&(other.kept > 0)))
            .then_with(|| self.candidate.speed.cmp(&other.candidate.speed))
            .then_with(|| other.candidate.member.cmp(&self.candidate.member))
    }
}

impl PartialOrd for Entrant<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entrant<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entrant<'_> {}

#[cfg(test)]
mod tests;
