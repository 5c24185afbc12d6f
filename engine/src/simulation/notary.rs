//! Books of what was promised to be durable: does the store hold it?

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breach;
use super::coordinator::link_chain;
use super::disk::{Disk, Entry, Resumed};
use crate::digest::Digest;
use crate::id::{Round, RunId, Unit, Units};
use crate::keeping::Storage;
use crate::spec::Durability;

pub(super) struct Notary {
    storage: Storage,
    durability: Durability,
    /// The run that an operator was told has begun.
    acknowledged: Option<RunId>,
    /// The newest round that opened.
    opened: Round,
    /// Params and chain of each round as they became durable first.
    ledger: BTreeMap<(RunId, Round), (Digest, Digest)>,
    /// Private units whose workers were told that they will not be asked for them again.
    accepted: BTreeSet<(RunId, Round, Unit)>,
}

impl Notary {
    pub(super) fn new(storage: Storage, durability: Durability) -> Self {
        Self {
            storage,
            durability,
            acknowledged: None,
            opened: Round(0),
            ledger: BTreeMap::new(),
            accepted: BTreeSet::new(),
        }
    }

    /// An operator hears that a run has begun.
    pub(super) fn acknowledges(&mut self, run: RunId, disk: &Disk) -> Result<(), Breach> {
        self.acknowledged = Some(run);
        match disk.has(run) {
            true => Ok(()),
            false => Err(Breach::AcknowledgedBeforeDurable),
        }
    }

    /// A worker hears that its update of private units is accepted, in the round that is open or was.
    pub(super) fn accepts(&mut self, run: RunId, round: Round, units: &Units, disk: &Disk) -> Result<(), Breach> {
        self.accepted.extend(units.iter().map(|unit| (run, round, *unit)));
        let over = disk.has_state(run, round.next());
        let lost = |unit: &&Unit| !disk.has_update(run, round, **unit);
        match units.iter().find(lost).filter(|_| !over && !disk.rotted && self.storage == Storage::Durable) {
            Some(unit) => Err(Breach::AcceptedBeforeDurable(*unit)),
            None => Ok(()),
        }
    }

    /// Units are leased: not private ones again whose update was accepted.
    pub(super) fn leases(&self, run: RunId, round: Round, units: &Units, disk: &Disk) -> Result<(), Breach> {
        let again = |unit: &&Unit| self.accepted.contains(&(run, round, **unit));
        match units.iter().find(again).filter(|_| !disk.rotted) {
            Some(unit) => Err(Breach::AskedAgain(*unit)),
            None => Ok(()),
        }
    }

    /// A round opens: with [`Durability::EveryRound`] what it starts from is durable.
    pub(super) fn opens(&mut self, run: RunId, round: Round, disk: &Disk) -> Result<(), Breach> {
        self.opened = self.opened.max(round);
        let safe = self.storage == Storage::Absent
            || self.durability == Durability::Checkpoint
            || round == Round(0)
            || disk.rotted;
        match safe || disk.has_state(run, round) {
            true => Ok(()),
            false => Err(Breach::OpenedBeforeDurable(round)),
        }
    }

    /// Rows became durable: they go on where the ledger ends, or say what it says already.
    pub(super) fn kept(&mut self, entry: &Entry, disk: &Disk) -> Result<(), Breach> {
        for commit in &entry.rounds {
            let round = commit.round;
            let found = (commit.params_digest, commit.chain);
            let before = match round.0.checked_sub(1).map(Round) {
                None => Digest::default(),
                Some(before) => self.ledger.get(&(entry.run, before)).ok_or(Breach::LedgerHasGap(round))?.1,
            };
            if commit.chain != link_chain(before, round, commit.params_digest) {
                return Err(Breach::LedgerRewritten(round));
            }
            if *self.ledger.entry((entry.run, round)).or_insert(found) != found {
                return Err(Breach::LedgerRewritten(round));
            }
        }
        match entry.checkpoint {
            Some((round, _)) if !disk.rotted && !disk.has_state(entry.run, round) => Err(Breach::NamesNoBlob(round)),
            Some(_) | None => Ok(()),
        }
    }

    /// A coordinator goes on with what it found, or finds nothing to go on with.
    pub(super) fn resumes(&self, found: Option<(RunId, &Resumed)>, disk: &Disk) -> Result<(), Breach> {
        let Some((run, Resumed { state, .. })) = found else {
            return match self.acknowledged {
                Some(_) => Err(Breach::AcknowledgedRunLost),
                None => Ok(()),
            };
        };
        let next = state.map_or(Round(0), |state| state.round);
        if self.durability == Durability::EveryRound && next < self.opened && !disk.rotted {
            return Err(Breach::DurableRoundLost(self.opened));
        }
        let known = next.0.checked_sub(1).and_then(|last| self.ledger.get(&(run, Round(last))));
        match (state, known) {
            (None, _) => Ok(()),
            (Some(state), Some(known)) if *known == (state.params, state.chain) => Ok(()),
            (Some(state), Some(_) | None) => Err(Breach::ResumedElsewhere(state.round)),
        }
    }

    /// The run has to be started again: nothing was promised of it.
    pub(super) fn forget_run(&mut self) {
        self.opened = Round(0);
    }
}
