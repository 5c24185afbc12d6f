//! Books kept apart from the run's, from what went in and what came out: does it do what it promises?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::breach::Breach;
use crate::id::{LeaseId, MemberId, PartnerName, Round, Time, Unit, Units, WorkerId};
use crate::reject::Rejection;
use crate::run::{Action, Event, Joined, Lease, Outcome, Ownership, RunConfig, UpdateHeader};
use crate::spec::OnMissing;
use audits::Audits;

/// How much later than due the run may act.
const SLACK: Duration = Duration::from_millis(1);

/// The lease of what was spooled: no epoch gives it.
const SPOOLED: LeaseId = LeaseId(0);

mod audits;

struct Present {
    worker: WorkerId,
    partner: PartnerName,
    heard: Time,
}

struct Granted {
    member: MemberId,
    partner: PartnerName,
    units: Units,
    /// When others may be given the units, as the worker was told.
    due: Option<Time>,
    at: Time,
}

pub(super) struct Referee {
    config: RunConfig,
    members: BTreeMap<MemberId, Present>,
    asking: Option<Joined>,
    arrived: Option<(MemberId, UpdateHeader)>,
    next_round: Round,
    /// The round that the coordinator opens first.
    first: Round,
    open: Option<Round>,
    /// Leases of the open round, also of members that left.
    leases: BTreeMap<LeaseId, Granted>,
    highest_lease: Option<LeaseId>,
    counted: BTreeMap<Unit, LeaseId>,
    opened: Time,
    /// When partners were too few last: deadlines begin anew after that.
    too_few: Option<Time>,
    /// When anything last changed that a deadline depends on.
    changed: Time,
    over: bool,
    audits: Audits,
}

impl Referee {
    pub(super) fn new(config: RunConfig) -> Self {
        Self {
            config,
            members: BTreeMap::new(),
            asking: None,
            arrived: None,
            next_round: Round(0),
            first: Round(0),
            open: None,
            leases: BTreeMap::new(),
            highest_lease: None,
            counted: BTreeMap::new(),
            opened: Time(0),
            too_few: None,
            changed: Time(0),
            over: false,
            audits: Audits::default(),
        }
    }

    /// Another process goes on with `next`: members and leases are those of the one before no more.
    pub(super) fn restart(&mut self, config: RunConfig, next: Round) {
        let (highest_lease, audits) = (self.highest_lease, self.audits.over_a_restart());
        *self = Self { next_round: next, first: next, highest_lease, audits, ..Self::new(config) };
    }

    /// The newest lease of `member` in the open round.
    pub(super) fn lease_of(&self, member: MemberId) -> Option<(LeaseId, Units)> {
        let mut newest_first = self.leases.iter().rev();
        newest_first
            .find(|(_, granted)| granted.member == member)
            .map(|(lease, granted)| (*lease, granted.units.clone()))
    }

    /// The oldest lease of somebody else in the open round that nothing speaks against.
    pub(super) fn lease_of_another(&self, member: MemberId) -> Option<(LeaseId, Units)> {
        let of_others = self.leases.iter().filter(|(_, granted)| granted.member != member && self.is_open(granted));
        of_others.map(|(lease, granted)| (*lease, granted.units.clone())).next()
    }

    fn is_open(&self, granted: &Granted) -> bool {
        self.members.contains_key(&granted.member) && granted.units.iter().all(|unit| !self.counted.contains_key(unit))
    }

    fn partners(&self) -> u32 {
        let partners: BTreeSet<_> = self.members.values().map(|present| &present.partner).collect();
        u32::try_from(partners.len()).unwrap_or(u32::MAX)
    }

    /// Takes note of an event and judges what the run made of it.
    pub(super) fn witness(&mut self, now: Time, event: &Event, actions: &[Action]) -> Result<(), Breach> {
        self.note(now, event);
        actions.iter().try_for_each(|action| self.judge(now, action))
    }

