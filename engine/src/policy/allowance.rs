//! What may still leave: rounds of each run and bytes of the day, in an account that outlives a crash.
//!
//! An account on disk that is written before every update would cost each round a write. So a part is set aside ahead:
//! what is on disk is never less than what has left. A crash loses what was set aside and not used, in the partner's
//! favour; an orderly end gives it back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{Round, RunId};

/// Seconds of a day.
pub const DAY_SECONDS: u64 = 86_400;
/// What is set aside at a time is this part of a limit.
const PART: u64 = 256;
/// Runs whose rounds are remembered; the one used longest ago goes first.
const MAX_RUNS: usize = 64;
/// Rounds whose params are remembered: what left once may leave again.
const MAX_ROUNDS: usize = 1024;

/// A day by UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u64);

impl Day {
    /// The day of a moment, in seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn of(unix_seconds: u64) -> Self {
        Self(unix_seconds / DAY_SECONDS)
    }

    /// Seconds from a moment to the end of its day.
    #[must_use]
    pub fn seconds_left(unix_seconds: u64) -> u64 {
        DAY_SECONDS - unix_seconds % DAY_SECONDS
    }
}

/// What may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Rounds of one run.
    pub rounds: Option<u32>,
    /// Bytes of updates in a day.
    pub bytes_a_day: Option<u64>,
}

/// An update that wants to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The day.
    pub day: Day,
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: Round,
    /// Digest of the params that the round starts from.
    pub params: Digest,
    /// Bytes of its payload.
    pub bytes: u64,
}

/// What has left, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// The latest day on which something left.
    pub day: Day,
    /// Bytes of updates on that day.
    pub bytes: u64,
    /// Rounds of each run, by its id, the one used last at the end.
    pub runs: Vec<(String, u32)>,
}

/// Whether an update may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// It may.
    Granted,
    /// It may once this is durable.
    GrantedOnceKept(Spent),
    /// Not today.
    DayIsSpent {
        /// Bytes that the update has.
        bytes: u64,
        /// Bytes that are left of the day's.
        left: u64,
    },
    /// Not in this run.
    RunIsSpent {
        /// Rounds that the policy allows.
        rounds: u32,
    },
}

/// The account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    limits: Limits,
    day: Day,
    bytes: u64,
    /// What the disk says of the day: never less than `bytes`.
    kept_bytes: u64,
    /// Rounds of each run and what the disk says of them.
    runs: BTreeMap<RunId, Rounds>,
    /// Runs, the one used last at the end.
    order: VecDeque<RunId>,
    /// Rounds that are counted already.
    seen: BTreeSet<Seen>,
    /// The same, oldest first.
    seen_in_order: VecDeque<Seen>,
}

/// A round of a run, and the params that it starts from.
type Seen = (RunId, Round, Digest);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rounds {
    spent: u32,
    kept: u32,
}

impl Allowance {
    /// An account that goes on from what was kept.
    #[must_use]
    pub fn new(limits: Limits, spent: &Spent) -> Self {
        let known = spent.runs.iter().filter_map(|(run, rounds)| Some((parse_run(run)?, *rounds)));
        let runs: Vec<(RunId, u32)> = known.collect();
        Self {
            limits,
            day: spent.day,
            bytes: spent.bytes,
            kept_bytes: spent.bytes,
            order: runs.iter().map(|(run, _)| *run).collect(),
            runs: runs.into_iter().map(|(run, rounds)| (run, Rounds { spent: rounds, kept: rounds })).collect(),
            seen: BTreeSet::new(),
            seen_in_order: VecDeque::new(),
        }
    }

    /// Counts an update that is about to leave, or refuses it. A round that comes again with the same params tells nothing
    /// new, and counts once; its bytes count each time.
    pub fn release(&mut self, parcel: Parcel) -> Release {
        self.turn_to(parcel.day);
        let left = self.bytes_left();
        if left.is_some_and(|left| parcel.bytes > left) {
            return Release::DayIsSpent { bytes: parcel.bytes, left: left.unwrap_or_default() };
        }
        let key = (parcel.run, parcel.round, parcel.params);
        let is_new = !self.seen.contains(&key);
        let spent = self.runs.get(&parcel.run).map_or(0, |rounds| rounds.spent);
        if let Some(rounds) = self.limits.rounds.filter(|rounds| is_new && spent >= *rounds) {
            return Release::RunIsSpent { rounds };
        }
        self.bytes = self.bytes.saturating_add(parcel.bytes);
        self.use_run(parcel.run);
        if is_new {
            self.see(key);
        }
        match self.set_aside(parcel.run) {
            true => Release::GrantedOnceKept(self.kept()),
            false => Release::Granted,
        }
    }

