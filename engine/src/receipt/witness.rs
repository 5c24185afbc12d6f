//! A worker's own look at the log: it only grows, and it says of the worker what the worker knows.

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use super::bytes::EncodingError;
use super::check::{Check, Checks};
use super::contribution::{Contribution, Signature, Verdict};
use super::log::Facts;
use super::record::{Head, Record};
use super::tree::{Frontier, ProofError, Root, Tree};
use crate::digest::Digest;
use crate::id::{LeaseId, Round, Units, WorkerId};

/// Notices that wait for a proof.
const MAX_WAITING: usize = 256;
/// Rounds whose params came and whose records did not: a log that lags so far behind is withheld.
const MAX_BEHIND: usize = 65_536;

/// What a coordinator tells a worker of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The log with these records.
    pub head: Head,
    /// The log key's signature over the head.
    pub signature: Signature,
    /// Roots of the whole subtrees of the log before these records, largest first.
    pub peaks: Vec<Digest>,
    /// The records up to the head, in order.
    pub records: Vec<NoticedRecord>,
}

/// A record, and what it says of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticedRecord {
    /// The record, encoded.
    pub record: Vec<u8>,
    /// The worker's contributions, each with a proof that it is among the record's.
    pub contributions: Vec<Proof>,
}

/// That a contribution is among those of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The contribution, encoded.
    pub contribution: Vec<u8>,
    /// Its place.
    pub place: u32,
    /// The path from it to the root.
    pub path: Vec<Digest>,
}

/// What a worker gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The round.
    pub round: Round,
    /// The lease that it answered.
    pub lease: LeaseId,
    /// The units in it.
    pub units: Units,
    /// Examples behind them, by the plan.
    pub weight: u64,
    /// Digest of the params that it was computed from.
    pub params: Digest,
    /// Digest of its payload.
    pub payload: Digest,
    /// Bytes of its payload.
    pub payload_bytes: u64,
    /// Entries that were clamped.
    pub saturated: u64,
    /// What was signed.
    pub signature: Signature,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    given: Given,
    answer: Option<Verdict>,
    /// Whether the log had no record of the round when it was given, so that the round's record must have it.
    is_due: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next notice.
    Notice,
    /// A proof that the log of `seen` records is the beginning of that of `size` records.
    Proof {
        /// Records that were seen.
        seen: u64,
        /// Records that the next notice goes on from.
        size: u64,
    },
}

/// The log is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Breach {
    /// The head is not signed by the log's key.
    #[error("the head of {size} records is not signed by the key of the log")]
    Forged {
        /// Records of the head.
        size: u64,
    },
    /// The log that is shown now does not begin with the one that was shown before.
    #[error("the log of {size} records does not go on from the {seen} records that were shown before: {why}")]
    Forked {
        /// Records that were seen.
        seen: u64,
        /// Records that are shown now.
        size: u64,
        /// What shows it.
        why: String,
    },
    /// A record that is none of this run, or not the one that its place asks for.
    #[error("the record of round {round} is none of this run: {why}")]
    Foreign {
        /// The round whose record it should be.
        round: Round,
        /// What is wrong with it.
        why: String,
    },
    /// The params that were sent are not those of the record.
    #[error("the params of round {round} that were sent here are {sent}, those of its record are {recorded}")]
    Params {
        /// The round that starts from them.
        round: Round,
        /// Digest of what was sent.
        sent: Digest,
        /// Digest in the log.
        recorded: Digest,
    },
    /// What was accepted is not in the record.
    #[error("the update under lease {lease} was accepted, and the record of round {round} does not have it")]
    Missing {
        /// The round.
        round: Round,
        /// The lease.
        lease: LeaseId,
    },
    /// What is in the record is not what was sent, or not as it was answered.
    #[error("the record of round {round} has an update of this worker otherwise than it was sent and answered: {what}")]
    Changed {
        /// The round of the record.
        round: Round,
        /// What differs.
        what: &'static str,
    },
    /// A unit counts twice.
    #[error("the record of round {round} counts an update of this worker twice")]
    Twice {
        /// The round.
        round: Round,
    },
    /// Records do not come.
    #[error("the records of {rounds} rounds were not shown, from round {first} on")]
    Withheld {
        /// The first of them.
        first: Round,
        /// How many.
        rounds: usize,
    },
}

