//! The table of executions so far, in `docs/fuzzing.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::outcome::Outcome;
use super::programs::{Program, Programs};
use super::{Failure, folder};

/// The lines around the table.
const BEGIN: &str = "<!-- executions: written by `cargo xtask fuzz --write` -->";
const END: &str = "<!-- end of executions -->";

/// Adds what was executed to the table.
pub(super) fn add<'a>(programs: &[Program], outcomes: impl Iterator<Item = &'a Outcome>) -> Result<(), Failure> {
    let page = folder().join("../docs/fuzzing.md");
    let doing = format!("writing the table in {}", page.display());
    let text = fs::read_to_string(&page).map_err(Failure::system(doing.clone()))?;
    let rows: Vec<(&Program, &Outcome)> = programs.iter().zip(outcomes).collect();
    let new = with(&text, &rows, &Programs::listed()?).unwrap_or(text);
    fs::write(page, new).map_err(Failure::system(doing))
}

/// The page with more executions in its table; none if it has no table.
fn with(page: &str, rows: &[(&Program, &Outcome)], all: &[Program]) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    let mut so_far: BTreeMap<&str, (u64, u64)> = table.lines().filter_map(row).collect();
    for (program, outcome) in rows {
        let (executions, features) = so_far.entry(&program.name).or_default();
        *executions += outcome.executions;
        *features = (*features).max(outcome.features);
    }
    let mut new =
        format!("{before}{BEGIN}\n\n| target | what it is fed | executions | features |\n|---|---|---:|---:|\n");
    for Program { name, what } in all {
        let (executions, features) = so_far.get(name.as_str()).copied().unwrap_or_default();
        writeln!(new, "| `{name}` | {what} | {} | {} |", grouped(executions), grouped(features))
            .expect("a string takes everything");
    }
    let executions = so_far.values().map(|(executions, _)| executions).sum();
    writeln!(new, "| all | | {} | |", grouped(executions)).expect("a string takes everything");
    Some(format!("{new}\n{END}{after}"))
}

/// A target, its executions and its features, in a line of the table.
fn row(line: &str) -> Option<(&str, (u64, u64))> {
    let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
    let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    let mut numbers = cells.skip(1).map(|cell| cell.replace(',', "").parse().ok());
    Some((name, (numbers.next()??, numbers.next()??)))
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let is_end = |at: usize| at > 0 && (digits.len() - at).is_multiple_of(3);
    digits.chars().enumerate().flat_map(|(at, digit)| is_end(at).then_some(',').into_iter().chain([digit])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_added_to_those_so_far() {
        let program = |name: &str| Program { name: name.into(), what: format!("Bytes of {name}") };
        let all = ["names", "wire"].map(program);
        let outcome = |executions, features| Outcome { executions, features, ..Outcome::default() };
        let page = format!("# Title\n{BEGIN}\n{END}\nmore\n");
        let first = with(&page, &[(&all[1], &outcome(1_234_567, 90))], &all).expect("a table");
        assert!(first.contains("| `wire` | Bytes of wire | 1,234,567 | 90 |\n"), "{first}");
        assert!(first.contains("| `names` | Bytes of names | 0 | 0 |\n"), "{first}");
        let second = with(&first, &[(&all[1], &outcome(33, 80)), (&all[0], &outcome(7, 5))], &all).expect("a table");
        assert!(second.contains("| `wire` | Bytes of wire | 1,234,600 | 90 |\n"), "{second}");
        assert!(second.contains("| all | | 1,234,607 | |\n"), "{second}");
        assert!(second.starts_with("# Title\n") && second.ends_with("\nmore\n"), "{second}");
        assert_eq!(with("no table", &[], &all), None);
    }

    #[test]
    fn digits_come_in_threes() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
    }
}
