//! Samples of a partner's own: two IDX files of any size, read once and never shown to anybody.

use std::io;
use std::path::{Path, PathBuf};

use syngrad_engine::digest::{Domain, Hasher};
use syngrad_engine::spec::DataSpec;
use syngrad_engine::spec::check::MAX_SAMPLE_BYTES;
use syngrad_engine::{Digest, PartnerName, RunId};
use thiserror::Error;

use super::idx::{self, IdxError};
use super::mnist::MnistFile;
use super::payload::{self, Size, Unreadable};
use super::{Samples, SamplesError};

/// Classes that a label of one byte can name. A run says how many of them it has.
const ANY_CLASS: usize = 256;

/// A partner's samples, and what names their content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateData {
    samples: Samples,
    digest: Digest,
}

/// Why a folder gives no samples.
#[derive(Debug, Error)]
pub enum PrivateDataError {
    /// A file is not there.
    #[error(
        "{name} is not in {} (with or without .gz); a partner's own samples are train-images-idx3-ubyte and \
         train-labels-idx1-ubyte, as MNIST has them",
        dir.display()
    )]
    Missing {
        /// The file's name.
        name: &'static str,
        /// The folder that was searched.
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
    /// A file has another form.
    #[error("{} cannot be used: {source}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IdxError,
    },
    /// A file is larger than a worker takes into memory.
    #[error("{} has more than {MAX_SAMPLE_BYTES} bytes; split it over several workers' partners", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The two files do not fit each other.
    #[error("the files in {} do not fit each other: {source}", dir.display())]
    Pair {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        source: SamplesError,
    },
    /// There is nothing to train on.
    #[error("the files in {} hold no samples", dir.display())]
    Empty {
        /// The folder.
        dir: PathBuf,
    },
}

/// Why a partner's samples are not those that a run counts on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrivateMismatch {
    /// The partner has no part in the run.
    #[error("the run is on samples of its partners, and {partner} is none of them")]
    Stranger {
        /// The partner.
        partner: PartnerName,
    },
    /// There are none.
    #[error("the run counts on {expected} samples of {partner}; name their folder with --data")]
    Absent {
        /// The partner.
        partner: PartnerName,
        /// Samples that the run counts on.
        expected: u32,
    },
    /// There are more or fewer.
    #[error("the run counts on {expected} samples of {partner}, here are {found}")]
    Count {
        /// The partner.
        partner: PartnerName,
        /// Samples that the run counts on.
        expected: u32,
        /// Samples there are.
        found: usize,
    },
    /// They have another shape.
    #[error("the run's samples have {expected} features, those of {partner} have {found}")]
    Inputs {
        /// The partner.
        partner: PartnerName,
        /// Features that the run counts on.
        expected: usize,
        /// Features there are.
        found: usize,
    },
    /// A label names no class of the run.
    #[error("the samples of {partner}: {source}")]
    Labels {
        /// The partner.
        partner: PartnerName,
        /// Which one.
        source: SamplesError,
    },
}

/// The samples that `partner` brings to a run on `spec`, out of the `data` it has. In a run whose samples are
/// assigned, every partner is a stranger.
///
/// # Errors
/// [`PrivateMismatch`] when they are not those that the run counts on.
pub fn samples_of(
    spec: &DataSpec,
    partner: &PartnerName,
    data: Option<&PrivateData>,
) -> Result<Samples, PrivateMismatch> {
    let stranger = || PrivateMismatch::Stranger { partner: partner.clone() };
    let DataSpec::Private { inputs, classes, partners, test: _ } = spec else { return Err(stranger()) };
    let listed = partners.iter().find(|of| of.partner == *partner).ok_or_else(stranger)?;
    let (partner, expected) = (partner.clone(), listed.samples);
    let Some(data) = data else { return Err(PrivateMismatch::Absent { partner, expected }) };
    if data.samples() != expected as usize {
        return Err(PrivateMismatch::Count { partner, expected, found: data.samples() });
    }
    if data.inputs() != *inputs {
        return Err(PrivateMismatch::Inputs { partner, expected: *inputs, found: data.inputs() });
    }
    data.of_classes(*classes).map_err(|source| PrivateMismatch::Labels { partner, source })
}

impl PrivateData {
    /// Reads `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` in `dir`, compressed or not. A sample's features
    /// are all its axes, row by row.
    ///
    /// # Errors
    /// [`PrivateDataError`] that names the file and what is wrong with it.
    pub fn load(dir: &Path) -> Result<Self, PrivateDataError> {
        let (images, axes) = read(MnistFile::TrainImages, dir)?;
        let (labels, of_labels) = read(MnistFile::TrainLabels, dir)?;
        let inputs = axes.iter().skip(1).map(|&axis| axis as usize).product();
        let pair = |source| PrivateDataError::Pair { dir: dir.to_owned(), source };
        if axes.first() != of_labels.first() || axes.len() < 2 || of_labels.len() != 1 {
            return Err(pair(SamplesError::Length { labels: labels.len(), inputs, features: images.len() }));
        }
        if labels.is_empty() {
            return Err(PrivateDataError::Empty { dir: dir.to_owned() });
        }
        Ok(Self::new(Samples::new(inputs, ANY_CLASS, images, labels).map_err(pair)?))
    }

