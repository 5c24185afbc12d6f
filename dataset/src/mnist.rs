//! MNIST from disk: the four original files, or an error that names the one that is not.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::idx::{self, IdxError};
use super::payload::{self, Size, Unreadable};
use super::{Dataset, Samples, SamplesError};

/// Training samples.
pub const TRAIN: u32 = 60_000;
/// Test samples.
pub const TEST: u32 = 10_000;
/// Pixels of a side of an image.
pub const SIDE: usize = 28;
/// Digits.
pub const CLASSES: usize = 10;
/// The environment variable that names the folder of the files.
pub const DIR_VARIABLE: &str = "SYNGRAD_DATA_DIR";

/// One of the four files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MnistFile {
    /// 60,000 images to train on.
    TrainImages,
    /// Their labels.
    TrainLabels,
    /// 10,000 images to test on.
    TestImages,
    /// Their labels.
    TestLabels,
}

/// Why MNIST could not be read.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file is in none of the known places.
    #[error(
        "{name} is not in {dir} (with or without .gz, flat or in MNIST/raw/ or mnist/{{train,test}}/); \
         get it with `syngrad data fetch`, or name its folder in {DIR_VARIABLE}",
        dir = dir.display()
    )]
    Missing {
        /// The file's name.
        name: &'static str,
        /// The folder that was searched.
        dir: PathBuf,
    },
    /// Nobody says who wrote the samples.
    #[error(
        "{name}(.gz), which says who wrote each sample, is not in {dir}, in its folder qmnist nor in one beside it; \
         it is one of QMNIST's extended labels (github.com/facebookresearch/qmnist): put the two files into one of \
         those places, or name their folder in {variable}",
        dir = dir.display(),
        variable = super::qmnist::DIR_VARIABLE
    )]
    NoOrigins {
        /// The file's name.
        name: &'static str,
        /// The folder of the samples.
        dir: PathBuf,
    },
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file is not compressed correctly.
    #[error("{} is a damaged gzip file: {source}; fetch it again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file has another form.
    #[error("{} should be MNIST's {name}, but {source}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The MNIST file that it should be.
        name: &'static str,
        /// What differs.
        source: IdxError,
    },
    /// A file has the right form and a label that is no digit.
    #[error("{} should be MNIST's {name}, but {source}", path.display())]
    Samples {
        /// The file.
        path: PathBuf,
        /// The MNIST file that it should be.
        name: &'static str,
        /// What differs.
        source: SamplesError,
    },
    /// A file has the right form and other contents.
    #[error(
        "{} should be MNIST's {name}, but its contents are others: expected sha256 {expected}, found {found}",
        path.display()
    )]
    Contents {
        /// The file.
        path: PathBuf,
        /// The MNIST file that it should be.
        name: &'static str,
        /// The digest of the original's raw payload, hexadecimal.
        expected: &'static str,
        /// The digest of what was found.
        found: String,
    },
}

/// A file that was read and is the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which one.
    pub file: MnistFile,
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes of its raw payload.
    pub bytes: usize,
}

impl MnistFile {
    /// All four.
    pub const ALL: [Self; 4] = [Self::TrainImages, Self::TrainLabels, Self::TestImages, Self::TestLabels];

    /// Its original name, without `.gz`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TrainImages => "train-images-idx3-ubyte",
            Self::TrainLabels => "train-labels-idx1-ubyte",
            Self::TestImages => "t10k-images-idx3-ubyte",
            Self::TestLabels => "t10k-labels-idx1-ubyte",
        }
    }

    /// SHA-256 of its raw payload, hexadecimal.
    #[must_use]
    pub fn sha256(self) -> &'static str {
        match self {
            Self::TrainImages => "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            Self::TrainLabels => "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            Self::TestImages => "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            Self::TestLabels => "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        }
    }

    /// Its axes.
    #[must_use]
    pub fn shape(self) -> &'static [u32] {
        match self {
            Self::TrainImages => &[TRAIN, 28, 28],
            Self::TrainLabels => &[TRAIN],
            Self::TestImages => &[TEST, 28, 28],
            Self::TestLabels => &[TEST],
        }
    }

    fn split(self) -> &'static str {
        match self {
            Self::TrainImages | Self::TrainLabels => "train",
            Self::TestImages | Self::TestLabels => "test",
        }
    }

    /// Where the file lies under `dir`, in any of the layouts that tools leave behind.
    ///
    /// # Errors
    /// [`DataError::Missing`] when it is in none of them.
    pub fn locate(self, dir: &Path) -> Result<PathBuf, DataError> {
        let dotted = self.name().replace("-idx", ".idx");
        let folders = [
            dir.to_owned(),
            dir.join("MNIST/raw"),
            dir.join("raw"),
            dir.join("mnist").join(self.split()),
            dir.join(self.split()),
        ];
        let names = [self.name(), dotted.as_str()].map(|name| [name.to_owned(), format!("{name}.gz")]).concat();
        let mut places = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        places.find(|path| path.is_file()).ok_or(DataError::Missing { name: self.name(), dir: dir.to_owned() })
    }

    /// The elements of the file at `path`, compressed or not, once they have proved to be the original's.
    ///
    /// # Errors
    /// [`DataError`] naming the file and what differs. However large the file, no more than the original's payload
    /// is held in memory.
    pub fn read(self, path: &Path) -> Result<Vec<u8>, DataError> {
        let raw = payload(path, idx::len(self.shape()))?;
        let digest = hex(&Sha256::digest(&raw));
        let form = |source| DataError::Form { path: path.to_owned(), name: self.name(), source };
        let elements = idx::elements(raw, self.shape()).map_err(form)?;
        self.check_labels(path, &elements)?;
        match digest == self.sha256() {
            true => Ok(elements),
            false => Err(DataError::Contents {
                path: path.to_owned(),
                name: self.name(),
                expected: self.sha256(),
                found: digest,
            }),
        }
    }

    fn check_labels(self, path: &Path, elements: &[u8]) -> Result<(), DataError> {
        let wrong = match self {
            Self::TrainImages | Self::TestImages => None,
            Self::TrainLabels | Self::TestLabels => elements.iter().position(|&label| usize::from(label) >= CLASSES),
        };
        wrong.map_or(Ok(()), |index| {
            let source = SamplesError::Label { index, label: elements[index], classes: CLASSES };
            Err(DataError::Samples { path: path.to_owned(), name: self.name(), source })
        })
    }
}

