//! A coordinator that rewrites its log and signs it again: it has the log's key, and no worker's but one.

use syngrad_common::archive::{self, File, Manifest};
use syngrad_common::identity::SigningKey;
use syngrad_common::wire::receipt::SignedHead;
use syngrad_coordinator::LogKey;
use syngrad_engine::receipt::{Branch, Contribution, Frontier, Head, Receipt, Record, Tree, Whole};
use syngrad_engine::{Digest, Round, RunId};

use super::cluster::{Archive, Party};

pub(crate) struct Forger<'a> {
    party: &'a Party,
    log: LogKey,
    archive: Archive,
    manifest: Manifest,
    rounds: Vec<(Record, Vec<Contribution>)>,
}

impl<'a> Forger<'a> {
    pub(crate) fn open(archive: &Archive, party: &'a Party) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        copy(archive.path(), folder.path());
        let manifest = std::fs::read(archive.path().join(archive::MANIFEST)).expect("a manifest");
        let manifest = Manifest::decode(&manifest).expect("a manifest");
        let bytes = std::fs::read(archive.path().join(archive::segment(Round(0)))).expect("receipts");
        let receipts = archive::decode_receipts("receipts", Round(0), &bytes).expect("whole receipts");
        let decode = |receipt: Receipt| {
            let contributions = receipt.contributions.iter().map(|of| Contribution::decode(of).expect("one"));
            (Record::decode(&receipt.record).expect("a record"), contributions.collect())
        };
        let archive = Archive { folder, params: archive.params.clone() };
        Self { party, log: party.log_key(), archive, manifest, rounds: receipts.into_iter().map(decode).collect() }
    }

    pub(crate) fn contributions(&mut self, round: usize) -> &mut Vec<Contribution> {
        &mut self.rounds[round].1
    }

    /// A worker was sent other params than the others, and signed what it was sent.
    pub(crate) fn sign_over_other_params(&mut self, round: usize) {
        let (record, contributions) = &mut self.rounds[round];
        let given = &mut contributions[0];
        given.params = Digest([9; 32]);
        let of = self.party.workers.iter().find(|of| of.grant().chain[0].sha256().0 == given.certificate.0);
        let key = SigningKey::new(of.expect("a worker of the party").key()).expect("an Ed25519 key");
        given.signature = key.sign(&given.statement(record.run, record.spec).encode());
    }

    /// The params that came out of a round are others than the updates come to, and nobody says why.
    pub(crate) fn change_params(&mut self, round: usize) {
        self.rounds[round].0.after.0[0] ^= 1;
    }

    /// The archive after `lie`, with all that follows from it made to fit.
    pub(crate) fn forged(mut self, lie: &dyn Fn(&mut Self)) -> Archive {
        lie(&mut self);
        let mut frontier = Frontier::new(Tree::Log);
        let mut previous = Digest::default();
        let mut receipts = Vec::new();
        let mut heads = Vec::new();
        for (mut record, contributions) in std::mem::take(&mut self.rounds) {
            let contributions: Vec<Vec<u8>> = contributions.iter().map(Contribution::encode).collect();
            let leaves = contributions.iter().map(|bytes| Tree::Contributions.leaf(bytes)).collect();
            let tree = Whole::new(Tree::Contributions, leaves);
            record.contributions = Branch { size: contributions.len() as u32, root: tree.root() };
            record.previous = previous;
            let (run, round, record) = (record.run, record.round, record.encode());
            previous = Record::digest(&record);
            frontier.append(previous);
            heads.push(self.head(run, &frontier));
            receipts.push(Receipt { round, record, contributions });
        }
        self.write(&archive::segment(Round(0)), &archive::encode_receipts(&receipts));
        self.write(archive::HEADS, &archive::encode_heads(&heads));
        let manifest = self.manifest.encode();
        std::fs::write(self.archive.path().join(archive::MANIFEST), &manifest).expect("it can be written");
        let signature = self.log.key.sign(&archive::statement(&manifest));
        std::fs::write(self.archive.path().join(archive::SIGNATURE), signature.0).expect("it can be written");
        self.archive
    }

    fn head(&self, run: RunId, frontier: &Frontier) -> SignedHead {
        let root = frontier.root();
        let head = Head { run, size: root.size, root: root.hash };
        SignedHead { head, signature: self.log.key.sign(&head.encode()) }
    }

    fn write(&mut self, path: &str, contents: &[u8]) {
        std::fs::write(self.archive.path().join(path), contents).expect("it can be written");
        let file = self.manifest.files.iter_mut().find(|file| file.path == path).expect("it is in the manifest");
        *file = File::of(path.to_owned(), contents);
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).expect("a folder can be made");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
