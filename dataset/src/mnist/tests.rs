use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::tests::mnist_dir;

/// The raw payload of a file of the checkout.
fn raw(file: MnistFile) -> Vec<u8> {
    let path = file.locate(&mnist_dir()).expect("the checkout has MNIST");
    payload(&path, idx::len(file.shape())).expect("the file can be read")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn with(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    bytes[at] = value;
    bytes
}

#[test]
fn a_file_that_is_not_the_original_is_named_with_what_differs() {
    let labels = raw(MnistFile::TestLabels);
    let zipped = gzip(&labels);
    let mut corrupt = zipped.clone();
    corrupt[zipped.len() / 2] ^= 0x55;
    let bomb = gzip(&[&labels, vec![0; 64 << 20].as_slice()].concat());
    assert!(bomb.len() < 1 << 20, "the bomb is small");
    let cases: [(&str, Vec<u8>, &str); 13] = [
        ("empty", vec![], "truncated: expected 10008 bytes, found 0"),
        ("one byte", vec![0], "truncated: expected 10008 bytes, found 1"),
        ("truncated", labels[..9000].to_vec(), "truncated: expected 10008 bytes, found 9000"),
        ("too long", [&labels, [0].as_slice()].concat(), "too long: expected 10008 bytes, found more"),
        (
            "swapped with the images",
            raw(MnistFile::TestImages),
            "an IDX file of images; expected an IDX file of labels",
        ),
        ("swapped with the training", raw(MnistFile::TrainLabels), "its axes are [60000]; expected [10000]"),
        ("a web page", b"<html>404</html>".to_vec(), "no IDX file of bytes (it begins with 0x3c68746d)"),
        ("a label out of range", with(labels.clone(), 8 + 17, 10), "sample 17 has label 10; there are 10 classes"),
        ("another label", with(labels.clone(), 8, labels[8] ^ 1), "expected sha256 ff7bcfd4"),
        ("a gzip cut short", zipped[..zipped.len() / 2].to_vec(), "damaged gzip file"),
        ("a corrupt gzip", corrupt, "t10k-labels-idx1-ubyte"),
        ("a gzip bomb", bomb, "too long: expected 10008 bytes, found more"),
        ("a gzip of a gzip", gzip(&zipped), "no IDX file of bytes"),
    ];
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t10k-labels-idx1-ubyte");
    for (case, bytes, expected) in cases {
        fs::write(&path, bytes).expect("the folder can be written");
        let error = MnistFile::TestLabels.read(&path).expect_err(case).to_string();
        assert!(error.contains(expected), "{case}: {error:?} should contain {expected:?}");
        assert!(error.contains("t10k-labels-idx1-ubyte"), "{case}: {error:?} should name the file");
    }
}

#[test]
fn every_known_layout_is_accepted_compressed_or_not() {
    let labels = raw(MnistFile::TestLabels);
    let places = [
        "t10k-labels-idx1-ubyte",
        "t10k-labels.idx1-ubyte",
        "t10k-labels-idx1-ubyte.gz",
        "t10k-labels.idx1-ubyte.gz",
        "MNIST/raw/t10k-labels-idx1-ubyte",
        "mnist/test/t10k-labels-idx1-ubyte",
        "test/t10k-labels-idx1-ubyte.gz",
    ];
    for (place, bytes) in places.into_iter().flat_map(|place| [(place, labels.clone()), (place, gzip(&labels))]) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(place);
        fs::create_dir_all(path.parent().expect("it has one")).expect("the folder can be written");
        fs::write(&path, bytes).expect("the folder can be written");
        let found = MnistFile::TestLabels.locate(dir.path()).expect(place);
        assert_eq!(found, path);
        assert_eq!(MnistFile::TestLabels.read(&found).expect(place), labels[8..]);
    }
}

#[test]
fn a_missing_file_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = load(dir.path()).expect_err("the folder is empty").to_string();
    assert!(error.contains("train-images-idx3-ubyte") && error.contains("syngrad data fetch"), "{error}");
    assert!(matches!(verify(dir.path()), Err(DataError::Missing { .. })));
}

#[test]
fn the_checkout_verifies() {
    let verified = verify(&mnist_dir()).expect("the checkout has MNIST");
    let bytes: Vec<usize> = verified.iter().map(|file| file.bytes).collect();
    assert_eq!(bytes, [47_040_016, 60_008, 7_840_016, 10_008]);
}

#[test]
fn a_checkout_is_found_from_anywhere_inside_it() {
    let below = mnist_dir().join("../../target/release/deps/program");
    let found = checkout_dir(below.ancestors().map(Path::to_owned)).expect("an ancestor has the files");
    assert!(verify(&found).is_ok());
    let elsewhere = tempfile::tempdir().expect("a folder");
    assert_eq!(checkout_dir([elsewhere.path().to_owned()].into_iter()), None);
}