    /// Samples that are in memory already.
    #[must_use]
    pub fn new(samples: Samples) -> Self {
        let mut hasher = Hasher::new(Domain::Data);
        hasher.update(&(samples.inputs() as u64).to_le_bytes()).update(samples.features()).update(samples.labels());
        Self { digest: hasher.finish(), samples }
    }

    /// The number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Features of a sample.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.samples.inputs()
    }

    /// Digest of the samples in `run`, in their order. It shows within the run whether they are still the same, and
    /// nothing to who compares runs.
    #[must_use]
    pub fn digest_in(&self, run: RunId) -> Digest {
        Digest::of(Domain::Data, &[run.0.as_slice(), self.digest.as_ref()].concat())
    }

    /// The samples, as ones of `classes` classes.
    ///
    /// # Errors
    /// [`SamplesError`] when a label is not below `classes`.
    pub fn of_classes(&self, classes: usize) -> Result<Samples, SamplesError> {
        let Samples { inputs, features, labels, .. } = self.samples.clone();
        Samples::new(inputs, classes, features, labels)
    }
}

fn read(file: MnistFile, dir: &Path) -> Result<(Vec<u8>, Vec<u32>), PrivateDataError> {
    let missing = |_| PrivateDataError::Missing { name: file.name(), dir: dir.to_owned() };
    let path = file.locate(dir).map_err(missing)?;
    let payload = payload::read(&path, Size::UpTo(MAX_SAMPLE_BYTES as usize)).map_err(|why| match why {
        Unreadable::Io(source) | Unreadable::Gzip(source) => PrivateDataError::Io { path: path.clone(), source },
    })?;
    if payload.len() as u64 > MAX_SAMPLE_BYTES {
        return Err(PrivateDataError::TooLarge { path });
    }
    idx::array(payload, file.shape().len()).map_err(|source| PrivateDataError::Form { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(magic: u32, axes: &[u32], elements: &[u8]) -> Vec<u8> {
        let words = [&[magic], axes].concat();
        [words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>(), elements.to_vec()].concat()
    }

    fn folder(images: &[u8], labels: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("train-images-idx3-ubyte"), images).expect("a file");
        std::fs::write(dir.path().join("train-labels-idx1-ubyte"), labels).expect("a file");
        dir
    }

    #[test]
    fn two_files_of_any_size_are_a_partners_samples() {
        let images = file(0x803, &[3, 1, 2], &[1, 2, 3, 4, 5, 6]);
        let data = PrivateData::load(folder(&images, &file(0x801, &[3], &[0, 2, 1])).path()).expect("samples");
        assert_eq!((data.samples(), data.inputs()), (3, 2));
        let samples = data.of_classes(3).expect("three classes");
        assert_eq!((samples.image(1), samples.label(1), samples.classes()), ([3, 4].as_slice(), 2, 3));
        assert!(matches!(data.of_classes(2), Err(SamplesError::Label { index: 1, label: 2, classes: 2 })));
        let other = PrivateData::load(folder(&images, &file(0x801, &[3], &[0, 2, 2])).path()).expect("samples");
        let (one, two) = (RunId([1; 16]), RunId([2; 16]));
        assert_ne!(data.digest_in(one), other.digest_in(one));
        assert_ne!(data.digest_in(one), data.digest_in(two));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let images = file(0x803, &[3, 1, 2], &[1, 2, 3, 4, 5, 6]);
        let labels = file(0x801, &[3], &[0, 2, 1]);
        let cases = [
            (images.clone(), file(0x801, &[2], &[0, 2]), "do not fit each other"),
            (labels.clone(), labels.clone(), "an IDX file of labels; expected an IDX file of images"),
            (images[..20].to_vec(), labels.clone(), "truncated: expected 22 bytes, found 20"),
            ([images, vec![0]].concat(), labels.clone(), "too long: expected 22 bytes"),
            (file(0x803, &[u32::MAX; 3], &[]), labels, "truncated"),
            (file(0x803, &[0, 1, 2], &[]), file(0x801, &[0], &[]), "no samples"),
        ];
        for (images, labels, expected) in cases {
            let error = PrivateData::load(folder(&images, &labels).path()).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
        let empty = tempfile::tempdir().expect("a folder");
        let error = PrivateData::load(empty.path()).expect_err("nothing is there").to_string();
        assert!(error.contains("train-images-idx3-ubyte is not in"), "{error}");
    }
}
