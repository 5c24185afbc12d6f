//! A coordinator process: the real run and the real keeping in a shell that adds tiny sums.

use std::collections::BTreeMap;
use std::time::Duration;

use super::breach::Breach;
use super::disk::{Saved, Spooled};
use super::keeper::Keeper;
use super::network::{Down, LinkId, Up};
use super::world::{Happening, World};
use crate::digest::{Digest, Domain, Hasher};
use crate::id::{LeaseId, MemberId, PartnerName, Round, RunId, Time, Unit, Units, WorkerId};
use crate::keeping::{self, Counted, Epoch, Keeping, RunEnd, Storage};
use crate::random::{Purpose, Stream};
use crate::reject::Rejection;
use crate::run::{Action, Event, Joined, Outcome, Ownership, Run, RunConfig, UpdateHeader};
use crate::session::{Answer, Retry, Task};
use crate::spec::OnMissing;
use crate::state::Commit;

/// The name of partner `index`.
pub(super) fn partner(index: u64) -> PartnerName {
    PartnerName::parse(&format!("partner-{index}")).expect("a short name of letters, digits and a hyphen")
}

/// What `unit` of `round` adds to the sum, given the round's params.
pub(super) fn unit_value(params: Digest, round: Round, unit: Unit) -> u64 {
    let seed = params.0.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    Stream::new(seed, Purpose::Simulation, &[u64::from(round.0), u64::from(unit.0)]).next_u64()
}

/// What `units` of `round` give together.
pub(super) fn true_sum(params: Digest, round: Round, units: &Units) -> u64 {
    units.iter().fold(0u64, |sum, unit| sum.wrapping_add(unit_value(params, round, *unit)))
}

fn step(params: Digest, round: Round, sum: u64, units: &Units) -> Digest {
    let mut hasher = Hasher::new(Domain::Params);
    hasher.update(params.as_ref()).update(&round.0.to_le_bytes()).update(&sum.to_le_bytes());
    units.iter().for_each(|unit| _ = hasher.update(&unit.0.to_le_bytes()));
    hasher.finish()
}

/// The chain after `round`, given the chain before it.
pub(super) fn link_chain(before: Digest, round: Round, params: Digest) -> Digest {
    let mut hasher = Hasher::new(Domain::Chain);
    hasher.update(before.as_ref()).update(&round.0.to_le_bytes()).update(params.as_ref());
    hasher.finish()
}

/// The params of a run in which nothing happens but computation.
fn undisturbed(config: &RunConfig) -> Digest {
    let units: Units = (0..config.units).map(Unit).collect();
    (0..config.rounds)
        .map(Round)
        .fold(Digest::default(), |params, round| step(params, round, true_sum(params, round, &units), &units))
}

struct Peer {
    identity: WorkerId,
    partner: PartnerName,
    member: Option<MemberId>,
}

/// What one process has in memory.
pub(super) struct Coordinator {
    pub(super) standing: Standing,
    pub(super) epoch: Epoch,
    pub(super) id: RunId,
    pub(super) run: Run,
    pub(super) keeping: Keeping,
    timer: Option<Time>,
    /// Links that are open at this end.
    peers: BTreeMap<LinkId, Peer>,
    links: BTreeMap<MemberId, LinkId>,
    next_member: MemberId,
    /// The state that the next round starts from.
    pub(super) state: Saved,
    pub(super) sum: u64,
    /// Payloads of the updates that are under audit.
    pub(super) audited: BTreeMap<LeaseId, u64>,
    /// Whether the run waits for the shell.
    pub(super) owes: bool,
    /// The private update that was counted last and is to be kept.
    pub(super) counted: Option<Spooled>,
    /// Private updates whose worker hears of it once they are kept, by lease.
    pub(super) unanswered: BTreeMap<LeaseId, (Round, Units)>,
    /// Updates that outlived a restart.
    pub(super) spooled: Vec<Spooled>,
    /// The ledger has the rounds before this one.
    pub(super) settled: Round,
    /// Whether the store is to hear that the run begins.
    pub(super) begins: bool,
    /// Whether a step is taken and the run waits for the disk.
    pub(super) held: bool,
    /// Why the run cannot go on, if the ledger says so.
    pub(super) broken: Option<Outcome>,
}

/// Whether a process is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Up,
    Down,
}

