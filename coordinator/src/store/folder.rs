//! A folder of state: one coordinator's at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use bytes::Bytes;
use syngrad_common::wire::Fence;
use syngrad_engine::keeping::{Epoch, newest_whole};
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, LeaseId, Round, RunId, Unit};

use super::blobs::Blobs;
use super::sqlite::Sqlite;
use super::{Holding, Report, RunRow, SpoolRow, Store, StoreError};
use crate::status::Point;

/// The opened state of a coordinator.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(super) metadata: Sqlite,
    pub(super) blobs: Blobs,
    /// Held as long as the folder is.
    _lock: File,
}

/// A run to go on with.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) row: RunRow,
    /// The newest training state that is whole, encoded; none if the run was not checkpointed yet.
    pub(crate) state: Option<Vec<u8>>,
    /// Rounds that the ledger has beyond it: computed again, they must come out like this.
    pub(crate) ledger: Vec<Commit>,
    pub(crate) evaluations: Vec<Point>,
    /// Whose samples the run is on, if partners keep them.
    pub(crate) holdings: Vec<Holding>,
    /// Updates that nobody needs to compute again.
    pub(crate) spooled: Vec<Spooled>,
}

/// A spooled update.
#[derive(Clone, Debug)]
pub(crate) struct Spooled {
    pub(crate) round: Round,
    pub(crate) unit: Unit,
    pub(crate) payload: Bytes,
    pub(crate) report: Report,
}

impl Folder {
    /// Opens or begins the state in the folder at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(path).map_err(|why| StoreError::io("making the state folder", &why))?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock"));
        let lock = lock.map_err(|why| StoreError::io("opening the state folder's lock", &why))?;
        lock.try_lock().map_err(|why| match why {
            TryLockError::WouldBlock => StoreError::Locked { folder: path.display().to_string() },
            TryLockError::Error(why) => StoreError::io("locking the state folder", &why),
        })?;
        let metadata = Sqlite::open(&path.join("state.sqlite"))?;
        let blobs = Blobs::open(&path.join("blobs"))?;
        tracing::info!(folder = %path.display(), coordinator = %metadata.id(), epoch = metadata.epoch().0, "state");
        let folder = Self { metadata, blobs, _lock: lock };
        let blobs = folder.blobs.all()?;
        if folder.metadata.epoch() == Epoch(1) && !blobs.is_empty() {
            let what = format!("{} has checkpoints, but its database is gone", path.display());
            return Err(StoreError::Damaged { what });
        }
        // What a crash left between a blob and the row that would have named it.
        folder.forget_unnamed(blobs)?;
        Ok(folder)
    }

    /// Deletes those of the blobs that no checkpoint names.
    pub(super) fn forget_unnamed(&self, blobs: Vec<Digest>) -> Result<(), StoreError> {
        let named = self.metadata.blobs()?;
        blobs.into_iter().filter(|blob| !named.contains(blob)).for_each(|blob| self.blobs.forget(blob));
        Ok(())
    }

    /// Who is speaking, for workers.
    pub(crate) fn fence(&self) -> Fence {
        Fence { coordinator: self.metadata.id().into_bytes(), epoch: self.metadata.epoch().0 }
    }

    /// The first lease of this opening.
    pub(crate) fn first_lease(&self) -> LeaseId {
        self.metadata.epoch().first_lease()
    }

    /// The run that was going on when the state was last written, if there was one. A checkpoint that is damaged gives
    /// way to the one before it.
    pub(crate) fn unfinished(&self) -> Result<Option<Unfinished>, StoreError> {
        let Some(row) = self.metadata.unfinished()?.pop() else { return Ok(None) };
        let checkpoints = self.metadata.checkpoints(row.run)?;
        let read = |round, blob| {
            let lost = |why: &StoreError| tracing::error!(run = %row.run, %round, %why, "a checkpoint is lost");
            self.blobs.get(blob).inspect_err(lost).ok()
        };
        let found = newest_whole(checkpoints.into_iter().map(|kept| (kept.round, kept.blob)), read)
            .map_err(|why| StoreError::Damaged { what: format!("run {} ({}): {why}", row.name, row.run) })?;
        let (first, state) = found.map_or((Round(0), None), |(round, state)| (round, Some(state)));
        let ledger = self.metadata.rounds(row.run, first)?;
        let evaluations = self.metadata.evaluations(row.run)?;
        let holdings = self.metadata.holdings(row.run)?;
        let spooled = self.spooled(row.run, first)?;
        Ok(Some(Unfinished { row, state, ledger, evaluations, holdings, spooled }))
    }

    /// The spooled updates of a run from round `first` on. One that is damaged is computed again by its owner.
    fn spooled(&self, run: RunId, first: Round) -> Result<Vec<Spooled>, StoreError> {
        let read = |row: SpoolRow| match self.blobs.get(row.blob) {
            Ok(payload) => {
                let SpoolRow { round, unit, report, .. } = row;
                Some(Spooled { round, unit, payload: payload.into(), report })
            }
            Err(why) => {
                tracing::error!(%run, round = %row.round, unit = %row.unit, %why, "a spooled update is lost");
                None
            }
        };
        Ok(self.metadata.spooled(run, first)?.into_iter().filter_map(read).collect())
    }
}
