//! A look at a whole log afterwards: from the records and contributions alone, and from the updates too if they are there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::check::{Check, Checks};
use super::contribution::{Contribution, Signature, Verdict};
use super::log::{Facts, MAX_REFUSED, tree};
use super::record::{Head, Record};
use super::tree::{Frontier, Root, Tree};
use crate::aggregate::{Aggregate, Tally};
use crate::digest::{Digest, Domain};
use crate::id::{PartnerName, Round, Unit, Units, WorkerId};
use crate::plan::Plan;
use crate::state::TrainingState;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The round; none if it is about the whole.
    pub round: Option<Round>,
    /// Whose contribution it is about; none if it is about no one's.
    pub subject: Option<Subject>,
    /// What is wrong.
    pub fault: Fault,
    /// The particulars, in words.
    pub detail: String,
}

/// A worker of a partner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The partner.
    pub partner: PartnerName,
    /// The worker.
    pub worker: WorkerId,
}

/// What can be wrong, and so what is to be concluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Bytes that are no record or contribution.
    Unreadable,
    /// A record that is none of this run, or in the wrong place.
    Foreign,
    /// The tree, the chain of records or a head does not hold them.
    Broken,
    /// A signature or a certificate does not hold.
    Unsigned,
    /// A contribution was computed from other params than the round's, or a round starts from others.
    OtherParams,
    /// A unit counts twice.
    CountedTwice,
    /// A weight is not the plan's.
    OtherWeight,
    /// The contributions do not come to what the record says.
    Uncounted,
    /// The archived updates do not come to the record's params.
    OtherResult,
    /// An archived update is missing or damaged.
    UpdateMissing,
    /// Computed again from the samples, a unit comes to something else.
    OtherUpdate,
    /// A file that is missing, damaged or not named.
    File,
}

impl Fault {
    /// What a reader is to conclude.
    #[must_use]
    pub fn conclusion(self) -> &'static str {
        match self {
            Self::Unreadable | Self::File => "the archive is damaged or was changed; ask for it again",
            Self::Foreign | Self::Broken => "the log was changed after it was written, or there are two of it",
            Self::Unsigned => "nobody can be held to it: it is forged, or the wrong certificates came with it",
            Self::OtherParams => "workers of one round were sent different params",
            Self::CountedTwice => "the coordinator gave a unit more weight than it has",
            Self::OtherWeight => "the coordinator gave an update another weight than the run spec does",
            Self::Uncounted => "the coordinator left out an update that it counted, or counted one that it left out",
            Self::OtherResult => "the params are not what these updates come to: the coordinator changed them",
            Self::UpdateMissing => "the round cannot be computed again; ask for the archive again",
            Self::OtherUpdate => "the worker did not compute what it was asked to, or had other samples",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(round) = self.round {
            write!(f, "round {round}: ")?;
        }
        if let Some(Subject { partner, worker }) = &self.subject {
            write!(f, "partner {partner}, worker {worker}: ")?;
        }
        f.write_str(&self.detail)
    }
}

/// Goes through a log record by record.
#[derive(Debug)]
pub struct Audit {
    facts: Facts,
    plan: Plan,
    checks: Checks,
    frontier: Frontier,
    previous: Digest,
    after: Option<Digest>,
    /// Roots at each size so far, for the heads.
    roots: BTreeMap<u64, Digest>,
    /// The state in which the next round opens; none once it cannot be computed any more.
    replay: Option<(TrainingState, Aggregate)>,
    findings: Vec<Finding>,
}

impl Audit {
    /// An audit of a run with these facts and this plan.
    #[must_use]
    pub fn new(facts: Facts, plan: Plan, checks: Checks) -> Self {
        let frontier = Frontier::new(Tree::Log);
        Self {
            facts,
            plan,
            checks,
            frontier,
            previous: Digest::default(),
            after: None,
            roots: BTreeMap::new(),
            replay: None,
            findings: Vec::new(),
        }
    }

    /// The same that computes every round again, from the state in which round 0 opens.
    #[must_use]
    pub fn from_state(self, state: TrainingState) -> Self {
        let aggregate = Aggregate::new(Arc::clone(state.layout()), state.grid());
        Self { replay: Some((state, aggregate)), ..self }
    }

    /// Records so far.
    #[must_use]
    pub fn root(&self) -> Root {
        self.frontier.root()
    }

    /// The state in which the next round opens, if rounds are computed again and came out right so far.
    #[must_use]
    pub fn state(&self) -> Option<&TrainingState> {
        self.replay.as_ref().map(|(state, _)| state)
    }

