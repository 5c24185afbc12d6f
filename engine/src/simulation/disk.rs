//! A simulated store: what is durable, and what a crash makes of a write that is under way.

use std::collections::BTreeMap;

use super::dice::Dice;
use crate::digest::{Digest, Domain, Hasher};
use crate::id::{Round, RunId, Time, Unit, Units};
use crate::keeping::{CHECKPOINTS, Epoch, Fenced, NoneWhole, newest_whole};
use crate::planted::Bug;
use crate::run::Outcome;
use crate::state::Commit;

/// A training state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    /// The round that it opens.
    pub(super) round: Round,
    pub(super) params: Digest,
    pub(super) chain: Digest,
}

impl Saved {
    pub(super) fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Domain::Blob);
        hasher.update(&self.round.0.to_le_bytes()).update(self.params.as_ref()).update(self.chain.as_ref());
        hasher.finish()
    }
}

/// An update of private samples, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spooled {
    pub(super) round: Round,
    pub(super) units: Units,
    pub(super) sum: u64,
}

/// What is kept as a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    State(Saved),
    Update(Spooled),
}

impl Bulk {
    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::State(state) => state.digest(),
            Self::Update(Spooled { round, units, sum }) => {
                let mut hasher = Hasher::new(Domain::Blob);
                hasher.update(&round.0.to_le_bytes()).update(&sum.to_le_bytes());
                units.iter().for_each(|unit| _ = hasher.update(&unit.0.to_le_bytes()));
                hasher.finish()
            }
        }
    }
}

/// Rows of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) run: RunId,
    pub(super) begins: bool,
    pub(super) rounds: Vec<Commit>,
    pub(super) checkpoint: Option<(Round, Digest)>,
    pub(super) spooled: Option<((Round, Unit), Digest)>,
    pub(super) ended: Option<Outcome>,
}

struct Blob {
    bulk: Bulk,
    /// Whether its bytes are those that its name says.
    whole: bool,
}

#[derive(Default)]
struct Rows {
    rounds: BTreeMap<Round, Commit>,
    checkpoints: BTreeMap<Round, Digest>,
    /// By round and the first unit.
    spool: BTreeMap<(Round, Unit), Digest>,
    ended: bool,
}

/// Where a run goes on.
pub(super) struct Resumed {
    /// The newest whole state; none if there is no checkpoint yet.
    pub(super) state: Option<Saved>,
    pub(super) ledger: Vec<Commit>,
    /// Whole updates of its next rounds.
    pub(super) spooled: Vec<Spooled>,
    /// Whether a newer state was there and is damaged.
    pub(super) fell_back: bool,
}

/// What became of a write that was under way at a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    Nothing,
    Part,
    All,
}

impl Remains {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        dice.pick(&[Self::Nothing, Self::Part, Self::All])
    }
}

pub(super) struct Disk {
    newest: Epoch,
    blobs: BTreeMap<Digest, Blob>,
    /// In the order in which they began.
    runs: Vec<(RunId, Rows)>,
    pub(super) full_until: Time,
    /// Writes that will fail.
    pub(super) breaks: u32,
    /// Whether a state that was durable was damaged later.
    pub(super) rotted: bool,
    bug: Option<Bug>,
}

impl Disk {
    pub(super) fn new(bug: Option<Bug>) -> Self {
        Self {
            newest: Epoch(0),
            blobs: BTreeMap::new(),
            runs: Vec::new(),
            full_until: Time(0),
            breaks: 0,
            rotted: false,
            bug,
        }
    }

    /// A coordinator takes over. What a crash left between a blob and the row that would have named it is deleted.
    pub(super) fn open(&mut self) -> Epoch {
        self.newest = Epoch(self.newest.0 + 1);
        let all = self.blobs.keys().copied().collect();
        self.sweep(all);
        self.newest
    }

    /// The epoch of whoever took over last.
    pub(super) fn newest(&self) -> Epoch {
        self.newest
    }

    pub(super) fn unfinished(&self) -> Option<RunId> {
        self.runs.iter().rev().find(|(_, rows)| !rows.ended).map(|(run, _)| *run)
    }

    fn rows(&self, run: RunId) -> Option<&Rows> {
        self.runs.iter().find(|(known, _)| *known == run).map(|(_, rows)| rows)
    }

    pub(super) fn has(&self, run: RunId) -> bool {
        self.rows(run).is_some()
    }

    fn read(&self, blob: Digest) -> Option<&Bulk> {
        self.blobs.get(&blob).filter(|blob| blob.whole).map(|blob| &blob.bulk)
    }

    fn read_state(&self, blob: Digest) -> Option<Saved> {
        match self.read(blob)? {
            Bulk::State(state) => Some(*state),
            Bulk::Update(_) => None,
        }
    }

