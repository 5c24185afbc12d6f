//! Folders of state: what is found again, what is refused, and what gives way.

mod failure;
mod log;
mod receipts;
mod register;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use syngrad_engine::keeping::{Epoch, Fenced};
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::run::AuditCounters;
use syngrad_engine::{Units, WorkerId};
use tempfile::TempDir;

use super::sqlite::{Beginning, Sqlite};
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

fn rows<const N: usize>(rounds: [u32; N]) -> Vec<RoundRow> {
    rounds.map(|number| RoundRow { commit: round(number), took: Duration::from_millis(number.into()) }).into()
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
    keep(&mut folder, Entry { rounds: rows([0, 1]), ..Entry::default() }, Some((2, b"older")));
    keep(&mut folder, Entry { rounds: rows([2]), ..Entry::default() }, Some((3, b"newer")));
    keep(&mut folder, Entry { rounds: rows([3, 4]), ..Entry::default() }, None);
}

fn unfinished(path: &Path) -> Result<Option<Unfinished>, StoreError> {
    Ok(Folder::open(path)?.left()?.unfinished)
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
    assert_eq!(found.resumption.state.as_deref(), Some(&b"newer"[..]));
    assert_eq!(found.resumption.ledger, [round(3), round(4)]);
}

fn spooled(path: &Path) -> Vec<(u32, u32, Vec<u8>)> {
    let found = unfinished(path).expect("whole state").expect("a run");
    found.resumption.spooled.iter().map(|of| (of.round.0, of.unit.0, of.payload.to_vec())).collect()
}

/// Spools an update of `unit` in `round`.
fn spool(folder: &mut Folder, round: u32, unit: u32, payload: &[u8]) {
    let blob = folder.blobs.put(payload.to_vec().into()).expect("room for a blob");
    let report = Report { saturated: 1, loss: (0.5, 8) };
    let row = SpoolRow { round: Round(round), unit: Unit(unit), blob, report, contribution: vec![unit as u8; 3] };
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
    keep(&mut opened, Entry { begun: Some(begun()), rounds: rows([0]), ..Entry::default() }, None);
    drop(opened);
    let found = unfinished(path.path()).expect("whole state").expect("a run");
    assert_eq!((found.resumption.state, found.resumption.ledger), (None, vec![round(0)]));
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
    let mut zombie = Sqlite::open(&file, Beginning::Allowed).expect("a new database");
    let mut successor = Sqlite::open(&file, Beginning::Allowed).expect("the same database");
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
        assert_eq!(found.resumption.state.as_deref(), Some(&b"older"[..]), "{name}");
        assert_eq!(found.resumption.ledger, [round(2), round(3), round(4)], "{name}");
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
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, known: 6, .. })), "{refused:?}");
}