impl Coordinator {
    /// A process that has run `id` in the state `state`.
    pub(super) fn new(epoch: Epoch, id: RunId, run: Run, keeping: Keeping, state: Saved) -> Self {
        Self {
            standing: Standing::Up,
            epoch,
            id,
            run,
            keeping,
            timer: None,
            peers: BTreeMap::new(),
            links: BTreeMap::new(),
            next_member: MemberId(0),
            state,
            sum: 0,
            audited: BTreeMap::new(),
            owes: false,
            counted: None,
            unanswered: BTreeMap::new(),
            spooled: Vec::new(),
            settled: Round(0),
            begins: false,
            held: false,
            broken: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.standing == Standing::Up
    }

    pub(super) fn open_links(&self) -> Vec<LinkId> {
        self.peers.keys().copied().collect()
    }

    pub(super) fn member_of(&self, link: LinkId) -> Option<MemberId> {
        self.peers.get(&link).and_then(|peer| peer.member)
    }

    fn check_wait(&self, keeper_is_busy: bool) -> Result<(), Breach> {
        self.run.check_invariants()?;
        let words = self.run.waiting_for().to_string();
        let will_wake = self.owes || self.run.deadline().is_some() || self.run.view().members.is_empty();
        let over = self.run.view().outcome.is_some();
        match (will_wake || over) && (keeper_is_busy || !self.held) {
            true => Ok(()),
            false => Err(Breach::WaitsForEver(words)),
        }
    }
}

impl World {
    /// The params must be those of the undisturbed run, unless units were skipped, nobody could look at a lie, or the run
    /// did not end by itself.
    pub(super) fn check_bits(&self) -> Result<(), Breach> {
        let config = &self.scenario.run;
        let (found, expected) = (self.coordinator.state.params, undisturbed(config));
        let ended = self.coordinator.run.view().committed == config.rounds && !self.referee.is_tainted();
        let comparable = config.quorum.on_missing != OnMissing::Skip && ended;
        match comparable && found != expected {
            true => Err(Breach::OtherBits { found, expected }),
            false => Ok(()),
        }
    }

    pub(super) fn coordinator_receives(&mut self, link: LinkId, message: Up) -> Result<(), Breach> {
        let known = self.coordinator.peers.contains_key(&link);
        let member = self.coordinator.member_of(link);
        match message {
            Up::Hello { identity, partner, resume } => self.hello(link, identity, partner, resume),
            Up::Ready { .. } | Up::Update { .. } | Up::Heartbeat | Up::Declined | Up::Leave if !known => Ok(()),
            Up::Ready { run: _, milli_units_per_second } => self.ready(link, milli_units_per_second),
            Up::Update { header, sum } => self.update_arrives(link, member, header, sum),
            Up::Heartbeat => member.map_or(Ok(()), |member| self.run_handles(Event::Heartbeat { member })),
            Up::Declined => self.declined(link),
            Up::Leave => self.coordinator_sees_end(link),
        }
    }

    /// A worker takes no part in the run for now; it stays connected.
    fn declined(&mut self, link: LinkId) -> Result<(), Breach> {
        let peer = self.coordinator.peers.get_mut(&link);
        let Some(member) = peer.and_then(|peer| peer.member.take()) else { return Ok(()) };
        self.coordinator.links.remove(&member);
        self.run_handles(Event::Left { member })
    }

    fn hello(
        &mut self,
        link: LinkId,
        identity: WorkerId,
        partner: PartnerName,
        resume: Option<LinkId>,
    ) -> Result<(), Breach> {
        let own = |old: &LinkId| self.coordinator.peers.get(old).is_some_and(|peer| peer.identity == identity);
        if let Some(old) = resume.filter(own) {
            self.coordinator_sees_end(old)?;
        }
        self.coordinator.peers.insert(link, Peer { identity, partner, member: None });
        self.send_down(link, Down::Welcome);
        if self.coordinator.run.view().outcome.is_none() {
            self.send_down(link, Down::RunOpened { run: self.coordinator.id });
        }
        Ok(())
    }

    fn ready(&mut self, link: LinkId, milli_units_per_second: u64) -> Result<(), Breach> {
        let member = self.coordinator.next_member;
        let Some(peer) = self.coordinator.peers.get_mut(&link).filter(|peer| peer.member.is_none()) else {
            return Ok(());
        };
        peer.member = Some(member);
        let (worker, partner) = (peer.identity, peer.partner.clone());
        self.coordinator.next_member = MemberId(member.0 + 1);
        self.coordinator.links.insert(member, link);
        self.run_handles(Event::Joined(Joined { member, worker, partner, milli_units_per_second }))
    }

    fn update_arrives(
        &mut self,
        link: LinkId,
        member: Option<MemberId>,
        header: UpdateHeader,
        sum: u64,
    ) -> Result<(), Breach> {
        let lease = header.lease;
        let whole = Digest::of(Domain::Update, &sum.to_le_bytes()) == header.digest;
        match member {
            None => {
                let why = Rejection::NotAMember.to_string();
                self.send_down(link, Down::Answer { lease, answer: Answer::Rejected { why } });
                Ok(())
            }
            Some(member) if !whole => {
                let why = "its digest is another".to_owned();
                self.send_down(link, Down::Answer { lease, answer: Answer::Rejected { why: why.clone() } });
                let lease = if self.dice.percent(50) { Some(lease) } else { None };
                self.run_handles(Event::Malformed { member, lease, why })
            }
            Some(member) => {
                self.payload = sum;
                self.referee.weighs(sum != true_sum(self.coordinator.state.params, header.round, &header.units));
                self.run_handles(Event::Update { member, header })
            }
        }
    }