    fn note(&mut self, now: Time, event: &Event) {
        self.arrived = None;
        match event {
            Event::Joined(joined) => self.asking = Some(joined.clone()),
            Event::Left { member } => self.leave(now, *member),
            Event::Heartbeat { member } => self.heard(now, *member),
            Event::Update { member, header } => {
                self.heard(now, *member);
                self.arrived = Some((*member, header.clone()));
                self.compared(*member, header);
            }
            Event::Malformed { member, .. } => {
                self.heard(now, *member);
                self.changed = now;
                let revoked = |granted: &Granted| granted.member == *member && self.is_open(granted);
                let revoked: BTreeSet<_> = self.leases.iter().filter(|(_, g)| revoked(g)).map(|(id, _)| *id).collect();
                let named = |id: &LeaseId| matches!(event, Event::Malformed { lease: Some(lease), .. } if lease != id);
                self.leases.retain(|id, _| !revoked.contains(id) || named(id));
                self.audits.revoke(*member, named);
            }
            Event::Stalled { .. }
            | Event::Judged { .. }
            | Event::Tick
            | Event::Stepped { .. }
            | Event::Evaluated { .. }
            | Event::Stop => {}
        }
    }

    fn heard(&mut self, now: Time, member: MemberId) {
        if let Some(present) = self.members.get_mut(&member) {
            present.heard = now;
        }
    }

    fn leave(&mut self, now: Time, member: MemberId) {
        self.members.remove(&member);
        self.changed = now;
        if self.partners() < self.config.quorum.min_partners {
            self.too_few = Some(now);
        }
    }

    fn judge(&mut self, now: Time, action: &Action) -> Result<(), Breach> {
        match action {
            Action::Admit { member } => self.admitted(now, *member),
            Action::Dismiss { member, why } => self.dismissed(now, *member, why),
            Action::Open { round } => self.opened(now, *round),
            Action::Assign { member, lease } => self.assigned(*member, lease),
            Action::Accept { member, lease, units } => self.accepted(now, *member, *lease, units),
            Action::Close { round, units } => self.closed(*round, units, now),
            Action::Finish(outcome) => self.finished(now, outcome),
            Action::Reuse { round, units } => self.reused(*round, units),
            Action::Audit { lease } => self.audit_begins(*lease),
            Action::Judge { lease, .. } => self.audit_differs(*lease),
            Action::Retract { lease } => self.retracted(now, *lease),
            Action::Convict { lease } => self.convicted(*lease),
            Action::Audited { lease, finding } => self.audit_ends(now, *lease, *finding),
            Action::Reject { .. } | Action::Evaluate { .. } => Ok(()),
        }
    }

    fn admitted(&mut self, now: Time, member: MemberId) -> Result<(), Breach> {
        let Some(Joined { worker, partner, .. }) = self.asking.take() else {
            return Err(Breach::IdentityAdmittedTwice(member));
        };
        if self.members.values().any(|present| present.worker == worker) {
            return Err(Breach::IdentityAdmittedTwice(member));
        }
        self.audits.admitted(member, &partner)?;
        self.members.insert(member, Present { worker, partner, heard: now });
        self.changed = now;
        Ok(())
    }

    fn dismissed(&mut self, now: Time, member: MemberId, why: &Rejection) -> Result<(), Breach> {
        let silent = self.members.get(&member).is_none_or(|present| present.heard.after(self.config.silence) <= now);
        if *why == Rejection::Silent && !silent {
            return Err(Breach::DismissedThoughHeard(member));
        }
        self.audits.dismissed(member, why)?;
        self.leave(now, member);
        Ok(())
    }

    fn opened(&mut self, now: Time, round: Round) -> Result<(), Breach> {
        let workers = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let enough = self.partners() >= self.config.quorum.min_partners
            && workers > 0
            && (round.0 > 0 || workers >= self.config.min_members);
        if self.open.is_some() || round != self.next_round || round.0 >= self.config.rounds || !enough || self.over {
            return Err(Breach::OpenedWrongly(round));
        }
        self.open = Some(round);
        self.next_round = round.next();
        self.leases.clear();
        self.counted.clear();
        self.audits.opened();
        self.opened = now;
        self.changed = now;
        Ok(())
    }

