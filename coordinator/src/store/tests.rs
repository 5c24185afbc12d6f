use std::path::{Path, PathBuf};
use std::sync::Arc;

use syngrad_engine::keeping::{Epoch, Fenced};
use syngrad_engine::layout::{Layout, Tensor};
use tempfile::TempDir;

use super::sqlite::Sqlite;
use super::*;

const RUN: RunId = RunId([7; 16]);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn begun() -> RunRow {
    RunRow { run: RUN, name: "test".into(), spec: "{}".into(), spec_digest: Digest([1; 32]) }
}

fn round(number: u32) -> Commit {
    Commit {
        round: Round(number),
        params_digest: Digest([number as u8; 32]),
        chain: Digest([number as u8 + 100; 32]),
        units: 4,
        weight: 512,
        saturated: 0,
    }
}

/// Keeps an entry whose checkpoint, if it has one, is these bytes.
fn keep(folder: &mut Folder, mut entry: Entry, checkpoint: Option<(u32, &[u8])>) {
    entry.checkpoint = checkpoint.map(|(round, state)| {
        let blob = folder.blobs.put(state.to_vec().into()).expect("room for a blob");
        CheckpointRow { round: Round(round), blob }
    });
    folder.metadata.keep(RUN, &entry).expect("room for an entry");
}

/// A run of five rounds, the last two beyond the newer of its two checkpoints.
fn a_run(path: &Path) {
    let mut folder = Folder::open(path).expect("a new folder");
    keep(&mut folder, Entry { begun: Some(begun()), ..Entry::default() }, None);
    keep(&mut folder, Entry { rounds: vec![round(0), round(1)], ..Entry::default() }, Some((2, b"older")));
    keep(&mut folder, Entry { rounds: vec![round(2)], ..Entry::default() }, Some((3, b"newer")));
    keep(&mut folder, Entry { rounds: vec![round(3), round(4)], ..Entry::default() }, None);
}

fn unfinished(path: &Path) -> Result<Option<Unfinished>, StoreError> {
    Folder::open(path)?.unfinished()
}

fn blob_files(path: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    entries(&path.join("blobs")).iter().flat_map(|folder| entries(folder)).collect()
}

fn blob_file(path: &Path, contents: &[u8]) -> PathBuf {
    let is_it = |file: &PathBuf| std::fs::read(file).expect("a blob") == contents;
    blob_files(path).into_iter().find(is_it).expect("the blob is there")
}

#[test]
fn a_run_is_found_where_it_was_left() {
    let path = folder();
    a_run(path.path());
    let found = unfinished(path.path()).expect("whole state").expect("a run");
    assert_eq!(found.row, begun());
    assert_eq!(found.state.as_deref(), Some(&b"newer"[..]));
    assert_eq!(found.ledger, [round(3), round(4)]);
}

fn spooled(path: &Path) -> Vec<(u32, u32, Vec<u8>)> {
    let found = unfinished(path).expect("whole state").expect("a run");
    found.spooled.iter().map(|of| (of.round.0, of.unit.0, of.payload.to_vec())).collect()
}

/// Spools an update of `unit` in `round`.
fn spool(folder: &mut Folder, round: u32, unit: u32, payload: &[u8]) {
    let blob = folder.blobs.put(payload.to_vec().into()).expect("room for a blob");
    let report = Report { saturated: 1, loss: (0.5, 8) };
    let row = SpoolRow { round: Round(round), unit: Unit(unit), blob, report };
    folder.metadata.keep(RUN, &Entry { spooled: Some(row), ..Entry::default() }).expect("room for an entry");
}

