//! Keeping a process to one core.
//!
//! The threads of a worker take turns, and each wakes the next: left alone, the scheduler may put the trainers of two
//! workers on one core for a whole round while another core idles.

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
