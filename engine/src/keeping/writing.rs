//! An order on its way to the disk: what is written first, and what follows from a failure.

use std::time::Duration;

use super::Contents;
use crate::planted::{Bug, Planted};

/// Time between two attempts when the disk is full.
const RETRY: Duration = Duration::from_secs(1);

/// What is done for an order, one step after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the training state or the update durable, under the digest of its bytes.
    Blob,
    /// Make all rows durable in one transaction; one of them names the blob.
    Rows,
    /// Delete the blobs that no row names any more.
    Sweep,
}

/// Why a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room.
    Full,
    /// The disk or the database fails, or somebody else has them.
    Broken,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// The step is tried again after this time.
    Again(Duration),
    /// Nothing can be kept any more.
    Final,
}

/// One order on its way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    next: Option<Step>,
    contents: Contents,
    planted: Planted,
}

impl Writing {
    /// Nothing is written yet.
    #[must_use]
    pub fn new(contents: Contents) -> Self {
        let next = match contents {
            Contents::Whole | Contents::Update => Step::Blob,
            Contents::Rows => Step::Rows,
        };
        Self { next: Some(next), contents, planted: Planted::default() }
    }

    /// The same with a bug in it, to see whether the simulation finds it.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn with_bug(self, bug: Option<Bug>) -> Self {
        let planted = Planted::new(bug);
        let next = match planted.has(Bug::RowBeforeBlob) {
            true => Some(Step::Rows),
            false => self.next,
        };
        Self { next, planted, ..self }
    }

    /// What is to be done now; nothing once the order is kept.
    #[must_use]
    pub fn next(&self) -> Option<Step> {
        self.next
    }

    /// The step is done and durable.
    pub fn done(&mut self) {
        if self.planted.has(Bug::RowBeforeBlob) && self.contents == Contents::Whole {
            self.next = match self.next {
                Some(Step::Rows) => Some(Step::Blob),
                Some(Step::Blob) => Some(Step::Sweep),
                Some(Step::Sweep) | None => None,
            };
            return;
        }
        self.next = match (self.next, self.contents) {
            (Some(Step::Blob), _) => Some(Step::Rows),
            (Some(Step::Rows), Contents::Whole) => Some(Step::Sweep),
            (Some(Step::Rows), Contents::Rows | Contents::Update) | (Some(Step::Sweep) | None, _) => None,
        };
    }

    /// The step failed, and nothing of it is there.
    #[must_use]
    pub fn failed(&self, trouble: Trouble) -> Setback {
        match trouble {
            Trouble::Full if self.planted.has(Bug::FullDiskIsFinal) => Setback::Final,
            Trouble::Full => Setback::Again(RETRY),
            Trouble::Broken => Setback::Final,
        }
    }
}
