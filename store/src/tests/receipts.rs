//! Receipts: written with their rounds, found again, and read beside whoever writes.

use syngrad_common::wire::receipt::SignedHead;
use syngrad_engine::receipt::{Fingerprint, Frontier, Head, Receipt, Record, Signature, Tree};

use super::*;

fn receipt(number: u32) -> Receipt {
    let contributions = vec![format!("of {number}").into_bytes(), Vec::new()];
    Receipt { round: Round(number), record: format!("record {number}").into_bytes(), contributions }
}

/// An entry with the receipts of these rounds, on top of those in `log`.
fn entry<const N: usize>(log: &mut Frontier, numbers: [u32; N]) -> Entry {
    let receipts: Vec<Receipt> = numbers.into_iter().map(receipt).collect();
    receipts.iter().for_each(|receipt| log.append(Record::digest(&receipt.record)));
    let root = log.root();
    let head = Head { run: RUN, size: root.size, root: root.hash };
    let heads = vec![SignedHead { head, signature: Signature([5; 64]) }];
    Entry { rounds: rows(numbers), receipts, heads, ..Entry::default() }
}

fn a_log(path: &Path) -> Frontier {
    let mut folder = Folder::open(path).expect("a new folder");
    let cutting = Cutting { samples: 9, shards: Some(vec![4, 5]), numerics: Digest([6; 32]) };
    let chain = Chain { fingerprint: Fingerprint([8; 32]), certificates: vec![vec![1, 2], vec![3]] };
    let begun = Entry { begun: Some(begun()), cutting: Some(cutting), certificates: vec![chain], ..Entry::default() };
    keep(&mut folder, begun, None);
    let mut log = Frontier::new(Tree::Log);
    keep(&mut folder, entry(&mut log, [0, 1, 2]), None);
    keep(&mut folder, entry(&mut log, [3]), None);
    log
}

#[test]
fn a_log_is_found_where_it_was_left() {
    let path = folder();
    let log = a_log(path.path());
    let found = unfinished(path.path()).expect("whole state").expect("a run").resumption.log.expect("a log");
    assert_eq!((found.frontier, found.head.head.size), (log, 4));
    assert_eq!(found.previous, Record::digest(b"record 3"));
}

#[test]
fn receipts_are_read_beside_whoever_writes() {
    let path = folder();
    let mut log = a_log(path.path());
    let mut folder = Folder::open(path.path()).expect("the folder");
    let records = folder.reader().open().expect("a reader");
    assert_eq!(records.receipts(RUN, Round(1), 2).expect("receipts"), [receipt(1), receipt(2)]);
    assert_eq!(records.heads(RUN).expect("heads").iter().map(|of| of.head.size).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(records.certificate(Fingerprint([8; 32])).expect("readable"), Some(vec![vec![1, 2], vec![3]]));
    assert_eq!(records.certificate(Fingerprint([9; 32])).expect("readable"), None);
    let cutting = records.cutting(RUN).expect("readable").expect("it has receipts");
    assert_eq!((cutting.samples, cutting.shards), (9, Some(vec![4, 5])));
    assert_eq!(records.run(None).expect("readable"), Some(begun()));
    assert_eq!(records.run(Some(RunId([1; 16]))).expect("readable"), None);
    keep(&mut folder, entry(&mut log, [4]), None);
    assert_eq!(records.leaves(RUN).expect("leaves").len(), 5, "what is kept meanwhile is seen");
}

#[test]
fn receipts_that_are_not_those_of_their_head_are_damage() {
    let path = folder();
    a_log(path.path());
    let database = rusqlite::Connection::open(path.path().join("state.sqlite")).expect("the database");
    crate::sqlite::schema::know_seals(&database).expect("seals");
    let change = "UPDATE receipts SET record = x'00' WHERE round = 1";
    database.execute(change, []).expect("it can be changed");
    let reseal = "UPDATE receipts SET seal = seal_of('receipts', run, round, record, contributions)";
    database.execute(reseal, []).expect("it can be sealed");
    drop(database);
    let refused = unfinished(path.path()).map(drop);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
}

#[test]
fn archived_updates_stay_when_checkpoints_go() {
    let path = folder();
    a_log(path.path());
    let folder = Folder::open(path.path()).expect("the folder");
    let reader = folder.reader();
    let (tell, told) = std::sync::mpsc::channel();
    let heard = move |kept| tell.send(kept).map_or(Told::Nobody, |()| Told::Heard);
    let keeper = Keeper::start(folder, heard).expect("a thread");
    let layout = || Arc::new(Layout::new(vec![Tensor { name: "noop".into(), shape: [3].into() }]).expect("a layout"));
    let payload = Digest([2; 32]);
    let update = ToArchive { payload, bytes: bytes::Bytes::from_static(b"an update") };
    let entry = Entry { updates: vec![update], ..Entry::default() };
    keeper.keep(Order { run: RUN, entry, bulk: None });
    keeper.keep(Order { run: RUN, entry: Entry::default(), bulk: Some(Bulk::State(Box::new(state(layout())))) });
    keeper.finish().expect("everything is kept");
    assert_eq!(told.iter().filter(|kept| matches!(kept, Kept::Done(_))).count(), 2);
    drop(Folder::open(path.path()).expect("leftovers are looked for"));
    let records = reader.open().expect("a reader");
    let archived = records.archived(RUN).expect("archived");
    assert_eq!(archived.iter().map(|of| of.payload).collect::<Vec<_>>(), [payload]);
    assert_eq!(records.blob(archived[0].blob).expect("a blob"), b"an update");
}
