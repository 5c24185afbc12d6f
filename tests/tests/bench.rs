//! The benchmarks that start processes, at their smallest: what they measure is not judged here, only that they do.

use syngrad_tests::program::Program;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

#[cfg(target_os = "linux")]
#[test]
fn memory_is_measured_over_rounds_and_over_workers() {
    let soak =
        NODE.run(&["bench", "soak", "--rounds", "100", "--workers", "1", "--params", "10", "-o", "json"]).result();
    let tenths = soak["tenths"].as_array().expect("ten of them");
    assert!(tenths.len() == 10 && tenths.iter().all(|bytes| bytes.as_u64().is_some()), "{soak}");
    assert!(tenths[9].as_u64() > Some(1 << 20), "a coordinator has more than a megabyte: {soak}");
    let scale =
        NODE.run(&["bench", "scale", "--workers", "1,3", "--rounds", "20", "--params", "10", "-o", "json"]).result();
    let workers: Vec<_> = scale["rows"].as_array().expect("rows").iter().map(|row| row["workers"].as_u64()).collect();
    assert_eq!(workers, [Some(1), Some(3)], "{scale}");
    assert!(scale["rows"][1]["resident"].as_u64() > Some(1 << 20), "{scale}");
}

#[test]
fn durability_is_measured_beside_none() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made");
    let path = folder.path().to_str().expect("the folder's name is text");
    let arguments = ["--rounds", "10", "--repetitions", "1", "--workers", "1", "--params", "10", "--folder", path];
    let found = NODE.run(&[&["bench", "durability", "-o", "json"], &arguments[..]].concat()).data();
    let state: Vec<_> = found["rows"].as_array().expect("rows").iter().map(|row| row["state"].as_str()).collect();
    assert_eq!(state, [Some("none"), Some("checkpoint"), Some("every_round")], "{found}");
    assert!(found["rows"][2]["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{found}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "what was kept is deleted");
}
