//! Rules about who may depend on whom, read from the manifests.

use toml::Table;

use super::{Finding, Tree};

/// Every crate, and which of the others it may use. Arrows point one way: a crate uses only rows above its own.
const DIRECTION: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("proto", &[]),
    ("dataset", &["engine"]),
    ("model", &["engine", "dataset"]),
    ("common", &["engine", "proto"]),
    ("store", &["engine", "common"]),
    ("fuzz", &["engine", "proto", "dataset", "common", "store"]),
    ("coordinator", &["engine", "proto", "dataset", "model", "common", "store"]),
    ("worker", &["engine", "proto", "dataset", "model", "common"]),
    ("cli", &["engine", "proto", "dataset", "model", "common", "coordinator", "worker"]),
    ("tests", &["engine", "proto", "dataset", "model", "common", "coordinator", "worker", "cli"]),
    ("xtask", &["engine"]),
];

/// What the engine may build on: arithmetic, digests and derives, nothing that knows a world outside.
const ENGINE_MAY_USE: &[&str] = &["blake3", "bytemuck", "libm", "pulp", "serde", "thiserror"];

/// What the engine's tests may use besides.
const ENGINE_TESTS_MAY_USE: &[&str] = &["proptest", "serde_json", "syngrad-engine", "toml"];

/// A crate's manifest.
struct Manifest<'a> {
    folder: &'a str,
    path: String,
    table: Table,
}

/// One dependency of a manifest.
struct Dependency {
    name: String,
    for_tests: bool,
}

impl Manifest<'_> {
    fn dependencies(&self) -> Vec<Dependency> {
        let targets = self.table.get("target").and_then(|target| target.as_table()).into_iter().flat_map(Table::values);
        let tables = std::iter::once(&self.table).chain(targets.filter_map(|target| target.as_table()));
        tables.flat_map(dependencies_of).collect()
    }
}

fn dependencies_of(table: &Table) -> Vec<Dependency> {
    let kinds = [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)];
    let named = |(kind, for_tests): (&str, bool)| {
        let list = table.get(kind).and_then(|list| list.as_table());
        let names = list.into_iter().flat_map(|list| list.keys().cloned());
        names.map(|name| Dependency { name, for_tests }).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(named).collect()
}

fn manifests(tree: &Tree) -> Vec<Manifest<'_>> {
    let crates = tree.texts().filter_map(|(path, text)| Some((path.strip_suffix("/Cargo.toml")?, path, text)));
    let parsed = crates
        .filter_map(|(folder, path, text)| Some(Manifest { folder, path: path.to_owned(), table: text.parse().ok()? }));
    parsed.collect()
}

/// The folder of one of our crates, from its package name.
fn folder_of(package: &str) -> Option<&str> {
    match package {
        "syngrad" => Some("cli"),
        "xtask" => Some("xtask"),
        other => other.strip_prefix("syngrad-"),
    }
}

/// Rule: the crates depend on each other in the one direction of [`DIRECTION`].
pub(crate) fn direction(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests(tree) {
        let Some((_, allowed)) = DIRECTION.iter().find(|(folder, _)| *folder == manifest.folder) else {
            findings.push(Finding::of(&manifest.path, "this crate has no place yet in tidy's table DIRECTION"));
            continue;
        };
        for Dependency { name, for_tests } in manifest.dependencies() {
            let fits = |used: &str| allowed.contains(&used) || for_tests && used == manifest.folder;
            if let Some(used) = folder_of(&name).filter(|used| !fits(used)) {
                let what = format!("{} must not depend on {used}; it may use {allowed:?}", manifest.folder);
                findings.push(Finding::of(&manifest.path, what));
            }
        }
    }
    findings
}

/// Rule: the engine builds on arithmetic alone.
pub(crate) fn pure_engine(tree: &Tree) -> Vec<Finding> {
    let engines = manifests(tree).into_iter().filter(|manifest| manifest.folder == "engine");
    let foreign = |dependency: &Dependency| {
        let name = dependency.name.as_str();
        !(ENGINE_MAY_USE.contains(&name) || dependency.for_tests && ENGINE_TESTS_MAY_USE.contains(&name))
    };
    engines
        .flat_map(|manifest| {
            let path = manifest.path.clone();
            let dependencies = manifest.dependencies().into_iter().filter(foreign);
            let finding = move |dependency: Dependency| {
                Finding::of(&path, format!("the engine stays pure: it must not depend on {}", dependency.name))
            };
            dependencies.map(finding).collect::<Vec<_>>()
        })
        .collect()
}

/// Rule: burn is a dependency of `model` and of nothing else.
pub(crate) fn one_burn(tree: &Tree) -> Vec<Finding> {
    let others = manifests(tree).into_iter().filter(|manifest| manifest.folder != "model");
    let is_burn = |dependency: &Dependency| dependency.name == "burn" || dependency.name.starts_with("burn-");
    let with_burn = others.filter(|manifest| manifest.dependencies().iter().any(is_burn));
    with_burn
        .map(|manifest| Finding::of(&manifest.path, "burn stays behind syngrad-model; add what you need there"))
        .collect()
}