    pub(super) fn coordinator_sees_end(&mut self, link: LinkId) -> Result<(), Breach> {
        let Some(member) = self.close_peer(link) else { return Ok(()) };
        self.run_handles(Event::Left { member })
    }

    /// Closes this end of a link; the worker sees that after what was sent before.
    fn close_peer(&mut self, link: LinkId) -> Option<MemberId> {
        let peer = self.coordinator.peers.remove(&link)?;
        for at in self.network.end_down(&mut self.dice, self.now, link) {
            self.schedule_at(at, Happening::WorkerSeesEnd { link });
        }
        peer.member.inspect(|member| _ = self.coordinator.links.remove(member))
    }

    pub(super) fn beat(&mut self) {
        for link in self.coordinator.open_links() {
            self.send_down(link, Down::Heartbeat);
        }
    }

    pub(super) fn coordinator_timer(&mut self, at: Time) -> Result<(), Breach> {
        if self.coordinator.timer == Some(at) {
            self.coordinator.timer = None;
        }
        if !self.coordinator.is_up() {
            return Ok(());
        }
        match self.coordinator.run.deadline().is_some_and(|deadline| deadline <= self.now) {
            true => self.run_handles(Event::Tick),
            false => {
                self.set_coordinator_timer();
                Ok(())
            }
        }
    }

    fn set_coordinator_timer(&mut self) {
        let timer = self.coordinator.timer;
        if let Some(at) = self.coordinator.run.deadline().filter(|at| timer.is_none_or(|timer| *at < timer)) {
            self.coordinator.timer = Some(at);
            self.schedule_at(at, Happening::CoordinatorTimer { at });
        }
    }

    pub(super) fn run_handles(&mut self, event: Event) -> Result<(), Breach> {
        if !self.coordinator.is_up() {
            return Ok(());
        }
        let now = self.now;
        self.trace(|| format!("run <- {event:?}"));
        match event {
            Event::Stepped { .. } => self.coordinator.owes = false,
            Event::Evaluated { round } => self.coordinator.owes &= round.next().0 < self.scenario.run.rounds,
            Event::Joined(_)
            | Event::Left { .. }
            | Event::Heartbeat { .. }
            | Event::Update { .. }
            | Event::Malformed { .. }
            | Event::Judged { .. }
            | Event::Stalled { .. }
            | Event::Tick
            | Event::Stop => {}
        }
        let (mut actions, witnessed) = (Vec::new(), event.clone());
        self.coordinator.run.handle(now, event, &mut actions);
        for action in &actions {
            self.trace(|| format!("run -> {action:?}"));
        }
        self.referee.witness(now, &witnessed, &actions)?;
        for action in actions {
            self.run_wants(action)?;
        }
        if !self.coordinator.is_up() {
            return Ok(());
        }
        self.referee.check_time(now)?;
        self.coordinator.check_wait(self.keepers.get(&self.coordinator.epoch).is_some_and(Keeper::is_busy))?;
        self.set_coordinator_timer();
        Ok(())
    }

    fn run_wants(&mut self, action: Action) -> Result<(), Breach> {
        match action {
            Action::Admit { .. } => {}
            Action::Dismiss { member, why } => {
                if let Some(link) = self.coordinator.links.get(&member).copied() {
                    let retry = if why.is_final() { Retry::Never } else { Retry::Later };
                    self.send_down(link, Down::Refused { why: why.to_string(), retry });
                    self.close_peer(link);
                }
            }
            Action::Open { round } => {
                self.coordinator.sum = 0;
                self.coordinator.audited.clear();
                self.notary.opens(self.coordinator.id, round, &self.disk)?;
            }
            Action::Reuse { round, units } => self.reuse(round, &units)?,
            Action::Assign { member, lease } => {
                let (run, params, round) = (self.coordinator.id, self.coordinator.state.params, lease.round);
                self.notary.leases(run, round, &lease.units, &self.disk)?;
                self.referee.told(self.now, lease.id, self.coordinator.run.due(lease.id));
                self.tell(member, Down::Leased(Task { run, round, lease: lease.id, units: lease.units, params }));
            }
            Action::Accept { member, lease, units } => self.accept(member, lease, units)?,
            Action::Reject { member, lease, why } => {
                let answer = match (why.is_duplicate(), why.is_late()) {
                    (true, _) => Answer::Duplicate,
                    (false, true) => Answer::Late,
                    (false, false) => Answer::Rejected { why: why.to_string() },
                };
                self.tell(member, Down::Answer { lease, answer });
            }
            Action::Audit { .. }
            | Action::Judge { .. }
            | Action::Retract { .. }
            | Action::Convict { .. }
            | Action::Audited { .. } => {
                self.audit_wants(&action);
            }
            Action::Close { round, units } => {
                let truth = true_sum(self.coordinator.state.params, round, &units);
                self.referee.check_sum(round, self.coordinator.sum == truth)?;
                let params = step(self.coordinator.state.params, round, self.coordinator.sum, &units);
                let takes = self.dice.micros(0, self.scenario.step);
                self.coordinator.owes = true;
                let epoch = self.coordinator.epoch;
                self.schedule(takes, Happening::Stepped { epoch, round, params, units: units.len() });
            }
            Action::Evaluate { round } => self.evaluate(round),
            Action::Finish(outcome) => self.finish(&outcome)?,
        }
        Ok(())
    }

