//! The coordinator: the real run in a shell that adds tiny sums.

use std::collections::BTreeMap;
use std::time::Duration;

use super::breach::Breach;
use super::network::{Down, LinkId, Up};
use super::referee::Referee;
use super::scenario::Scenario;
use super::world::{Happening, World};
use crate::digest::{Digest, Domain, Hasher};
use crate::id::{MemberId, PartnerName, Round, RunId, Time, Unit, Units, WorkerId};
use crate::planted::Bug;
use crate::random::{Purpose, Stream};
use crate::reject::Rejection;
use crate::run::{Action, Event, Joined, Run, RunConfig, UpdateHeader};
use crate::session::{Answer, Retry, Task};
use crate::spec::OnMissing;

const RUN: RunId = RunId([7; 16]);

/// The name of partner `index`.
pub(super) fn partner(index: u64) -> PartnerName {
    PartnerName::parse(&format!("partner-{index}")).expect("a short name of letters, digits and a hyphen")
}

/// What `unit` of `round` adds to the sum, given the round's params.
pub(super) fn unit_value(params: Digest, round: Round, unit: Unit) -> u64 {
    let seed = params.0.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    Stream::new(seed, Purpose::Simulation, &[u64::from(round.0), u64::from(unit.0)]).next_u64()
}

fn step(params: Digest, round: Round, sum: u64, units: &Units) -> Digest {
    let mut hasher = Hasher::new(Domain::Params);
    hasher.update(params.as_ref()).update(&round.0.to_le_bytes()).update(&sum.to_le_bytes());
    units.iter().for_each(|unit| _ = hasher.update(&unit.0.to_le_bytes()));
    hasher.finish()
}

/// The params of a run in which nothing happens but computation.
fn undisturbed(config: &RunConfig) -> Digest {
    let units: Units = (0..config.units).map(Unit).collect();
    (0..config.rounds).map(Round).fold(Digest::default(), |params, round| {
        let sum = units.iter().fold(0u64, |sum, unit| sum.wrapping_add(unit_value(params, round, *unit)));
        step(params, round, sum, &units)
    })
}

struct Peer {
    identity: WorkerId,
    partner: PartnerName,
    member: Option<MemberId>,
}

pub(super) struct Coordinator {
    pub(super) run: Run,
    pub(super) referee: Referee,
    timer: Option<Time>,
    /// Links that are open at this end.
    peers: BTreeMap<LinkId, Peer>,
    links: BTreeMap<MemberId, LinkId>,
    next_member: MemberId,
    pub(super) params: Digest,
    sum: u64,
    /// Whether the run waits for the shell.
    owes: bool,
}

impl Coordinator {
    pub(super) fn new(scenario: &Scenario, bug: Option<Bug>) -> Self {
        Self {
            run: Run::new(scenario.run.clone()).with_bug(bug),
            referee: Referee::new(scenario.run.clone()),
            timer: None,
            peers: BTreeMap::new(),
            links: BTreeMap::new(),
            next_member: MemberId(0),
            params: Digest::default(),
            sum: 0,
            owes: false,
        }
    }

    pub(super) fn member_of(&self, link: LinkId) -> Option<MemberId> {
        self.peers.get(&link).and_then(|peer| peer.member)
    }

    /// The params must be those of the undisturbed run, unless units were skipped or the run did not end by itself.
    pub(super) fn check_bits(&self) -> Result<(), Breach> {
        let config = self.referee.config();
        let expected = undisturbed(config);
        let comparable = config.quorum.on_missing != OnMissing::Skip && self.run.view().committed == config.rounds;
        match comparable && self.params != expected {
            true => Err(Breach::OtherBits { found: self.params, expected }),
            false => Ok(()),
        }
    }

    fn check_wait(&self, now: Time) -> Result<(), Breach> {
        self.run.check_invariants()?;
        self.referee.check_time(now)?;
        let words = self.run.waiting_for().to_string();
        let will_wake = self.owes || self.run.deadline().is_some() || self.run.view().members.is_empty();
        let over = self.run.view().outcome.is_some();
        match will_wake || over {
            true => Ok(()),
            false => Err(Breach::WaitsForEver(words)),
        }
    }
}

