//! Receipts as they are kept, sent and exported: one encoding each, and a proof shows what it says or nothing.

use arbitrary::{Result, Unstructured};
use syngrad_common::archive::{self, Manifest, Seen};
use syngrad_engine::digest::Domain;
use syngrad_engine::receipt::{
    Branch, Contribution, Fingerprint, Frontier, Receipt, Record, Root, Signature, Tree, Verdict, Whole,
};
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Digest, LeaseId, PartnerName, Round, RunId, Unit, WorkerId};

const RUN: RunId = RunId([7; 16]);

/// The most leaves of a tree.
const MOST_LEAVES: u64 = 40;

/// The first byte says what the others are.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 7 {
        0 => match Record::decode(bytes) {
            Ok(record) => assert_eq!(record.encode(), bytes, "a record has one encoding"),
            Err(why) => assert!(!why.to_string().is_empty()),
        },
        1 => match Contribution::decode(bytes) {
            Ok(contribution) => assert_eq!(contribution.encode(), bytes, "a contribution has one encoding"),
            Err(why) => assert!(!why.to_string().is_empty()),
        },
        2 => match archive::decode_receipts("receipts/0", Round(u32::MAX - 1), bytes) {
            Ok(receipts) => assert_eq!(archive::encode_receipts(&receipts), bytes),
            Err(why) => assert!(!why.to_string().is_empty()),
        },
        3 => {
            if let Ok(heads) = archive::decode_heads(RUN, bytes) {
                assert_eq!(archive::encode_heads(&heads), bytes);
                for head in heads {
                    assert_eq!(Seen::of(&head).head(), Some(head));
                }
            }
        }
        4 => {
            if let Ok(manifest) = Manifest::decode(bytes) {
                assert_eq!(manifest.encode(), bytes, "a manifest has one encoding");
                manifest.files.iter().filter(|file| archive::is_path(&file.path)).for_each(|file| {
                    assert!(!file.path.contains("..") && !file.path.starts_with('/'), "{} leads elsewhere", file.path);
                });
            }
        }
        // Bytes that are no whole input are no input.
        5 => drop(check_proofs(&mut Unstructured::new(bytes))),
        _ => drop(check_anything(&mut Unstructured::new(bytes))),
    }
}

fn tree(input: &mut Unstructured<'_>) -> Result<Tree> {
    Ok(*input.choose(&[Tree::Log, Tree::Contributions])?)
}

/// Honest proofs are believed, and others are not.
fn check_proofs(input: &mut Unstructured<'_>) -> Result<()> {
    let tree = tree(input)?;
    let size = input.int_in_range(1..=MOST_LEAVES)?;
    let leaves: Vec<Digest> = (0..size).map(|place| tree.leaf(&place.to_le_bytes())).collect();
    let whole = Whole::new(tree, leaves.clone());
    let mut frontier = Frontier::new(tree);
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    assert_eq!(frontier.root(), Root { size, hash: whole.root() });
    let place = input.int_in_range(0..=size - 1)?;
    let path = whole.inclusion(place);
    let leaf = leaves[place as usize];
    assert_eq!(tree.check_inclusion(leaf, place, size, &path, whole.root()), Ok(()));
    let elsewhere = input.int_in_range(0..=size - 1)?;
    if elsewhere != place {
        assert!(tree.check_inclusion(leaf, elsewhere, size, &path, whole.root()).is_err(), "a leaf is at two places");
    }
    let old = input.int_in_range(0..=size)?;
    let begun = Whole::new(tree, leaves[..old as usize].to_vec());
    let (older, newer) = (Root { size: old, hash: begun.root() }, Root { size, hash: whole.root() });
    let grown = whole.consistency(old);
    assert_eq!(tree.check_consistency(older, newer, &grown), Ok(()));
    let mut other = grown;
    if !other.is_empty() {
        let at = input.choose_index(other.len())?;
        other[at].0[input.int_in_range(0..=31)?] ^= input.int_in_range(1..=255)?;
        assert!(tree.check_consistency(older, newer, &other).is_err(), "a changed path shows the same");
    }
    Ok(())
}

/// Proofs that are anything at all end, and show nothing.
fn check_anything(input: &mut Unstructured<'_>) -> Result<()> {
    let tree = tree(input)?;
    let digest = |input: &mut Unstructured<'_>| Ok(Digest([input.arbitrary()?; 32]));
    let path = (0..input.int_in_range(0..=70)?).map(|_| digest(input)).collect::<Result<Vec<_>>>()?;
    let (leaf, root) = (tree.leaf(b"leaf"), digest(input)?);
    assert!(tree.check_inclusion(leaf, input.arbitrary()?, input.arbitrary()?, &path, root).is_err());
    let (old, new) = (Root { size: input.arbitrary()?, hash: root }, Root { size: input.arbitrary()?, hash: leaf });
    let is_same = old.size == 0 && path.is_empty();
    assert!(is_same || tree.check_consistency(old, new, &path).is_err());
    let size = u64::from(input.arbitrary::<u32>()?);
    if let Some(mut frontier) = Frontier::from_parts(tree, size, path) {
        frontier.append(leaf);
        assert_eq!((frontier.size(), frontier.peaks().len()), (size + 1, (size + 1).count_ones() as usize));
    }
    Ok(())
}

fn contribution() -> Contribution {
    Contribution {
        verdict: Verdict::Accepted,
        partner: PartnerName::parse("hospital-b").expect("a name"),
        worker: WorkerId([3; 16]),
        certificate: Fingerprint([4; 32]),
        round: Round(2),
        lease: LeaseId(9),
        units: [Unit(1), Unit(2)].into(),
        weight: 64,
        saturated: 1,
        micros: 1_500,
        params: Digest([5; 32]),
        payload: Digest::of(Domain::Update, b"a sum"),
        payload_bytes: 12,
        signature: Signature([6; 64]),
    }
}

fn record() -> Record {
    let [one, two, three] = [1, 2, 3].map(|byte| Digest([byte; 32]));
    Record {
        run: RUN,
        round: Round(2),
        at: 1_800_000_000,
        spec: one,
        layout: two,
        before: two,
        after: three,
        chain: one,
        bits: UpdateBits::Sixteen,
        exponents: vec![3, -4],
        numerics: two,
        policy: three,
        units: 4,
        weight: 64,
        saturated: 1,
        contributions: Branch { size: 1, root: one },
        overflow: 0,
        previous: two,
    }
}

/// One of each kind, whole.
pub fn seeds() -> Vec<Vec<u8>> {
    let (record, contribution) = (record().encode(), contribution().encode());
    let receipt = Receipt { round: Round(2), record: record.clone(), contributions: vec![contribution.clone()] };
    let manifest = Manifest {
        version: archive::VERSION,
        run: RUN.to_string(),
        records: 3,
        samples: 8,
        shards: Some(vec![3, 5]),
        numerics: Digest([1; 32]).to_string(),
        files: vec![archive::File::of(archive::segment(Round(0)), b"contents")],
    };
    let files = [record, contribution, archive::encode_receipts(&[receipt]), vec![8; 104], manifest.encode()];
    let files = files.into_iter().zip(0_u8..).map(|(bytes, kind)| [vec![kind], bytes].concat());
    let choices = (0..8).map(|number| [vec![5 + number as u8 % 2], crate::noise(number, 96)].concat());
    files.chain(choices).collect()
}
