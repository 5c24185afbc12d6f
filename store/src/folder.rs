//! A folder of state: one coordinator's at a time.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use syngrad_common::wire::Fence;
use syngrad_engine::keeping::newest_whole;
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, LeaseId, Round, RunId, Unit};
use uuid::Uuid;

use super::blobs::Blobs;
use super::sqlite::{Beginning, Register, Sqlite};
use super::{Ending, Holding, Logged, Point, Progress, Reader, Report, RunRow, ServedRow, SpoolRow, Store, StoreError};

/// Runs that have ended and are told of, the newest.
pub const MAX_HISTORY: usize = 64;

/// Evaluations kept for a run, the newest.
pub const MAX_EVALUATIONS: usize = 256;

/// More than an identity has.
const OWNER_BYTES: u64 = 64;

/// The opened state of a coordinator.
#[derive(Debug)]
pub struct Folder {
    pub(super) metadata: Sqlite,
    pub(super) blobs: Blobs,
    reader: Reader,
    /// Held as long as the folder is.
    _lock: File,
}

/// What an earlier process left.
#[derive(Debug)]
pub struct Left {
    /// The run that was going on.
    pub unfinished: Option<Unfinished>,
    /// Runs that have ended, newest first.
    pub ended: Vec<EndedRun>,
    /// The model that was served last, of those whose params are kept.
    pub served: Option<LastServed>,
}

/// A run to go on with.
#[derive(Debug)]
pub struct Unfinished {
    /// Which one.
    pub row: RunRow,
    /// Where it was left.
    pub resumption: Resumption,
}

/// Where a run was left.
#[derive(Debug, Default)]
pub struct Resumption {
    /// The newest checkpoint that is whole, encoded; none if there was none yet.
    pub state: Option<Vec<u8>>,
    /// The ledger beyond it: computed again, rounds must come out like this.
    pub ledger: Vec<Commit>,
    /// Its newest evaluations, in order.
    pub evaluations: Vec<Point>,
    /// Whose samples the run is on, if partners keep them.
    pub holdings: Vec<Holding>,
    /// Updates that nobody needs to compute again.
    pub spooled: Vec<Spooled>,
    /// How far it had come, if that was kept.
    pub progress: Option<Progress>,
    /// How long the rounds before it took.
    pub round_times: Vec<Duration>,
    /// Its receipts; none if it has none.
    pub log: Option<Logged>,
}

/// A run that has ended.
#[derive(Debug)]
pub struct EndedRun {
    /// Which one.
    pub row: RunRow,
    /// How it ended.
    pub ending: Ending,
    /// How far it had come.
    pub progress: Progress,
    /// Its newest evaluations, in order.
    pub evaluations: Vec<Point>,
}

/// A spooled update.
#[derive(Clone, Debug)]
pub struct Spooled {
    /// The round it is for.
    pub round: Round,
    /// The unit it is of.
    pub unit: Unit,
    /// The packed sum.
    pub payload: Bytes,
    /// What its worker said of it.
    pub report: Report,
    /// The contribution to its round, encoded; empty where there are no receipts.
    pub contribution: Vec<u8>,
}

/// A model that was served.
#[derive(Debug)]
pub struct LastServed {
    /// Which one.
    pub row: ServedRow,
    /// The spec of its run, as text.
    pub spec: String,
    /// Samples that its run trained on.
    pub train_samples: u32,
    /// The training state that its params open, encoded.
    pub state: Vec<u8>,
}