    /// Adds the payload; whoever computed it on private samples hears so once it is kept.
    fn accept(&mut self, member: MemberId, lease: LeaseId, units: Units) -> Result<(), Breach> {
        self.coordinator.sum = self.coordinator.sum.wrapping_add(self.payload);
        if self.scenario.run.ownership == Ownership::Assigned {
            self.tell(member, Down::Answer { lease, answer: Answer::Accepted });
            return Ok(());
        }
        let round = self.coordinator.run.view().round;
        self.coordinator.unanswered.insert(lease, (round, units.clone()));
        self.coordinator.counted = Some(Spooled { round, units, sum: self.payload });
        self.keep(keeping::Event::Counted(Counted { member, lease }))
    }

    /// Adds what an earlier process has made durable of the open round.
    fn reuse(&mut self, round: Round, units: &Units) -> Result<(), Breach> {
        let of_round = self.coordinator.spooled.iter().filter(|update| update.round == round);
        let sums = of_round.map(|update| update.sum).fold(0u64, u64::wrapping_add);
        self.coordinator.sum = self.coordinator.sum.wrapping_add(sums);
        self.totals.units_reused += units.len() as u64;
        Ok(())
    }

    /// The params that came out of `round` are evaluated, which takes a while.
    pub(super) fn evaluate(&mut self, round: Round) {
        let takes = self.dice.pick(&[Duration::ZERO, Duration::from_millis(5), Duration::from_millis(700)]);
        self.coordinator.owes |= round.next().0 == self.scenario.run.rounds;
        self.schedule(takes, Happening::Evaluated { epoch: self.coordinator.epoch, round });
    }

    /// The run is over: everyone hears it, and that is kept.
    fn finish(&mut self, outcome: &Outcome) -> Result<(), Breach> {
        let how = format!("{outcome:?}");
        for link in self.coordinator.open_links() {
            self.send_down(link, Down::RunClosed { run: self.coordinator.id, how: how.clone() });
        }
        let end = match self.outcome(outcome) {
            Outcome::Completed | Outcome::Stopped { .. } => RunEnd::Orderly,
            Outcome::Failed { .. } => RunEnd::Failed,
        };
        self.coordinator.held = false;
        if self.scenario.storage == Storage::Absent {
            self.finished = Some(self.outcome(outcome));
        }
        self.keep(keeping::Event::Ended(end))
    }

    /// How the run ended, whoever said so.
    pub(super) fn outcome(&self, outcome: &Outcome) -> Outcome {
        self.coordinator.broken.clone().unwrap_or_else(|| outcome.clone())
    }

    /// The server step is taken: the round is committed in memory.
    pub(super) fn stepped(&mut self, round: Round, params: Digest, units: usize) -> Result<(), Breach> {
        if self.coordinator.run.view().outcome.is_some() {
            return Ok(());
        }
        self.totals.rounds += 1;
        let params = self.erring(round, params);
        let chain = link_chain(self.coordinator.state.chain, round, params);
        self.coordinator.state = Saved { round: round.next(), params, chain };
        self.coordinator.held = true;
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let weight = u64::from(units);
        self.keep(keeping::Event::Committed(Commit {
            round,
            params_digest: params,
            units,
            weight,
            saturated: 0,
            chain,
        }))
    }

    /// What the step gives on a machine that may compute wrongly, once, a round that is in the ledger.
    fn erring(&mut self, round: Round, params: Digest) -> Digest {
        match self.errors > 0 && round < self.coordinator.settled {
            true => {
                self.errors -= 1;
                self.has_erred = true;
                Digest::of(Domain::Params, params.as_ref())
            }
            false => params,
        }
    }

    pub(super) fn tell(&mut self, member: MemberId, message: Down) {
        if let Some(link) = self.coordinator.links.get(&member).copied() {
            self.send_down(link, message);
        }
    }
}