    fn assigned(&mut self, member: MemberId, lease: &Lease) -> Result<(), Breach> {
        let Lease { id, round, units } = lease;
        let partner = self.members.get(&member).map(|present| present.partner.clone());
        let fresh = self.highest_lease.is_none_or(|highest| highest < *id);
        let of_counted = units.iter().any(|unit| self.counted.contains_key(unit));
        let outside = units.iter().any(|unit| unit.0 >= self.config.units);
        let audits = of_counted.then(|| self.audits.of_units(units)).flatten();
        let of_counted = of_counted && audits.is_none();
        let fits = self.open == Some(*round) && fresh && !units.is_empty() && !of_counted && !outside;
        let Some(partner) = partner.filter(|_| fits) else { return Err(Breach::LeasedWrongly(*id)) };
        if units.iter().filter_map(|unit| self.config.ownership.owner(*unit)).any(|owner| *owner != partner) {
            return Err(Breach::LeasedWrongly(*id));
        }
        self.highest_lease = Some(*id);
        if let Some(audited) = audits {
            return self.audits.assigned(audited, *id, member, &partner);
        }
        self.leases.insert(
            *id,
            Granted { member, partner: partner.clone(), units: units.clone(), due: None, at: self.opened },
        );
        match self.held_by(&partner) > self.config.quorum.max_partner_units as usize {
            true => Err(Breach::PartnerOverfull(*id)),
            false => Ok(()),
        }
    }

    /// The worker is told when others may be given the units of its lease.
    pub(super) fn told(&mut self, now: Time, lease: LeaseId, due: Option<Time>) {
        self.leases.entry(lease).and_modify(|granted| (granted.due, granted.at) = (due, now));
    }

    fn held_by(&self, partner: &PartnerName) -> usize {
        let counted = |id: &LeaseId| self.counted.values().any(|counted| counted == id);
        let of_partner = self.leases.iter().filter(|(_, granted)| granted.partner == *partner);
        let held = of_partner.filter(|(id, granted)| self.is_open(granted) || counted(id));
        held.flat_map(|(_, granted)| &granted.units).collect::<BTreeSet<_>>().len()
    }

    fn accepted(&mut self, now: Time, member: MemberId, lease: LeaseId, units: &Units) -> Result<(), Breach> {
        let wrong = |why| Err(Breach::CountedWrongly { lease, why });
        let Some((from, header)) = self.arrived.take() else { return wrong("no update arrived") };
        if (from, header.lease, &header.units) != (member, lease, units) {
            return wrong("it is not the update that arrived");
        }
        if Some(header.round) != self.open {
            return wrong("its round is not open");
        }
        if !self.members.contains_key(&member) {
            return wrong("its sender is not a member");
        }
        let Some(granted) = self.leases.get(&lease) else { return wrong("there is no such lease") };
        if granted.member != member {
            return wrong("the lease is another member's");
        }
        if granted.units != *units {
            return wrong("its units are not those of the lease");
        }
        if units.iter().any(|unit| self.counted.contains_key(unit)) {
            return wrong("some of its units were counted already");
        }
        let partner = granted.partner.clone();
        self.counted.extend(units.iter().map(|unit| (*unit, lease)));
        self.audits.accepted(lease, partner, &self.config);
        self.changed = now;
        Ok(())
    }

    /// Units whose update outlived a restart count in their own round, once.
    fn reused(&mut self, round: Round, units: &Units) -> Result<(), Breach> {
        if self.open != Some(round) || units.iter().any(|unit| self.counted.contains_key(unit)) {
            return Err(Breach::CountedWrongly { lease: SPOOLED, why: "its units were spooled for another round" });
        }
        self.counted.extend(units.iter().map(|unit| (*unit, SPOOLED)));
        Ok(())
    }