/// The raw bytes of a file of `expected` bytes, compressed or not, and one more if there are more.
pub(super) fn payload(path: &Path, expected: usize) -> Result<Vec<u8>, DataError> {
    payload::read(path, Size::Exactly(expected)).map_err(|why| match why {
        Unreadable::Io(source) => DataError::Io { path: path.to_owned(), source },
        Unreadable::Gzip(source) => DataError::Gzip { path: path.to_owned(), source },
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads all four files, two at a time.
///
/// # Errors
/// [`DataError`] of the first file that is missing or not the original.
pub fn load(dir: &Path) -> Result<Dataset, DataError> {
    let read = |file: MnistFile| file.read(&file.locate(dir)?);
    let samples = |images: MnistFile, labels: MnistFile| -> Result<Samples, DataError> {
        let pair = Samples::new(SIDE * SIDE, CLASSES, read(images)?, read(labels)?);
        Ok(pair.expect("files that are the originals fit each other"))
    };
    thread::scope(|scope| {
        let test = scope.spawn(|| samples(MnistFile::TestImages, MnistFile::TestLabels));
        let train = samples(MnistFile::TrainImages, MnistFile::TrainLabels)?;
        let test = test.join().expect("the reader does not panic")?;
        Ok(Dataset { train, test, origins: Vec::new() })
    })
}

/// Writes samples of MNIST's shape into `dir` as four files of MNIST's names, which must not be there yet.
///
/// # Errors
/// What the file system says; files before the failed one are there then.
///
/// # Panics
/// If samples have another shape.
pub fn write(dir: &Path, train: &Samples, test: &Samples) -> io::Result<()> {
    let side = SIDE as u32;
    for (samples, images, labels) in
        [(train, MnistFile::TrainImages, MnistFile::TrainLabels), (test, MnistFile::TestImages, MnistFile::TestLabels)]
    {
        let count = samples.len() as u32;
        let write = |file: MnistFile, raw: &[u8]| File::create_new(dir.join(file.name()))?.write_all(raw);
        write(images, &idx::encode(&[count, side, side], samples.features()))?;
        write(labels, &idx::encode(&[count], samples.labels()))?;
    }
    Ok(())
}

/// Reads every file and compares it with the original.
///
/// # Errors
/// [`DataError`] of the first file that is missing or not the original.
pub fn verify(dir: &Path) -> Result<Vec<Verified>, DataError> {
    let verified = |file: MnistFile| {
        let path = file.locate(dir)?;
        file.read(&path)?;
        Ok(Verified { file, path, bytes: idx::len(file.shape()) })
    };
    MnistFile::ALL.into_iter().map(verified).collect()
}

/// Where the files are when nobody says: the folder in `SYNGRAD_DATA_DIR`; `data/mnist` here or beside an ancestor of
/// the executable (a checkout); else the user's cache, which `fetch` fills. Only the last may not exist.
#[must_use]
pub fn default_mnist_dir() -> PathBuf {
    if let Some(dir) = env::var_os(DIR_VARIABLE) {
        return dir.into();
    }
    let here = env::current_dir().ok();
    let executable = env::current_exe().ok();
    let ancestors = executable.iter().flat_map(|path| path.ancestors().map(Path::to_owned));
    checkout_dir(here.into_iter().chain(ancestors)).unwrap_or_else(cache_dir)
}

/// `data/mnist` of the first root that has the files there.
fn checkout_dir(roots: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    roots.map(|root| root.join("data/mnist")).find(|dir| MnistFile::TrainImages.locate(dir).is_ok())
}

/// The folder in the user's cache that `fetch` fills.
#[must_use]
pub fn cache_dir() -> PathBuf {
    let home = |rest: &str| env::var_os("HOME").map(|home| Path::new(&home).join(rest));
    let of_system = match env::consts::OS {
        "windows" => env::var_os("LOCALAPPDATA").map(PathBuf::from),
        "macos" => home("Library/Caches"),
        _ => env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| home(".cache")),
    };
    of_system.unwrap_or_else(env::temp_dir).join("syngrad/mnist")
}

#[cfg(test)]
mod tests;
