//! Samples of the leased units: the worker's own, or shards that are fetched once a run, verified, and kept within a
//! bound.
//!
//! An assignment waits here until its samples are complete. The fetching is done by tasks of their own, a few at a
//! time, so that the session goes on meanwhile.

mod fetching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use syngrad_common::wire::{FetchShard, LeasedUnit, ResumeToken, ShardRef, Source};
use syngrad_dataset::Samples;
use syngrad_engine::session::Task;
use syngrad_engine::{Digest, LeaseId, Plan};
use tokio::task::JoinSet;

use crate::link::Client;
use crate::round::Open;
use crate::trainer::{Job, Part};
pub(crate) use fetching::{Fetched, Obstacle};

/// Shards on their way at the same time.
const AT_ONCE: usize = 4;

/// A task, and where its samples are.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) task: Task,
    pub(crate) round: Open,
    pub(crate) units: Vec<LeasedUnit>,
}

impl Assignment {
    /// The shards that it takes.
    fn shards(&self) -> impl Iterator<Item = ShardRef> {
        self.units.iter().filter_map(shard_of)
    }
}

fn shard_of(unit: &LeasedUnit) -> Option<ShardRef> {
    match unit.source {
        Source::Shard(shard) => Some(shard),
        Source::Own => None,
    }
}

#[derive(Debug)]
struct Kept {
    samples: Arc<Samples>,
    bytes: u64,
    used: u64,
}

/// Samples, and the assignments that wait for some.
#[derive(Debug)]
pub(crate) struct Data {
    kept: BTreeMap<Digest, Kept>,
    /// The worker's own samples, as those of the present run.
    own: Option<Arc<Samples>>,
    bytes: u64,
    most: u64,
    uses: u64,
    waiting: Vec<Assignment>,
    fetching: JoinSet<Fetched>,
    in_flight: BTreeSet<Digest>,
}

impl Data {
    /// Keeps up to `most` bytes of samples that no assignment waits for.
    pub(crate) fn new(most: u64) -> Self {
        Self {
            kept: BTreeMap::new(),
            own: None,
            bytes: 0,
            most,
            uses: 0,
            waiting: Vec::new(),
            fetching: JoinSet::new(),
            in_flight: BTreeSet::new(),
        }
    }

    /// The worker's own samples are those of the present run.
    pub(crate) fn own(&mut self, samples: Option<Arc<Samples>>) {
        self.own = samples;
    }

    /// Takes an assignment; gives its job if all samples are here.
    pub(crate) fn take(&mut self, assignment: Assignment) -> Option<Job> {
        self.uses += 1;
        let uses = self.uses;
        for shard in assignment.shards() {
            if let Some(kept) = self.kept.get_mut(&shard.digest) {
                kept.used = uses;
            }
        }
        match self.complete(&assignment) {
            Some(parts) => Some(Job::new(assignment.task, assignment.round, parts)),
            None => {
                self.waiting.push(assignment);
                None
            }
        }
    }

    /// The assignment under `lease` is not wanted any more.
    pub(crate) fn forget(&mut self, lease: LeaseId) {
        self.waiting.retain(|assignment| assignment.task.lease != lease);
    }

    /// Begins to fetch what is missing and not on its way yet, as far as the bounds allow.
    pub(crate) fn fetch_missing(&mut self, client: &Client, resume: ResumeToken, plan: &Plan) {
        let wanted = |assignment: &Assignment| {
            let run = assignment.task.run;
            let shards = assignment.units.iter().filter_map(|unit| Some((unit.unit, shard_of(unit)?)));
            shards.map(move |(unit, shard)| (shard.digest, (run, unit, shard.bytes))).collect::<Vec<_>>()
        };
        let missing: BTreeMap<Digest, _> = self
            .waiting
            .iter()
            .flat_map(wanted)
            .filter(|(shard, _)| !self.kept.contains_key(shard) && !self.in_flight.contains(shard))
            .collect();
        let room = AT_ONCE.saturating_sub(self.in_flight.len());
        for (shard, (run, unit, bytes)) in missing.into_iter().take(room) {
            self.in_flight.insert(shard);
            let request = FetchShard { run, shard, resume };
            let expected = plan.shard_len(unit);
            self.fetching.spawn(fetching::fetch(client.clone(), request, bytes, expected));
        }
    }

    /// The next shard that is here or will not come. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Fetched {
        loop {
            match self.fetching.join_next().await {
                Some(Ok(fetched)) => return fetched,
                // Aborted by `interrupt`.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Keeps a shard that came; gives the jobs that are complete with it.
    pub(crate) fn arrived(&mut self, shard: Digest, samples: Samples, bytes: u64) -> Vec<Job> {
        self.in_flight.remove(&shard);
        self.uses += 1;
        self.bytes += bytes;
        self.kept.insert(shard, Kept { samples: Arc::new(samples), bytes, used: self.uses });
        self.evict();
        let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|assignment: &Assignment| {
            assignment.shards().all(|shard| self.kept.contains_key(&shard.digest))
        });
        self.waiting = waiting;
        ready
            .into_iter()
            .filter_map(|assignment: Assignment| {
                let parts = self.complete(&assignment)?;
                Some(Job::new(assignment.task, assignment.round, parts))
            })
            .collect()
    }

    /// A shard cannot be had: gives the tasks that cannot be computed without it.
    pub(crate) fn unobtainable(&mut self, shard: Digest) -> Vec<Task> {
        self.in_flight.remove(&shard);
        let needs = |assignment: &Assignment| assignment.shards().any(|needed| needed.digest == shard);
        let (lost, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(needs);
        self.waiting = waiting;
        lost.into_iter().map(|assignment| assignment.task).collect()
    }

    /// A shard did not come this time.
    pub(crate) fn missed(&mut self, shard: Digest) {
        self.in_flight.remove(&shard);
    }

    /// The link is down: nothing of what is on its way will come.
    pub(crate) fn interrupt(&mut self) {
        self.fetching = JoinSet::new();
        self.in_flight.clear();
    }

    /// The run is over: its samples are of no more use.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.most);
    }

    fn complete(&self, assignment: &Assignment) -> Option<Vec<Part>> {
        let part = |unit: &LeasedUnit| {
            let samples = match unit.source {
                Source::Shard(shard) => self.kept.get(&shard.digest).map(|kept| &kept.samples),
                Source::Own => self.own.as_ref(),
            };
            Some(Part { unit: unit.unit, samples: samples?.clone() })
        };
        assignment.units.iter().map(part).collect()
    }

    /// Drops what was used longest ago until the rest fits, but nothing that an assignment waits with.
    fn evict(&mut self) {
        while self.bytes > self.most {
            let needed: BTreeSet<Digest> =
                self.waiting.iter().flat_map(|assignment| assignment.shards().map(|shard| shard.digest)).collect();
            let oldest =
                self.kept.iter().filter(|(shard, _)| !needed.contains(*shard)).min_by_key(|(_, kept)| kept.used);
            let Some((&shard, _)) = oldest else { return };
            if let Some(kept) = self.kept.remove(&shard) {
                self.bytes -= kept.bytes;
            }
        }
    }
}

impl Fetched {
    /// The shard, and what came of it.
    pub(crate) fn into_parts(self) -> (Digest, Result<(Samples, u64), Obstacle>) {
        (self.shard, self.outcome)
    }
}