/// A worker's memory of one run's log.
#[derive(Clone, Debug)]
pub struct Witness {
    facts: Facts,
    worker: WorkerId,
    /// Units of a round, and examples behind all of them.
    whole: (u32, u64),
    checks: Checks,
    seen: Option<Root>,
    /// Digest of the last record that was seen.
    last: Option<Digest>,
    /// Digest of the params that the last record led to.
    after: Option<(Round, Digest)>,
    /// Digests of the params that were sent, of rounds without a record.
    sent: BTreeMap<Round, Digest>,
    held: Vec<Held>,
    waiting: VecDeque<Notice>,
}

impl Witness {
    /// A witness of `worker` that has seen the log as far as `seen`, if at all. A complete round has so many units and
    /// examples.
    #[must_use]
    pub fn new(facts: Facts, worker: WorkerId, whole: (u32, u64), seen: Option<Root>) -> Self {
        Self {
            facts,
            worker,
            whole,
            checks: Checks::all(),
            seen,
            last: None,
            after: None,
            sent: BTreeMap::new(),
            held: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// The same with only these checks.
    #[must_use]
    pub fn with_checks(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    /// How far it has seen the log.
    #[must_use]
    pub fn seen(&self) -> Option<Root> {
        self.seen
    }

    /// What the run is.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Params of a round were sent here.
    ///
    /// # Errors
    /// [`Breach`] if the log has others, or has not followed for long.
    pub fn params(&mut self, round: Round, digest: Digest) -> Result<(), Breach> {
        if let Some((_, recorded)) = self.after.filter(|(of, recorded)| *of == round && *recorded != digest) {
            self.look(Check::Params, Breach::Params { round, sent: digest, recorded })?;
        }
        if self.is_open(round) {
            self.sent.insert(round, digest);
        }
        match self.sent.first_key_value() {
            Some((&first, _)) if self.sent.len() > MAX_BEHIND => {
                self.sent.clear();
                self.look(Check::Presence, Breach::Withheld { first, rounds: MAX_BEHIND })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Something is sent.
    pub fn give(&mut self, given: Given) {
        let is_due = self.is_open(given.round);
        // The same sum may be sent again under another lease.
        self.held.retain(|held| held.answer.is_some() || held.given.lease != given.lease);
        self.held.push(Held { given, answer: None, is_due });
    }

    /// What was sent under `lease` was answered.
    pub fn answered(&mut self, lease: LeaseId, answer: Verdict) {
        if let Some(held) = self.held.iter_mut().rev().find(|held| held.given.lease == lease && held.answer.is_none()) {
            held.answer = Some(answer);
        }
    }

    /// The coordinator was started again: what it had accepted of assigned samples and not made durable is computed again,
    /// by whomever. Updates of private samples are durable before they are accepted.
    pub fn restarted(&mut self) {
        self.held.iter_mut().for_each(|held| held.is_due = false);
    }

    /// The link is down: proofs that were on their way will not come.
    pub fn disconnected(&mut self) {
        self.waiting.clear();
    }

    /// Accepted updates that no record was shown of.
    #[must_use]
    pub fn unshown(&self) -> usize {
        self.held.iter().filter(|held| held.is_due && held.answer == Some(Verdict::Accepted)).count()
    }

    /// Takes a notice; `is_signed` says whether the log's key signed these bytes.
    ///
    /// # Errors
    /// [`Breach`] if the log is not what it must be. The witness has seen nothing more then.
    pub fn notice(
        &mut self,
        notice: Notice,
        is_signed: impl FnOnce(&[u8], &Signature) -> bool,
    ) -> Result<Next, Breach> {
        let size = notice.head.size;
        if notice.head.run != self.facts.run {
            return Err(Breach::Foreign { round: Round(0), why: format!("its head is of run {}", notice.head.run) });
        }
        if !is_signed(&notice.head.encode(), &notice.signature) {
            self.look(Check::Signatures, Breach::Forged { size })?;
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(Breach::Withheld {
                first: Round(self.seen.map_or(0, |seen| seen.size) as u32),
                rounds: MAX_WAITING,
            });
        }
        self.waiting.push_back(notice);
        self.advance()
    }

    /// Takes the proof that [`Next::Proof`] asked for.
    ///
    /// # Errors
    /// [`Breach`] if it does not show that the log only grew.
    pub fn proof(&mut self, path: &[Digest]) -> Result<Next, Breach> {
        let (Some(seen), Some(notice)) = (self.seen, self.waiting.front()) else { return Ok(Next::Notice) };
        let base = base_of(notice)?.root();
        if base.size > seen.size {
            if let Err(why) = Tree::Log.check_consistency(seen, base, path) {
                self.look(Check::Growth, forked(seen, base.size, &why))?;
            }
            self.seen = Some(base);
            (self.last, self.after) = (None, None);
            // What lies between was shown to nobody here.
            self.sent.retain(|round, _| u64::from(round.0) >= base.size);
            self.held.retain(|held| u64::from(held.given.round.0) >= base.size);
        }
        self.advance()
    }

    fn advance(&mut self) -> Result<Next, Breach> {
        while let Some(notice) = self.waiting.front() {
            let base = base_of(notice)?;
            let found = base.root();
            match self.seen {
                Some(seen) if seen.size < found.size => {
                    return Ok(Next::Proof { seen: seen.size, size: found.size });
                }
                Some(seen) if seen != found => {
                    let why = ProofError::Root { expected: seen.hash, found: found.hash };
                    self.look(Check::Growth, forked(seen, found.size, &why))?;
                }
                Some(_) | None => {}
            }
            let notice = self.waiting.pop_front().expect("it was looked at above");
            self.follow(base, &notice)?;
        }
        Ok(Next::Notice)
    }

    fn follow(&mut self, mut base: Frontier, notice: &Notice) -> Result<(), Breach> {
        let from = base.root();
        notice.records.iter().for_each(|noticed| base.append(Record::digest(&noticed.record)));
        let head = Root { size: notice.head.size, hash: notice.head.root };
        if base.root() != head {
            let why = ProofError::Root { expected: head.hash, found: base.root().hash };
            self.look(Check::Growth, forked(self.seen.unwrap_or(from), head.size, &why))?;
        }
        for (place, noticed) in (from.size..).zip(&notice.records) {
            self.record(Round(u32::try_from(place).unwrap_or(u32::MAX)), noticed)?;
        }
        self.seen = Some(head);
        Ok(())
    }

    fn record(&mut self, round: Round, noticed: &NoticedRecord) -> Result<(), Breach> {
        let foreign = |why: String| Breach::Foreign { round, why };
        let record = Record::decode(&noticed.record).map_err(|why| foreign(why.to_string()))?;
        let Facts { run, spec, layout, .. } = self.facts;
        if (record.run, record.round, record.spec, record.layout) != (run, round, spec, layout) {
            return Err(foreign("it names another run, round, spec or layout".into()));
        }
        if self.last.is_some_and(|last| last != record.previous) {
            self.look(Check::Growth, foreign("it does not name the record before it".into()))?;
        }
        let (units, weight) = self.whole;
        if record.units > units || record.units == units && record.weight != weight {
            self.look(Check::Weights, foreign(format!("{} units of weight {}", record.units, record.weight)))?;
        }
        self.check_params(&record)?;
        let shown = self.check_contributions(&record, &noticed.contributions)?;
        self.check_presence(round, &shown)?;
        self.last = Some(Record::digest(&noticed.record));
        self.after = Some((round.next(), record.after));
        self.sent.retain(|of, _| *of > round);
        Ok(())
    }

    fn check_params(&mut self, record: &Record) -> Result<(), Breach> {
        let ends = [(record.round, record.before), (record.round.next(), record.after)];
        for (round, recorded) in ends {
            if let Some(&sent) = self.sent.get(&round).filter(|sent| **sent != recorded) {
                self.look(Check::Params, Breach::Params { round, sent, recorded })?;
            }
        }
        match self.after {
            Some((round, led_to)) if round == record.round && led_to != record.before => {
                let why = "it does not start from the params that the record before it led to";
                self.look(Check::Params, Breach::Foreign { round, why: why.into() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The leases of the worker's accepted contributions to the record; all of them are what was sent.
    fn check_contributions(&mut self, record: &Record, proofs: &[Proof]) -> Result<Vec<LeaseId>, Breach> {
        let round = record.round;
        let mut accepted = Vec::new();
        let mut counted = Units::new();
        for proof in proofs {
            let found = Contribution::decode(&proof.contribution)
                .map_err(|why: EncodingError| Breach::Foreign { round, why: why.to_string() })?;
            let leaf = Tree::Contributions.leaf(&proof.contribution);
            let (size, root) = (record.contributions.size.into(), record.contributions.root);
            if let Err(why) = Tree::Contributions.check_inclusion(leaf, proof.place.into(), size, &proof.path, root) {
                return Err(Breach::Foreign { round, why: format!("a contribution is not in it: {why}") });
            }
            self.compare(round, &found)?;
            if found.verdict == Verdict::Accepted {
                if found.units.iter().any(|unit| !counted.insert(*unit)) {
                    self.look(Check::Once, Breach::Twice { round })?;
                }
                accepted.push(found.lease);
            }
        }
        Ok(accepted)
    }

    fn compare(&self, round: Round, found: &Contribution) -> Result<(), Breach> {
        let changed = |what| self.look(Check::Fidelity, Breach::Changed { round, what });
        if found.worker != self.worker {
            return changed("it is another worker's");
        }
        let Some(held) = self.held.iter().find(|held| held.given.lease == found.lease) else {
            // An earlier process of the same identity may have sent it. That it was not forged, its signature shows.
            return Ok(());
        };
        let Given { round: of, units, weight, params, payload, payload_bytes, saturated, signature, lease: _ } =
            &held.given;
        if (found.weight != *weight) && found.verdict == Verdict::Accepted {
            self.look(Check::Weights, Breach::Changed { round, what: "its weight" })?;
        }
        let parts = [
            (found.round == *of, "its round"),
            (found.units == *units, "its units"),
            (found.params == *params, "the params that it was computed from"),
            (found.payload == *payload && found.payload_bytes == *payload_bytes, "its payload"),
            (found.saturated == *saturated, "its clamped entries"),
            (found.signature == *signature, "its signature"),
            (held.answer.is_none_or(|answer| answer == found.verdict), "what became of it"),
        ];
        parts.into_iter().filter(|(same, _)| !same).try_for_each(|(_, what)| changed(what))
    }

    fn check_presence(&mut self, round: Round, shown: &[LeaseId]) -> Result<(), Breach> {
        let missing = self.held.iter().find(|held| {
            let due = held.is_due && held.given.round == round && held.answer == Some(Verdict::Accepted);
            due && !shown.contains(&held.given.lease)
        });
        let missing = missing.map(|held| held.given.lease);
        self.held.retain(|held| held.given.round > round);
        match missing {
            Some(lease) => self.look(Check::Presence, Breach::Missing { round, lease }),
            None => Ok(()),
        }
    }

    /// Whether the log has no record of the round yet, as far as is known here.
    fn is_open(&self, round: Round) -> bool {
        self.seen.is_none_or(|seen| seen.size <= u64::from(round.0))
    }

    fn look(&self, check: Check, breach: Breach) -> Result<(), Breach> {
        if self.checks.has(check) { Err(breach) } else { Ok(()) }
    }
}

fn forked(seen: Root, size: u64, why: &ProofError) -> Breach {
    Breach::Forked { seen: seen.size, size, why: why.to_string() }
}

/// The log before the records of a notice.
fn base_of(notice: &Notice) -> Result<Frontier, Breach> {
    let head = notice.head.size;
    let size = head.checked_sub(notice.records.len() as u64);
    let base = size.and_then(|size| Frontier::from_parts(Tree::Log, size, notice.peaks.clone()));
    base.ok_or_else(|| Breach::Forked {
        seen: head,
        size: head,
        why: "the notice has not as many hashes and records as its head says".into(),
    })
}
