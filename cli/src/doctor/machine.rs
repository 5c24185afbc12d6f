//! What the system says of its processor and memory.

use std::fs;
use std::thread;

use super::{Check, State};
use crate::table::thousands;

pub(super) fn processor() -> Check {
    const WHAT: &str = "processor";
    let features = features();
    let named = |names: &[&str]| names.iter().all(|name| features.iter().any(|feature| feature == name));
    let arch = std::env::consts::ARCH;
    match arch {
        "x86_64" if !named(&["avx2", "fma"]) => {
            let fix = "a processor with AVX2 and FMA: this one is slow, and of another numerics class than they are";
            Check::ill(WHAT, State::Slow, format!("{arch} without AVX2 and FMA"), fix)
        }
        "x86_64" => Check::well(WHAT, format!("{arch} with {}", features.join(", "))),
        _ => Check::well(WHAT, arch),
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    if std::is_x86_feature_detected!("avx2") {
        found.push("avx2");
    }
    if std::is_x86_feature_detected!("fma") {
        found.push("fma");
    }
    if std::is_x86_feature_detected!("avx512f") {
        found.push("avx512f");
    }
    found
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

pub(super) fn cores() -> Check {
    const WHAT: &str = "cores";
    match thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => Check::well(WHAT, format!("{cores}: as many workers can compute at once")),
        Ok(_) => Check::ill(WHAT, State::Slow, "1", "more cores: workers of this machine take turns on one"),
        Err(why) => Check::ill(WHAT, State::Slow, why.to_string(), "nothing need be done if training works"),
    }
}

pub(super) fn memory(comfortable: u64) -> Check {
    const WHAT: &str = "memory";
    let mebibytes = |bytes: u64| format!("{} MiB available", thousands(bytes >> 20));
    match available_memory() {
        Some(bytes) if bytes >= comfortable => Check::well(WHAT, mebibytes(bytes)),
        Some(bytes) => {
            let fix = format!("free memory up to {}: the demo keeps MNIST in a few processes", mebibytes(comfortable));
            Check::ill(WHAT, State::Slow, mebibytes(bytes), fix)
        }
        None => Check::well(WHAT, "this system does not say how much is available"),
    }
}

/// Bytes, as Linux has them in `/proc/meminfo`.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
