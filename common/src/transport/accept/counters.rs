//! What happened at the door, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts connections while others read the counts.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
    given_up: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
    expired: AtomicU64,
    barred: AtomicU64,
}

/// What was counted until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Connections that the system gave.
    pub accepted: u64,
    /// Those refused because there were too many: in all, of their address, or of their holder.
    pub refused: u64,
    /// Those that did not come up: no TLS, an older one, or a certificate that is not good.
    pub failed: u64,
    /// Those that did not come up in time.
    pub late: u64,
    /// Those given up for newer ones while they came up.
    pub given_up: u64,
    /// Those that are open now.
    pub open: u64,
    /// Those closed when their certificate, or their time without one, expired.
    pub expired: u64,
    /// Those closed because their holder may not come in any more.
    pub barred: u64,
}

/// Nothing is decided by these numbers, so no order among them matters.
fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl ConnectionCounters {
    /// What was counted until now.
    #[must_use]
    pub fn counts(&self) -> ConnectionCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let closed = read(&self.closed);
        ConnectionCounts {
            accepted: read(&self.accepted),
            refused: read(&self.refused),
            failed: read(&self.failed),
            late: read(&self.late),
            given_up: read(&self.given_up),
            open: read(&self.opened).saturating_sub(closed),
            expired: read(&self.expired),
            barred: read(&self.barred),
        }
    }

    pub(super) fn accepted(&self) {
        add(&self.accepted);
    }

    pub(super) fn refused(&self) {
        add(&self.refused);
    }

    pub(super) fn failed(&self) {
        add(&self.failed);
    }

    pub(super) fn late(&self) {
        add(&self.late);
    }

    pub(super) fn given_up(&self) {
        add(&self.given_up);
    }

    pub(super) fn opened(&self) {
        add(&self.opened);
    }

    pub(super) fn closed(&self) {
        add(&self.closed);
    }

    pub(super) fn expired(&self) {
        add(&self.expired);
    }

    pub(super) fn barred(&self) {
        add(&self.barred);
    }
}