    /// Whether an update of so many bytes would still be let out on `day`.
    #[must_use]
    pub fn has_room(&self, day: Day, bytes: u64) -> bool {
        let spent = if day > self.day { 0 } else { self.bytes };
        self.limits.bytes_a_day.is_none_or(|most| spent.saturating_add(bytes) <= most)
    }

    /// Bytes of updates that left on the latest day on which any did.
    #[must_use]
    pub fn bytes(&self, day: Day) -> u64 {
        if day > self.day { 0 } else { self.bytes }
    }

    /// Rounds that updates left for in a run.
    #[must_use]
    pub fn rounds(&self, run: RunId) -> u32 {
        self.runs.get(&run).map_or(0, |rounds| rounds.spent)
    }

    /// What has left, exactly, to be kept at an orderly end.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.account(self.bytes, |rounds| rounds.spent)
    }

    fn kept(&self) -> Spent {
        self.account(self.kept_bytes, |rounds| rounds.kept)
    }

    fn account(&self, bytes: u64, rounds: impl Fn(&Rounds) -> u32) -> Spent {
        let of = |run: &RunId| (run.to_string(), self.runs.get(run).map_or(0, &rounds));
        Spent { day: self.day, bytes, runs: self.order.iter().map(of).collect() }
    }

    /// A new day begins. One before the latest is none: a clock that is set back does not give bytes again.
    fn turn_to(&mut self, day: Day) {
        if day > self.day {
            self.day = day;
            self.bytes = 0;
            self.kept_bytes = 0;
        }
    }

    fn bytes_left(&self) -> Option<u64> {
        self.limits.bytes_a_day.map(|most| most.saturating_sub(self.bytes))
    }

    fn use_run(&mut self, run: RunId) {
        self.order.retain(|known| *known != run);
        self.order.push_back(run);
        self.runs.entry(run).or_default();
        if self.order.len() > MAX_RUNS
            && let Some(oldest) = self.order.pop_front()
        {
            self.runs.remove(&oldest);
        }
    }

    fn see(&mut self, key: Seen) {
        if let Some(rounds) = self.runs.get_mut(&key.0) {
            rounds.spent = rounds.spent.saturating_add(1);
        }
        if self.seen.len() == MAX_ROUNDS
            && let Some(oldest) = self.seen_in_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(key);
        self.seen_in_order.push_back(key);
    }

    /// Sets something aside if what the disk says is less than what leaves. Without a limit nothing is kept.
    fn set_aside(&mut self, run: RunId) -> bool {
        let mut moved = false;
        if let Some(most) = self.limits.bytes_a_day.filter(|_| self.bytes > self.kept_bytes) {
            self.kept_bytes = self.bytes.saturating_add(most / PART).min(most);
            moved = true;
        }
        if let (Some(most), Some(rounds)) = (self.limits.rounds, self.runs.get_mut(&run))
            && rounds.spent > rounds.kept
        {
            rounds.kept = rounds.spent.saturating_add(most / PART as u32).min(most);
            moved = true;
        }
        moved
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted | Self::GrantedOnceKept(_) => f.write_str("it may leave"),
            Self::DayIsSpent { bytes, left } => {
                write!(f, "max_update_bytes_a_day leaves {left} bytes for today, by UTC, and the update has {bytes}")
            }
            Self::RunIsSpent { rounds } => {
                write!(f, "max_rounds is {rounds}, and updates of as many rounds of this run have left")
            }
        }
    }
}

/// A run's id as [`RunId`] writes it.
fn parse_run(text: &str) -> Option<RunId> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let mut id = [0; 16];
    let pairs = digits.chunks_exact(2);
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(RunId(id))
}
