//! What durability costs: rounds a second with state kept as specs ask for it, beside a coordinator that keeps none, in
//! turn, so that whatever else the machine does meets all of them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use syngrad_engine::spec::Durability;
use tempfile::TempDir;

use super::cluster;
use super::memory::median;
use super::round::{NOOP, Noop};
use crate::args::DurabilityArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fleet::{Fleet, FleetConfig};
use crate::output::{Output, Report};
use crate::runtime;
use crate::table::{rows, thousands};

/// How state is kept: not at all, by checkpoints beside the rounds, or before each next round.
const KINDS: [(&str, Option<Durability>); 3] =
    [("none", None), ("checkpoint", Some(Durability::Checkpoint)), ("every_round", Some(Durability::EveryRound))];

#[derive(Serialize)]
struct DurabilityReport {
    folder: PathBuf,
    workers: u32,
    params: u32,
    rounds: u32,
    repetitions: u32,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    state: &'static str,
    /// The median over the repetitions.
    rounds_per_second: f64,
    /// Beside no state in the same repetition; the median over the repetitions.
    ratio: f64,
}

pub(super) fn run(args: &DurabilityArgs, output: Output) -> Result<Exit, Failure> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => syngrad_coordinator::default_state_dir()
            .ok_or_else(|| Failure::usage(&"the environment names no folder for state: name one with --folder"))?,
    };
    on_a_disk(&folder)?;
    let mut rates: [Vec<f64>; 3] = Default::default();
    for repetition in 1..=args.repetitions {
        output.say(&format!("repetition {repetition} of {} …", args.repetitions));
        for ((_, durability), rates) in KINDS.into_iter().zip(&mut rates) {
            rates.push(rate(args, durability, &folder, output)?);
        }
    }
    let rows = KINDS.into_iter().zip(&rates).map(|((state, _), of_kind)| {
        let ratios: Vec<f64> = of_kind.iter().zip(&rates[0]).map(|(rate, none)| rate / none).collect();
        Row { state, rounds_per_second: median(of_kind), ratio: median(&ratios) }
    });
    let DurabilityArgs { workers, params, rounds, repetitions, .. } = *args;
    output.result(&DurabilityReport { folder, workers, params, rounds, repetitions, rows: rows.collect() });
    Ok(Exit::Ok)
}

/// Makes the folder, and refuses one that is in memory: syncing that costs nothing, and keeps nothing.
fn on_a_disk(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|why| Failure::io(&format!("making {}", folder.display()), &why))?;
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let absolute = folder.canonicalize().map_err(|why| Failure::io(&format!("finding {}", folder.display()), &why))?;
    match in_memory(&mounts, &absolute) {
        true => Err(Failure::usage(&format!(
            "{} is in memory, where durability costs nothing; name a folder on a disk with --folder",
            folder.display()
        ))),
        false => Ok(()),
    }
}

/// Whether the longest mount above `folder`, of lines `device mount kind …`, is a file system in memory.
fn in_memory(mounts: &str, folder: &Path) -> bool {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((Path::new(words.next()?), words.next()?))
    });
    let above = mounts.filter(|(mount, _)| folder.starts_with(mount));
    above.max_by_key(|(mount, _)| mount.as_os_str().len()).is_some_and(|(_, kind)| matches!(kind, "tmpfs" | "ramfs"))
}

/// Rounds a second of one run.
fn rate(args: &DurabilityArgs, durability: Option<Durability>, folder: &Path, output: Output) -> Result<f64, Failure> {
    let DurabilityArgs { params, workers, rounds, .. } = *args;
    let spec = Noop { params, workers, rounds, durability: durability.unwrap_or_default(), ..NOOP }.spec()?;
    let made = |why| Failure::io(&format!("making a folder in {}", folder.display()), &why);
    // Deleted when the fleet has ended.
    let state: Option<TempDir> = durability.map(|_| tempfile::tempdir_in(folder)).transpose().map_err(made)?;
    let state_dir = state.as_ref().map(|state| state.path().to_owned());
    let config = FleetConfig { state_dir, ..FleetConfig::of_this_program(syngrad_model::Device::default())? };
    runtime::light()?.block_on(async {
        let mut fleet = Fleet::start(config).await?;
        fleet.add_workers(workers).await?;
        let status = cluster::train(&mut fleet, &spec, workers, output, |_| {}).await?;
        fleet.end().await;
        Ok(f64::from(rounds) / status.train_seconds.max(f64::MIN_POSITIVE))
    })
}

impl Report for DurabilityReport {
    fn text(&self) -> String {
        let mut text = rows(
            ["state", "rounds/s", "beside none"],
            &["rounds/s", "beside none"],
            self.rows.iter().map(|row| {
                [row.state.to_owned(), format!("{:.1}", row.rounds_per_second), format!("{:.3} ×", row.ratio)]
            }),
        );
        text.push_str(&format!(
            "{} params, {} workers, {} rounds, {} repetitions, in {}\n",
            thousands(self.params.into()),
            self.workers,
            thousands(self.rounds.into()),
            self.repetitions,
            self.folder.display()
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_memory_is_told_from_one_on_a_disk() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        let found = |folder: &str| in_memory(mounts, Path::new(folder));
        assert_eq!(
            [found("/var"), found("/tmp/a"), found("/tmp/disk/a"), found("/tmpfs")],
            [false, true, false, false]
        );
    }
}
