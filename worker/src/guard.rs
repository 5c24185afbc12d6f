//! The last look at what leaves this machine, and the account of it. Nothing passes to the link but through here.
//!
//! ```text
//!   a run opens ──► border: policy.admit ──► taken or declined
//!   an update  ───► Guard: is it what was leased? ──► border: account ──► link ──► journal ──► out
//! ```

mod account;
mod border;
mod journal;
mod state;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use syngrad_common::wire::{Signed, Update};
use syngrad_common::{Code, Failure};
use syngrad_engine::session::Task;
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Layout, RunId};

use crate::trainer::Sum;
pub(crate) use border::{Border, Held};
pub use border::{PolicyInForce, read_policy};
pub use journal::{Filter, Inspection, Record, Sent, Total, Totals, UnitNorm, UpdateRecord, inspect};
pub(crate) use journal::{FrameOf, Journal};
pub(crate) use state::{StateFolder, socket_of, unusable};
pub use state::{StatePlace, default_policy_file, default_state_root};

/// What was computed in a run, and what crossed the border, in bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Units that were computed, sent or not.
    pub(crate) units: u64,
    pub(crate) updates: u64,
    pub(crate) update_bytes: u64,
    pub(crate) params_bytes: u64,
    pub(crate) shard_bytes: u64,
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(
            f,
            "{} units were computed, {} updates of {:.1} MB in all were sent, {:.1} MB of params and {:.1} MB of samples \
             received",
            self.units,
            self.updates,
            megabytes(self.update_bytes),
            megabytes(self.params_bytes),
            megabytes(self.shard_bytes),
        )
    }
}

/// An update that may leave, and what is written down of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Released {
    pub(crate) update: Update,
    pub(crate) payload: Bytes,
    pub(crate) record: UpdateRecord,
}

impl Released {
    /// The worker stands for it with its key, if it has one.
    pub(crate) fn sign(&mut self, signed: Option<Signed>) {
        self.record.sign(signed.as_ref());
        self.update.signed = signed;
    }
}

/// Looks at every update before it is sent.
#[derive(Debug)]
pub(crate) struct Guard {
    run: RunId,
    layout: Arc<Layout>,
    ledger: Ledger,
}

impl Guard {
    /// A guard for one run.
    pub(crate) fn new(run: RunId, layout: Arc<Layout>) -> Self {
        Self { run, layout, ledger: Ledger::default() }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger
    }

    pub(crate) fn computed(&mut self, units: usize) {
        self.ledger.units += units as u64;
    }

    pub(crate) fn received_params(&mut self, bytes: u64) {
        self.ledger.params_bytes += bytes;
    }

    pub(crate) fn received_shard(&mut self, bytes: u64) {
        self.ledger.shard_bytes += bytes;
    }

    /// Makes the message that carries `sum`, if the sum is what `task` asked for and nothing else.
    pub(crate) fn release(&self, task: &Task, sum: &Sum) -> Result<Released, Failure> {
        let refuse = |why: String| Failure::new(Code::Internal, format!("an update was held back: {why}"));
        if task.run != self.run {
            return Err(refuse(format!("it is of run {}, and this worker works for run {}", task.run, self.run)));
        }
        if sum.units != task.units {
            return Err(refuse(format!("it sums units {:?}, and units {:?} were leased", sum.units, task.units)));
        }
        let (expected, found) = (self.size(sum.bits), sum.payload.len() as u64);
        if found != expected {
            return Err(refuse(format!("it has {found} bytes, and this run's updates have {expected}")));
        }
        if !sum.loss_sum.is_finite() {
            return Err(Failure::new(Code::NotFinite, format!("the loss of round {} is {}", task.round, sum.loss_sum)));
        }
        let update = sum.update(task);
        let record = UpdateRecord::of(&update, Some(&self.layout), sum.norms.clone());
        Ok(Released { update, payload: sum.payload.clone(), record })
    }

    /// An update leaves.
    pub(crate) fn sent(&mut self, released: &Released) {
        self.ledger.updates += 1;
        self.ledger.update_bytes += released.payload.len() as u64;
    }

    fn size(&self, bits: UpdateBits) -> u64 {
        (self.layout.params() * bits.bytes()) as u64
    }
}

#[cfg(test)]
mod tests {
    use syngrad_engine::layout::Tensor;
    use syngrad_engine::{Digest, LeaseId, Round, Unit, Units};

    use super::*;

    fn guard() -> Guard {
        let layout = Layout::new(vec![Tensor { name: "w".into(), shape: vec![3] }]).expect("a layout");
        Guard::new(RunId([1; 16]), Arc::new(layout))
    }

    fn task() -> Task {
        let units = Units::from([Unit(2), Unit(5)]);
        Task { run: RunId([1; 16]), round: Round(4), lease: LeaseId(9), units, params: Digest::default() }
    }

    fn sum() -> Sum {
        Sum {
            payload: Bytes::from_static(&[0; 6]),
            digest: Digest::default(),
            bits: UpdateBits::Sixteen,
            units: task().units,
            saturated: 1,
            loss_sum: 0.5,
            samples: 8,
            norms: vec![UnitNorm { unit: 2, weight: 8, norm: 3.0, clipped: 2.0 }],
        }
    }

    #[test]
    fn what_was_leased_passes_and_is_on_the_ledger() {
        let mut guard = guard();
        let released = guard.release(&task(), &sum()).expect("it is what was leased");
        guard.sent(&released);
        let Released { update, payload, record } = released;
        assert_eq!((update.header.lease, update.payload_bytes, payload.len()), (LeaseId(9), 6, 6));
        assert_eq!((record.round, record.tensors, record.params, record.units), (4, 1, 3, sum().norms));
        assert_eq!(guard.ledger(), Ledger { updates: 1, update_bytes: 6, ..Ledger::default() });
    }

    #[test]
    fn nothing_else_passes() {
        let of_another_run = Task { run: RunId([2; 16]), ..task() };
        let of_other_units = Sum { units: Units::from([Unit(2)]), ..sum() };
        let of_another_size = Sum { payload: Bytes::from_static(&[0; 12]), ..sum() };
        let not_finite = Sum { loss_sum: f64::NAN, ..sum() };
        for (task, sum) in
            [(of_another_run, sum()), (task(), of_other_units), (task(), of_another_size), (task(), not_finite)]
        {
            assert!(guard().release(&task, &sum).is_err());
        }
    }
}
