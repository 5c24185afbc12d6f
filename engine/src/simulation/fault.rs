//! What goes wrong in a world, and how it is done.

use std::time::Duration;

use super::breach::Breach;
use super::lives::Death;
use super::network::{LinkId, Up};
use super::worker::Worker;
use super::world::{Happening, World};
use crate::digest::{Digest, Domain};
use crate::id::{LeaseId, Round, Unit, Units, WorkerId};
use crate::run::{Event, UpdateHeader};
use crate::session;

/// Something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A link dies with everything on it.
    Cut { worker: usize, notice: Notice },
    /// A worker process is killed, and started again.
    Crash { worker: usize, back_after: Duration, identity: Identity },
    /// A worker process is stopped and goes on later where it was.
    Stall { worker: usize, lasts: Duration },
    /// What a worker computes takes much longer, while it says that it is alive.
    Hang { worker: usize, lasts: Duration },
    /// A worker sends an update that it should not.
    Forge { worker: usize, forgery: Forgery },
    /// The payload of the worker's next updates is damaged.
    Damage { worker: usize, updates: u32 },
    /// A second process comes with the worker's identity, for a while.
    Impostor { worker: usize, lasts: Duration },
    /// The coordinator cannot get rid of what it has for the worker.
    OutboxFull { worker: usize },
    /// The worker is asked to finish and leave, and started again later.
    Drain { worker: usize },
    /// The worker's partner pauses it for a while.
    Pause { worker: usize, lasts: Duration },
    /// Another worker comes.
    Newcomer { pace: Duration },
    /// The operator ends the run.
    OperatorStops,
    /// The coordinator ends at once, and is started again.
    CoordinatorDies { death: Death, back_after: Duration },
    /// There is no room on the coordinator's disk for a while.
    DiskFull { lasts: Duration },
    /// The next write of the coordinator fails.
    DiskBreaks,
    /// The newest state that was kept is damaged.
    DiskRots,
    /// The coordinator's machine computes a round wrongly that is in the ledger.
    MachineErrs,
}

/// Who is told of a dead link at once; the other end finds out by silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Both,
    Worker,
    Coordinator,
    Nobody,
}

/// Whether a process that starts again has the identity that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Same,
    New,
}

/// An update that nobody should send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgery {
    /// Under a lease that was never given.
    UnknownLease,
    /// Under the lease of another member.
    ForeignLease,
    /// Under the worker's lease, of other units.
    OtherUnits,
    /// Under the worker's lease, of no units.
    NoUnits,
    /// Of the round before.
    EarlierRound,
    /// Of the round after.
    LaterRound,
    /// What was sent last, again.
    Replay,
}

impl Forgery {
    pub(super) const ALL: [Self; 7] = [
        Self::UnknownLease,
        Self::ForeignLease,
        Self::OtherUnits,
        Self::NoUnits,
        Self::EarlierRound,
        Self::LaterRound,
        Self::Replay,
    ];
}

impl Fault {
    /// The longest that a fault lasts.
    pub(super) const LONGEST: Duration = Duration::from_millis(6_000);
}

impl World {
    pub(super) fn strike(&mut self, fault: Fault) -> Result<(), Breach> {
        match fault {
            Fault::Cut { worker, notice } => {
                if let Some(link) = self.workers[worker].link {
                    self.totals.cuts += 1;
                    self.cut(link, notice);
                }
                Ok(())
            }
            Fault::Crash { worker, back_after, identity } => {
                self.kill(worker);
                self.schedule(back_after, Happening::Started { worker, identity });
                Ok(())
            }
            Fault::Stall { worker, lasts } => {
                self.totals.stalls += 1;
                let until = self.now.after(lasts);
                let worker = &mut self.workers[worker];
                worker.stalled_until = worker.stalled_until.max(until);
                Ok(())
            }
            Fault::Hang { worker, lasts } => {
                self.totals.stalls += 1;
                self.workers[worker].hangs = lasts;
                Ok(())
            }
            Fault::Forge { worker, forgery } => {
                self.forge(worker, forgery);
                Ok(())
            }
            Fault::Damage { worker, updates } => {
                self.workers[worker].damages += updates;
                Ok(())
            }
            Fault::Impostor { worker, lasts } => self.impersonate(worker, lasts),
            Fault::OutboxFull { worker } => {
                let member = self.workers[worker].link.and_then(|link| self.coordinator.member_of(link));
                member.map_or(Ok(()), |member| self.run_handles(Event::Stalled { member }))
            }
            Fault::Drain { worker } => self.session_handles(worker, session::Event::Drain),
            Fault::Pause { worker, lasts } => self.pause(worker, lasts),
            Fault::Newcomer { pace } => {
                let identity = self.new_identity();
                self.add_worker(identity, pace)
            }
            Fault::OperatorStops => self.run_handles(Event::Stop),
            Fault::CoordinatorDies { death, back_after } => self.coordinator_dies(death, back_after),
            Fault::DiskFull { lasts } => {
                let until = self.now.after(lasts);
                self.disk.full_until = self.disk.full_until.max(until);
                self.end = self.end.max(self.scenario.end_after(until));
                Ok(())
            }
            Fault::DiskBreaks => {
                self.disk.breaks += 1;
                Ok(())
            }
            Fault::MachineErrs => {
                self.errors += 1;
                Ok(())
            }
            Fault::DiskRots => {
                let run = self.coordinator.id;
                self.totals.damaged_blobs += u64::from(self.disk.rot(&mut self.dice, run));
                Ok(())
            }
        }
    }

