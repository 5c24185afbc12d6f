//! What a seed makes of a world: its run, its workers, its network and its faults.

use std::time::Duration;

use super::coordinator::partner;
use super::dice::Dice;
use super::fault::{Fault, Forgery, Identity, Notice};
use super::lives::Death;
use super::network::Order;
use crate::id::{PartnerName, Time};
use crate::keeping::{Cadence, Rows, Storage};
use crate::run::{AuditRule, AuditSeed, Ownership, QuorumRule, RunConfig};
use crate::spec::{Durability, OnMissing};

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
    pub(super) storage: Storage,
    pub(super) cadence: Cadence,
    /// Whose workers send wrong sums, if anybody's do, and how many in a hundred.
    pub(super) liars: Option<(PartnerName, u64)>,
    /// What befalls the coordinator: each before the happening of that number, in order.
    pub(super) mishaps: Vec<(u64, Fault)>,
}

impl Scenario {
    pub(super) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0);
        let workers = dice.small(1, 8);
        let partners = dice.small(1, workers.min(3));
        let silence = dice.millis(800, 3_000);
        let mut run = draw_ownership(seed, partners, draw_run(&mut dice, workers, partners, silence));
        let paces = (0..workers).map(|_| dice.millis(2, 150)).collect();
        let order = if dice.percent(40) { Order::Disordered } else { Order::Streams };
        let delay = dice.pick(&[(50, 300), (500, 5_000), (1_000, 40_000)]);
        let step = dice.pick(&[0, 2_000, 30_000]);
        let faults = with_pauses(seed, workers, draw_faults(&mut dice, workers));
        let mut dice = Dice::new(seed, 3);
        let storage = if dice.percent(20) { Storage::Absent } else { Storage::Durable };
        let mut cadence = draw_cadence(&mut dice, &run);
        cadence.rows = Dice::new(seed, 4).pick(&[Rows::Paced, Rows::Paced, Rows::EachRound]);
        // Rounds that leave units out, and many of them at risk.
        if storage == Storage::Durable && dice.percent(15) {
            run.quorum.on_missing = OnMissing::Skip;
            run.quorum.min_units = 1;
            run.quorum.round_deadline = dice.millis(100, 400);
            cadence = Cadence { checkpoint_rounds: 100, durability: Durability::Checkpoint, ..cadence };
        }
        let liars = draw_audits(seed, partners, &mut run);
        let mishaps = if storage == Storage::Durable { draw_mishaps(&mut dice) } else { Vec::new() };
        Self {
            seed,
            run,
            partners,
            paces,
            heartbeat: silence / 4,
            delay,
            order,
            step,
            faults,
            storage,
            cadence,
            liars,
            mishaps,
        }
    }

    pub(super) fn without_faults(self) -> Self {
        Self { faults: Vec::new(), mishaps: Vec::new(), liars: None, ..self }
    }

    /// The moment by which the run must have ended: its faults are over, the dead are noticed, everybody is back, and
    /// the slowest worker alone could have computed all rounds several times.
    pub(super) fn end_by(&self) -> Time {
        self.end_after(self.faults.last().map_or(Time(0), |(at, _)| *at))
    }

    /// The same, if the last fault is at `last`.
    pub(super) fn end_after(&self, last: Time) -> Time {
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
        audit: AuditRule::never(),
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

/// Some runs have audits, and in many of those a partner lies. The others can always go on without it.
fn draw_audits(seed: u64, partners: u32, run: &mut RunConfig) -> Option<(PartnerName, u64)> {
    let mut dice = Dice::new(seed, 4);
    if run.ownership != Ownership::Assigned || !dice.percent(40) {
        return None;
    }
    let (rate, most_open) = (dice.pick(&[1.0, 1.0, 0.4]), dice.pick(&[1, 64, 64, 64]));
    let secret = dice.between(0, u64::MAX - 1).to_le_bytes();
    run.audit = AuditRule::new(rate, most_open, AuditSeed(std::array::from_fn(|index| secret[index % secret.len()])));
    if partners < 2 || dice.percent(20) {
        return None;
    }
    let others = partners - 1;
    run.quorum.min_partners = run.quorum.min_partners.min(others);
    if run.quorum.max_partner_units * others < run.units {
        run.quorum.max_partner_units = run.units;
    }
    Some((partner(u64::from(dice.small(0, others))), dice.pick(&[100, 50, 10])))
}

fn draw_cadence(dice: &mut Dice, run: &RunConfig) -> Cadence {
    Cadence {
        rounds: run.rounds,
        units: run.units,
        checkpoint_rounds: dice.pick(&[1, 2, 3, 5, 100]),
        checkpoint_time: dice.pick(&[Duration::from_millis(300), Duration::from_secs(2), Duration::from_secs(10)]),
        durability: dice.pick(&[Durability::Checkpoint, Durability::Checkpoint, Durability::EveryRound]),
        rows: Rows::Paced,
    }
}

fn draw_mishaps(dice: &mut Dice) -> Vec<(u64, Fault)> {
    let count = dice.between(0, 6);
    let mut mishaps = Vec::new();
    for _ in 0..count {
        let horizon = dice.pick(&[30, 150, 400, 1_200]);
        let (number, mishap) = (dice.between(1, horizon), draw_mishap(dice));
        mishaps.push((number, mishap));
        // Damage is noticed by whoever reads: the next coordinator.
        if mishap == Fault::DiskRots {
            mishaps.push((number + dice.between(1, 40), draw_death(dice)));
        }
    }
    mishaps.sort_by_key(|(number, _)| *number);
    mishaps
}

fn draw_mishap(dice: &mut Dice) -> Fault {
    match dice.between(0, 12) {
        0..=6 => draw_death(dice),
        7..=8 => Fault::DiskFull { lasts: dice.millis(50, 4_000) },
        9 => Fault::DiskBreaks,
        10 => Fault::MachineErrs,
        _ => Fault::DiskRots,
    }
}

fn draw_death(dice: &mut Dice) -> Fault {
    let late = dice.millis(0, 3_000);
    let death = dice.pick(&[Death::Killed, Death::Killed, Death::PowerCut, Death::Zombie { late }]);
    Fault::CoordinatorDies { death, back_after: dice.millis(1, 3_000) }
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

/// Partners pause their workers in some worlds.
fn with_pauses(seed: u64, workers: u32, mut faults: Vec<(Time, Fault)>) -> Vec<(Time, Fault)> {
    let mut dice = Dice::new(seed, 4);
    let horizon = faults.last().map_or(1, |(at, _)| (at.0 / 1_000_000).max(1));
    let count = if faults.is_empty() { 0 } else { dice.between(0, 4) };
    for _ in 0..count {
        let worker = dice.small(0, workers - 1) as usize;
        let lasts = dice.millis(1, Fault::LONGEST.as_millis() as u64);
        faults.push((Time(0).after(dice.millis(0, horizon)), Fault::Pause { worker, lasts }));
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