impl World {
    pub(super) fn coordinator_receives(&mut self, link: LinkId, message: Up) -> Result<(), Breach> {
        let known = self.coordinator.peers.contains_key(&link);
        let member = self.coordinator.member_of(link);
        match message {
            Up::Hello { identity, partner, resume } => self.hello(link, identity, partner, resume),
            Up::Ready { .. } | Up::Update { .. } | Up::Heartbeat | Up::Leave if !known => Ok(()),
            Up::Ready { run: _, milli_units_per_second } => self.ready(link, milli_units_per_second),
            Up::Update { header, sum } => self.update_arrives(link, member, header, sum),
            Up::Heartbeat => member.map_or(Ok(()), |member| self.run_handles(Event::Heartbeat { member })),
            Up::Leave => self.coordinator_sees_end(link),
        }
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
            self.send_down(link, Down::RunOpened { run: RUN });
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
        for link in self.coordinator.peers.keys().copied().collect::<Vec<_>>() {
            self.send_down(link, Down::Heartbeat);
        }
    }

    pub(super) fn coordinator_timer(&mut self, at: Time) -> Result<(), Breach> {
        if self.coordinator.timer == Some(at) {
            self.coordinator.timer = None;
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
        let now = self.now;
        self.trace(|| format!("run <- {event:?}"));
        match event {
            Event::Stepped { .. } | Event::Evaluated { .. } => self.coordinator.owes = false,
            Event::Joined(_)
            | Event::Left { .. }
            | Event::Heartbeat { .. }
            | Event::Update { .. }
            | Event::Malformed { .. }
            | Event::Stalled { .. }
            | Event::Tick
            | Event::Stop => {}
        }
        let (mut actions, witnessed) = (Vec::new(), event.clone());
        self.coordinator.run.handle(now, event, &mut actions);
        for action in &actions {
            self.trace(|| format!("run -> {action:?}"));
        }
        self.coordinator.referee.witness(now, &witnessed, &actions)?;
        for action in actions {
            self.run_wants(action);
        }
        self.coordinator.check_wait(now)?;
        self.set_coordinator_timer();
        Ok(())
    }

    fn run_wants(&mut self, action: Action) {
        match action {
            Action::Admit { .. } => {}
            Action::Dismiss { member, why } => {
                if let Some(link) = self.coordinator.links.get(&member).copied() {
                    self.send_down(link, Down::Refused { why: why.to_string(), retry: Retry::Later });
                    self.close_peer(link);
                }
            }
            Action::Open { .. } => self.coordinator.sum = 0,
            Action::Reuse { .. } => {}
            Action::Assign { member, lease } => {
                let (params, round) = (self.coordinator.params, lease.round);
                let task = Task { run: RUN, round, lease: lease.id, units: lease.units, params };
                self.tell(member, Down::Leased(task));
            }
            Action::Accept { member, lease, units: _ } => {
                self.coordinator.sum = self.coordinator.sum.wrapping_add(self.payload);
                self.tell(member, Down::Answer { lease, answer: Answer::Accepted });
            }
            Action::Reject { member, lease, why } => {
                let answer = match (why.is_duplicate(), why.is_late()) {
                    (true, _) => Answer::Duplicate,
                    (false, true) => Answer::Late,
                    (false, false) => Answer::Rejected { why: why.to_string() },
                };
                self.tell(member, Down::Answer { lease, answer });
            }
            Action::Close { round, units } => {
                let params = step(self.coordinator.params, round, self.coordinator.sum, &units);
                let takes = self.dice.micros(0, self.scenario.step);
                self.coordinator.owes = true;
                self.schedule(takes, Happening::Stepped { round, params });
            }
            Action::Evaluate { round } => {
                let takes = self.dice.pick(&[Duration::ZERO, Duration::from_millis(5), Duration::from_millis(700)]);
                self.coordinator.owes |= round.next().0 == self.scenario.run.rounds;
                self.schedule(takes, Happening::Evaluated { round });
            }
            Action::Finish(outcome) => {
                let how = format!("{outcome:?}");
                for link in self.coordinator.peers.keys().copied().collect::<Vec<_>>() {
                    self.send_down(link, Down::RunClosed { run: RUN, how: how.clone() });
                }
            }
        }
    }

    pub(super) fn stepped(&mut self, round: Round, params: Digest) -> Result<(), Breach> {
        self.coordinator.params = params;
        self.totals.rounds += 1;
        self.run_handles(Event::Stepped { round, params })
    }

    fn tell(&mut self, member: MemberId, message: Down) {
        if let Some(link) = self.coordinator.links.get(&member).copied() {
            self.send_down(link, message);
        }
    }
}
