//! Changes at random to the files of an archive, each undone afterwards.

use std::path::{Path, PathBuf};

use syngrad_common::archive::{HEADS, SPEC};
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::receipt::{Check, Checks};

use super::cluster::Archive;

/// Changes something that `seed` chooses; what it was, and whether verification finds it.
pub(crate) fn tamper(archive: &Archive, seed: u64, checks: &Checks) -> (String, bool) {
    let mut dice = Stream::new(seed, Purpose::Jitter, &[77]);
    let mut files = Vec::new();
    list(archive.path(), &mut files);
    if !checks.has(Check::Files) {
        // Without the manifest nobody can say that an authority's certificate is not as it was.
        let says_something = |file: &PathBuf| {
            let path = file.strip_prefix(archive.path()).expect("a file of it");
            path.starts_with("receipts")
                || path.starts_with("updates")
                || path == Path::new(HEADS)
                || path == Path::new(SPEC)
        };
        files.retain(says_something);
    }
    let at = dice.below(files.len() as u64) as usize;
    let (file, other) = (files[at].clone(), files[(at + 1) % files.len()].clone());
    let before = std::fs::read(&file).expect("a file");
    let place = dice.below(before.len().max(1) as u64) as usize;
    let kind = dice.below(8);
    let mut after = before.clone();
    let what = match kind {
        0..=3 => {
            after[place] ^= 1 << dice.below(8);
            format!("a bit of byte {place}")
        }
        4 => {
            after.truncate(place);
            format!("cut at {place}")
        }
        5 => {
            after.insert(place, dice.below(256) as u8);
            format!("a byte more at {place}")
        }
        6 => {
            after = std::fs::read(&other).expect("a file");
            format!("exchanged with {}", other.display())
        }
        _ => {
            after.clear();
            "gone".to_owned()
        }
    };
    if after == before {
        return ("nothing".to_owned(), true);
    }
    match kind {
        7 => std::fs::remove_file(&file).expect("it can be deleted"),
        _ => std::fs::write(&file, &after).expect("it can be written"),
    }
    let verified = archive.verified_with(|_| {}, checks);
    let found = verified.map_or(true, |verified| !verified.findings.is_empty());
    std::fs::write(&file, &before).expect("it can be written back");
    (format!("{}: {what}", file.display()), found)
}

fn list(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => list(&path, found),
            false => found.push(path),
        }
    }
}
