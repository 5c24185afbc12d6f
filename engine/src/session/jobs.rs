//! The tasks in a worker's hands.

use super::{Action, Task};
use crate::digest::Digest;
use crate::id::LeaseId;

/// Sums kept for leases that ended with their link; more are dropped, oldest first.
const MAX_LAPSED: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Job {
    /// The task under the lease that it was granted last.
    task: Task,
    /// The lease by which the shell knows it.
    begun_as: LeaseId,
    grant: Grant,
    work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Grant {
    /// Its lease is of this link: an update is owed.
    Standing,
    /// Its lease ended with a pause of this link: as one that lapsed, but an answer may be on its way.
    Aside,
    /// Its lease ended with an earlier link: the sum may be of use if the units are leased again.
    Lapsed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Work {
    Computing,
    Done(Digest),
}

/// All jobs, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Jobs(Vec<Job>);

fn same_round(left: &Task, right: &Task) -> bool {
    (left.run, left.round, left.params) == (right.run, right.round, right.params)
}

fn same_sum(left: &Task, right: &Task) -> bool {
    same_round(left, right) && left.units == right.units
}

impl Jobs {
    /// Drops the jobs that are not of `task`'s round.
    pub(super) fn forget_unlike(&mut self, task: &Task, out: &mut Vec<Action>) {
        self.forget_where(|job| !same_round(&job.task, task), out);
    }

    pub(super) fn forget_all(&mut self, out: &mut Vec<Action>) {
        self.forget_where(|_| true, out);
    }

    fn forget_where(&mut self, gone: impl Fn(&Job) -> bool, out: &mut Vec<Action>) {
        self.0.retain(|job| {
            let gone = gone(job);
            if gone {
                out.push(Action::Forget { lease: job.begun_as });
            }
            !gone
        });
    }

    /// The link is down: no lease of it can be answered.
    pub(super) fn lapse(&mut self, out: &mut Vec<Action>) {
        self.release(Grant::Lapsed, out);
    }

    fn release(&mut self, grant: Grant, out: &mut Vec<Action>) {
        self.0.iter_mut().for_each(|job| job.grant = grant);
        let surplus = self.0.len().saturating_sub(MAX_LAPSED);
        out.extend(self.0.drain(..surplus).map(|job| Action::Forget { lease: job.begun_as }));
    }

    /// The worker pauses, and its leases go to others: what is computed may be of use later, what is not is dropped.
    pub(super) fn set_aside(&mut self, out: &mut Vec<Action>) {
        self.forget_where(|job| job.work == Work::Computing, out);
        self.release(Grant::Aside, out);
    }

    /// Takes a granted task: begins it, or gives the task and the sum that is there already.
    pub(super) fn grant(&mut self, task: Task, out: &mut Vec<Action>) -> Option<(Task, Digest)> {
        let Some(job) = self.0.iter_mut().find(|job| same_sum(&job.task, &task)) else {
            out.push(Action::Compute(task.clone()));
            self.0.push(Job { begun_as: task.lease, task, grant: Grant::Standing, work: Work::Computing });
            return None;
        };
        // Numbers of leases grow: this one was delivered twice, or after the one that replaced it.
        if job.grant == Grant::Standing && task.lease <= job.task.lease {
            return None;
        }
        job.task = task;
        job.grant = Grant::Standing;
        match job.work {
            Work::Computing => None,
            Work::Done(update) => Some((job.task.clone(), update)),
        }
    }

    /// Takes note of a sum; gives the task to answer, if its lease stands.
    pub(super) fn computed(&mut self, task: &Task, update: Digest, out: &mut Vec<Action>) -> Option<Task> {
        // The shell knows a sum by the lease that it was begun under. One of a job that is forgotten is of no use, even if
        // the same units are leased again: after a coordinator's crash a round comes back.
        let Some(job) = self.0.iter_mut().find(|job| job.begun_as == task.lease && same_sum(&job.task, task)) else {
            out.push(Action::Forget { lease: task.lease });
            return None;
        };
        if job.work != Work::Computing {
            return None;
        }
        job.work = Work::Done(update);
        match job.grant {
            Grant::Standing => Some(job.task.clone()),
            Grant::Aside | Grant::Lapsed => None,
        }
    }

    pub(super) fn has(&self, task: &Task) -> bool {
        self.0.iter().any(|job| same_sum(&job.task, task))
    }

    /// Ends the job whose update was sent under `lease`, if there is one. A pause may have set it aside meanwhile.
    pub(super) fn answered(&mut self, lease: LeaseId, out: &mut Vec<Action>) -> bool {
        let answers = |job: &Job| job.task.lease == lease && job.grant != Grant::Lapsed && job.work != Work::Computing;
        let position = self.0.iter().position(answers);
        if let Some(index) = position {
            out.push(Action::Forget { lease: self.0.remove(index).begun_as });
        }
        position.is_some()
    }

    /// Whether an update is owed, or its answer.
    pub(super) fn any_granted(&self) -> bool {
        self.granted() > 0
    }

    pub(super) fn granted(&self) -> usize {
        self.0.iter().filter(|job| job.grant == Grant::Standing).count()
    }

    /// Sums whose lease ended with an earlier link.
    pub(super) fn held(&self) -> impl Iterator<Item = (Task, Digest)> {
        self.0.iter().filter(|job| job.grant == Grant::Lapsed).filter_map(|job| match job.work {
            Work::Computing => None,
            Work::Done(update) => Some((job.task.clone(), update)),
        })
    }
}