#[test]
fn spooled_updates_stay_as_long_as_their_round_may_be_computed_again() {
    let path = folder();
    a_run(path.path());
    let mut opened = Folder::open(path.path()).expect("the folder");
    spool(&mut opened, 2, 0, b"before the newer checkpoint");
    spool(&mut opened, 3, 1, b"after it");
    spool(&mut opened, 4, 0, b"of the open round");
    drop(opened);
    let beyond = vec![(3, 1, b"after it".to_vec()), (4, 0, b"of the open round".to_vec())];
    assert_eq!(spooled(path.path()), beyond, "rounds before the checkpoint are history");
    let mut opened = Folder::open(path.path()).expect("the folder");
    keep(&mut opened, Entry::default(), Some((4, b"newest")));
    let first = opened.metadata.spooled(RUN, Round(0)).expect("rows").first().map(|row| row.round);
    assert_eq!(first, Some(Round(3)), "the older of the two checkpoints opens round 3");
    drop(opened);
    assert_eq!(blob_files(path.path()).len(), 6, "nothing is swept yet");
    drop(Folder::open(path.path()).expect("the folder"));
    assert_eq!(blob_files(path.path()).len(), 4, "two checkpoints, two updates");
    std::fs::write(blob_file(path.path(), b"of the open round"), b"another").expect("a blob can be damaged");
    assert_eq!(spooled(path.path()), [], "a damaged one is computed again");
}

#[test]
fn a_run_without_a_checkpoint_begins_anew_and_has_its_ledger() {
    let path = folder();
    let mut opened = Folder::open(path.path()).expect("a new folder");
    keep(&mut opened, Entry { begun: Some(begun()), rounds: vec![round(0)], ..Entry::default() }, None);
    drop(opened);
    let found = unfinished(path.path()).expect("whole state").expect("a run");
    assert_eq!((found.state, found.ledger), (None, vec![round(0)]));
}

#[test]
fn a_run_that_ended_is_not_gone_on_with() {
    let path = folder();
    a_run(path.path());
    let mut opened = Folder::open(path.path()).expect("the folder");
    let ending = Ending { phase: EndPhase::Completed, reason: "done".into() };
    keep(&mut opened, Entry { ending: Some(ending), ..Entry::default() }, None);
    drop(opened);
    assert!(unfinished(path.path()).expect("whole state").is_none());
}

#[test]
fn only_one_coordinator_has_a_folder_and_each_has_an_epoch_of_its_own() {
    let path = folder();
    let first = Folder::open(path.path()).expect("a new folder");
    assert!(matches!(Folder::open(path.path()), Err(StoreError::Locked { .. })));
    let (id, epoch) = (first.metadata.id(), first.metadata.epoch());
    drop(first);
    let second = Folder::open(path.path()).expect("the folder is free");
    assert_eq!((second.metadata.id(), second.metadata.epoch()), (id, Epoch(epoch.0 + 1)));
}

#[test]
fn a_coordinator_that_was_replaced_writes_nothing() {
    let path = folder();
    let file = path.path().join("state.sqlite");
    // A lock can be lost (a network file system, a restored copy): the epoch holds without it.
    let mut zombie = Sqlite::open(&file).expect("a new database");
    let mut successor = Sqlite::open(&file).expect("the same database");
    let entry = Entry { begun: Some(begun()), ..Entry::default() };
    let refused = zombie.keep(RUN, &entry);
    assert!(matches!(refused, Err(StoreError::Fenced(Fenced { ours: 1, found: 2 }))), "{refused:?}");
    assert_eq!(successor.unfinished().expect("whole state"), []);
    successor.keep(RUN, &entry).expect("the successor writes");
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_it() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 3] = [
        ("changed", |file| std::fs::write(file, b"nEwer").expect("the blob can be written")),
        ("cut", |file| std::fs::write(file, b"new").expect("the blob can be written")),
        ("gone", |file| std::fs::remove_file(file).expect("the blob can be deleted")),
    ];
    for (name, damage) in damages {
        let path = folder();
        a_run(path.path());
        damage(&blob_file(path.path(), b"newer"));
        let found = unfinished(path.path()).expect(name).expect("a run");
        assert_eq!(found.state.as_deref(), Some(&b"older"[..]), "{name}");
        assert_eq!(found.ledger, [round(2), round(3), round(4)], "{name}");
        damage(&blob_file(path.path(), b"older"));
        let refused = unfinished(path.path());
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{name}: {refused:?}");
    }
}

