//! Rules about what source may name where.

use super::source::{Named, named};
use super::{Finding, Tree};

/// Where generated wire types may be named, and why.
const PROTO_IS_NAMED_IN: &[(&str, &str)] = &[
    ("proto/", "it generates them"),
    ("common/src/wire", "the only conversion between wire and domain"),
    ("common/tests/", "hostile callers and servers speak the wire by hand"),
    ("coordinator/src/rpc", "the services that tonic calls"),
    ("coordinator/src/serving", "the inference service that tonic calls"),
    ("coordinator/tests/", "hostile workers speak the wire by hand"),
    ("worker/src/link", "the worker's end of the session"),
    ("worker/tests/", "hostile coordinators speak the wire by hand"),
    ("cli/src/client", "the operator's calls"),
    ("cli/src/predict", "a client of the inference service like any other"),
    ("fuzz/src/wire", "anything is decoded as each message"),
    ("tests/", "hostile peers speak the wire by hand"),
];

/// The one file that builds statuses, so that one error code never answers two ways.
const STATUS_IS_BUILT_IN: &str = "common/src/status.rs";

/// What would let the world into the engine.
const WORLD: &[&str] = &[
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::collections::hash_map",
    "std::collections::hash_set",
    "std::env",
    "std::fs",
    "std::hash::RandomState",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::sync::mpsc",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

fn outside(tree: &Tree, homes: &[&str], is_wrong: impl Fn(&Named) -> bool, what: &str) -> Vec<Finding> {
    let away = tree.rust().filter(|(path, _)| !homes.iter().any(|home| path.starts_with(home)));
    let wrong = away.flat_map(|(path, text)| named(text).into_iter().map(move |named| (path, named)));
    let wrong = wrong.filter(|(_, named)| is_wrong(named));
    wrong.map(|(path, named)| Finding::at(path, named.line, format!("{}: {what}", named.segments.join("::")))).collect()
}

/// Rule: burn is named under `model/` only.
pub(crate) fn burn(tree: &Tree) -> Vec<Finding> {
    let is_burn = |named: &Named| {
        let first = named.first();
        (first == "burn" || first.starts_with("burn_")) && named.segments.len() > 1
    };
    outside(tree, &["model/"], is_burn, "burn lives in model only; give model a function of its own for this")
}

/// Rule: generated wire types are named at the wire only.
pub(crate) fn proto(tree: &Tree) -> Vec<Finding> {
    let homes: Vec<&str> = PROTO_IS_NAMED_IN.iter().map(|(home, _)| *home).collect();
    let is_proto = |named: &Named| named.first() == "syngrad_proto";
    outside(tree, &homes, is_proto, "wire types stop at common::wire; use the domain's type")
}

/// Rule: `tonic::Status` is built in one file. Others pass one on.
pub(crate) fn status(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| *path != STATUS_IS_BUILT_IN) {
        let names = named(text);
        let imported = names.iter().any(|named| named.starts_with("tonic::Status") && named.segments.len() == 2);
        for named in names {
            let called = match named.segments.as_slice() {
                [first, status, call] if first == "tonic" && status == "Status" => call,
                [status, call] if imported && status == "Status" => call,
                _ => continue,
            };
            if called.starts_with(char::is_lowercase) {
                let what = format!("Status::{called}: statuses are built in {STATUS_IS_BUILT_IN} only");
                findings.push(Finding::at(path, named.line, what));
            }
        }
    }
    findings
}

/// Rule: the engine names no clock, no file, no socket, no thread and nothing with an order of its own.
pub(crate) fn no_world(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| path.starts_with("engine/src/")) {
        for named in named(text) {
            if let Some(world) = WORLD.iter().find(|world| named.starts_with(world)) {
                let what = format!("{world} has no place in the engine; let the caller pass in what it gives");
                findings.push(Finding::at(path, named.line, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burn_outside_model_is_caught() {
        for text in ["use burn::tensor::Tensor;", "fn f() { burn::x() }", "use burn_flex::Flex;", "use burn::{a, b};"] {
            assert!(!burn(&Tree::default().with("worker/src/lib.rs", text)).is_empty(), "{text}");
            assert_eq!(burn(&Tree::default().with("model/src/lib.rs", text)), []);
        }
        assert_eq!(burn(&Tree::default().with("cli/src/lib.rs", "fn f(burn: u8) -> u8 { burn }")), []);
    }

    #[test]
    fn wire_types_away_from_the_wire_are_caught() {
        let text = "use syngrad_proto::v1::Update;";
        for path in ["worker/src/trainer.rs", "coordinator/src/driver.rs", "common/src/codec.rs"] {
            assert_eq!(proto(&Tree::default().with(path, text)).len(), 1, "{path}");
        }
        for path in ["common/src/wire.rs", "common/src/wire/frames.rs", "worker/src/link.rs"] {
            assert_eq!(proto(&Tree::default().with(path, text)), [], "{path}");
        }
    }

    #[test]
    fn a_status_built_elsewhere_is_caught() {
        for text in [
            "use tonic::Status;\nfn f() -> Status { Status::invalid_argument(\"x\") }",
            "use tonic::{Code, Status};\nfn f() -> Status { Status::new(Code::Ok, \"x\") }",
            "fn f() { g(tonic::Status::ok(\"x\")) }",
        ] {
            assert_eq!(status(&Tree::default().with("coordinator/src/rpc.rs", text)).len(), 1, "{text}");
            assert_eq!(status(&Tree::default().with(STATUS_IS_BUILT_IN, text)), []);
        }
        for text in [
            "use tonic::Status;\nfn f(s: Status) -> Result<(), Status> { Err(s) }",
            "use crate::Status;\nfn f() { Status::new() }",
        ] {
            assert_eq!(status(&Tree::default().with("coordinator/src/rpc.rs", text)), [], "{text}");
        }
    }

    #[test]
    fn the_world_in_the_engine_is_caught() {
        for text in [
            "use std::collections::{BTreeMap, HashMap};",
            "fn f() { let t = std::time::Instant::now(); }",
            "use std::{fs, fmt};",
            "use std::net::*;",
        ] {
            assert_eq!(no_world(&Tree::default().with("engine/src/run.rs", text)).len(), 1, "{text}");
            assert_eq!(no_world(&Tree::default().with("worker/src/link.rs", text)), []);
        }
        assert_eq!(no_world(&Tree::default().with("engine/src/run.rs", "use std::time::Duration;")), []);
    }
}
