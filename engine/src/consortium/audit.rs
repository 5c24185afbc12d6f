//! What was done, by whom and why: a chain in which nothing can be changed, left out or put in between unseen.
//!
//! Each entry's digest is over its number, moment, who, what, reason and the digest before it. Whoever keeps the last
//! digest elsewhere notices any change of what is before it.

use thiserror::Error;

use super::record::Moment;
use crate::digest::{Digest, Domain, Hasher};

/// The longest text of an entry, in bytes.
const MAX_TEXT: usize = 1024;

/// One administrative act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// Who did it.
    pub who: String,
    /// What it was.
    pub what: String,
    /// Why, in their words.
    pub reason: String,
    /// Over all of the above and the digest before.
    pub digest: Digest,
}

/// Where the chain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    entries: u64,
    last: Digest,
}

/// An entry that is not the next one of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("entry {number} of the audit log is not the one that was written there: it was changed, or others are missing")]
pub struct AuditBroken {
    /// The number that was expected.
    pub number: u64,
}

impl Audit {
    /// The next entry. The chain goes on with it once it is kept and [taken](Self::take).
    #[must_use]
    pub fn next(&self, at: Moment, who: &str, what: &str, reason: &str) -> AuditEntry {
        let [who, what, reason] = [who, what, reason].map(shortened);
        let number = self.entries + 1;
        let digest = digest(number, at, [&who, &what, &reason], self.last);
        AuditEntry { number, at, who, what, reason, digest }
    }

    /// Goes on with an entry that is kept.
    ///
    /// # Errors
    /// [`AuditBroken`] if it does not follow the one before.
    pub fn take(&mut self, entry: &AuditEntry) -> Result<(), AuditBroken> {
        let number = self.entries + 1;
        let AuditEntry { number: found, at, who, what, reason, digest: claimed } = entry;
        let expected = digest(number, *at, [who, what, reason], self.last);
        if *found != number || *claimed != expected {
            return Err(AuditBroken { number });
        }
        *self = Self { entries: number, last: expected };
        Ok(())
    }

    /// How many entries there are.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The digest of the last entry: all zeros before the first.
    #[must_use]
    pub fn last(&self) -> Digest {
        self.last
    }
}

fn shortened(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

/// Texts go in with their lengths, so that no two entries are the same bytes.
fn digest(number: u64, at: Moment, texts: [&str; 3], previous: Digest) -> Digest {
    let mut hasher = Hasher::new(Domain::Audit);
    hasher.update(&number.to_le_bytes()).update(&at.0.to_le_bytes());
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    hasher.update(&previous.0).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(entries: usize) -> Vec<AuditEntry> {
        let mut audit = Audit::default();
        let mut chain = Vec::new();
        for index in 0..entries {
            let entry = audit.next(Moment(index as u64), "operator/alice", "suspended partner b", "a test");
            audit.take(&entry).expect("it is the next one");
            chain.push(entry);
        }
        chain
    }

    fn check(chain: &[AuditEntry]) -> Result<Audit, AuditBroken> {
        let mut audit = Audit::default();
        chain.iter().try_for_each(|entry| audit.take(entry)).map(|()| audit)
    }

    #[test]
    fn a_chain_reads_as_it_was_written() {
        let audit = check(&chain(5)).expect("a whole chain");
        assert_eq!((audit.entries(), audit.last()), (5, chain(5)[4].digest));
    }

    #[test]
    fn whatever_is_changed_in_a_chain_is_found() {
        let changes: [fn(&mut AuditEntry); 6] = [
            |entry| entry.number += 1,
            |entry| entry.at.0 += 1,
            |entry| entry.who.push('x'),
            |entry| entry.what = String::new(),
            |entry| entry.reason.push(' '),
            |entry| entry.digest.0[31] ^= 1,
        ];
        for place in 0..4 {
            for change in changes {
                let mut chain = chain(4);
                change(&mut chain[place]);
                assert_eq!(check(&chain), Err(AuditBroken { number: place as u64 + 1 }));
            }
        }
        let (mut swapped, mut without) = (chain(4), chain(4));
        swapped.swap(1, 2);
        without.remove(1);
        assert_eq!(check(&swapped), Err(AuditBroken { number: 2 }));
        assert_eq!(check(&without), Err(AuditBroken { number: 2 }));
    }

    #[test]
    fn text_that_moves_from_one_field_to_the_next_is_another_entry() {
        let audit = Audit::default();
        assert_ne!(audit.next(Moment(0), "ab", "c", "").digest, audit.next(Moment(0), "a", "bc", "").digest);
    }

    #[test]
    fn texts_are_short_and_of_one_line() {
        let entry = Audit::default().next(Moment(0), "a\nb", &"é".repeat(MAX_TEXT), "");
        assert_eq!((entry.who.as_str(), entry.what.len()), ("a b", MAX_TEXT));
    }
}