    fn closed(&mut self, round: Round, units: &Units, now: Time) -> Result<(), Breach> {
        let counted: Units = self.counted.keys().copied().collect();
        if self.open != Some(round) || counted != *units {
            return Err(Breach::ClosedWithOtherUnits(round));
        }
        let found = u32::try_from(units.len()).unwrap_or(u32::MAX);
        let waited = self.opened.after(self.config.quorum.round_deadline) <= now;
        let enough = match self.config.quorum.on_missing {
            OnMissing::Skip if waited => found >= self.config.quorum.min_units,
            OnMissing::Skip | OnMissing::Wait | OnMissing::ReLease => found == self.config.units,
        };
        if !enough || self.partners() < self.config.quorum.min_partners || self.members.is_empty() {
            return Err(Breach::ClosedTooEarly(round));
        }
        self.audits.closed(round, &self.config)?;
        self.open = None;
        Ok(())
    }

    fn finished(&mut self, now: Time, outcome: &Outcome) -> Result<(), Breach> {
        self.over = true;
        match outcome {
            Outcome::Completed if self.next_round.0 == self.config.rounds && self.open.is_none() => Ok(()),
            Outcome::Completed => Err(Breach::FailedWithoutReason(self.next_round)),
            Outcome::Stopped { .. } => Ok(()),
            Outcome::Failed { round, why } => {
                let too_few = (self.counted.len() as u64) < u64::from(self.config.quorum.min_units);
                let too_few_partners = self.partners() < self.config.quorum.min_partners;
                let waited = self.opened.after(self.config.quorum.round_deadline) <= now;
                let skips = self.config.quorum.on_missing == OnMissing::Skip;
                let right = match self.open {
                    Some(open) => open == *round && (too_few || too_few_partners),
                    // Between two rounds, those who are there cannot open the next one.
                    None => *round > self.first && self.next_round == *round,
                };
                match right && waited && skips && !why.is_empty() {
                    true => Ok(()),
                    false => Err(Breach::FailedWithoutReason(*round)),
                }
            }
        }
    }

    /// What time alone can break.
    pub(super) fn check_time(&self, now: Time) -> Result<(), Breach> {
        if self.over {
            return Ok(());
        }
        let overdue = |present: &&Present| present.heard.after(self.config.silence).after(SLACK) < now;
        if let Some((member, _)) = self.members.iter().find(|(_, present)| overdue(present)) {
            return Err(Breach::SilentMemberKept(*member));
        }
        let releases = self.config.quorum.on_missing == OnMissing::ReLease
            && self.config.ownership == Ownership::Assigned
            && self.config.quorum.max_partner_units >= self.config.units
            && self.partners() >= self.config.quorum.min_partners;
        let settled = self.changed.after(self.config.quorum.round_deadline).after(SLACK) < now;
        if self.open.is_none() || !releases || self.members.len() < 2 {
            return Ok(());
        }
        self.check_overdue(now)?;
        if !settled {
            return Ok(());
        }
        self.check_audits()?;
        let lonely = |unit: &Unit| self.is_lonely(*unit);
        (0..self.config.units).map(Unit).find(lonely).map_or(Ok(()), |unit| Err(Breach::StragglerKept(unit)))
    }

    /// Others have been given the units of every lease that is overdue, unless something has changed since.
    fn check_overdue(&self, now: Time) -> Result<(), Breach> {
        let passed = |granted: &&Granted| {
            let due = granted.due.filter(|due| self.changed <= *due && due.after(SLACK) < now);
            due.is_some() && self.too_few.is_none_or(|at| at < granted.at)
        };
        let overdue = self.leases.values().filter(|granted| self.is_open(granted)).filter(passed);
        let mut units = overdue.flat_map(|granted| &granted.units);
        units.find(|unit| self.is_lonely(**unit)).map_or(Ok(()), |unit| Err(Breach::OverdueKept(*unit)))
    }

    /// Whether a missing unit is computed by fewer than two members.
    fn is_lonely(&self, unit: Unit) -> bool {
        let open = self.leases.values().filter(|granted| self.is_open(granted) && granted.units.contains(&unit));
        !self.counted.contains_key(&unit) && open.map(|granted| granted.member).collect::<BTreeSet<_>>().len() < 2
    }
}
