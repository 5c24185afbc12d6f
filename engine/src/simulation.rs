//! Real sessions against the real run, over a virtual network, with the real keeping on a virtual disk, in virtual time.
//!
//! ```text
//!   Session ─► worker's shell ─► network: delays, cuts, half-open ends, ─► coordinator's shell ─► Run
//!   Session ◄─ (tiny sums)    ◄─          disorder, duplicates          ◄─ (tiny server step) ◄─  │ ▲
//!                 ▲                                                          │ every event      ▼ │
//!      crashes, stalls, hangs, impostors, forgeries, damage               referee, notary ◄──  Keeping
//!                                                                                               │ ▲
//!      crashes at any event, zombies, torn and lost writes, a full disk, failures, damage ─► disk, keeper
//! ```
//!
//! A seed fixes everything: [`simulate`] twice gives the same trace. What is checked: the run's own invariants, the
//! [`Breach`]es of the referee (what a run may do) and of the notary (what must be durable) after every event, that the
//! run ends soon after the faults do, and that the params are those of the undisturbed run. Planted [`Bug`]s show that all
//! this finds something.

mod audit;
mod breach;
mod coordinator;
mod dice;
mod disk;
mod fault;
mod keeper;
mod lives;
mod network;
mod notary;
mod referee;
mod scenario;
mod worker;
mod world;

use std::fmt;

pub use breach::Breach;

use crate::id::Time;
pub use crate::planted::Bug;
use crate::run::{Counters, Outcome};
use scenario::Scenario;
use world::World;

/// Whether a simulation writes down what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Nothing is written down.
    Off,
    /// Every event and action is, a line each.
    On,
}

/// What a seed's world came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How the run ended.
    pub outcome: Outcome,
    /// Virtual time it took.
    pub took: Time,
    /// What happened on the way.
    pub totals: Totals,
    /// The trace, if it was asked for.
    pub trace: Vec<String>,
}

/// How often things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Things that happened at all.
    pub events: u64,
    /// Rounds committed.
    pub rounds: u64,
    /// Links cut.
    pub cuts: u64,
    /// Worker processes killed.
    pub kills: u64,
    /// Worker processes stopped for a while, or hung.
    pub stalls: u64,
    /// Workers paused for a while.
    pub pauses: u64,
    /// Updates forged, replayed or damaged.
    pub forgeries: u64,
    /// Updates accepted.
    pub accepted: u64,
    /// Updates refused as duplicates.
    pub duplicates: u64,
    /// Updates that came too late.
    pub late: u64,
    /// Updates refused for other reasons.
    pub rejected: u64,
    /// Units leased again.
    pub units_released: u64,
    /// Updates under audit.
    pub audits: u64,
    /// Audits that found a wrong update.
    pub audits_failed: u64,
    /// Audits that nobody could answer.
    pub audits_lapsed: u64,
    /// Wrong updates that were taken back.
    pub retractions: u64,
    /// Coordinators that died.
    pub coordinator_crashes: u64,
    /// Coordinators that were started again.
    pub restarts: u64,
    /// Committed rounds that a crash took back, to be computed again.
    pub rounds_again: u64,
    /// Private units whose updates outlived a crash and were not asked for again.
    pub units_reused: u64,
    /// Writes under way at a crash of which nothing or only a part was left.
    pub lost_writes: u64,
    /// Training states that a crash left in part.
    pub torn_blobs: u64,
    /// Training states that were damaged after they were kept.
    pub damaged_blobs: u64,
    /// Coordinators that fell back to an older training state.
    pub fallbacks: u64,
    /// Attempts to write to a full disk while the run waited for it.
    pub disk_pauses: u64,
    /// Writes that failed.
    pub io_errors: u64,
    /// Writes of coordinators that had been replaced.
    pub fenced: u64,
    /// Runs that ended because the ledger says otherwise.
    pub contradictions: u64,
}

impl Totals {
    /// Adds what happened elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.rounds += other.rounds;
        self.cuts += other.cuts;
        self.kills += other.kills;
        self.stalls += other.stalls;
        self.pauses += other.pauses;
        self.forgeries += other.forgeries;
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.rejected += other.rejected;
        self.units_released += other.units_released;
        self.audits += other.audits;
        self.audits_failed += other.audits_failed;
        self.audits_lapsed += other.audits_lapsed;
        self.retractions += other.retractions;
        self.coordinator_crashes += other.coordinator_crashes;
        self.restarts += other.restarts;
        self.rounds_again += other.rounds_again;
        self.units_reused += other.units_reused;
        self.lost_writes += other.lost_writes;
        self.torn_blobs += other.torn_blobs;
        self.damaged_blobs += other.damaged_blobs;
        self.fallbacks += other.fallbacks;
        self.disk_pauses += other.disk_pauses;
        self.io_errors += other.io_errors;
        self.fenced += other.fenced;
        self.contradictions += other.contradictions;
    }

    /// Adds what a run counted.
    fn add_counters(&mut self, counters: &Counters) {
        self.accepted += counters.accepted;
        self.duplicates += counters.duplicates;
        self.late += counters.late;
        self.rejected += counters.rejected;
        self.units_released += counters.units_released;
        self.audits += counters.audits.made;
        self.audits_failed += counters.audits.failed;
        self.audits_lapsed += counters.audits.lapsed;
    }
}

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed of the world in which it happened.
    pub seed: u64,
    /// When.
    pub at: Time,
    /// Which rule.
    pub breach: Breach,
    /// The trace, if it was asked for.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at, breach, trace: _ } = self;
        write!(f, "seed {seed}, {:.6} s: {breach}", Time::since(*at, Time(0)).as_secs_f64())
    }
}

/// Lives through the world of `seed`, with `bug` planted in it.
///
/// # Errors
/// The first [`Violation`].
pub fn simulate(seed: u64, bug: Option<Bug>, trace: Trace) -> Result<Summary, Box<Violation>> {
    World::new(Scenario::draw(seed), bug, trace).live()
}

/// Lives through the world of `seed` without any fault.
///
/// # Errors
/// The first [`Violation`].
pub fn simulate_undisturbed(seed: u64, trace: Trace) -> Result<Summary, Box<Violation>> {
    World::new(Scenario::draw(seed).without_faults(), None, trace).live()
}
