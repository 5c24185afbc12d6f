//! Samples that a partner keeps: IDX files drawn from a seed.

use std::fs;
use std::io;
use std::path::Path;

use syngrad_engine::random::{Purpose, Stream};

/// Pixels of a side of a picture.
pub(crate) const SIDE: u32 = 4;
/// Classes.
pub(crate) const CLASSES: u64 = 3;

/// Writes `count` pictures and their labels into `folder`.
pub(crate) fn write(folder: &Path, count: u32, seed: u64) -> io::Result<()> {
    let mut stream = Stream::new(seed, Purpose::Samples, &[]);
    let mut draw = |bound: u64| u8::try_from(stream.below(bound)).expect("a byte's bound");
    let labels: Vec<u8> = (0..count).map(|_| draw(CLASSES)).collect();
    let pixels: Vec<u8> = (0..count * SIDE * SIDE).map(|_| draw(256)).collect();
    fs::create_dir_all(folder)?;
    fs::write(folder.join("train-images-idx3-ubyte"), idx(0x803, &[count, SIDE, SIDE], &pixels))?;
    fs::write(folder.join("train-labels-idx1-ubyte"), idx(0x801, &[count], &labels))
}

fn idx(magic: u32, axes: &[u32], elements: &[u8]) -> Vec<u8> {
    let header = [&[magic], axes].concat().into_iter().flat_map(u32::to_be_bytes);
    header.chain(elements.iter().copied()).collect()
}