impl Folder {
    /// Opens or begins the state in the folder at `path`.
    ///
    /// # Errors
    /// [`StoreError`] when another process has the folder, or what is in it is not whole state of this release's or an
    /// older one's. Nothing that was there is lost then.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |doing: &str, path: &Path, why: &std::io::Error| {
            StoreError::io(&format!("{doing} {}", path.display()), why)
        };
        make(path).map_err(|why| failed("making", path, &why))?;
        let lock_file = path.join("lock");
        let lock = File::options().create(true).truncate(false).read(true).write(true).open(&lock_file);
        let lock = lock.map_err(|why| failed("opening", &lock_file, &why))?;
        lock.try_lock().map_err(|why| match why {
            TryLockError::WouldBlock => StoreError::Locked { folder: path.display().to_string() },
            TryLockError::Error(why) => failed("locking", &lock_file, &why),
        })?;
        let blobs = Blobs::open(&path.join("blobs"))?;
        let found = blobs.all()?;
        let database = path.join("state.sqlite");
        let is_bound = lock.metadata().is_ok_and(|file| file.len() > 0);
        let beginning = if found.is_empty() && !is_bound { Beginning::Allowed } else { Beginning::Refused };
        let metadata = Sqlite::open(&database, beginning)?;
        tracing::info!(folder = %path.display(), coordinator = %metadata.id(), epoch = metadata.epoch().0, "state");
        bind(&lock, metadata.id()).map_err(|why| failed("reading and writing", &lock_file, &why))??;
        let reader = Reader { database, blobs: path.join("blobs") };
        let folder = Self { metadata, blobs, reader, _lock: lock };
        folder.forget_leftovers(found)?;
        Ok(folder)
    }

    /// Deletes what a crash left between a blob and the row that would have named it.
    fn forget_leftovers(&self, blobs: Vec<Digest>) -> Result<(), StoreError> {
        let named: BTreeSet<Digest> = self.metadata.blobs()?.into_iter().collect();
        let unnamed = blobs.iter().filter(|blob| !named.contains(blob)).count();
        if unnamed > 0 {
            tracing::warn!(unnamed, "checkpoints were written and no row of the database names them; they are deleted");
        }
        self.forget_unnamed(blobs)
    }

    /// Deletes those of the blobs that no checkpoint names.
    pub(super) fn forget_unnamed(&self, blobs: Vec<Digest>) -> Result<(), StoreError> {
        for blob in blobs {
            if !self.metadata.names(blob)? {
                self.blobs.forget(blob);
            }
        }
        Ok(())
    }

    /// Who is speaking, for workers.
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence { coordinator: self.metadata.id().into_bytes(), epoch: self.metadata.epoch().0 }
    }

    /// The register of the consortium, which may be written beside everything else.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be opened again.
    pub fn register(&self) -> Result<Register, StoreError> {
        self.metadata.register()
    }

    /// What reads receipts beside whoever writes them.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The first lease of this opening.
    #[must_use]
    pub fn first_lease(&self) -> LeaseId {
        self.metadata.epoch().first_lease()
    }

    /// What there is to go on with and to tell of.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read or is not whole.
    pub fn left(&self) -> Result<Left, StoreError> {
        Ok(Left { unfinished: self.unfinished()?, ended: self.ended()?, served: self.served()? })
    }

    /// The run that was going on when the state was last written, if there was one. A checkpoint that is damaged gives
    /// way to the one before it.
    fn unfinished(&self) -> Result<Option<Unfinished>, StoreError> {
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
        let round_times = self.metadata.round_times(row.run, first)?;
        let has_all_before = round_times.len() == first.0 as usize;
        if !has_all_before || ledger.iter().zip(first.0..).any(|(commit, round)| commit.round != Round(round)) {
            let what = format!("the ledger of run {} ({}) in state.sqlite lacks rounds", row.name, row.run);
            return Err(StoreError::Damaged { what });
        }
        let evaluations = self.metadata.evaluations(row.run, MAX_EVALUATIONS)?;
        let progress = self.metadata.progress(row.run)?;
        let (holdings, spooled) = (self.metadata.holdings(row.run)?, self.spooled(row.run, first)?);
        let log = self.metadata.log(row.run)?;
        let resumption = Resumption { state, ledger, evaluations, holdings, spooled, progress, round_times, log };
        Ok(Some(Unfinished { row, resumption }))
    }

    /// The spooled updates of a run from round `first` on. One that is damaged is computed again by its owner.
    fn spooled(&self, run: RunId, first: Round) -> Result<Vec<Spooled>, StoreError> {
        let read = |row: SpoolRow| match self.blobs.get(row.blob) {
            Ok(payload) => {
                let SpoolRow { round, unit, report, contribution, blob: _ } = row;
                Some(Spooled { round, unit, payload: payload.into(), report, contribution })
            }
            Err(why) => {
                tracing::error!(%run, round = %row.round, unit = %row.unit, %why, "a spooled update is lost");
                None
            }
        };
        Ok(self.metadata.spooled(run, first)?.into_iter().filter_map(read).collect())
    }

    fn ended(&self) -> Result<Vec<EndedRun>, StoreError> {
        let mut found = Vec::new();
        for (row, ending) in self.metadata.ended(MAX_HISTORY)? {
            let evaluations = self.metadata.evaluations(row.run, MAX_EVALUATIONS)?;
            match self.metadata.progress(row.run)? {
                Some(progress) => found.push(EndedRun { row, ending, progress, evaluations }),
                None => tracing::warn!(run = %row.run, "how far this run came was not kept"),
            }
        }
        Ok(found)
    }

    fn served(&self) -> Result<Option<LastServed>, StoreError> {
        for row in self.metadata.served()? {
            let (Some(run), Some(progress)) = (self.metadata.run(row.run)?, self.metadata.progress(row.run)?) else {
                continue;
            };
            match self.blobs.get(row.checkpoint.blob) {
                Ok(state) => {
                    let (spec, train_samples) = (run.spec, progress.train_samples);
                    return Ok(Some(LastServed { row, spec, train_samples, state }));
                }
                Err(why) => tracing::error!(run = %row.run, version = row.number, %why, "a served model is lost"),
            }
        }
        Ok(None)
    }
}

/// Makes a folder, and those around it that are not there, so that a power cut does not take them back.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    let is_missing = |at: &&Path| !at.as_os_str().is_empty() && !at.exists();
    let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    std::fs::create_dir_all(folder)?;
    let around =
        |made: &Path| made.parent().filter(|at| !at.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    missing.into_iter().try_for_each(|made| File::open(around(made))?.sync_all())
}

/// Holds the database to the folder that it was made in: whose it is stands in the lock's file too.
fn bind(mut lock: &File, id: Uuid) -> io::Result<Result<(), StoreError>> {
    let mut owner = Vec::new();
    lock.take(OWNER_BYTES).read_to_end(&mut owner)?;
    let owner = String::from_utf8_lossy(&owner);
    if owner.is_empty() {
        lock.write_all(id.to_string().as_bytes())?;
        lock.sync_all()?;
        return Ok(Ok(()));
    }
    let what = format!(
        "the file lock of the state folder says that the database state.sqlite is {owner:?}'s, but it is {id}'s (if the \
         database is the right one, delete the lock)"
    );
    Ok(if owner == id.to_string() { Ok(()) } else { Err(StoreError::Damaged { what }) })
}