    /// What was found so far.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Takes the next record with its contributions. `is_signed` says whether the worker that a contribution names signed
    /// these bytes; `update` gives the payload with a digest.
    pub fn record(
        &mut self,
        record: &[u8],
        contributions: &[Vec<u8>],
        is_signed: &mut dyn FnMut(&Contribution, &[u8]) -> bool,
        update: &mut dyn FnMut(Digest) -> Option<Vec<u8>>,
    ) -> Option<(Record, Vec<Contribution>)> {
        let round = Round(u32::try_from(self.frontier.size()).unwrap_or(u32::MAX));
        let digest = Record::digest(record);
        self.frontier.append(digest);
        let root = self.frontier.root();
        self.roots.insert(root.size, root.hash);
        let previous = std::mem::replace(&mut self.previous, digest);
        let found = match Record::decode(record) {
            Ok(found) => found,
            Err(why) => {
                self.replay = None;
                self.find(round, None, Fault::Unreadable, why.to_string());
                return None;
            }
        };
        self.check_place(round, &found, previous);
        let decoded = self.decode(round, contributions);
        self.check_tree(round, &found, contributions);
        self.check_signatures(round, &decoded, is_signed);
        self.check_counts(round, &found, &decoded);
        self.compute(round, &found, &decoded, update);
        Some((found, decoded))
    }

    /// Takes a signed head.
    pub fn head(&mut self, head: &Head, is_signed: bool) {
        if !is_signed && self.checks.has(Check::Signatures) {
            self.whole(Fault::Unsigned, format!("the head of {} records is not signed by the log's key", head.size));
        }
        if head.run != self.facts.run {
            self.whole(Fault::Foreign, format!("there is a head of run {}", head.run));
        }
        let known = self.roots.get(&head.size).copied();
        if known != Some(head.root) && self.checks.has(Check::Growth) {
            let found = known.map_or_else(|| "there are fewer".to_owned(), |root| format!("theirs is {root}"));
            self.whole(
                Fault::Broken,
                format!("a head says that {} records have the root {}; {found}", head.size, head.root),
            );
        }
    }

    /// Says that something is wrong that was found elsewhere.
    pub fn find(&mut self, round: Round, subject: Option<Subject>, fault: Fault, detail: String) {
        self.findings.push(Finding { round: Some(round), subject, fault, detail });
    }

    fn whole(&mut self, fault: Fault, detail: String) {
        self.findings.push(Finding { round: None, subject: None, fault, detail });
    }

    fn check_place(&mut self, round: Round, found: &Record, previous: Digest) {
        let Facts { run, spec, layout, numerics, policy } = self.facts.clone();
        let parts = [
            (found.run == run, "run"),
            (found.round == round, "round"),
            (found.spec == spec, "spec"),
            (found.layout == layout, "layout"),
            (found.numerics == numerics, "numerics class"),
            (found.policy == policy, "policy"),
        ];
        for (_, part) in parts.into_iter().filter(|(same, _)| !same) {
            self.find(round, None, Fault::Foreign, format!("the record names another {part}"));
        }
        if found.previous != previous && self.checks.has(Check::Growth) {
            self.find(round, None, Fault::Broken, "the record does not name the one before it".into());
        }
        let breaks = self.after.replace(found.after).is_some_and(|after| after != found.before);
        if breaks && self.checks.has(Check::Params) {
            let detail = "the round does not start from the params that the one before it led to".into();
            self.find(round, None, Fault::OtherParams, detail);
        }
    }

    fn decode(&mut self, round: Round, contributions: &[Vec<u8>]) -> Vec<Contribution> {
        let mut decoded = Vec::with_capacity(contributions.len());
        for (place, bytes) in contributions.iter().enumerate() {
            match Contribution::decode(bytes) {
                Ok(contribution) => decoded.push(contribution),
                Err(why) => self.find(round, None, Fault::Unreadable, format!("contribution {place}: {why}")),
            }
        }
        decoded
    }

    fn check_tree(&mut self, round: Round, found: &Record, contributions: &[Vec<u8>]) {
        let tree = tree(contributions);
        let branch = found.contributions;
        if (u64::from(branch.size), branch.root) != (tree.size(), tree.root()) && self.checks.has(Check::Growth) {
            let detail = format!("these {} contributions are not those of the record", tree.size());
            self.find(round, None, Fault::Broken, detail);
        }
        let refused = |bytes: &&Vec<u8>| bytes.get(1).is_some_and(|verdict| *verdict != 0);
        if found.overflow > 0 && contributions.iter().filter(refused).count() < MAX_REFUSED {
            let detail = format!("{} contributions are said to have been too many to list", found.overflow);
            self.find(round, None, Fault::Uncounted, detail);
        }
    }

    fn check_signatures(
        &mut self,
        round: Round,
        contributions: &[Contribution],
        is_signed: &mut dyn FnMut(&Contribution, &[u8]) -> bool,
    ) {
        if !self.checks.has(Check::Signatures) {
            return;
        }
        let Facts { run, spec, .. } = self.facts;
        for contribution in contributions {
            // What was refused may have been refused for its signature, and counts for nothing.
            let must = matches!(contribution.verdict, Verdict::Accepted | Verdict::Late(_) | Verdict::Duplicate(_));
            let bare = contribution.signature == Signature::ABSENT;
            if must && (bare || !is_signed(contribution, &contribution.statement(run, spec).encode())) {
                let detail = format!("the update under lease {} is not signed by its worker", contribution.lease);
                self.find(round, Some(subject(contribution)), Fault::Unsigned, detail);
            }
        }
    }