/// Rule: every crate inherits the workspace's lints, and those forbid unsafe code.
pub(crate) fn lints(tree: &Tree) -> Vec<Finding> {
    let get = |table: &Table, keys: &[&str]| {
        let mut value = toml::Value::Table(table.clone());
        for key in keys {
            value = value.get(key)?.clone();
        }
        Some(value)
    };
    let inherits = |manifest: &Manifest<'_>| get(&manifest.table, &["lints", "workspace"]) == Some(true.into());
    let without = manifests(tree).into_iter().filter(|manifest| !inherits(manifest));
    let missing = without.map(|manifest| Finding::of(&manifest.path, "add [lints] workspace = true"));
    let root = tree.text("Cargo.toml").and_then(|text| text.parse::<Table>().ok());
    let forbids = |root: &Table| get(root, &["workspace", "lints", "rust", "unsafe_code"]) == Some("forbid".into());
    let allowed = root.filter(|root| !forbids(root));
    let allowed = allowed.map(|_| Finding::of("Cargo.toml", "unsafe_code is not forbidden any more"));
    // A fuzzing program is libFuzzer's entry point, which is unsafe; what it calls is ours, and forbids it.
    let fuzzed = tree.text("fuzz/src/lib.rs").filter(|text| !text.contains("\n#![forbid(unsafe_code)]\n"));
    let fuzzed = fuzzed.map(|_| Finding::of("fuzz/src/lib.rs", "unsafe_code is not forbidden any more"));
    missing.chain(allowed).chain(fuzzed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: &str, text: &str) -> Tree {
        Tree::default().with(path, text)
    }

    #[test]
    fn a_dependency_against_the_direction_is_caught() {
        for (path, text) in [
            ("engine/Cargo.toml", "[dependencies]\nsyngrad-common.workspace = true"),
            ("worker/Cargo.toml", "[dev-dependencies]\nsyngrad-coordinator.workspace = true"),
            ("model/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nsyngrad-proto.workspace = true"),
            ("common/Cargo.toml", "[build-dependencies]\nsyngrad = { path = \"../cli\" }"),
            ("newcomer/Cargo.toml", ""),
        ] {
            assert_eq!(direction(&with(path, text)).len(), 1, "{path}");
        }
        for (path, text) in [
            ("worker/Cargo.toml", "[dependencies]\nsyngrad-model = {}\ntokio = \"1\""),
            ("engine/Cargo.toml", "[dev-dependencies]\nsyngrad-engine = { path = \".\", features = [\"simulation\"] }"),
        ] {
            assert_eq!(direction(&with(path, text)), [], "{path}");
        }
    }

    #[test]
    fn the_table_of_crates_points_one_way() {
        for (index, (folder, allowed)) in DIRECTION.iter().enumerate() {
            let above: Vec<&str> = DIRECTION[..index].iter().map(|(folder, _)| *folder).collect();
            assert!(allowed.iter().all(|used| above.contains(used)), "{folder} uses a row below its own");
        }
    }

    #[test]
    fn an_impure_engine_is_caught() {
        for name in ["tokio", "tonic", "prost", "burn", "rand", "getrandom", "ahash", "proptest"] {
            assert_eq!(
                pure_engine(&with("engine/Cargo.toml", &format!("[dependencies]\n{name} = \"1\""))).len(),
                1,
                "{name}"
            );
        }
        assert_eq!(
            pure_engine(&with("engine/Cargo.toml", "[dependencies]\nblake3 = {}\n[dev-dependencies]\nproptest = {}")),
            []
        );
        assert_eq!(pure_engine(&with("worker/Cargo.toml", "[dependencies]\ntokio = {}")), []);
    }

    #[test]
    fn a_second_user_of_burn_is_caught() {
        assert_eq!(one_burn(&with("worker/Cargo.toml", "[dev-dependencies]\nburn-flex = \"0.22\"")).len(), 1);
        assert_eq!(one_burn(&with("model/Cargo.toml", "[dependencies]\nburn = \"0.22\"")), []);
    }

    #[test]
    fn a_crate_without_the_lints_is_caught() {
        assert_eq!(lints(&with("worker/Cargo.toml", "[lints]\nworkspace = false")).len(), 1);
        assert_eq!(lints(&with("worker/Cargo.toml", "[lints]\nworkspace = true")), []);
        assert_eq!(lints(&with("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"warn\"")).len(), 1);
        assert_eq!(lints(&with("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"forbid\"")), []);
        assert_eq!(lints(&with("fuzz/src/lib.rs", "//! Targets.\npub mod wire;\n")).len(), 1);
        assert_eq!(lints(&with("fuzz/src/lib.rs", "//! Targets.\n#![forbid(unsafe_code)]\n")), []);
    }
}