    /// The whole updates of a run from round `first` on.
    fn spooled(&self, rows: &Rows, first: Round) -> Vec<Spooled> {
        let named = rows.spool.iter().filter(|((round, _), _)| *round >= first);
        let read = named.filter_map(|(_, blob)| match self.read(*blob)? {
            Bulk::State(_) => None,
            Bulk::Update(update) => Some(update.clone()),
        });
        read.collect()
    }

    /// Whether an update of `unit` in `round` is there and whole.
    pub(super) fn has_update(&self, run: RunId, round: Round, unit: Unit) -> bool {
        let spooled = self.rows(run).map(|rows| self.spooled(rows, round)).unwrap_or_default();
        spooled.iter().any(|update| update.round == round && update.units.contains(&unit))
    }

    /// Whether the state that opens `round` is there and whole.
    pub(super) fn has_state(&self, run: RunId, round: Round) -> bool {
        let blob = self.rows(run).and_then(|rows| rows.checkpoints.get(&round));
        blob.is_some_and(|blob| self.read(*blob).is_some())
    }

    pub(super) fn resume(&self, run: RunId) -> Result<Resumed, NoneWhole> {
        let Some(rows) = self.rows(run) else { return Err(NoneWhole) };
        let checkpoints = rows.checkpoints.iter().rev().map(|(round, blob)| (*round, *blob));
        let newest = rows.checkpoints.keys().last().copied();
        let found = newest_whole(checkpoints, |_, blob| self.read_state(blob))?;
        let first = found.map_or(Round(0), |(round, _)| round);
        let ledger = rows.rounds.range(first..).map(|(_, commit)| commit.clone()).collect();
        let fell_back = newest != found.map(|(round, _)| round);
        let spooled = self.spooled(rows, first);
        Ok(Resumed { state: found.map(|(_, state)| state), ledger, spooled, fell_back })
    }

    pub(super) fn put(&mut self, bulk: Bulk, remains: Remains) {
        let name = bulk.digest();
        match remains {
            Remains::Nothing => {}
            Remains::Part => _ = self.blobs.entry(name).or_insert(Blob { bulk, whole: false }),
            Remains::All => _ = self.blobs.insert(name, Blob { bulk, whole: true }),
        }
    }

    /// One transaction: all of it or nothing.
    pub(super) fn keep(&mut self, epoch: Epoch, entry: &Entry) -> Result<(), Fenced> {
        if self.bug != Some(Bug::EpochNotCompared) {
            epoch.check(self.newest)?;
        }
        if entry.begins {
            self.runs.push((entry.run, Rows::default()));
        }
        let Some((_, rows)) = self.runs.iter_mut().find(|(run, _)| *run == entry.run) else { return Ok(()) };
        rows.rounds.extend(entry.rounds.iter().map(|commit| (commit.round, commit.clone())));
        rows.checkpoints.extend(entry.checkpoint);
        while rows.checkpoints.len() > CHECKPOINTS as usize {
            rows.checkpoints.pop_first();
        }
        rows.spool.extend(entry.spooled);
        let oldest = rows.checkpoints.keys().next().copied().unwrap_or_default();
        rows.ended |= entry.ended.is_some();
        rows.spool.retain(|(round, _), _| *round >= oldest && entry.ended.is_none());
        Ok(())
    }

    pub(super) fn named(&self) -> Vec<Digest> {
        let of_run =
            |rows: &Rows| -> Vec<Digest> { rows.checkpoints.values().chain(rows.spool.values()).copied().collect() };
        self.runs.iter().flat_map(|(_, rows)| of_run(rows)).collect()
    }

    /// Deletes those of the blobs that no row names.
    pub(super) fn sweep(&mut self, blobs: Vec<Digest>) {
        let named = self.named();
        for blob in blobs.into_iter().filter(|blob| !named.contains(blob)) {
            self.blobs.remove(&blob);
        }
    }

    /// A spooled update of the run, or its newest state, is damaged long after it was written; not its only whole state.
    pub(super) fn rot(&mut self, dice: &mut Dice, run: RunId) -> bool {
        let Some(rows) = self.rows(run) else { return false };
        let whole: Vec<Digest> = rows.checkpoints.values().copied().filter(|blob| self.read(*blob).is_some()).collect();
        let state = whole.last().copied().filter(|_| whole.len() > 1);
        let update = rows.spool.values().last().copied();
        let choice = if dice.percent(50) { state.or(update) } else { update.or(state) };
        let Some(blob) = choice.and_then(|blob| self.blobs.get_mut(&blob)) else { return false };
        blob.whole = false;
        self.rotted = true;
        true
    }
}
