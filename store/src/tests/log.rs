//! SQLite's write-ahead log, as a kill leaves it and as nothing honest can.

use super::*;

/// The log of a run, as a kill leaves it.
fn log_of_a_run(path: &Path) -> PathBuf {
    let mut folder = Folder::open(path).expect("a new folder");
    keep(&mut folder, Entry { begun: Some(begun()), ..Entry::default() }, None);
    for number in 0..8 {
        keep(&mut folder, Entry { rounds: rows([number]), ..Entry::default() }, None);
    }
    let killed = path.join("killed");
    std::fs::create_dir(&killed).expect("a folder can be made");
    for file in ["state.sqlite", "state.sqlite-wal"] {
        std::fs::copy(path.join(file), killed.join(file)).expect("a copy");
    }
    killed
}

#[test]
fn a_log_that_lost_more_than_a_crash_can_tear_is_refused() {
    let path = folder();
    let killed = log_of_a_run(path.path());
    let log = killed.join("state.sqlite-wal");
    let whole = std::fs::read(&log).expect("the log");
    let page = 4096 + 24;
    let damages = [("header", 0), ("sum of the header", 31), ("salt", 32 + 8), ("first page", 32 + 100)];
    for (name, byte) in damages {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1;
        std::fs::write(&log, damaged).expect("the log can be written");
        let refused = Sqlite::open(&killed.join("state.sqlite"), Beginning::Allowed).map(drop);
        assert!(matches!(&refused, Err(StoreError::Damaged { what }) if what.contains("-wal")), "{name}: {refused:?}");
    }
    // A transaction that a crash tore is not missed.
    std::fs::write(&log, &whole[..whole.len() - page / 2]).expect("the log can be written");
    let opened = Sqlite::open(&killed.join("state.sqlite"), Beginning::Allowed).expect("what a crash leaves");
    assert_eq!(opened.rounds(RUN, Round(0)).expect("whole state").len(), 7);
}
