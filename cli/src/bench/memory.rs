//! The memory of a process, as the system counts it.

use crate::failure::Failure;

/// Bytes of a process that are in memory (its resident set).
///
/// # Errors
/// If the system does not say.
pub(super) fn resident(process: Option<u32>) -> Result<u64, Failure> {
    let process = process.ok_or_else(|| Failure::usage(&"the coordinator's process has ended"))?;
    let file = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&file).map_err(|why| Failure::io(&format!("reading {file}"), &why))?;
    of_status(&status).ok_or_else(|| Failure::usage(&format!("{file} does not say how much memory is in use")))
}

fn of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// The middle of some values, or the lower one of the two in the middle; 0 of none.
pub(super) fn median<T: Copy + PartialOrd + Default>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Bytes for people.
pub(super) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_read_from_what_the_system_says() {
        assert_eq!(of_status("VmHWM:\t  99 kB\nVmRSS:\t    20 kB\nRssAnon:\t 8 kB\n"), Some(20 << 10));
        assert_eq!(of_status("Name:\tcoordinator\n"), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(&[3, 1, 2]), median(&[4, 1, 3, 2]), median::<u64>(&[])), (2, 2, 0));
    }
}
