//! Files that people and other tools read say what the programs do.

use std::fs;
use std::path::PathBuf;

use syngrad_engine::RunSpec;

#[test]
fn every_example_is_a_run_spec() {
    let folder = fs::read_dir(xtask::root().join("examples")).expect("there is a folder of examples");
    let paths = folder.map(|entry| entry.expect("the folder is readable").path());
    // A policy is read by the tests of what reads policies.
    let is_spec = |path: &PathBuf| path.extension().is_some_and(|end| end == "toml") && !path.ends_with("policy.toml");
    let specs: Vec<_> = paths.filter(is_spec).collect();
    assert!(specs.len() >= 2, "{specs:?}");
    for path in specs {
        let text = fs::read_to_string(&path).expect("the example is readable");
        let spec: RunSpec = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        spec.check().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn cargo_deny_is_told_the_licences_that_we_check() {
    let text = fs::read_to_string(xtask::root().join("deny.toml")).expect("deny.toml is readable");
    let table: toml::Table = text.parse().expect("deny.toml is TOML");
    let list = table["licenses"]["allow"].as_array().expect("the list is an array");
    let listed: Vec<&str> = list.iter().filter_map(|licence| licence.as_str()).collect();
    assert_eq!(listed, xtask::licences::ALLOWED);
}
