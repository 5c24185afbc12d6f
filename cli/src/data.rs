//! `data …`: the four MNIST files.

mod partition;

use std::path::{Path, PathBuf};

use serde::Serialize;
use syngrad_dataset::fetch::{self, MIRRORS, Progress};
use syngrad_dataset::mnist::{self, MnistFile};
use syngrad_dataset::{DataError, Samples};

use crate::args::DataCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{rows, thousands};

pub(crate) fn run(command: &DataCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        DataCommand::Fetch(place) => fetch_into(&place.data_dir.clone().unwrap_or_else(mnist::cache_dir), output),
        DataCommand::Verify(place) => {
            output.result(&verified(&crate::local::data_dir(place.data_dir.as_deref()))?);
            Ok(Exit::Ok)
        }
        DataCommand::Info(place) => {
            let folder = crate::local::data_dir(place.data_dir.as_deref());
            let dataset = mnist::load(&folder).map_err(|why: DataError| Failure::data(&why))?;
            output.result(&Info { folder, train: Split::of(&dataset.train), test: Split::of(&dataset.test) });
            Ok(Exit::Ok)
        }
        DataCommand::Partition(args) => partition::run(args, output),
    }
}

fn fetch_into(folder: &Path, output: Output) -> Result<Exit, Failure> {
    let mut told = |file: MnistFile, progress: Progress<'_>| match progress {
        Progress::Present => output.say(&format!("{} is there", file.name())),
        Progress::Began { url, from, total } => {
            let size = total.map_or_else(String::new, |total| format!(" of {}", thousands(total)));
            output.say(&format!("{} comes from {url}, byte {}{size}", file.name(), thousands(from)));
        }
        Progress::Received(_) => {}
        Progress::Failed { url, cause } => output.say(&format!("{url} failed: {cause}")),
        Progress::Done(path) => output.say(&format!("{} is whole", path.display())),
    };
    fetch::fetch(folder, &MnistFile::ALL, &MIRRORS, &mut told).map_err(|why| Failure::fetch(&why))?;
    output.result(&verified(folder)?);
    Ok(Exit::Ok)
}

fn verified(folder: &Path) -> Result<Files, Failure> {
    let files = mnist::verify(folder).map_err(|why| Failure::data(&why))?;
    let files = files.into_iter().map(|file| FileRow {
        name: file.file.name(),
        path: file.path,
        bytes: file.bytes,
        sha256: file.file.sha256(),
    });
    Ok(Files { files: files.collect() })
}

#[derive(Serialize)]
struct Files {
    files: Vec<FileRow>,
}

#[derive(Serialize)]
struct FileRow {
    name: &'static str,
    path: PathBuf,
    /// Of the raw payload, as is its SHA-256.
    bytes: usize,
    sha256: &'static str,
}

#[derive(Serialize)]
struct Info {
    folder: PathBuf,
    train: Split,
    test: Split,
}

#[derive(Serialize)]
struct Split {
    samples: usize,
    features: usize,
    /// Mean of all features, 0 to 1.
    mean: f64,
    /// Samples of each class.
    histogram: Vec<u64>,
}

impl Split {
    fn of(samples: &Samples) -> Self {
        Self {
            samples: samples.len(),
            features: samples.inputs(),
            mean: samples.mean(),
            histogram: samples.histogram(),
        }
    }
}

impl Report for Files {
    fn text(&self) -> String {
        rows(
            ["file", "bytes", "sha256", "path"],
            &["bytes"],
            self.files.iter().map(|file| {
                let path = file.path.display().to_string();
                [
                    file.name.to_owned(),
                    thousands(file.bytes as u64),
                    format!("{}… as it should be", &file.sha256[..12]),
                    path,
                ]
            }),
        )
    }
}

impl Report for Info {
    fn text(&self) -> String {
        let classes = 0..self.train.histogram.len();
        let counts = rows(
            ["class", "training", "test"],
            &["class", "training", "test"],
            classes.map(|class| {
                [class.to_string(), thousands(self.train.histogram[class]), thousands(self.test.histogram[class])]
            }),
        );
        let split = |name: &str, split: &Split| {
            let (samples, features) = (thousands(split.samples as u64), split.features);
            format!("{name}: {samples} samples of {features} features, mean {:.4}\n", split.mean)
        };
        let folder = self.folder.display();
        format!("{folder}\n{}{}{counts}", split("training", &self.train), split("test", &self.test))
    }
}
