//! What the crates we build on allow us to do, from `cargo tree`, which lists exactly what is built (`cargo metadata`
//! lists optional crates that nothing enables too): no crate outside the list of licences, none that is banned, none
//! older than its floor.
//!
//! `deny.toml` says the same to cargo-deny, which also knows published advisories; it is not needed here.

use std::collections::BTreeSet;
use std::process::Command;

use spdx::{Expression, Licensee, ParseMode};
use thiserror::Error;

/// Licences that ask for nothing but their notice, or (MPL-2.0) only for changes of their own files.
pub const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that are not to come in, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls, so that one static binary runs everywhere"),
    ("native-tls", "TLS is rustls, so that one static binary runs everywhere"),
];

/// The oldest version of a crate that works, and what older ones do.
const FLOORS: &[(&str, [u64; 3], &str)] = &[(
    "h2",
    [0, 4, 19],
    "0.4.16 to 0.4.18 close connections that carry many small frames; older ones have advisories",
)];

/// A crate of somebody else that we build.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    name: String,
    version: String,
    licence: String,
}

/// A list of crates that cannot be had.
#[derive(Debug, Error)]
pub enum ListError {
    /// Cargo did not start.
    #[error("cargo tree did not start: {0}")]
    Start(#[from] std::io::Error),
    /// Cargo failed, and said why.
    #[error("cargo tree failed: {0}")]
    Failed(String),
}

/// Asks cargo what the workspace builds with every feature: its programs, its tests and what builds them.
///
/// # Errors
/// [`ListError`], also when `Cargo.lock` does not fit the manifests.
pub fn foreign() -> Result<BTreeSet<Foreign>, ListError> {
    let arguments =
        "tree --workspace --all-features --locked --edges normal,build,dev --prefix none --format {p}\t{l}\t";
    let answer = Command::new("cargo").args(arguments.split(' ')).current_dir(crate::root()).output()?;
    match answer.status.success() {
        true => Ok(String::from_utf8_lossy(&answer.stdout).lines().filter_map(parse).collect()),
        false => Err(ListError::Failed(String::from_utf8_lossy(&answer.stderr).trim().to_owned())),
    }
}

/// Reads `name v1.2.3 (proc-macro)`, a tab and the licence; none for our own crates, which have a path in brackets.
fn parse(line: &str) -> Option<Foreign> {
    let (package, rest) = line.split_once('\t')?;
    let licence = rest.split('\t').next()?.to_owned();
    let mut words = package.split(' ');
    let (name, version) = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
    let ours = words.any(|word| word.contains('/'));
    (!ours).then_some(Foreign { name, version, licence })
}

/// Every objection to `crates`, in words.
#[must_use]
pub fn objections(crates: &BTreeSet<Foreign>) -> Vec<String> {
    let about = |package: &Foreign| {
        let all = [licence(package), ban(package), floor(package)];
        let name = format!("{} {}", package.name, package.version);
        all.into_iter().flatten().map(move |objection| format!("{name}: {objection}"))
    };
    crates.iter().flat_map(about).collect()
}

fn licence(package: &Foreign) -> Option<String> {
    let text = &package.licence;
    if text.is_empty() {
        return Some("it states no licence; do without it, or ask its authors to state one".to_owned());
    }
    let expression = match Expression::parse_mode(text, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("its licence {text:?} cannot be read: {}", error.reason)),
    };
    let allowed: Vec<Licensee> = ALLOWED.iter().filter_map(|licence| Licensee::parse(licence).ok()).collect();
    let fits = expression.evaluate(|wanted| allowed.iter().any(|licence| licence.satisfies(wanted)));
    (!fits).then(|| format!("its licence {text:?} is not on the list in xtask/src/licences.rs"))
}

fn ban(package: &Foreign) -> Option<String> {
    let (_, why) = BANNED.iter().find(|(name, _)| *name == package.name)?;
    Some(format!("it is banned: {why}"))
}

fn floor(package: &Foreign) -> Option<String> {
    let (_, oldest, why) = FLOORS.iter().find(|(name, ..)| *name == package.name)?;
    let numbers = package.version.split(['-', '+']).next().unwrap_or_default().split('.');
    let version: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let [major, minor, patch] = oldest;
    (version < oldest.to_vec()).then(|| format!("it must be {major}.{minor}.{patch} at least: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objections_to(name: &str, version: &str, licence: &str) -> usize {
        let line = format!("{name} v{version}\t{licence}\t (*)");
        objections(&parse(&line).into_iter().collect()).len()
    }

    #[test]
    fn the_list_is_made_of_licences() {
        for licence in ALLOWED {
            assert!(Licensee::parse(licence).is_ok(), "{licence}");
        }
    }

    #[test]
    fn licences_off_the_list_are_caught() {
        for text in
            ["MIT", "MIT OR Apache-2.0", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "(MIT OR X11) AND Unicode-3.0"]
        {
            assert_eq!(objections_to("a", "1.0.0", text), 0, "{text}");
        }
        for text in ["GPL-3.0-only", "AGPL-3.0-or-later", "MIT AND GPL-2.0-only", "LicenseRef-ours", "free as in air"] {
            assert_eq!(objections_to("a", "1.0.0", text), 1, "{text}");
        }
        assert_eq!(objections_to("a", "1.0.0", ""), 1);
    }

    #[test]
    fn banned_crates_are_caught() {
        assert_eq!(objections_to("openssl-sys", "0.9.0", "MIT"), 1);
    }

    #[test]
    fn crates_below_their_floor_are_caught() {
        for (version, found) in
            [("0.4.18", 1), ("0.3.99", 1), ("0.4.19", 0), ("0.4.20", 0), ("0.5.0-rc.1", 0), ("1.0.0", 0)]
        {
            assert_eq!(objections_to("h2", version, "MIT"), found, "{version}");
        }
    }

    #[test]
    fn our_own_crates_are_not_asked() {
        assert_eq!(parse("xtask v0.1.0 (/somewhere/xtask)\t\t"), None);
        assert_eq!(parse(""), None);
        let derive = parse("serde_derive v1.0.229 (proc-macro)\tMIT OR Apache-2.0\t");
        assert_eq!(derive.map(|package| package.version), Some("1.0.229".to_owned()));
    }
}
