//! IDX files and shards: what comes out has the shape that was said, and the same whether it was compressed or not.

use std::io::Write as _;
use std::path::Path;

use arbitrary::Unstructured;
use flate2::Compression;
use flate2::write::GzEncoder;
use syngrad_dataset::{PrivateData, Samples, idx, shard};

/// Compressed bytes beyond which a file is not tried: it could grow to a gigabyte, which is allowed and slow.
const MOST_COMPRESSED: usize = 16 << 10;

/// The first byte says what the others are.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 4 {
        0 => check_array(bytes, 1),
        1 => check_array(bytes, 3),
        2 => check_shard(bytes),
        _ => check_folder(bytes),
    }
}

fn check_array(raw: &[u8], axes: usize) {
    match idx::array(raw.to_vec(), axes) {
        Ok((elements, shape)) => {
            assert_eq!(shape.len(), axes);
            assert_eq!(idx::encode(&shape, &elements), raw, "an array has one encoding");
            assert_eq!(idx::elements(raw.to_vec(), &shape), Ok(elements));
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

fn check_shard(blob: &[u8]) {
    match shard::decode(blob) {
        Ok(samples) => {
            let all: Vec<u32> = (0..samples.len() as u32).collect();
            assert_eq!(shard::encode(&samples, &all), blob, "a shard has one encoding");
            assert!(samples.labels().iter().all(|&label| usize::from(label) < samples.classes()));
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

/// A partner's two files, as they are and compressed.
fn check_folder(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let Ok(cut) = input.int_in_range(0..=u16::MAX) else { return };
    let rest = input.take_rest();
    let (images, labels) = rest.split_at(usize::from(cut).min(rest.len()));
    if images.len().max(labels.len()) > MOST_COMPRESSED {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder can be made");
    let plain = load(dir.path(), images, labels);
    let same = load(dir.path(), &compressed(images), &compressed(labels));
    match (plain, same) {
        (Ok(plain), Ok(same)) => assert_eq!(plain, same),
        (Err(plain), Err(same)) => {
            let is_compressed = images.starts_with(&[0x1f, 0x8b]) || labels.starts_with(&[0x1f, 0x8b]);
            assert!(is_compressed || plain.to_string() == same.to_string(), "{plain} and {same}");
        }
        // What is compressed twice is not what is compressed once.
        (plain, same) => assert!(images.starts_with(&[0x1f]) || labels.starts_with(&[0x1f]), "{plain:?}, {same:?}"),
    }
}

fn load(dir: &Path, images: &[u8], labels: &[u8]) -> Result<PrivateData, syngrad_dataset::PrivateDataError> {
    std::fs::write(dir.join("train-images-idx3-ubyte"), images).expect("a file can be written");
    std::fs::write(dir.join("train-labels-idx1-ubyte"), labels).expect("a file can be written");
    PrivateData::load(dir)
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// Small files of each kind, whole.
pub fn seeds() -> Vec<Vec<u8>> {
    let samples = Samples::new(4, 3, (0..12).collect(), vec![0, 2, 1]).expect("samples");
    let (labels, images) = (idx::encode(&[3], samples.labels()), idx::encode(&[3, 2, 2], samples.features()));
    let folder = |images: &[u8], labels: &[u8]| {
        // `Unstructured` takes numbers from the front, big-endian.
        [&(images.len() as u16).to_be_bytes(), images, labels].concat()
    };
    [
        (0, labels.clone()),
        (1, images.clone()),
        (2, shard::encode(&samples, &[0, 1, 2])),
        (3, folder(&images, &labels)),
        (3, folder(&compressed(&images), &compressed(&labels))),
    ]
    .into_iter()
    .map(|(kind, bytes)| [vec![kind], bytes].concat())
    .collect()
}
