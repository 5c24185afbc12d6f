//! Real sessions against the real run, over a virtual network in virtual time.
//!
//! ```text
//!   Session ─► worker's shell ─► network: delays, cuts, half-open ends, ─► coordinator's shell ─► Run
//!   Session ◄─ (tiny sums)    ◄─          disorder, duplicates          ◄─ (tiny server step) ◄─
//!                 ▲                                                             │ every event and action
//!      crashes, stalls, hangs, impostors, forgeries, damage                 referee: keeps books of its own
//! ```
//!
//! A seed fixes everything: [`simulate`] twice gives the same trace. What is checked: the run's own invariants and the
//! [`Breach`]es of the referee after every event, that the run ends soon after the faults do, and that the params are
//! those of the undisturbed run. Planted [`Bug`]s show that all this finds something.

mod breach;
mod coordinator;
mod dice;
mod fault;
mod network;
mod referee;
mod scenario;
mod worker;
mod world;

use std::fmt;

pub use breach::Breach;

use crate::id::Time;
pub use crate::planted::Bug;
use crate::run::Outcome;
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
}

impl Totals {
    /// Adds what happened elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.rounds += other.rounds;
        self.cuts += other.cuts;
        self.kills += other.kills;
        self.stalls += other.stalls;
        self.forgeries += other.forgeries;
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.rejected += other.rejected;
        self.units_released += other.units_released;
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
