//! `data partition`: the folders that partners of an experiment get.

use std::path::Path;

use serde_json::Value;
use syngrad_tests::program::{Finished, Program, qmnist_is_there};

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

fn partition(out: &Path, flags: &[&str]) -> Finished {
    let out = out.to_str().expect("a folder's name is text");
    NODE.run(&[&["data", "partition", "--out", out, "-o", "json"], flags].concat())
}

fn samples(data: &Value) -> Vec<u64> {
    let parts = data["parts"].as_array().expect("parts are a list");
    parts.iter().map(|part| part["samples"].as_u64().expect("a number")).collect()
}

fn read(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(file)).expect("the file is there")
}

#[test]
fn every_part_is_a_folder_of_four_files_and_together_they_are_the_whole() {
    let out = tempfile::tempdir().expect("a folder can be made");
    let data = partition(out.path(), &["--by", "dirichlet", "--alpha", "0.1", "--parts", "3"]).data();
    assert_eq!(samples(&data), [20_000; 3]);
    let mut histogram = [0u64; 10];
    for part in 0..3 {
        let folder = out.path().join(format!("part-{part}"));
        let labels = read(&folder, "train-labels-idx1-ubyte");
        assert_eq!(labels[..8], [0, 0, 8, 1, 0, 0, 0x4e, 0x20], "20,000 labels");
        assert_eq!(labels.len(), 8 + 20_000);
        labels[8..].iter().for_each(|&label| histogram[usize::from(label)] += 1);
        assert_eq!(read(&folder, "train-images-idx3-ubyte").len(), 16 + 20_000 * 784);
        assert_eq!(read(&folder, "t10k-labels-idx1-ubyte").len(), 8 + 10_000, "each has all test samples");
        assert_eq!(read(&folder, "t10k-images-idx3-ubyte").len(), 16 + 10_000 * 784);
    }
    assert_eq!(histogram, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    let names = std::fs::read_dir(out.path()).expect("it is there").count();
    assert_eq!(names, 3, "nothing unfinished is left");
}

#[test]
fn a_seed_is_another_cut_and_a_full_folder_is_left_alone() {
    let out = tempfile::tempdir().expect("a folder can be made");
    let cut = |name: &str, seed: &str| {
        let folder = out.path().join(name);
        let data = partition(&folder, &["--by", "quantity", "--parts", "2", "--seed", seed]).data();
        assert_eq!(samples(&data).iter().sum::<u64>(), 60_000);
        read(&folder.join("part-0"), "train-labels-idx1-ubyte")
    };
    let first = cut("a", "1");
    assert_eq!(first, cut("b", "1"));
    assert_ne!(first, cut("c", "2"));
    partition(out.path(), &["--by", "iid", "--parts", "2"]).assert_failed(2, "E0901", &["not empty", "--out"]);
    let wrong = partition(&out.path().join("d"), &["--by", "dirichlet", "--alpha", "0", "--parts", "2"]);
    assert!(wrong.code != Some(0) && !out.path().join("d").exists(), "{wrong:?}");
}

#[test]
fn institutions_are_two_partners() {
    if !qmnist_is_there() {
        return;
    }
    let out = tempfile::tempdir().expect("a folder can be made");
    let data = partition(&out.path().join("two"), &["--by", "institution", "--parts", "2"]).data();
    assert_eq!(samples(&data), [30_950, 29_050], "employees, then students");
    let data = partition(&out.path().join("five"), &["--by", "institution", "--parts", "5"]).data();
    assert_eq!(samples(&data)[..3].iter().sum::<u64>(), 30_950);
}

#[test]
fn labels_that_are_not_there_are_named_with_their_remedy() {
    let out = tempfile::tempdir().expect("a folder can be made");
    let folder = out.path().to_str().expect("the folder's name is text");
    let flags = ["data", "partition", "--by", "writer", "--parts", "2", "--out", folder, "-o", "json"];
    let mut command = NODE.command(&flags);
    let finished = command.env("SYNGRAD_QMNIST_DIR", folder).output().expect("the program starts");
    let text = String::from_utf8_lossy(&finished.stdout);
    assert_eq!(finished.status.code(), Some(1), "{text}");
    assert!(text.contains("E0401") && text.contains("qmnist-train-labels-idx2-int"), "{text}");
    assert!(text.contains("SYNGRAD_QMNIST_DIR"), "{text}");
}
