//! A coordinator's state folder with anything in its files: it opens or is refused, it never opens as something that was
//! not kept, and a refusal costs no checkpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::state::{Commit, TrainingState};
use syngrad_engine::{Digest, PartnerName, Plan, Round, RunId, Unit};
use syngrad_store::{
    Bulk, Entry, Folder, Holding, Keeper, Left, Order, Point, Progress, Report, RoundRow, RunRow, StoreError, ToSpool,
    Told, Version,
};
use tempfile::TempDir;

const RUN: RunId = RunId([7; 16]);

/// Rounds of the run that is kept.
const ROUNDS: u32 = 4;

/// The most bytes that are changed in one input.
const MOST_CHANGES: usize = 8;

/// A folder that a coordinator left in order, with a run that goes on.
static WHOLE: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    keep(folder.path()).expect("an empty folder can be begun in");
    let mut files = Vec::new();
    read(folder.path(), Path::new(""), &mut files);
    files.sort();
    files
});

/// Damages the folder, and opens it twice.
pub fn check(data: &[u8]) {
    // Bytes that are no whole input are no input.
    let _ = attempt(&mut Unstructured::new(data));
}

fn attempt(input: &mut Unstructured<'_>) -> Result<()> {
    let mut files = WHOLE.clone();
    match input.int_in_range(0..=3)? {
        // One file is anything at all.
        0 => {
            let name = *input.choose(&["state.sqlite", "state.sqlite-wal", "lock"])?;
            files.retain(|(path, _)| path != Path::new(name));
            files.push((name.into(), input.bytes(input.len())?.to_vec()));
        }
        // One file ends early.
        1 => {
            let at = input.choose_index(files.len())?;
            let len = input.choose_index(files[at].1.len() + 1)?;
            files[at].1.truncate(len);
        }
        // One file is gone.
        2 => drop(files.remove(input.choose_index(files.len())?)),
        // Some bytes of one file are others.
        _ => {
            let at = input.choose_index(files.len())?;
            for _ in 0..input.int_in_range(1..=MOST_CHANGES)? {
                let place = input.choose_index(files[at].1.len().max(1))?;
                let value = input.arbitrary()?;
                if let Some(byte) = files[at].1.get_mut(place) {
                    *byte = value;
                }
            }
        }
    }
    let folder = write(&files);
    let checkpoints = checkpoints(folder.path());
    match left(folder.path()) {
        Ok(left) => {
            compare(&left);
            let again = self::left(folder.path()).expect("what was opened once opens again");
            compare(&again);
        }
        Err(why) => {
            assert!(!why.to_string().is_empty());
            let is_fatal = matches!(why, StoreError::Damaged { .. } | StoreError::Newer { .. });
            assert!(is_fatal, "damage is called {why:?}");
            assert_eq!(self::checkpoints(folder.path()), checkpoints, "a refusal costs no checkpoint");
        }
    }
    Ok(())
}

fn left(folder: &Path) -> std::result::Result<Left, StoreError> {
    Folder::open(folder)?.left()
}

/// What is found is what was kept, or less.
fn compare(left: &Left) {
    assert!(left.ended.is_empty(), "no run has ended");
    if let Some(served) = &left.served {
        assert_eq!((served.row.run, served.row.number, served.train_samples), (RUN, 1, 8));
    }
    let Some(unfinished) = &left.unfinished else { return };
    assert_eq!(unfinished.row, begun());
    let found = &unfinished.resumption;
    let is_kept = |commit: &Commit| *commit == self::commit(commit.round.0);
    assert!(found.ledger.iter().all(is_kept), "{:?}", found.ledger);
    assert!(found.state.as_ref().is_none_or(|bytes| *bytes == state(0).encode() || *bytes == state(1).encode()));
    assert!(found.holdings.iter().all(|of| *of == holding()), "{:?}", found.holdings);
    assert!(found.spooled.iter().all(|of| (of.unit, &of.payload[..]) == (Unit(1), PAYLOAD)));
    assert!(found.progress.as_ref().is_none_or(|progress| *progress == self::progress()));
    assert!(found.evaluations.iter().all(|point| *point == self::point()));
}

