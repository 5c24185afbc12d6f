use proptest::prelude::*;

use super::*;

/// RFC 6962, 2.1: the hash of a list of leaves, word for word.
fn naive_root(tree: Tree, leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => tree.empty(),
        [leaf] => tree.leaf(leaf),
        leaves => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            tree.node(&naive_root(tree, left), &naive_root(tree, right))
        }
    }
}

/// The largest power of two less than `len`.
fn split(len: usize) -> usize {
    let mut split = 1;
    while split * 2 < len {
        split *= 2;
    }
    split
}

/// RFC 6962, 2.1.1: PATH(m, D[n]).
fn naive_path(tree: Tree, place: usize, leaves: &[Vec<u8>]) -> Vec<Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, other) = match place < k {
        true => (naive_path(tree, place, left), naive_root(tree, right)),
        false => (naive_path(tree, place - k, right), naive_root(tree, left)),
    };
    path.push(other);
    path
}

/// RFC 6962, 2.1.2: SUBPROOF(m, D[n], b).
fn naive_subproof(tree: Tree, old: usize, leaves: &[Vec<u8>], is_known: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if is_known { Vec::new() } else { vec![naive_root(tree, leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, other) = match old <= k {
        true => (naive_subproof(tree, old, left, is_known), naive_root(tree, right)),
        false => (naive_subproof(tree, old - k, right, false), naive_root(tree, left)),
    };
    path.push(other);
    path
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| format!("leaf {index}").into_bytes()).collect()
}

fn whole(leaves: &[Vec<u8>]) -> Whole {
    Whole::new(Tree::Log, leaves.iter().map(|leaf| Tree::Log.leaf(leaf)).collect())
}

const MOST: usize = 70;

#[test]
fn roots_and_proofs_are_those_of_the_rfc() {
    for count in 0..MOST {
        let leaves = leaves(count);
        let tree = whole(&leaves);
        let root = naive_root(Tree::Log, &leaves);
        assert_eq!((tree.root(), tree.size()), (root, count as u64));
        for place in 0..count {
            let path = tree.inclusion(place as u64);
            assert_eq!(path, naive_path(Tree::Log, place, &leaves), "{place} of {count}");
            let leaf = Tree::Log.leaf(&leaves[place]);
            assert_eq!(Tree::Log.check_inclusion(leaf, place as u64, count as u64, &path, root), Ok(()));
        }
        for old in 1..=count {
            let path = tree.consistency(old as u64);
            assert_eq!(path, naive_subproof(Tree::Log, old, &leaves, true), "{old} of {count}");
            let older = Root { size: old as u64, hash: naive_root(Tree::Log, &leaves[..old]) };
            let newer = Root { size: count as u64, hash: root };
            assert_eq!(Tree::Log.check_consistency(older, newer, &path), Ok(()), "{old} of {count}");
        }
    }
}

#[test]
fn a_frontier_grows_to_the_same_roots() {
    let leaves = leaves(MOST);
    let mut frontier = Frontier::new(Tree::Log);
    for count in 0..MOST {
        assert_eq!(frontier.root(), Root { size: count as u64, hash: naive_root(Tree::Log, &leaves[..count]) });
        let again = Frontier::from_parts(Tree::Log, frontier.size(), frontier.peaks().to_vec());
        assert_eq!(again.as_ref(), Some(&frontier));
        frontier.append(Tree::Log.leaf(&leaves[count]));
    }
    assert_eq!(Frontier::from_parts(Tree::Log, 3, vec![Digest::default()]), None);
}

#[test]
fn a_proof_of_inclusion_takes_less_than_a_kilobyte() {
    let most_rounds = u64::from(crate::spec::check::MAX_ROUNDS);
    let levels = u64::BITS - (most_rounds - 1).leading_zeros();
    assert!(levels as usize * Digest::LEN <= 1000, "{levels} levels");
}

#[test]
fn the_two_trees_never_agree() {
    assert_ne!(Tree::Log.leaf(b"x"), Tree::Contributions.leaf(b"x"));
    assert_ne!(Tree::Log.empty(), Tree::Contributions.empty());
}

/// A path that is not the right one: a hash changed, left out, added, or two exchanged.
fn spoil(path: &[Digest], how: usize, at: usize) -> Vec<Digest> {
    let mut path = path.to_vec();
    let len = path.len().max(1);
    let at = at % len;
    match how % 4 {
        0 if !path.is_empty() => path[at].0[at % 32] ^= 1,
        1 if !path.is_empty() => drop(path.remove(at)),
        2 if path.len() > 1 => path.swap(at, (at + 1) % len),
        _ => path.insert(at, Digest([7; 32])),
    }
    path
}

proptest! {
    #[test]
    fn no_wrong_proof_of_inclusion_holds(
        count in 1usize..200, place in 0usize..200, how in 0usize..4, at in 0usize..64, other in 0usize..200,
    ) {
        let (leaves, place) = (leaves(count), place % count);
        let tree = whole(&leaves);
        let (root, path) = (tree.root(), tree.inclusion(place as u64));
        let leaf = Tree::Log.leaf(&leaves[place]);
        let check = |leaf, place, size, path: &[Digest]| Tree::Log.check_inclusion(leaf, place, size, path, root);
        prop_assert!(check(leaf, place as u64, count as u64, &path).is_ok());
        let spoiled = spoil(&path, how, at);
        prop_assert!(spoiled == path || check(leaf, place as u64, count as u64, &spoiled).is_err());
        let elsewhere = (other % count) as u64;
        prop_assert!(elsewhere == place as u64 || check(leaf, elsewhere, count as u64, &path).is_err());
        prop_assert!(check(leaf, count as u64, count as u64, &path).is_err());
        prop_assert!(check(Tree::Log.leaf(b"another"), place as u64, count as u64, &path).is_err());
    }

    #[test]
    fn no_wrong_proof_of_growth_holds(
        old in 1usize..200, more in 1usize..100, how in 0usize..4, at in 0usize..64, changed in 0usize..200,
    ) {
        let count = old + more;
        let leaves = leaves(count);
        let tree = whole(&leaves);
        let older = Root { size: old as u64, hash: naive_root(Tree::Log, &leaves[..old]) };
        let newer = Root { size: count as u64, hash: tree.root() };
        let path = tree.consistency(old as u64);
        prop_assert!(Tree::Log.check_consistency(older, newer, &path).is_ok());
        let spoiled = spoil(&path, how, at);
        prop_assert!(spoiled == path || Tree::Log.check_consistency(older, newer, &spoiled).is_err());
        // The newer log has another record in the place of one that was there: no path hides it.
        let mut rewritten = leaves;
        rewritten[changed % old] = b"rewritten".to_vec();
        let rewritten = whole(&rewritten);
        let forked = Root { hash: rewritten.root(), ..newer };
        prop_assert!(Tree::Log.check_consistency(older, forked, &path).is_err());
        prop_assert!(Tree::Log.check_consistency(older, forked, &rewritten.consistency(old as u64)).is_err());
        prop_assert!(Tree::Log.check_consistency(newer, older, &path).is_err());
        let mixed = Root { hash: newer.hash, ..older };
        prop_assert!(Tree::Log.check_consistency(mixed, newer, &path).is_err());
    }
}
