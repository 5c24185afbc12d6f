//! Does exact aggregation cost accuracy? The demo's run over several seeds at every width, beside a plain f32 sum.

mod plain;

use serde::Serialize;
use syngrad_dataset::Dataset;
use syngrad_engine::RunSpec;
use syngrad_engine::spec::UpdateBits;
use syngrad_model::{Device, reference};

use super::document::Document;
use crate::args::{ExactnessArgs, SpecFlags};
use crate::demo::spec::demo_spec;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::data_dir;
use crate::output::{Output, Report};
use crate::table::{percent, rows, thousands};

/// What the table's place in a document is marked with.
const COMMAND: &str = "syngrad bench exactness";

const WIDTHS: [UpdateBits; 3] = [UpdateBits::ThirtyTwo, UpdateBits::Sixteen, UpdateBits::Eight];

#[derive(Serialize)]
struct ExactnessReport {
    samples: u64,
    rounds: u32,
    rows: Vec<Row>,
}

/// One way to add up, over all seeds.
#[derive(Serialize)]
struct Row {
    aggregation: String,
    /// Test accuracy of each seed, 0 to 1.
    accuracy: Vec<f64>,
    mean_accuracy: f64,
    /// Entries clamped to the grid, over all seeds.
    saturated: u64,
    /// Entries rounded to the grid, over all seeds; none without a grid.
    entries: u64,
    /// Bytes of one worker's updates in one run.
    bytes_sent: u64,
}

/// What one run came to.
struct Trained {
    accuracy: f64,
    saturated: u64,
    entries: u64,
    bytes: u64,
}

pub(super) fn run(args: &ExactnessArgs, output: Output) -> Result<Exit, Failure> {
    let spec = |seed| {
        let flags = SpecFlags { seed: Some(seed), epochs: args.epochs, ..SpecFlags::default() };
        demo_spec(flags).map(|spec| spec.spec().clone())
    };
    let document = args.write.as_deref().map(|path| Document::open(path, COMMAND)).transpose()?;
    let folder = data_dir(args.data.data_dir.as_deref());
    let first = spec(0)?;
    let dataset = Dataset::load(&first.data, first.seed, &folder).map_err(|why| Failure::data(&why))?;
    let plan = syngrad_engine::Plan::new(&first, dataset.train.len() as u32).map_err(|why| Failure::failed(&why))?;
    let seeds: Vec<RunSpec> = (0..args.seeds).map(spec).collect::<Result<_, _>>()?;
    output.say(&format!("{} seeds, f32 sum …", args.seeds));
    let mut report = ExactnessReport {
        samples: u64::from(plan.rounds()) * plan.samples_in_round(),
        rounds: plan.rounds(),
        rows: vec![row("f32 sum", &seeds, |spec| plain::train(spec, &dataset, args.device))?],
    };
    for bits in WIDTHS {
        let name = format!("exact, {} bits", u8::from(bits));
        output.say(&format!("{} seeds, {name} …", args.seeds));
        let train = |spec: &RunSpec| exact(&RunSpec { update_bits: bits, ..spec.clone() }, &dataset, args.device);
        report.rows.push(row(&name, &seeds, train)?);
    }
    if let Some(document) = document {
        document.write(&markdown(&report))?;
    }
    output.result(&report);
    Ok(Exit::Ok)
}

fn row(name: &str, seeds: &[RunSpec], train: impl Fn(&RunSpec) -> Result<Trained, Failure>) -> Result<Row, Failure> {
    let runs: Vec<Trained> = seeds.iter().map(train).collect::<Result<_, _>>()?;
    let accuracy: Vec<f64> = runs.iter().map(|run| run.accuracy).collect();
    Ok(Row {
        aggregation: name.to_owned(),
        mean_accuracy: accuracy.iter().sum::<f64>() / accuracy.len() as f64,
        accuracy,
        saturated: runs.iter().map(|run| run.saturated).sum(),
        entries: runs.iter().map(|run| run.entries).sum(),
        bytes_sent: runs.first().map_or(0, |run| run.bytes),
    })
}

fn exact(spec: &RunSpec, dataset: &Dataset, device: Device) -> Result<Trained, Failure> {
    let trained = reference::train(spec, dataset, device, |_| {}).map_err(|why| Failure::failed(&why))?;
    let entries_a_round = trained.params.len() as u64 * u64::from(spec.algorithm.units());
    Ok(Trained {
        accuracy: trained.evaluation.accuracy,
        saturated: trained.saturated,
        entries: entries_a_round * u64::from(trained.rounds),
        bytes: trained.bytes,
    })
}

fn markdown(report: &ExactnessReport) -> String {
    let seeds = report.rows.first().map_or(0, |row| row.accuracy.len());
    let names: String = (0..seeds).map(|seed| format!(" seed {seed} |")).collect();
    let dashes = "---:|".repeat(seeds + 3);
    let mut text =
        format!("| aggregation |{names} mean | saturated of entries | bytes a worker sends |\n|---|{dashes}\n");
    for row in &report.rows {
        let accuracy: String = row.accuracy.iter().map(|accuracy| format!(" {} |", percent(*accuracy))).collect();
        let saturated = saturation(row);
        let (mean, bytes) = (percent(row.mean_accuracy), thousands(row.bytes_sent));
        text.push_str(&format!("| {} |{accuracy} {mean} | {saturated} | {bytes} |\n", row.aggregation));
    }
    text
}

fn saturation(row: &Row) -> String {
    match row.entries {
        0 => "no grid".to_owned(),
        entries => format!("{} of {}", thousands(row.saturated), thousands(entries)),
    }
}

impl Report for ExactnessReport {
    fn text(&self) -> String {
        rows(
            ["aggregation", "mean", "worst seed", "best seed", "saturated of entries", "bytes a worker sends"],
            &["mean", "worst seed", "best seed", "saturated of entries", "bytes a worker sends"],
            self.rows.iter().map(|row| {
                let worst = row.accuracy.iter().copied().fold(1.0, f64::min);
                let best = row.accuracy.iter().copied().fold(0.0, f64::max);
                let [mean, worst, best] = [row.mean_accuracy, worst, best].map(percent);
                [row.aggregation.clone(), mean, worst, best, saturation(row), thousands(row.bytes_sent)]
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_column_for_each_seed() {
        let row = Row {
            aggregation: "exact, 8 bits".to_owned(),
            accuracy: vec![0.97, 0.98],
            mean_accuracy: 0.975,
            saturated: 3,
            entries: 1000,
            bytes_sent: 4096,
        };
        let text = markdown(&ExactnessReport { samples: 1, rounds: 1, rows: vec![row] });
        assert!(text.contains("| exact, 8 bits | 97.00 % | 98.00 % | 97.50 % | 3 of 1,000 | 4,096 |"), "{text}");
    }
}
