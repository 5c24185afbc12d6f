//! Who wrote MNIST: QMNIST's extended labels (Yadav and Bottou 2019, arXiv 1905.10498), eight numbers for each image.
//!
//! Only two of them are of use here: the series of NIST's forms, which is the institution, and the writer. The files are
//! not part of the repository.

use std::env;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use syngrad_engine::partition::Origin;

use super::mnist::{DataError, TEST, TRAIN, hex, payload};

/// The environment variable that names the folder of the two files.
pub const DIR_VARIABLE: &str = "SYNGRAD_QMNIST_DIR";
/// The series of the employees of the Census Bureau.
pub const EMPLOYEES: u32 = 0;
/// The series of the high-school students.
pub const STUDENTS: u32 = 4;

/// Numbers in a row.
const COLUMNS: usize = 8;
const SERIES: usize = 1;
const WRITER: usize = 2;
/// A magic number and two axes.
const HEADER: usize = 12;

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QmnistFile {
    /// A row for each of MNIST's training images, in their order.
    Train,
    /// 60,000 rows, of which the first 10,000 are those of MNIST's test images.
    Test,
}

impl QmnistFile {
    /// Its original name, without `.gz`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "qmnist-train-labels-idx2-int",
            Self::Test => "qmnist-test-labels-idx2-int",
        }
    }

    /// SHA-256 of its raw payload, hexadecimal.
    #[must_use]
    pub fn sha256(self) -> &'static str {
        match self {
            Self::Train => "bb1b6e1ec7b04fd5696f1ed50b5f58f8ef195118edd5c93c81783df9740b8ac5",
            Self::Test => "92d0ccb8c25f9c6534270fb4be7e1d24a1c6d315edfc8a638bfbd31c70f362dd",
        }
    }

    /// Rows that are MNIST's.
    fn rows(self) -> u32 {
        match self {
            Self::Train => TRAIN,
            Self::Test => TEST,
        }
    }

    /// Where it lies: in the folder that the environment names; else in `mnist_dir`, in its folder `qmnist`, or in one
    /// beside it.
    fn locate(self, mnist_dir: &Path) -> Result<PathBuf, DataError> {
        let named = env::var_os(DIR_VARIABLE).map(PathBuf::from);
        let beside = mnist_dir.parent().map(|parent| parent.join("qmnist"));
        let around = [Some(mnist_dir.to_owned()), Some(mnist_dir.join("qmnist")), beside];
        let folders = named.map_or_else(|| around.into_iter().flatten().collect(), |named| vec![named]);
        let names = [self.name().to_owned(), format!("{}.gz", self.name())];
        let mut places = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        places.find(|path| path.is_file()).ok_or(DataError::NoOrigins { name: self.name(), dir: mnist_dir.to_owned() })
    }
}

/// Whose each image of MNIST is, in the order of MNIST's file.
///
/// # Errors
/// [`DataError`] when the file is not there or not the original.
pub fn origins(file: QmnistFile, mnist_dir: &Path) -> Result<Vec<Origin>, DataError> {
    let path = file.locate(mnist_dir)?;
    // Both files have as many rows.
    let raw = payload(&path, HEADER + TRAIN as usize * COLUMNS * 4)?;
    let found = hex(&Sha256::digest(&raw));
    if found != file.sha256() {
        return Err(DataError::Contents { path, name: file.name(), expected: file.sha256(), found });
    }
    let number = |row: &[u8], column: usize| {
        let bytes = row[4 * column..4 * column + 4].try_into().expect("a number has four bytes");
        u32::from_be_bytes(bytes)
    };
    let rows = raw[HEADER..].chunks_exact(COLUMNS * 4).take(file.rows() as usize);
    Ok(rows.map(|row| Origin { group: number(row, SERIES), writer: number(row, WRITER) }).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::tests::qmnist_dir;

    #[test]
    fn the_series_and_writers_are_the_published_ones() {
        let Some(dir) = qmnist_dir() else { return };
        let count = |file| {
            let mut series: BTreeMap<u32, (usize, Vec<u32>)> = BTreeMap::new();
            for origin in origins(file, &dir).expect("the original files") {
                let (samples, writers) = series.entry(origin.group).or_default();
                *samples += 1;
                writers.push(origin.writer);
            }
            let distinct = |mut writers: Vec<u32>| {
                writers.sort_unstable();
                writers.dedup();
                writers.len()
            };
            series
                .into_iter()
                .map(|(series, (samples, writers))| (series, samples, distinct(writers)))
                .collect::<Vec<_>>()
        };
        assert_eq!(count(QmnistFile::Train), [(EMPLOYEES, 30_950, 289), (STUDENTS, 29_050, 250)]);
        let test: Vec<_> = count(QmnistFile::Test).into_iter().map(|(series, samples, _)| (series, samples)).collect();
        assert_eq!(test, [(EMPLOYEES, 4_999), (STUDENTS, 5_001)]);
    }

    #[test]
    fn a_file_that_is_not_there_or_not_the_original_is_named() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let missing = origins(QmnistFile::Train, folder.path()).expect_err("the folder is empty").to_string();
        assert!(missing.contains("qmnist-train-labels-idx2-int") && missing.contains(DIR_VARIABLE), "{missing}");
        fs::create_dir(folder.path().join("qmnist")).expect("it can be made");
        let file = folder.path().join("qmnist").join(QmnistFile::Train.name());
        fs::write(&file, [0; 1_920_013]).expect("it can be written");
        let damaged = origins(QmnistFile::Train, folder.path()).expect_err("all zero").to_string();
        assert!(damaged.contains(&*file.to_string_lossy()) && damaged.contains("bb1b6e1e"), "{damaged}");
    }
}