    fn pause(&mut self, worker: usize, lasts: Duration) -> Result<(), Breach> {
        let process = &mut self.workers[worker];
        if !process.is_running() || process.paused {
            return Ok(());
        }
        process.paused = true;
        self.totals.pauses += 1;
        let life = process.life;
        self.schedule(lasts, Happening::Resumes { worker, life });
        self.session_handles(worker, session::Event::Pause(session::Cause::Asked))
    }

    /// The pause of a worker's process is over.
    pub(super) fn resumes(&mut self, worker: usize) -> Result<(), Breach> {
        self.workers[worker].paused = false;
        self.session_handles(worker, session::Event::Resume(session::Cause::Asked))
    }

    fn cut(&mut self, link: LinkId, notice: Notice) {
        self.network.cut(link);
        let (worker, coordinator) = match notice {
            Notice::Both => (true, true),
            Notice::Worker => (true, false),
            Notice::Coordinator => (false, true),
            Notice::Nobody => (false, false),
        };
        if worker {
            let delay = self.dice.millis(0, 200);
            self.schedule(delay, Happening::WorkerSeesEnd { link });
        }
        if coordinator {
            let delay = self.dice.millis(0, 200);
            self.schedule(delay, Happening::CoordinatorSeesEnd { link });
        }
    }

    /// Ends a process at once; its end of the link is closed by the system, and the coordinator sees that later.
    pub(super) fn kill(&mut self, worker: usize) {
        if self.workers[worker].is_running() {
            self.totals.kills += 1;
            if let Some(link) = self.workers[worker].link {
                self.worker_closes(link);
            }
            self.workers[worker].die();
        }
    }

    fn impersonate(&mut self, worker: usize, lasts: Duration) -> Result<(), Breach> {
        let Worker { identity, pace, .. } = self.workers[worker];
        let impostor = self.workers.len();
        self.schedule(lasts, Happening::KilledForGood { worker: impostor });
        self.add_worker(identity, pace)
    }

    pub(super) fn new_identity(&mut self) -> WorkerId {
        self.identities += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.identities.to_le_bytes());
        WorkerId(id)
    }

    fn forge(&mut self, worker: usize, forgery: Forgery) {
        let Some(link) = self.workers[worker].link else { return };
        let Some((header, sum)) = self.forged(worker, link, forgery) else { return };
        self.totals.forgeries += 1;
        self.send_up(link, Up::Update { header, sum });
    }

    fn forged(&mut self, worker: usize, link: LinkId, forgery: Forgery) -> Option<(UpdateHeader, u64)> {
        let sum = self.dice.between(0, u64::MAX - 1);
        let digest = Digest::of(Domain::Update, &sum.to_le_bytes());
        let open = self.coordinator.run.view().round;
        let own = self.coordinator.member_of(link).and_then(|member| self.referee.lease_of(member));
        let unit = Unit(self.dice.small(0, self.scenario.run.units - 1));
        let some = || own.clone().unwrap_or((LeaseId(0), Units::from([unit])));
        let forged = |round: Round, lease: LeaseId, units: Units| (UpdateHeader { round, lease, units, digest }, sum);
        match forgery {
            Forgery::UnknownLease => Some(forged(open, LeaseId(u64::MAX), Units::from([unit]))),
            Forgery::ForeignLease => {
                let member = self.coordinator.member_of(link)?;
                let (lease, units) = self.referee.lease_of_another(member)?;
                Some(forged(open, lease, units))
            }
            Forgery::OtherUnits => {
                let (lease, mut units) = own?;
                if !units.remove(&unit) {
                    units.insert(unit);
                }
                Some(forged(open, lease, units))
            }
            Forgery::NoUnits => own.map(|(lease, _)| forged(open, lease, Units::new())),
            Forgery::EarlierRound => {
                let (lease, units) = some();
                open.0.checked_sub(1).map(|earlier| forged(Round(earlier), lease, units))
            }
            Forgery::LaterRound => {
                let (lease, units) = some();
                Some(forged(open.next(), lease, units))
            }
            Forgery::Replay => self.workers[worker].sent_last.clone(),
        }
    }
}