#[test]
fn blobs_that_nothing_names_are_deleted() {
    let path = folder();
    a_run(path.path());
    let (told, heard) = std::sync::mpsc::channel();
    let tell = move |kept| told.send(kept).map_or(Told::Nobody, |()| Told::Heard);
    let keeper = Keeper::start(Folder::open(path.path()).expect("the folder"), tell).expect("a thread");
    let layout = Layout::new(vec![Tensor { name: "noop".into(), shape: [3].into() }]).expect("a small layout");
    let state = state(Arc::new(layout));
    keeper.keep(Order { run: RUN, entry: Entry::default(), bulk: Some(Bulk::State(Box::new(state))) });
    keeper.finish().expect("everything is kept");
    assert!(matches!(heard.try_recv(), Ok(Kept::Done(None))));
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

/// How far the run had come, with numbers that differ.
fn progress() -> Progress {
    Progress {
        train_samples: 60,
        committed: 5,
        params: Digest([4; 32]),
        chain: Digest([104; 32]),
        loss: Some(0.25),
        train_time: Duration::from_millis(1_500),
        counters: Counters {
            accepted: 1,
            units_released: 2,
            duplicates: 3,
            late: 4,
            rejected: 5,
            joins: 6,
            leaves: 7,
            audits: AuditCounters { made: 20, passed: 21, failed: 22, lapsed: 23 },
        },
        participation: vec![(
            PartnerName::parse("alpha").expect("a name"),
            Participation { used: 16, late: 17, missing: 18 },
        )],
        caught: vec![Caught {
            partner: PartnerName::parse("beta").expect("a name"),
            worker: WorkerId([24; 16]),
            round: Round(25),
            units: Units::from([Unit(0), Unit(26)]),
        }],
        traffic: Traffic { saturated: 8, params_bytes_sent: 9, update_bytes_received: 10, shard_bytes_sent: 11 },
        foreign_numerics: 12,
        round_times: RoundTimes { p50_ms: 13.0, p99_ms: 14.5, max_ms: 15.0 },
        confusion: vec![1, 2, 3, 4],
    }
}

#[test]
fn what_was_counted_is_kept_with_the_rounds() {
    let path = folder();
    a_run(path.path());
    let mut opened = Folder::open(path.path()).expect("the folder");
    for loss in [None, Some(0.25)] {
        let progress = Some(Box::new(Progress { loss, ..progress() }));
        keep(&mut opened, Entry { progress, ..Entry::default() }, None);
    }
    drop(opened);
    let found = unfinished(path.path()).expect("whole state").expect("a run").resumption;
    assert_eq!(found.progress, Some(progress()));
    // Rounds 3 and 4 are computed again, and take their time again.
    assert_eq!(found.round_times, [0, 1, 2].map(Duration::from_millis));
}

#[test]
fn params_have_one_number_and_no_number_is_given_twice() {
    let path = folder();
    let number = |folder: &mut Folder, run: RunId, round: u32, params: u8| {
        let version = Some(Version { round: Round(round), params: Digest([params; 32]) });
        folder.metadata.keep(run, &Entry { version, ..Entry::default() }).expect("room for an entry")
    };
    let mut first = Folder::open(path.path()).expect("a new folder");
    let other = RunId([8; 16]);
    assert_eq!(
        [(RUN, 0, 1), (RUN, 1, 2), (other, 1, 2)].map(|(run, round, params)| number(&mut first, run, round, params)),
        [Some(1), Some(2), Some(3)]
    );
    drop(first);
    let mut second = Folder::open(path.path()).expect("the folder");
    assert_eq!(number(&mut second, RUN, 1, 2), Some(2), "the same params again");
    assert_eq!(number(&mut second, RUN, 1, 3), Some(4), "other params");
}

#[test]
fn runs_that_ended_are_told_of_newest_first() {
    let path = folder();
    let mut opened = Folder::open(path.path()).expect("a new folder");
    let runs: Vec<RunId> = (0..3).map(|number| RunId([number; 16])).collect();
    for (&run, phase) in runs.iter().zip([EndPhase::Completed, EndPhase::Stopped, EndPhase::Failed]) {
        let entry = Entry {
            begun: Some(RunRow { run, ..begun() }),
            progress: Some(Box::new(progress())),
            ending: Some(Ending { phase, reason: format!("{phase:?}") }),
            ..Entry::default()
        };
        opened.metadata.keep(run, &entry).expect("room for an entry");
    }
    let ended = opened.left().expect("whole state").ended;
    assert_eq!(ended.iter().map(|ended| ended.row.run).rev().collect::<Vec<_>>(), runs);
    assert!(ended.iter().all(|ended| ended.progress == progress()));
    assert!(ended.iter().all(|ended| ended.ending.reason == format!("{:?}", ended.ending.phase)), "{ended:?}");
}

#[test]
fn the_newest_model_whose_params_are_whole_is_served_again() {
    let path = folder();
    let mut opened = Folder::open(path.path()).expect("a new folder");
    let progress = Some(Box::new(progress()));
    keep(&mut opened, Entry { begun: Some(begun()), progress, rounds: rows([0, 1, 2]), ..Entry::default() }, None);
    for (opens, state) in [(2, &b"older"[..]), (3, b"newer")] {
        let version = Some(Version { round: Round(opens - 1), params: Digest([opens as u8; 32]) });
        let point = Point { round: Round(opens - 1), accuracy: 0.5, loss: 0.25, at: Duration::ZERO };
        keep(&mut opened, Entry { version, evaluations: vec![point], ..Entry::default() }, Some((opens, state)));
    }
    let served =
        |opened: &Folder| opened.left().expect("whole state").served.map(|found| (found.row.number, found.state));
    assert_eq!(served(&opened), Some((2, b"newer".to_vec())));
    std::fs::write(blob_file(path.path(), b"newer"), b"nEwer").expect("the blob can be written");
    assert_eq!(served(&opened), Some((1, b"older".to_vec())));
}

#[test]
fn state_of_the_first_schema_is_brought_to_this_one() {
    let path = folder();
    let file = path.path().join("state.sqlite");
    std::fs::create_dir_all(path.path()).expect("a folder");
    let old = rusqlite::Connection::open(&file).expect("a new database");
    old.execute_batch(super::sqlite::schema::MIGRATIONS[0]).expect("the first schema");
    old.execute_batch("INSERT INTO coordinator VALUES (1, zeroblob(16), 7)").expect("a row");
    old.execute(
        "INSERT INTO runs (run, name, spec, spec_digest) VALUES (?1, 'test', '{}', ?2)",
        rusqlite::params![RUN.0, [1_u8; 32]],
    )
    .expect("a row");
    old.pragma_update(None, "user_version", 1).expect("the version can be set");
    drop(old);
    let opened = Folder::open(path.path()).expect("older state");
    assert_eq!(opened.metadata.epoch(), Epoch(8));
    assert_eq!(opened.left().expect("whole state").unfinished.map(|found| found.row), Some(begun()));
}

#[test]
fn a_value_that_changed_in_a_row_is_found() {
    let changes = [
        "runs SET phase = 'completed'",
        "runs SET reason = 'because'",
        "runs SET name = 'tesu'",
        "runs SET began = began + 1",
        "rounds SET params = zeroblob(32) WHERE round = 4",
        "rounds SET round = 9 WHERE round = 4",
        "rounds SET run = zeroblob(16) WHERE round = 2",
        "rounds SET micros = micros + 1 WHERE round = 3",
        "checkpoints SET round = 1 WHERE round = 2",
        "checkpoints SET blob = zeroblob(32) WHERE round = 3",
        "progress SET accepted = accepted + 1",
        "progress SET loss = NULL",
        "evaluations SET accuracy = 1.0",
        "versions SET version = 7",
        "participation SET used = used + 1",
        "run_audits SET failed = 0",
        "caught SET partner = 'alpha'",
        "holdings SET data = zeroblob(32)",
        "spool SET unit = 1",
        "coordinator SET epoch = epoch + 1",
    ];
    for change in changes {
        let path = folder();
        a_run(path.path());
        let mut opened = Folder::open(path.path()).expect("the folder");
        let point = Point { round: Round(4), accuracy: 0.5, loss: 0.25, at: Duration::ZERO };
        let entry = Entry {
            progress: Some(Box::new(progress())),
            evaluations: vec![point],
            version: Some(Version { round: Round(4), params: Digest([4; 32]) }),
            holdings: vec![Holding { partner: PartnerName::parse("alpha").expect("a name"), data: Digest([9; 32]) }],
            ..Entry::default()
        };
        keep(&mut opened, entry, None);
        spool(&mut opened, 4, 0, b"an update");
        drop(opened);
        let database = rusqlite::Connection::open(path.path().join("state.sqlite")).expect("the database");
        assert_eq!(database.execute(&format!("UPDATE {change}"), []).expect(change), 1, "{change}");
        drop(database);
        let refused = unfinished(path.path()).map(drop);
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{change}: {refused:?}");
    }
}

#[test]
fn the_database_of_another_program_is_left_as_it_is() {
    let path = folder();
    let file = path.path().join("state.sqlite");
    let other = rusqlite::Connection::open(&file).expect("a new database");
    other.execute_batch("CREATE TABLE holidays (day TEXT)").expect("a table");
    drop(other);
    let before = std::fs::read(&file).expect("the database");
    let refused = Folder::open(path.path()).map(drop);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&file).expect("the database"), before);
}

#[test]
fn a_database_is_held_to_the_folder_that_it_was_made_in() {
    let (path, other) = (folder(), folder());
    a_run(path.path());
    drop(Folder::open(other.path()).expect("a new folder"));
    std::fs::copy(other.path().join("state.sqlite"), path.path().join("state.sqlite")).expect("a copy");
    let refused = Folder::open(path.path()).map(drop);
    assert!(matches!(&refused, Err(StoreError::Damaged { what }) if what.contains("lock")), "{refused:?}");
}

#[test]
fn a_database_that_is_gone_is_missed_every_time_and_costs_no_checkpoint() {
    for gone in [&["state.sqlite"][..], &["state.sqlite", "lock"]] {
        let path = folder();
        a_run(path.path());
        gone.iter().for_each(|file| std::fs::remove_file(path.path().join(file)).expect("a file can be deleted"));
        let kept = blob_files(path.path()).len();
        for _ in 0..3 {
            let refused = Folder::open(path.path()).map(drop);
            assert!(matches!(&refused, Err(StoreError::Damaged { what }) if what.contains("is gone")), "{refused:?}");
            assert_eq!(blob_files(path.path()).len(), kept);
        }
    }
}
