//! What the program does with no other process around.

use std::path::PathBuf;

use syngrad::args::{AlgorithmName, SpecFlags};
use syngrad::demo::spec::demo_spec;
use syngrad_common::config::CanonicalSpec;
use syngrad_tests::program::Program;
use syngrad_tests::specs;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

#[test]
fn a_local_run_says_what_came_of_it_and_can_be_repeated() {
    let spec = specs::sync_sgd(1);
    let train = || NODE.run_with_input(&["train", "--local", "-", "-o", "json"], spec.text()).data();
    let (first, second) = (train(), train());
    assert_eq!(first["params_digest"], second["params_digest"]);
    assert_eq!(first["chain"], second["chain"]);
    assert_eq!(first["params_digest"].as_str().map(str::len), Some(64));
    assert_eq!(first["rounds"], 1_000);
    assert_eq!(first["samples"], 120_000);
    assert!(first["test_accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.8), "{first}");
}

#[test]
fn flags_change_the_spec_that_was_read() {
    let spec = specs::sync_sgd(1);
    let with = |flags: &[&str]| {
        let arguments = [&["train", "--local", "-", "-o", "json"], flags].concat();
        NODE.run_with_input(&arguments, spec.text()).data()
    };
    assert_eq!(with(&["--epochs", "7"])["rounds"], 70);
    let digest = |flags: &[&str]| with(flags)["params_digest"].clone();
    assert_eq!(digest(&["--seed", "1", "--epochs", "2"]), digest(&["--epochs", "2"]));
    assert_ne!(digest(&["--seed", "9", "--epochs", "2"]), digest(&["--epochs", "2"]));
    assert_ne!(digest(&["--update-bits", "8", "--epochs", "2"]), digest(&["--epochs", "2"]));
}

#[test]
fn a_mistake_in_a_spec_is_shown_with_what_was_meant() {
    let text = "name = \"x\"\n[model]\nkind = \"mlp\"\ninputs = 4\nhiden = []\nclasses = 2\n";
    let found = NODE.run_with_input(&["train", "--local", "-", "-o", "json"], text);
    found.assert_failed(2, "E0202", &["hiden", "hidden", "line 5"]);
    let for_people = NODE.run_with_input(&["train", "--local", "-"], text);
    assert_eq!((for_people.code, for_people.stdout.as_str()), (Some(2), ""));
    assert!(for_people.stderr.contains("E0202") && for_people.stderr.contains("hidden"), "{for_people:?}");
}

#[test]
fn a_mistake_in_the_command_line_is_told_apart_from_its_results() {
    let found = NODE.run(&["demo", "--workers", "0", "-o", "json"]);
    found.assert_failed(2, "E0901", &["--workers"]);
    NODE.run(&["demo", "--update-bits", "12", "-o", "json"]).assert_failed(2, "E0901", &["12"]);
    assert_eq!(NODE.run(&["nonsense"]).code, Some(2));
    assert_eq!(NODE.run(&["--help"]).code, Some(0));
}

#[test]
fn missing_data_is_named_with_its_remedy() {
    let empty = tempfile::tempdir().expect("a folder can be made");
    let folder = empty.path().to_str().expect("the folder's name is text");
    NODE.run(&["train", "--local", "--data-dir", folder, "-o", "json"]).assert_failed(
        1,
        "E0401",
        &["train-images", folder],
    );
    NODE.run(&["data", "verify", "--data-dir", folder, "-o", "json"]).assert_failed(
        1,
        "E0401",
        &["syngrad data fetch"],
    );
}

#[test]
fn the_files_that_come_along_are_the_originals() {
    let files = NODE.run(&["data", "verify", "-o", "json"]).data();
    assert_eq!(files["files"].as_array().map(Vec::len), Some(4));
    let info = NODE.run(&["data", "info", "-o", "json"]).data();
    assert_eq!(info["train"]["samples"], 60_000);
    assert_eq!(info["test"]["histogram"][0], 980);
}

#[test]
fn every_error_code_is_explained() {
    let page = NODE.run(&["explain", "e0205"]);
    assert!(page.code == Some(0) && page.stdout.starts_with("# E0205"), "{page:?}");
    let index = NODE.run(&["explain", "-o", "json"]).data();
    assert!(index["codes"].as_array().is_some_and(|codes| codes.len() > 30), "{index}");
    NODE.run(&["explain", "E1234", "-o", "json"]).assert_failed(2, "E0901", &["E1234"]);
}

#[test]
fn completion_scripts_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = NODE.run(&["completion", shell]);
        assert!(script.code == Some(0) && script.stdout.contains("coordinator"), "{shell}");
    }
}

#[test]
fn the_doctor_looks_at_everything() {
    let checks = NODE.run(&["doctor", "-o", "json"]).data();
    let checks = checks["checks"].as_array().expect("checks are a list").clone();
    let named: Vec<_> = checks.iter().filter_map(|check| check["what"].as_str()).collect();
    for what in ["processor", "cores", "memory", "numerics class", "MNIST", "loopback", "training"] {
        assert!(named.contains(&what), "{what} should be in {named:?}");
    }
    for check in &checks {
        let well = check["state"] == "well";
        assert_eq!(check["fix"] == "", well, "what is not well has a remedy, and nothing else has: {check}");
    }
}

#[test]
fn every_example_is_valid() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let files = std::fs::read_dir(root).expect("the examples are there").map(|entry| entry.expect("an entry").path());
    // A policy is no run spec.
    let is_spec = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "toml") && !path.ends_with("policy.toml")
    };
    let specs: Vec<_> = files.filter(is_spec).collect();
    assert!(specs.len() > 2, "{specs:?}");
    for path in specs {
        let text = std::fs::read_to_string(&path).expect("the example can be read");
        CanonicalSpec::parse(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
}

#[test]
fn the_examples_are_the_demo() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/");
    for (file, algorithm) in [("mnist-mlp.toml", AlgorithmName::SyncSgd), ("mnist-fedavg.toml", AlgorithmName::Fedavg)]
    {
        let text = std::fs::read_to_string(format!("{root}{file}")).expect("the example is there");
        let example = CanonicalSpec::parse(&text).expect("the example is valid");
        let flags = SpecFlags { algorithm: Some(algorithm), ..SpecFlags::default() };
        let demo = demo_spec(flags).expect("the demo's spec is valid");
        assert_eq!(example.spec(), demo.spec(), "{file}");
    }
}
