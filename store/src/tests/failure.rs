//! Writes that fail, and what may not follow.

use super::*;

#[test]
fn a_keeper_that_panics_has_not_kept_what_was_ordered() {
    let path = folder();
    let keeper = Keeper::start(Folder::open(path.path()).expect("a folder"), |_| panic!("planted")).expect("a thread");
    keeper.keep(Order { run: RUN, entry: Entry { begun: Some(begun()), ..Entry::default() }, bulk: None });
    let why = keeper.finish().expect_err("its thread is gone");
    assert!(why.to_string().contains("panicked"), "{why}");
}

#[test]
fn after_a_write_that_failed_for_good_nothing_more_is_written() {
    let path = folder();
    let mut opened = Folder::open(path.path()).expect("a new folder");
    keep(&mut opened, Entry { begun: Some(begun()), ..Entry::default() }, None);
    keep(&mut opened, Entry { rounds: rows([0]), ..Entry::default() }, None);
    // Another connection takes a table away: the next write of rounds fails in a way that no second try mends.
    let other = rusqlite::Connection::open(path.path().join("state.sqlite")).expect("the database");
    other.execute_batch("DROP TABLE rounds").expect("the table is there");
    drop(other);
    let failed = opened.metadata.keep(RUN, &Entry { rounds: rows([1]), ..Entry::default() });
    assert!(failed.is_err_and(|why| why.trouble() == Trouble::Broken));
    let files = ["state.sqlite", "state.sqlite-wal"].map(|file| path.path().join(file));
    let read = || files.clone().map(|file| std::fs::read(file).expect("it is there"));
    let before = read();
    drop(opened);
    assert!(read() == before, "closing the folder wrote to it");
}

#[test]
fn folders_are_made_with_those_around_them() {
    let path = folder();
    let deep = path.path().join("a/b/state");
    drop(Folder::open(&deep).expect("a new folder"));
    drop(Folder::open(&deep).expect("the folder"));
    assert!(deep.join("blobs").is_dir());
}

#[test]
fn what_cannot_be_kept_when_nobody_listens_any_more_is_not_passed_over() {
    let path = folder();
    let folder = Folder::open(path.path()).expect("a new folder");
    std::fs::remove_dir_all(path.path().join("blobs")).expect("the blobs can be deleted");
    std::fs::write(path.path().join("blobs"), "no folder").expect("a file can be written");
    let keeper = Keeper::start(folder, |_| Told::Nobody).expect("a thread can be started");
    let layout =
        Arc::new(Layout::new(vec![Tensor { name: "noop".into(), shape: [3].into() }]).expect("a small layout"));
    keeper.keep(Order { run: RUN, entry: Entry::default(), bulk: Some(Bulk::State(Box::new(state(layout)))) });
    let why = keeper.finish().expect_err("there is no folder for the blob");
    assert!(matches!(why, StoreError::Io { .. }), "{why}");
}

#[test]
fn a_schema_that_is_no_text_any_more_is_damage() {
    let path = folder();
    a_run(path.path());
    let database = rusqlite::Connection::open(path.path().join("state.sqlite")).expect("the database");
    database.pragma_update(None, "writable_schema", true).expect("a pragma");
    let change = "UPDATE sqlite_schema SET sql = replace(sql, 'stopped', CAST(x'ff' AS TEXT)) WHERE name = 'runs'";
    assert_eq!(database.execute(change, []).expect("the schema can be written"), 1);
    drop(database);
    let refused = unfinished(path.path()).map(drop);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
}