    fn check_counts(&mut self, round: Round, found: &Record, contributions: &[Contribution]) {
        let mut counted = Units::new();
        let (mut weight, mut saturated) = (0u64, 0u64);
        for contribution in contributions {
            let expected = self.weight(&contribution.units);
            if contribution.weight != expected && self.checks.has(Check::Weights) {
                let detail = format!("its weight is {}, the plan's is {expected}", contribution.weight);
                self.find(round, Some(subject(contribution)), Fault::OtherWeight, detail);
            }
            if contribution.verdict != Verdict::Accepted {
                continue;
            }
            if (contribution.round != round || contribution.params != found.before) && self.checks.has(Check::Params) {
                let detail =
                    format!("its update is of params {}, the round's are {}", contribution.params, found.before);
                self.find(round, Some(subject(contribution)), Fault::OtherParams, detail);
            }
            let twice = contribution.units.iter().find(|unit| counted.contains(unit)).copied();
            if let Some(unit) = twice.filter(|_| self.checks.has(Check::Once)) {
                let detail = format!("unit {unit} is counted twice");
                self.find(round, Some(subject(contribution)), Fault::CountedTwice, detail);
            }
            counted.extend(&contribution.units);
            weight = weight.saturating_add(contribution.weight);
            saturated = saturated.saturating_add(contribution.saturated);
        }
        let said = (found.units as usize, found.weight, found.saturated);
        if said != (counted.len(), weight, saturated) && self.checks.has(Check::Presence) {
            let (units, of_record) = (counted.len(), found.units);
            let detail = format!(
                "the record counts {of_record} units of weight {}, its contributions are of {units} units of weight \
                 {weight}",
                found.weight
            );
            self.find(round, None, Fault::Uncounted, detail);
        }
    }

    /// Examples behind units of the plan; 0 if some are none of it.
    fn weight(&self, units: &Units) -> u64 {
        let known = units.last().is_some_and(|last| last.0 < self.plan.units());
        let weight = |unit: &Unit| u64::from(self.plan.weight(*unit));
        if known { units.iter().map(weight).sum() } else { 0 }
    }

    /// Computes the round again: any order of these updates comes to the same params.
    fn compute(
        &mut self,
        round: Round,
        found: &Record,
        contributions: &[Contribution],
        update: &mut dyn FnMut(Digest) -> Option<Vec<u8>>,
    ) {
        let Some((mut state, mut aggregate)) = self.replay.take() else { return };
        if state.round() != round {
            return;
        }
        let opens = state.params_digest() == found.before
            && state.grid().bits() == found.bits
            && state.grid().exponents() == found.exponents.as_slice();
        if !opens && self.checks.has(Check::Arithmetic) {
            let detail = "the round opens with other params or scales than those that the rounds before it come to";
            return self.find(round, None, Fault::OtherResult, detail.into());
        }
        aggregate.clear(state.grid());
        // Backwards, since the order must not matter.
        for contribution in contributions.iter().rev().filter(|of| of.verdict == Verdict::Accepted) {
            let payload = update(contribution.payload);
            let whole = payload.filter(|bytes| Digest::of(Domain::Update, bytes) == contribution.payload);
            let Some(payload) = whole else {
                let detail = format!("its update {} is missing or damaged", contribution.payload);
                return self.find(round, Some(subject(contribution)), Fault::UpdateMissing, detail);
            };
            let (units, weight) = (contribution.units.clone(), self.weight(&contribution.units));
            let added = aggregate.add(&payload, &Tally { units, weight, saturated: contribution.saturated });
            if let Err(why) = added
                && self.checks.has(Check::Arithmetic)
            {
                return self.find(round, Some(subject(contribution)), Fault::OtherResult, why.to_string());
            }
        }
        match state.commit(&aggregate) {
            Err(why) => self.find(round, None, Fault::OtherResult, why.to_string()),
            Ok(commit) if (commit.params_digest, commit.chain) != (found.after, found.chain) => {
                if self.checks.has(Check::Arithmetic) {
                    let detail = format!(
                        "its updates come to params {} and chain {}, the record says {} and {}",
                        commit.params_digest, commit.chain, found.after, found.chain
                    );
                    self.find(round, None, Fault::OtherResult, detail);
                }
            }
            Ok(_) => self.replay = Some((state, aggregate)),
        }
    }
}

fn subject(contribution: &Contribution) -> Subject {
    Subject { partner: contribution.partner.clone(), worker: contribution.worker }
}