#[test]
fn swapped_checkpoints_are_found_out() {
    let path = folder();
    a_run(path.path());
    let [newer, older] = [&b"newer"[..], b"older"].map(|contents| blob_file(path.path(), contents));
    std::fs::write(&newer, b"older").expect("the blob can be written");
    std::fs::write(&older, b"newer").expect("the blob can be written");
    assert!(matches!(unfinished(path.path()), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_database_that_is_none_is_refused_in_words() {
    let contents: [(&str, &[u8]); 2] = [("foreign", b"this is no database, and long enough to be none"), ("cut", b"")];
    for (name, contents) in contents {
        let path = folder();
        a_run(path.path());
        for leftover in ["state.sqlite-wal", "state.sqlite-shm"] {
            // Gone already if the last connection closed in order.
            let _ = std::fs::remove_file(path.path().join(leftover));
        }
        std::fs::write(path.path().join("state.sqlite"), contents).expect("the database can be written");
        let refused = unfinished(path.path()).map(drop);
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{name}: {refused:?}");
    }
}

#[test]
fn a_later_schema_is_left_alone() {
    let path = folder();
    a_run(path.path());
    let file = path.path().join("state.sqlite");
    let database = rusqlite::Connection::open(&file).expect("the database");
    database.pragma_update(None, "user_version", 99).expect("the version can be set");
    drop(database);
    let refused = unfinished(path.path()).map(drop);
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, known: 2, .. })), "{refused:?}");
}

#[test]
fn blobs_that_nothing_names_are_deleted() {
    let path = folder();
    a_run(path.path());
    let (driver, mut inbox) = tokio::sync::mpsc::channel(8);
    let keeper = Keeper::start(Folder::open(path.path()).expect("the folder"), driver.downgrade()).expect("a thread");
    let layout = Layout::new(vec![Tensor { name: "noop".into(), shape: [3].into() }]).expect("a small layout");
    let state = state(Arc::new(layout));
    keeper.keep(Order { run: RUN, entry: Entry::default(), bulk: Some(Bulk::State(Box::new(state))) });
    keeper.finish().expect("everything is kept");
    assert!(matches!(inbox.try_recv(), Ok(crate::driver::Message::Kept(Kept::Done))));
    // Round 0's state is older than both of the others, so it is not one of the two that are kept.
    assert_eq!(blob_files(path.path()).len(), 2);
}

#[test]
fn a_blob_that_a_crash_left_behind_is_deleted() {
    let path = folder();
    a_run(path.path());
    let folder = Folder::open(path.path()).expect("the folder");
    folder.blobs.put(b"nobody's".to_vec().into()).expect("room for a blob");
    drop(folder);
    assert_eq!(blob_files(path.path()).len(), 3);
    drop(Folder::open(path.path()).expect("the folder"));
    assert_eq!(blob_files(path.path()).len(), 2);
}

#[test]
fn what_cannot_be_kept_after_the_driver_stopped_reading_is_not_passed_over() {
    let path = folder();
    let folder = Folder::open(path.path()).expect("a new folder");
    std::fs::remove_dir_all(path.path().join("blobs")).expect("the blobs can be deleted");
    std::fs::write(path.path().join("blobs"), "no folder").expect("a file can be written");
    let (driver, mut inbox) = tokio::sync::mpsc::channel(1);
    let keeper = Keeper::start(folder, driver.downgrade()).expect("a thread can be started");
    inbox.close();
    let layout =
        Arc::new(Layout::new(vec![Tensor { name: "noop".into(), shape: [3].into() }]).expect("a small layout"));
    keeper.keep(Order { run: RUN, entry: Entry::default(), bulk: Some(Bulk::State(Box::new(state(layout)))) });
    let why = keeper.finish().expect_err("there is no folder for the blob");
    assert!(matches!(why, StoreError::Io { .. }), "{why}");
}

fn state(layout: Arc<Layout>) -> syngrad_engine::state::TrainingState {
    let spec = syngrad_common::config::CanonicalSpec::parse(
        "name = \"noop\"\n[model]\nkind = \"noop\"\nparams = 3\n[data]\nkind = \"synthetic\"\nsamples = 8\ninputs = 2\n\
         classes = 2\n[algorithm]\nkind = \"sync-sgd\"\nepochs = 1\nunits = 1\nunit_samples = 4\n[optimizer]\n\
         kind = \"sgd\"\nlearning_rate = 0.1\n",
    )
    .expect("a good spec");
    let plan = syngrad_engine::Plan::new(spec.spec(), 8).expect("a small plan");
    syngrad_engine::state::TrainingState::new(spec.spec(), &plan, layout, vec![0.0; 3]).expect("params that fit")
}
