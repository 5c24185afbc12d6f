//! The log of one run, on the side that writes it.

use super::contribution::{Contribution, RefusalCode, Verdict};
use super::record::{Branch, Head, Record};
use super::tree::{Frontier, Tree, Whole};
use crate::digest::Digest;
use crate::id::{LeaseId, Round, RunId};
use crate::quantize::Grid;
use crate::state::Commit;

/// Refused contributions that a round's record lists; more are only counted.
pub const MAX_REFUSED: usize = 256;

/// Records under one head: what a worker is told of at once.
pub const MAX_BATCH: usize = 128;

/// What is the same in every record of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The run.
    pub run: RunId,
    /// Digest of its spec.
    pub spec: Digest,
    /// Digest of its layout.
    pub layout: Digest,
    /// Its numerics class.
    pub numerics: Digest,
    /// The policy in force.
    pub policy: Digest,
}

/// A round that was committed.
#[derive(Clone, Copy, Debug)]
pub struct Closed<'a> {
    /// The commit.
    pub commit: &'a Commit,
    /// Digest of the params that the round started from.
    pub before: Digest,
    /// The grid of the round.
    pub grid: &'a Grid,
    /// When it was committed, in seconds since 1970.
    pub at: u64,
}

/// A record with all contributions that it is about, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The round.
    pub round: Round,
    /// The record.
    pub record: Vec<u8>,
    /// The contributions, in the order of their tree.
    pub contributions: Vec<Vec<u8>>,
}

impl Receipt {
    /// The tree over the contributions.
    #[must_use]
    pub fn tree(&self) -> Whole {
        tree(&self.contributions)
    }
}

/// The tree over encoded contributions.
pub(super) fn tree(contributions: &[Vec<u8>]) -> Whole {
    let leaves = contributions.iter().map(|bytes| Tree::Contributions.leaf(bytes));
    Whole::new(Tree::Contributions, leaves.collect())
}

/// Records that become part of the log together, under one head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The log before them.
    pub base: Frontier,
    /// The records, in order.
    pub receipts: Vec<Receipt>,
    /// The log with them.
    pub head: Head,
}

/// The log of a run.
///
/// A round that is computed again after a crash, and whose record was durable before, keeps that record: the log never has
/// two of a round. What was refused meanwhile goes into the next record that is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    facts: Facts,
    /// What was handed out to be kept.
    base: Frontier,
    /// With what was not.
    frontier: Frontier,
    previous: Digest,
    pending: Vec<Receipt>,
    accepted: Vec<Contribution>,
    refused: Vec<Contribution>,
    overflow: u32,
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self::resumed(facts, Frontier::new(Tree::Log), Digest::default())
    }

    /// A log that goes on after the records in `frontier`, the last of which has the digest `previous`.
    #[must_use]
    pub fn resumed(facts: Facts, frontier: Frontier, previous: Digest) -> Self {
        Self {
            facts,
            base: frontier.clone(),
            frontier,
            previous,
            pending: Vec::new(),
            accepted: Vec::new(),
            refused: Vec::new(),
            overflow: 0,
        }
    }

    /// What is the same in every record.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The log as far as it was handed out to be kept.
    #[must_use]
    pub fn handed_out(&self) -> &Frontier {
        &self.base
    }

    /// Takes note of what became of a contribution while a round is open.
    pub fn note(&mut self, contribution: Contribution) {
        match contribution.verdict {
            Verdict::Accepted => self.accepted.push(contribution),
            Verdict::Late(_) | Verdict::Duplicate(_) | Verdict::Rejected(_) | Verdict::Audited
                if self.refused.len() < MAX_REFUSED =>
            {
                self.refused.push(contribution);
            }
            Verdict::Late(_) | Verdict::Duplicate(_) | Verdict::Rejected(_) | Verdict::Audited => {
                self.overflow = self.overflow.saturating_add(1);
            }
        }
    }

    /// An audit has shown that what came under `lease` in the open round, whatever became of it so far, is not what its
    /// units give.
    pub fn convict(&mut self, lease: LeaseId, code: RefusalCode) {
        let verdict = Verdict::Rejected(code);
        if let Some(index) = self.accepted.iter().position(|given| given.lease == lease) {
            let given = self.accepted.remove(index);
            return self.note(Contribution { verdict, ..given });
        }
        if let Some(given) = self.refused.iter_mut().find(|given| given.lease == lease) {
            given.verdict = verdict;
        }
    }

    /// Ends the open round, whose contributions were noted.
    pub fn seal(&mut self, closed: Closed<'_>) {
        let Closed { commit, before, grid, at } = closed;
        let accepted = std::mem::take(&mut self.accepted);
        if u64::from(commit.round.0) < self.frontier.size() {
            return;
        }
        debug_assert_eq!(u64::from(commit.round.0), self.frontier.size(), "rounds are committed one after another");
        let refused = std::mem::take(&mut self.refused);
        let contributions: Vec<Vec<u8>> = accepted.iter().chain(&refused).map(Contribution::encode).collect();
        let root = tree(&contributions).root();
        let Facts { run, spec, layout, numerics, policy } = self.facts;
        let record = Record {
            run,
            round: commit.round,
            at,
            spec,
            layout,
            before,
            after: commit.params_digest,
            chain: commit.chain,
            bits: grid.bits(),
            exponents: grid.exponents().to_vec(),
            numerics,
            policy,
            units: commit.units,
            weight: commit.weight,
            saturated: commit.saturated,
            contributions: Branch { size: contributions.len() as u32, root },
            overflow: std::mem::take(&mut self.overflow),
            previous: self.previous,
        };
        let record = record.encode();
        self.previous = Record::digest(&record);
        self.frontier.append(self.previous);
        self.pending.push(Receipt { round: commit.round, record, contributions });
    }

    /// What was sealed since the last call, to be kept; at most [`MAX_BATCH`] records under a head.
    #[must_use]
    pub fn hand_out(&mut self) -> Vec<Batch> {
        let run = self.facts.run;
        let mut pending = std::mem::take(&mut self.pending).into_iter().peekable();
        let mut batches = Vec::new();
        while pending.peek().is_some() {
            let receipts: Vec<Receipt> = pending.by_ref().take(MAX_BATCH).collect();
            let base = self.base.clone();
            receipts.iter().for_each(|receipt| self.base.append(Record::digest(&receipt.record)));
            let root = self.base.root();
            batches.push(Batch { base, receipts, head: Head { run, size: root.size, root: root.hash } });
        }
        batches
    }
}
