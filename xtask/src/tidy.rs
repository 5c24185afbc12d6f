//! The rules of the repository, as a program.
//!
//! A rule is a function from a [`Tree`] (paths and texts) to findings, so that a test can feed it a planted violation
//! without touching the disk. There is no list of exceptions: a rule that needs one is the wrong rule.

mod boundaries;
mod documents;
mod manifests;
mod sizes;
mod source;
mod tree;
mod words;

use std::fmt;

pub use tree::{Tree, TreeError};

/// One place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the root.
    pub path: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong and what to do instead.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.what, self.rule)
    }
}

/// A violation whose rule is yet to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }

    fn of(path: &str, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }
}

/// A rule of the repository.
pub struct Rule {
    /// Its name in a violation.
    pub name: &'static str,
    /// What holds where it passes.
    pub promise: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

/// Every rule.
pub const RULES: &[Rule] = &[
    Rule { name: "parses", promise: "every Rust file and manifest parses", check: source::parses },
    Rule { name: "direction", promise: "crates depend one way", check: manifests::direction },
    Rule { name: "pure-engine", promise: "the engine depends on nothing impure", check: manifests::pure_engine },
    Rule { name: "one-burn", promise: "only model depends on burn", check: manifests::one_burn },
    Rule { name: "lints", promise: "every crate inherits the workspace's lints", check: manifests::lints },
    Rule { name: "burn", promise: "burn is named in model only", check: boundaries::burn },
    Rule { name: "proto", promise: "generated types are named at the wire only", check: boundaries::proto },
    Rule { name: "status", promise: "tonic::Status is built in one file", check: boundaries::status },
    Rule {
        name: "no-world",
        promise: "the engine names no clock, file, socket or thread",
        check: boundaries::no_world,
    },
    Rule { name: "file-size", promise: "files have 500 lines at most", check: sizes::files },
    Rule { name: "function-size", promise: "functions have 70 lines at most", check: sizes::functions },
    Rule { name: "names", promise: "modules are named after what they hold", check: words::names },
    Rule { name: "unfinished", promise: "nothing is left for later", check: words::unfinished },
    Rule { name: "unwrap", promise: "only tests unwrap", check: words::unwrap },
    Rule {
        name: "private-places",
        promise: "no path of one machine, no registry's host",
        check: words::private_places,
    },
    Rule { name: "adr", promise: "decision records are numbered and listed", check: documents::adr },
    Rule { name: "error-pages", promise: "every error code has its page", check: documents::error_pages },
    Rule { name: "links", promise: "links inside the repository lead somewhere", check: documents::links },
];

/// Applies every rule; violations come in the order of their files.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Violation> {
    let named = |rule: &Rule| {
        let name = rule.name;
        let findings = (rule.check)(tree).into_iter();
        findings.map(move |Finding { path, line, what }| Violation { path, line, rule: name, what }).collect::<Vec<_>>()
    };
    let mut violations: Vec<Violation> = RULES.iter().flat_map(named).collect();
    violations.sort();
    violations
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rules_have_names_of_their_own() {
        let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
    }

    #[test]
    fn a_violation_reads_like_a_compilers() {
        let tree = Tree::default().with("engine/src/helper.rs", "");
        let violations: Vec<String> = check(&tree).iter().map(Violation::to_string).collect();
        assert!(violations[0].starts_with("engine/src/helper.rs:0: "), "{violations:?}");
        assert!(violations[0].ends_with("[names]"), "{violations:?}");
    }
}
