//! What the system's scheduler is told where a coordinator and workers share a machine.
//!
//! The threads of a worker take turns, and each wakes the next: left alone, the scheduler may put the trainers of two
//! workers on one core for a whole round while another core idles. And whoever is woken by a message interrupts whoever
//! just computes: the coordinator a worker, or a worker's link the coordinator, that then still owes another worker its
//! params. As batch work they let each other finish, which makes rounds shorter.

use crate::failure::Failure;

/// Keeps this thread, and all threads that it starts from now on, to one of the cores that it may use, counted from 0.
///
/// # Errors
/// If it may not use so many cores, or the system cannot do it.
#[cfg(target_os = "linux")]
pub(crate) fn keep_to(core: usize) -> Result<(), Failure> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let impossible = |why: &dyn std::fmt::Display| Failure::usage(&format!("cannot stay on core {core}: {why}"));
    let allowed = sched_getaffinity(None).map_err(|why| impossible(&why))?;
    let Some(number) = (0..CpuSet::MAX_CPU).filter(|&number| allowed.is_set(number)).nth(core) else {
        return Err(impossible(&format!("this process may use {} cores, counted from 0", allowed.count())));
    };
    let mut only = CpuSet::new();
    only.set(number);
    sched_setaffinity(None, &only).map_err(|why| impossible(&why))
}

/// See the other one: here the system decides.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_to(core: usize) -> Result<(), Failure> {
    Err(Failure::usage(&format!("cannot stay on core {core}: this system does not offer it; leave --core away")))
}

/// Has this thread, and all threads that it starts from now on, scheduled as batch work: waking up, they do not
/// interrupt a thread that computes, but wait until it pauses.
///
/// # Errors
/// If the system refuses, or cannot do it.
#[cfg(target_os = "linux")]
pub(crate) fn as_batch() -> Result<(), Failure> {
    use rustix::process::{getpriority_process, setpriority_process};
    use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
    use thread_priority::{set_thread_priority_and_policy, thread_native_id, thread_schedule_policy};

    let refused = |why: &dyn std::fmt::Display| Failure::usage(&format!("cannot be scheduled as batch work: {why}"));
    let batch = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let niceness = getpriority_process(None).map_err(|why| refused(&why))?;
    let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Os(Default::default()), batch);
    // The call also sets the niceness to 0, or fails there because that takes privileges: whoever chose it wants it kept.
    setpriority_process(None, niceness).map_err(|why| refused(&why))?;
    match thread_schedule_policy() {
        Ok(policy) if policy == batch => Ok(()),
        Ok(policy) => Err(refused(&format!("the system keeps it at {policy:?} ({set:?})"))),
        Err(why) => Err(refused(&why)),
    }
}

/// See the other one: here the system decides.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn as_batch() -> Result<(), Failure> {
    Err(Failure::usage(&"cannot be scheduled as batch work: this system does not offer it; leave --batch away"))
}
