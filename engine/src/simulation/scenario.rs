//! What a seed makes of a world: its run, its workers, its network and its faults.

use std::time::Duration;

use super::coordinator::partner;
use super::dice::Dice;
use super::fault::{Fault, Forgery, Identity, Notice};
use super::network::Order;
use crate::id::Time;
use crate::run::{Ownership, QuorumRule, RunConfig};
use crate::spec::OnMissing;

/// A world before its first event.
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) run: RunConfig,
    pub(super) partners: u32,
    /// Time that each worker needs for a unit.
    pub(super) paces: Vec<Duration>,
    pub(super) heartbeat: Duration,
    /// Delays of a message, in microseconds.
    pub(super) delay: (u64, u64),
    pub(super) order: Order,
    /// The longest server step, in microseconds.
    pub(super) step: u64,
    /// In order of time.
    pub(super) faults: Vec<(Time, Fault)>,
}

impl Scenario {
    pub(super) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0);
        let workers = dice.small(1, 8);
        let partners = dice.small(1, workers.min(3));
        let silence = dice.millis(800, 3_000);
        let run = draw_ownership(seed, partners, draw_run(&mut dice, workers, partners, silence));
        let paces = (0..workers).map(|_| dice.millis(2, 150)).collect();
        let order = if dice.percent(40) { Order::Disordered } else { Order::Streams };
        let delay = dice.pick(&[(50, 300), (500, 5_000), (1_000, 40_000)]);
        let step = dice.pick(&[0, 2_000, 30_000]);
        let faults = draw_faults(&mut dice, workers);
        Self { seed, run, partners, paces, heartbeat: silence / 4, delay, order, step, faults }
    }

    pub(super) fn without_faults(self) -> Self {
        Self { faults: Vec::new(), ..self }
    }

    /// The moment by which the run must have ended: its faults are over, the dead are noticed, everybody is back, and
    /// the slowest worker alone could have computed all rounds several times.
    pub(super) fn end_by(&self) -> Time {
        let last = self.faults.last().map_or(Time(0), |(at, _)| *at);
        let slowest = self.paces.iter().max().copied().unwrap_or_default();
        let all_rounds = slowest * self.run.units * self.run.rounds;
        last.after(Fault::LONGEST).after(self.run.silence * 8).after(all_rounds * 4).after(Duration::from_secs(30))
    }
}

fn draw_run(dice: &mut Dice, workers: u32, partners: u32, silence: Duration) -> RunConfig {
    let units = dice.small(1, 16);
    let evenly = units.div_ceil(partners);
    let max_partner_units = if dice.percent(30) { dice.small(evenly, units) } else { units };
    let on_missing = dice.pick(&[OnMissing::Wait, OnMissing::ReLease, OnMissing::ReLease, OnMissing::Skip]);
    RunConfig {
        units,
        rounds: dice.small(2, 16),
        evaluate_every: dice.small(1, 4),
        min_members: dice.small(1, workers),
        quorum: QuorumRule {
            min_partners: dice.small(1, partners),
            min_units: dice.small(1, units),
            round_deadline: dice.millis(200, 2_500),
            max_partner_units,
            on_missing,
        },
        silence,
        ownership: Ownership::Assigned,
    }
}

/// Some runs are on private samples. Every partner has a worker that always comes back, so every unit has an owner.
fn draw_ownership(seed: u64, partners: u32, run: RunConfig) -> RunConfig {
    let mut dice = Dice::new(seed, 2);
    if !dice.percent(25) {
        return run;
    }
    let owners = (0..run.units).map(|unit| partner(u64::from(unit % partners))).collect();
    let quorum = QuorumRule { max_partner_units: run.units, ..run.quorum };
    RunConfig { ownership: Ownership::Private { owners }, quorum, ..run }
}

fn draw_faults(dice: &mut Dice, workers: u32) -> Vec<(Time, Fault)> {
    let horizon = dice.pick(&[400, 1_500, 5_000, 12_000]);
    let count = dice.between(0, 30);
    let mut faults: Vec<(Time, Fault)> =
        (0..count).map(|_| (Time(0).after(dice.millis(0, horizon)), draw_fault(dice, workers))).collect();
    if dice.percent(3) {
        faults.push((Time(0).after(dice.millis(0, horizon)), Fault::OperatorStops));
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn draw_fault(dice: &mut Dice, workers: u32) -> Fault {
    let worker = dice.small(0, workers - 1) as usize;
    let long = Fault::LONGEST.as_millis() as u64;
    match dice.between(0, 19) {
        0..=3 => {
            let notice = dice.pick(&[Notice::Both, Notice::Worker, Notice::Coordinator, Notice::Nobody]);
            Fault::Cut { worker, notice }
        }
        4..=6 => {
            let identity = dice.pick(&[Identity::Same, Identity::New]);
            Fault::Crash { worker, back_after: dice.millis(1, long), identity }
        }
        7..=8 => Fault::Stall { worker, lasts: dice.millis(10, long) },
        9 => Fault::Hang { worker, lasts: dice.millis(500, long) },
        10..=14 => Fault::Forge { worker, forgery: dice.pick(&Forgery::ALL) },
        15 => Fault::Damage { worker, updates: dice.small(1, 4) },
        16 => Fault::Impostor { worker, lasts: dice.millis(100, long) },
        17 => Fault::OutboxFull { worker },
        18 => Fault::Drain { worker },
        _ => Fault::Newcomer { pace: dice.millis(2, 150) },
    }
}