const PAYLOAD: &[u8] = b"an update of private samples";

fn begun() -> RunRow {
    RunRow { run: RUN, name: "fuzz".into(), spec: "{}".into(), spec_digest: Digest([1; 32]) }
}

fn commit(round: u32) -> Commit {
    let (params_digest, chain) = (Digest([round as u8; 32]), Digest([round as u8 + 100; 32]));
    Commit { round: Round(round), params_digest, chain, units: 2, weight: 4, saturated: 0 }
}

fn holding() -> Holding {
    Holding { partner: PartnerName::parse("alpha").expect("a name"), data: Digest([9; 32]) }
}

fn progress() -> Progress {
    Progress {
        train_samples: 8,
        committed: ROUNDS,
        loss: Some(0.25),
        confusion: vec![1, 2, 3, 4],
        ..Progress::default()
    }
}

fn point() -> Point {
    Point { round: Round(0), accuracy: 0.5, loss: 0.25, at: Duration::from_secs(1) }
}

/// Two states, so that one can give way to the other.
fn state(round: u32) -> TrainingState {
    let spec = syngrad_common::config::CanonicalSpec::parse(
        "name = \"noop\"\n[model]\nkind = \"noop\"\nparams = 3\n[data]\nkind = \"synthetic\"\nsamples = 8\ninputs = 2\n\
         classes = 2\n[algorithm]\nkind = \"sync-sgd\"\nepochs = 1\nunits = 1\nunit_samples = 4\n[optimizer]\n\
         kind = \"sgd\"\nlearning_rate = 0.1\n",
    )
    .expect("a good spec");
    let plan = Plan::new(spec.spec(), 8).expect("a small plan");
    let layout = Layout::new(vec![Tensor { name: "noop".into(), shape: [3].into() }]).expect("a small layout");
    TrainingState::new(spec.spec(), &plan, layout.into(), vec![round as f32; 3]).expect("params that fit")
}

/// Begins a folder and keeps some of everything in it.
fn keep(folder: &Path) -> std::result::Result<(), StoreError> {
    let keeper = Keeper::start(Folder::open(folder)?, |_| Told::Heard).expect("a thread");
    let order = |entry, bulk| keeper.keep(Order { run: RUN, entry, bulk });
    let row = |round| RoundRow { commit: commit(round), took: Duration::from_millis(5) };
    order(Entry { begun: Some(begun()), holdings: vec![holding()], ..Entry::default() }, None);
    order(Entry::default(), Some(Bulk::State(Box::new(state(0)))));
    for round in 0..ROUNDS {
        order(Entry { rounds: vec![row(round)], ..Entry::default() }, None);
    }
    let version = Some(Version { round: Round(0), params: Digest([0; 32]) });
    let seen = Entry { version, evaluations: vec![point()], ..Entry::default() };
    order(Entry { progress: Some(Box::new(progress())), ..seen }, None);
    let report = Report { saturated: 1, loss: (0.5, 8) };
    let spooled =
        ToSpool { round: Round(1), unit: Unit(1), payload: Bytes::from_static(PAYLOAD), report, contribution: vec![1] };
    order(Entry::default(), Some(Bulk::Update(spooled)));
    keeper.finish()
}

fn read(root: &Path, within: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(root.join(within)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = within.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => read(root, &path, files),
            false => files.push((path.clone(), fs::read(root.join(path)).expect("a file"))),
        }
    }
}

fn write(files: &[(PathBuf, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (path, contents) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(path, contents).expect("a file can be written");
    }
    folder
}

fn checkpoints(folder: &Path) -> usize {
    let mut files = Vec::new();
    if folder.join("blobs").is_dir() {
        read(folder, Path::new("blobs"), &mut files);
    }
    files.len()
}

/// Each kind of damage.
pub fn seeds() -> Vec<Vec<u8>> {
    (0..24).map(|number| [vec![number as u8 % 4], crate::noise(number, 24)].concat()).collect()
}
