//! Results for people: aligned columns without decoration, so that they survive a pipe and a narrow terminal.

use comfy_table::{Cell, CellAlignment, Table, presets};

/// Rows under a header; columns whose name is in `right` are aligned to the right.
#[must_use]
pub(crate) fn rows<const N: usize>(
    header: [&str; N],
    right: &[&str],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.into_iter().map(Cell::new).collect::<Vec<_>>());
    }
    for (index, name) in header.iter().enumerate() {
        if right.contains(name)
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    finish(&table)
}

/// One fact a line.
#[must_use]
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in facts {
        table.add_row([*name, value.as_str()]);
    }
    finish(&table)
}

fn finish(table: &Table) -> String {
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// Thousands apart, for people: `1,234,567`.
#[must_use]
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction as a percentage with two decimals.
#[must_use]
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"].map(str::to_owned));
        assert_eq!(percent(0.9753), "97.53 %");
    }

    #[test]
    fn tables_are_aligned_and_end_with_a_line_break() {
        let text = rows(["name", "n"], &["n"], [["a".to_owned(), "1".to_owned()], ["b".to_owned(), "22".to_owned()]]);
        assert!(text.contains("  1") && text.ends_with('\n'), "{text}");
        assert!(facts(&[("key", "value".to_owned())]).contains("key  value"));
    }
}
