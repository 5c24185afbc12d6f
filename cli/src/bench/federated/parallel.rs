//! Independent runs, one on each core.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::failure::Failure;
use crate::output::Output;

/// Where runs are made.
pub(super) struct Workbench {
    threads: usize,
    output: Output,
}

impl Workbench {
    /// A place for so many runs at a time.
    pub(super) fn new(threads: usize, output: Output) -> Self {
        Self { threads, output }
    }

    /// What `make` makes of each of `jobs`, in their order; says about ten times how far it is.
    ///
    /// # Errors
    /// The first [`Failure`] in the order of jobs. After a failure nothing new is begun.
    pub(super) fn map<J: Sync, R: Send>(
        &self,
        what: &str,
        jobs: &[J],
        make: impl Fn(&J) -> Result<R, Failure> + Sync,
    ) -> Result<Vec<R>, Failure> {
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let made: Mutex<Vec<Option<Result<R, Failure>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(at) else { return };
                let result = make(job);
                if result.is_err() {
                    next.store(jobs.len(), Ordering::Relaxed);
                }
                made.lock().expect("no run panics with it")[at] = Some(result);
                self.say(what, done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
            }
        };
        std::thread::scope(|scope| (0..self.threads).for_each(|_| drop(scope.spawn(work))));
        let made = made.into_inner().expect("no run panics with it");
        // Jobs that were not begun are behind the one that failed.
        made.into_iter().flatten().collect()
    }

    fn say(&self, what: &str, done: usize, of: usize) {
        if done == of || done.is_multiple_of(of.div_ceil(10)) {
            self.output.say(&format!("{what}: {done} of {of} runs"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Format, Global};

    fn workbench(threads: usize) -> Workbench {
        Workbench::new(threads, Output::new(Global { output: Format::Json, quiet: true }))
    }

    #[test]
    fn results_are_in_the_order_of_jobs_however_many_work() {
        let jobs: Vec<u32> = (0..40).collect();
        let double = |job: &u32| Ok(job * 2);
        for threads in [1, 3] {
            let made = workbench(threads).map("doubling", &jobs, double).expect("nothing fails");
            assert_eq!(made, (0..40).map(|job| job * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_failure_ends_it() {
        let begun = AtomicUsize::new(0);
        let fail_at_three = |job: &u32| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *job == 3 { Err(Failure::usage(&"job 3")) } else { Ok(*job) }
        };
        let failed = workbench(1).map("failing", &[1, 2, 3, 4, 5], fail_at_three);
        assert_eq!(failed, Err(Failure::usage(&"job 3")));
        assert_eq!(begun.into_inner(), 3, "nothing is begun after it");
    }
}
