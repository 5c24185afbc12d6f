//! Merkle trees in the shape of RFC 6962 (<https://www.rfc-editor.org/rfc/rfc6962>), section 2.1, with BLAKE3.
//!
//! A tree over n leaves has, to the left, one over the largest power of two that is less than n, and to the right one over
//! the rest. A leaf is hashed with a 0 before it and a node with a 1, so that neither can be taken for the other.

use thiserror::Error;

use crate::digest::{Digest, Domain, Hasher};

/// What a tree is over; the two never agree on a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// The records of a run.
    Log,
    /// The contributions to a round.
    Contributions,
}

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The place is not in the tree, or the older tree is the larger one.
    #[error("it is about place {place} of a tree of {size}")]
    Place {
        /// The place, or the size of the older tree.
        place: u64,
        /// The size of the tree.
        size: u64,
    },
    /// There are more or fewer hashes than such a proof has.
    #[error("it has {found} hashes, and such a proof has another number")]
    Length {
        /// Hashes found.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("it leads to {found}; the root is {expected}")]
    Root {
        /// The root of the tree.
        expected: Digest,
        /// The root that the proof leads to.
        found: Digest,
    },
}

impl Tree {
    fn hasher(self) -> Hasher {
        Hasher::new(match self {
            Self::Log => Domain::Log,
            Self::Contributions => Domain::Contributions,
        })
    }

    /// The hash of a leaf.
    #[must_use]
    pub fn leaf(self, bytes: &[u8]) -> Digest {
        self.hasher().update(&[0]).update(bytes).finish()
    }

    fn node(self, left: &Digest, right: &Digest) -> Digest {
        self.hasher().update(&[1]).update(&left.0).update(&right.0).finish()
    }

    fn empty(self) -> Digest {
        self.hasher().finish()
    }

    /// Whether `leaf` is at `place` of the tree of `size` leaves with this root.
    ///
    /// # Errors
    /// [`ProofError`] if the path does not show it.
    pub fn check_inclusion(
        self,
        leaf: Digest,
        place: u64,
        size: u64,
        path: &[Digest],
        root: Digest,
    ) -> Result<(), ProofError> {
        if place >= size {
            return Err(ProofError::Place { place, size });
        }
        let mut hashes = path.iter();
        let too_short = ProofError::Length { found: path.len() };
        let (mut node, mut last, mut found) = (place, size - 1, leaf);
        while last > 0 {
            if node & 1 == 1 {
                found = self.node(hashes.next().ok_or(too_short)?, &found);
            } else if node < last {
                found = self.node(&found, hashes.next().ok_or(too_short)?);
            }
            node >>= 1;
            last >>= 1;
        }
        used_up(hashes.as_slice(), path)?;
        leads_to(found, root)
    }

    /// Whether the tree of `old` leaves is the beginning of that of `new` leaves.
    ///
    /// # Errors
    /// [`ProofError`] if the path does not show it.
    pub fn check_consistency(self, old: Root, new: Root, path: &[Digest]) -> Result<(), ProofError> {
        if old.size > new.size {
            return Err(ProofError::Place { place: old.size, size: new.size });
        }
        if old.size == new.size || old.size == 0 {
            used_up(path, path)?;
            return leads_to(if old.size == 0 { self.empty() } else { new.hash }, old.hash);
        }
        let too_short = ProofError::Length { found: path.len() };
        let mut hashes = path.iter();
        let (mut node, mut last) = (old.size - 1, new.size - 1);
        while node & 1 == 1 {
            node >>= 1;
            last >>= 1;
        }
        // A tree of a power of two is a node of the newer one, and needs not be sent.
        let first = if node == 0 { old.hash } else { *hashes.next().ok_or(too_short)? };
        let (mut of_old, mut of_new) = (first, first);
        while last > 0 {
            if node & 1 == 1 {
                let left = hashes.next().ok_or(too_short)?;
                of_old = self.node(left, &of_old);
                of_new = self.node(left, &of_new);
            } else if node < last {
                of_new = self.node(&of_new, hashes.next().ok_or(too_short)?);
            }
            node >>= 1;
            last >>= 1;
        }
        used_up(hashes.as_slice(), path)?;
        leads_to(of_old, old.hash)?;
        leads_to(of_new, new.hash)
    }
}

/// The root of a tree of so many leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Number of leaves.
    pub size: u64,
    /// The hash.
    pub hash: Digest,
}

/// Whether all hashes of a path were used.
fn used_up(rest: &[Digest], path: &[Digest]) -> Result<(), ProofError> {
    if rest.is_empty() { Ok(()) } else { Err(ProofError::Length { found: path.len() }) }
}

fn leads_to(found: Digest, expected: Digest) -> Result<(), ProofError> {
    if found == expected { Ok(()) } else { Err(ProofError::Root { expected, found }) }
}

/// All hashes of a tree: proofs of anything in it.
#[derive(Clone, Debug)]
pub struct Whole {
    tree: Tree,
    /// The leaves, then the nodes above them, and so on. A node without a neighbour is passed on as it is.
    levels: Vec<Vec<Digest>>,
}

impl Whole {
    /// The tree over leaves that are hashed already.
    #[must_use]
    pub fn new(tree: Tree, leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => tree.node(left, right),
                alone => alone[0],
            });
            let above = above.collect();
            levels.push(above);
        }
        Self { tree, levels }
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels[0].len() as u64
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_else(|| self.tree.empty())
    }

    /// The path from the leaf at `place` to the root; empty if there is no such leaf.
    #[must_use]
    pub fn inclusion(&self, place: u64) -> Vec<Digest> {
        let mut at = usize::try_from(place).unwrap_or(usize::MAX);
        if at >= self.levels[0].len() {
            return Vec::new();
        }
        let mut path = Vec::new();
        for level in &self.levels {
            path.extend(level.get(at ^ 1));
            at >>= 1;
        }
        path
    }

    /// That the tree of the first `old` leaves is the beginning of this one; empty if it is larger.
    #[must_use]
    pub fn consistency(&self, old: u64) -> Vec<Digest> {
        if old == 0 || old >= self.size() {
            return Vec::new();
        }
        let mut at = usize::try_from(old).unwrap_or(usize::MAX) - 1;
        let mut level = 0;
        while at & 1 == 1 {
            at >>= 1;
            level += 1;
        }
        let mut path = Vec::new();
        if at > 0 {
            path.push(self.levels[level][at]);
        }
        for level in &self.levels[level..] {
            path.extend(level.get(at ^ 1));
            at >>= 1;
        }
        path
    }
}

/// The right edge of a growing tree: all that appending needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    tree: Tree,
    size: u64,
    /// Roots of the whole subtrees from left to right, one for each bit of the size, largest first.
    peaks: Vec<Digest>,
}

impl Frontier {
    /// That of an empty tree.
    #[must_use]
    pub fn new(tree: Tree) -> Self {
        Self { tree, size: 0, peaks: Vec::new() }
    }

    /// That of a tree of `size` leaves; none if there is another number of peaks than such a tree has.
    #[must_use]
    pub fn from_parts(tree: Tree, size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { tree, size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the whole subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Appends a leaf that is hashed already.
    pub fn append(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("there is a peak for each bit of the size");
            hash = self.tree.node(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Root {
        let mut peaks = self.peaks.iter().rev().copied();
        let hash = match peaks.next() {
            Some(last) => peaks.fold(last, |right, left| self.tree.node(&left, &right)),
            None => self.tree.empty(),
        };
        Root { size: self.size, hash }
    }
}

#[cfg(test)]
mod tests;
