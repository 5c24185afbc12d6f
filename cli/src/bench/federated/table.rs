//! The report for people and for the document.

use std::fmt::Write as _;

use syngrad_engine::spec::Partition;

use super::{FederatedReport, Row, together};
use crate::output::Report;
use crate::table::{percent, rows, thousands};

/// A partition as a spec's reader says it.
pub(super) fn name(partition: &Partition) -> String {
    match partition {
        Partition::Dirichlet { alpha } | Partition::Quantity { alpha } => format!("{}({alpha})", partition.name()),
        Partition::Shards { shards_per_unit } => format!("{}({shards_per_unit})", partition.name()),
        Partition::Iid {}
        | Partition::Contiguous {}
        | Partition::Parity {}
        | Partition::Institution {}
        | Partition::Writer {} => partition.name().to_owned(),
    }
}

/// The mean, the worst and the best of seeds.
fn spread(mean: f64, seeds: &[f64]) -> String {
    let worst = seeds.iter().copied().fold(1.0, f64::min);
    let best = seeds.iter().copied().fold(0.0, f64::max);
    format!("{} ({:.2}–{:.2})", percent(mean), 100.0 * worst, 100.0 * best)
}

/// The tables of the document.
pub(super) fn markdown(report: &FederatedReport) -> String {
    let mut text = String::new();
    by_method(report, &mut text);
    text.push('\n');
    by_side(&report.together, &mut text);
    text.push('\n');
    grids(report, &mut text);
    text
}

fn partitions(report: &FederatedReport) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for row in &report.rows {
        if !names.contains(&row.partition.as_str()) {
            names.push(&row.partition);
        }
    }
    names
}

/// One line a method, one column a partition.
fn by_method(report: &FederatedReport, text: &mut String) {
    let s = &report.settings;
    let _ = writeln!(
        text,
        "{} training samples in {} units, local batches of {}, mean of {} seeds (worst–best):\n",
        thousands(s.samples.into()),
        s.units,
        s.local_batch,
        s.seeds
    );
    let partitions = partitions(report);
    let columns: String = partitions.iter().map(|name| format!(" `{name}` |")).collect();
    let _ = writeln!(text, "| algorithm | rounds |{columns} bytes down | bytes up |");
    let _ = writeln!(text, "|---|{}", "---:|".repeat(partitions.len() + 3));
    let of_first: Vec<&Row> =
        report.rows.iter().filter(|row| Some(&row.partition.as_str()) == partitions.first()).collect();
    for first in of_first {
        let cells: String = report
            .rows
            .iter()
            .filter(|row| row.method == first.method)
            .map(|row| format!(" {} |", spread(row.mean_accuracy, &row.accuracy)))
            .collect();
        let (down, up) = (thousands(first.bytes_down), thousands(first.bytes_up));
        let _ = writeln!(text, "| {} | {} |{cells} {down} | {up} |", first.method, first.rounds);
    }
}

fn by_side(together: &[together::Row], text: &mut String) {
    text.push_str(
        "| trained by | training samples | tested on employees | tested on students |\n|---|---:|---:|---:|\n",
    );
    for row in together {
        let employees = spread(row.mean_on_employees, &row.on_employees);
        let students = spread(row.mean_on_students, &row.on_students);
        let samples = thousands(row.samples as u64);
        let _ = writeln!(text, "| {} | {samples} | {employees} | {students} |", row.trained_by);
    }
}

/// What was chosen, and from what.
fn grids(report: &FederatedReport, text: &mut String) {
    text.push_str("| algorithm | data | chosen | the grid, with accuracy on what was held out |\n|---|---|---|---|\n");
    let tuned = report.rows.iter().map(|row| (row.method, row.partition.as_str(), &row.constants, &row.grid));
    let sides = report.together.iter().map(|row| ("FedAvg", row.trained_by, &row.constants, &row.grid));
    for (method, data, chosen, grid) in tuned.chain(sides) {
        let grid: Vec<String> =
            grid.iter().map(|(constants, score)| format!("{constants}: {}", percent(*score))).collect();
        let _ = writeln!(text, "| {method} | {data} | {chosen} | {} |", grid.join("; "));
    }
}

impl Report for FederatedReport {
    fn text(&self) -> String {
        let methods = rows(
            [
                "data",
                "algorithm",
                "rounds",
                "test accuracy",
                "employees",
                "students",
                "bytes down",
                "bytes up",
                "constants",
            ],
            &["rounds", "test accuracy", "employees", "students", "bytes down", "bytes up"],
            self.rows.iter().map(|row| {
                [
                    row.partition.clone(),
                    row.method.to_owned(),
                    row.rounds.to_string(),
                    spread(row.mean_accuracy, &row.accuracy),
                    percent(row.mean_accuracy_employees),
                    percent(row.mean_accuracy_students),
                    thousands(row.bytes_down),
                    thousands(row.bytes_up),
                    row.constants.clone(),
                ]
            }),
        );
        let sides = rows(
            ["trained by", "samples", "on employees", "on students"],
            &["samples", "on employees", "on students"],
            self.together.iter().map(|row| {
                [
                    row.trained_by.to_owned(),
                    thousands(row.samples as u64),
                    spread(row.mean_on_employees, &row.on_employees),
                    spread(row.mean_on_students, &row.on_students),
                ]
            }),
        );
        format!("{methods}\n{sides}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Settings;
    use super::*;

    fn row(partition: &str, method: &'static str) -> Row {
        Row {
            partition: partition.to_owned(),
            method,
            rounds: 7,
            constants: "rate 2".to_owned(),
            grid: BTreeMap::from([("rate 1".to_owned(), 0.5), ("rate 2".to_owned(), 0.75)]),
            accuracy: vec![0.75, 0.7],
            mean_accuracy: 0.725,
            mean_accuracy_employees: 0.8,
            mean_accuracy_students: 0.65,
            bytes_down: 4096,
            bytes_up: 2048,
        }
    }

    #[test]
    fn the_document_has_a_line_for_each_method_and_its_grid() {
        let together = together::Row {
            trained_by: "students only",
            samples: 29_050,
            constants: "rate 1".to_owned(),
            grid: BTreeMap::from([("rate 1".to_owned(), 0.9)]),
            on_employees: vec![0.9],
            mean_on_employees: 0.9,
            on_students: vec![0.95],
            mean_on_students: 0.95,
        };
        let report = FederatedReport {
            settings: Settings { samples: 1_000, units: 10, rounds: 7, local_batch: 32, seeds: 2, held_out: 5 },
            rows: vec![row("iid", "FedAvg"), row("iid", "FedProx"), row("parity", "FedAvg"), row("parity", "FedProx")],
            together: vec![together],
            wall_seconds: 1.0,
        };
        let text = markdown(&report);
        let cell = "72.50 % (70.00–75.00)";
        assert!(text.contains("| algorithm | rounds | `iid` | `parity` | bytes down | bytes up |"), "{text}");
        assert!(text.contains(&format!("| FedProx | 7 | {cell} | {cell} | 4,096 | 2,048 |")), "{text}");
        assert!(text.contains("| FedAvg | parity | rate 2 | rate 1: 50.00 %; rate 2: 75.00 % |"), "{text}");
        assert!(text.contains("| students only | 29,050 | 90.00 % (90.00–90.00) | 95.00 % (95.00–95.00) |"), "{text}");
        assert_eq!(name(&Partition::Dirichlet { alpha: 0.1 }), "dirichlet(0.1)");
    }
}
