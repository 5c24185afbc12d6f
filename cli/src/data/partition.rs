//! `data partition`: a folder of samples for each partner of an experiment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use syngrad_dataset::mnist;
use syngrad_dataset::{Dataset, Samples};
use syngrad_engine::spec::{DataSpec, Partition};
use syngrad_engine::{Cut, Unit};

use crate::args::{PartitionArgs, PartitionName};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{rows, thousands};

pub(super) fn run(args: &PartitionArgs, output: Output) -> Result<Exit, Failure> {
    let partition = partition(args);
    partition.check().map_err(|why| Failure::spec(&why))?;
    let folder = crate::local::data_dir(args.data.data_dir.as_deref());
    let data = DataSpec::Mnist { limit: None, partition };
    let dataset = Dataset::load(&data, args.seed, &folder).map_err(|why| Failure::data(&why))?;
    let cut = Cut::new(&partition, args.seed, args.parts, dataset.population());
    let cut = cut.map_err(|why| Failure::failed(&why))?;
    open(&args.out)?;
    let mut parts = Vec::new();
    for part in 0..args.parts {
        let folder = args.out.join(format!("part-{part}"));
        let train = dataset.train.select(cut.shard(Unit(part)));
        let written = write(&folder, &train, &dataset.test);
        written.map_err(|why| Failure::io(&format!("writing {}", folder.display()), &why))?;
        output.say(&format!("{} has {} samples", folder.display(), thousands(train.len() as u64)));
        parts.push(Part { folder, samples: train.len(), histogram: train.histogram() });
    }
    output.result(&Parts { by: partition.name(), parts });
    Ok(Exit::Ok)
}

fn partition(args: &PartitionArgs) -> Partition {
    match args.by {
        PartitionName::Iid => Partition::Iid {},
        PartitionName::Contiguous => Partition::Contiguous {},
        PartitionName::Shards => Partition::Shards { shards_per_unit: args.shards_per_unit },
        PartitionName::Dirichlet => Partition::Dirichlet { alpha: args.alpha },
        PartitionName::Quantity => Partition::Quantity { alpha: args.alpha },
        PartitionName::Parity => Partition::Parity {},
        PartitionName::Institution => Partition::Institution {},
        PartitionName::Writer => Partition::Writer {},
    }
}

/// Makes the folder; one that holds anything is left alone, for a partner may train on it.
fn open(out: &Path) -> Result<(), Failure> {
    let made = fs::create_dir_all(out).and_then(|()| fs::read_dir(out));
    let mut entries = made.map_err(|why| Failure::io(&format!("making {}", out.display()), &why))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Failure::usage(&format!("{} is not empty; name a new folder with --out", out.display()))),
    }
}

/// Writes under another name first: a folder of a part's own name is whole.
fn write(folder: &Path, train: &Samples, test: &Samples) -> io::Result<()> {
    let unfinished = folder.with_extension("unfinished");
    fs::create_dir(&unfinished)?;
    mnist::write(&unfinished, train, test)?;
    fs::rename(&unfinished, folder)
}

#[derive(Serialize)]
struct Parts {
    by: &'static str,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    folder: PathBuf,
    samples: usize,
    /// Samples of each class.
    histogram: Vec<u64>,
}

impl Report for Parts {
    fn text(&self) -> String {
        rows(
            ["folder", "samples", "of classes 0, 1, 2, …"],
            &["samples"],
            self.parts.iter().map(|part| {
                let classes: Vec<String> = part.histogram.iter().map(u64::to_string).collect();
                [part.folder.display().to_string(), thousands(part.samples as u64), classes.join(" ")]
            }),
        )
    }
}
